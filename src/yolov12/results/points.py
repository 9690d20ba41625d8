"""Keypoints of every object, and the scores of a whole picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from yolov12.results.array import Array, Part, Rows

TOP = 5


class Keypoints(Part):
    """K points of each of N objects; iterating or indexing gives `Keypoints` again.

    data         (N, K, 3) float32: x, y in pixels of the original image, and how sure the network is that the point
                 can be seen, 0..1; (N, K, 2) from a model that says nothing of that
    orig_shape   (height, width) of that image
    """

    def __init__(self, data: npt.NDArray[Any], orig_shape: tuple[int, int]) -> None:
        if data.ndim != 3 or data.shape[2] not in (2, 3):
            raise ValueError(f"keypoints need x, y and maybe visibility: (N, K, 3) or (N, K, 2), got {data.shape}")
        self.data = data.astype(np.float32, copy=False).view(Array)
        self.orig_shape = orig_shape

    @property
    def has_visible(self) -> bool:
        """Whether the model says which points can be seen."""
        return bool(self.data.shape[2] == 3)

    @property
    def xy(self) -> Array:
        """(N, K, 2) in pixels."""
        return self.data[:, :, :2]  # type: ignore[return-value]

    @property
    def xyn(self) -> Array:
        """`xy` as fractions of the image."""
        return self._fractions(self.xy)

    @property
    def conf(self) -> Array | None:
        """(N, K) how sure the network is that each point can be seen, 0..1; None where it says nothing of that."""
        return self.data[:, :, 2] if self.has_visible else None  # type: ignore[return-value]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, K, 3) or (N, K, 2)."""
        count, points, values = self.data.shape
        return count, points, values

    def __len__(self) -> int:
        return len(self.data)

    def _take(self, rows: Rows) -> Keypoints:
        return Keypoints(self.data[rows], self.orig_shape)


class Probs:
    """How likely each of C classes is for the whole picture.

    data  (C,) float32, each in 0..1
    """

    def __init__(self, data: npt.NDArray[Any]) -> None:
        if data.ndim != 1 or not len(data):
            raise ValueError(f"class scores of one picture need the shape (C,) with C > 0, got {data.shape}")
        self.data = data.astype(np.float32, copy=False).view(Array)

    @property
    def top1(self) -> int:
        """The likeliest class."""
        return self.top5[0]

    @property
    def top5(self) -> list[int]:
        """The five likeliest classes, or all if they are fewer, likeliest first; equal ones by their number."""
        return np.argsort(-self.data.numpy(), kind="stable")[:TOP].tolist()  # type: ignore[no-any-return]

    @property
    def top1conf(self) -> Array:
        """Score of the likeliest class, an array of one number."""
        return self.data[[self.top1]].reshape(())  # type: ignore[return-value]

    @property
    def top5conf(self) -> Array:
        """Scores of `top5`, in its order."""
        return self.data[self.top5]  # type: ignore[return-value]

    @property
    def shape(self) -> tuple[int]:
        """(C,)."""
        return (len(self.data),)

    def cpu(self) -> Probs:
        """Itself."""
        return self

    def numpy(self) -> Probs:
        """Itself: its arrays are NumPy arrays."""
        return self

    def __len__(self) -> int:
        return len(self.data)

    def __repr__(self) -> str:
        shown = ", ".join(f"{label}: {self.data[label]:.3f}" for label in self.top5)
        return f"Probs({len(self)} classes, {shown})"
