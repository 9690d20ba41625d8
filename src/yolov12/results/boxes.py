"""Upright and rotated boxes of one image, with their scores, classes and track numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from yolov12.results.array import Array, Part, Rows

BOX_COLUMNS = 6
"""x1, y1, x2, y2, score, class."""
ROTATED_COLUMNS = 7
"""Centre x, centre y, width, height, angle, score, class."""
Ids = npt.NDArray[np.int64]


class Boxes(Part):
    """N detections of one image; iterating or indexing (number, slice, mask, list of numbers) gives `Boxes` again.

    data         (N, 6) float32: x1, y1, x2, y2 in pixels of the original image, score, class
    orig_shape   (height, width) of that image
    id           (N,) int64 track numbers, None before tracking
    """

    def __init__(self, data: npt.NDArray[Any], orig_shape: tuple[int, int], ids: Ids | None = None) -> None:
        if data.ndim != 2 or data.shape[1] != BOX_COLUMNS:
            raise ValueError(f"boxes need rows of x1, y1, x2, y2, score, class: (N, {BOX_COLUMNS}), got {data.shape}")
        self.data = data.astype(np.float32, copy=False).view(Array)
        self.orig_shape = orig_shape
        self.id = _checked_ids(ids, len(data))

    @property
    def xyxy(self) -> Array:
        """(N, 4) left, top, right, bottom in pixels."""
        return self.data[:, :4]  # type: ignore[return-value]  # a view of an Array is one

    @property
    def conf(self) -> Array:
        """(N,) scores in 0..1."""
        return self.data[:, 4]  # type: ignore[return-value]

    @property
    def cls(self) -> Array:
        """(N,) class numbers, int64."""
        return self.data[:, 5].astype(np.int64)  # type: ignore[return-value]

    @property
    def xywh(self) -> Array:
        """(N, 4) centre x, centre y, width, height in pixels."""
        low, high = self.data[:, :2], self.data[:, 2:4]
        return np.concatenate(((low + high) / 2, high - low), axis=1).view(Array)

    @property
    def xyxyn(self) -> Array:
        """`xyxy` as fractions of the image."""
        return self.xyxy / self._scale()  # type: ignore[return-value]

    @property
    def xywhn(self) -> Array:
        """`xywh` as fractions of the image."""
        return self.xywh / self._scale()  # type: ignore[return-value]

    @property
    def shape(self) -> tuple[int, int]:
        """(N, 6)."""
        return len(self.data), BOX_COLUMNS

    def __len__(self) -> int:
        return len(self.data)

    def _take(self, rows: Rows) -> Boxes:
        return Boxes(self.data[rows], self.orig_shape, None if self.id is None else self.id[rows])

    def __repr__(self) -> str:
        return f"Boxes({len(self)} in {self.orig_shape[1]}x{self.orig_shape[0]}, data={self.data.tolist()})"

    def _scale(self) -> npt.NDArray[np.float32]:
        height, width = self.orig_shape
        return np.array([width, height, width, height], dtype=np.float32)


class OBB(Part):
    """N rotated boxes of one image; iterating or indexing gives `OBB` again.

    data         (N, 7) float32: centre x, centre y, width, height in pixels of the original image, angle in radians,
                 score, class. Width is the longer side, the angle lies in [0, pi) and runs from the x axis to it,
                 clockwise on the screen
    orig_shape   (height, width) of that image
    id           (N,) int64 track numbers, None before tracking
    """

    def __init__(self, data: npt.NDArray[Any], orig_shape: tuple[int, int], ids: Ids | None = None) -> None:
        if data.ndim != 2 or data.shape[1] != ROTATED_COLUMNS:
            raise ValueError(
                "rotated boxes need rows of cx, cy, w, h, angle, score, class: "
                f"(N, {ROTATED_COLUMNS}), got {data.shape}"
            )
        self.data = data.astype(np.float32, copy=False).view(Array)
        self.orig_shape = orig_shape
        self.id = _checked_ids(ids, len(data))

    @property
    def xywhr(self) -> Array:
        """(N, 5) centre x, centre y, width, height in pixels, angle in radians."""
        return self.data[:, :5]  # type: ignore[return-value]

    @property
    def conf(self) -> Array:
        """(N,) scores in 0..1."""
        return self.data[:, 5]  # type: ignore[return-value]

    @property
    def cls(self) -> Array:
        """(N,) class numbers, int64."""
        return self.data[:, 6].astype(np.int64)  # type: ignore[return-value]

    @property
    def xyxyxyxy(self) -> Array:
        """(N, 4, 2) corners x y in pixels, going around; they may lie outside the image."""
        return rotated_corners(self.data[:, :5].numpy()).view(Array)  # type: ignore[attr-defined]

    @property
    def xyxyxyxyn(self) -> Array:
        """`xyxyxyxy` as fractions of the image."""
        return self._fractions(self.xyxyxyxy)

    @property
    def xyxy(self) -> Array:
        """(N, 4) the upright boxes around them: left, top, right, bottom in pixels, cut at the image's edges."""
        height, width = self.orig_shape
        extents = rotated_extents(self.data[:, :5].numpy())  # type: ignore[attr-defined]
        clipped: npt.NDArray[Any] = np.clip(extents, 0, np.array([width, height] * 2, extents.dtype))
        return clipped.view(Array)

    @property
    def shape(self) -> tuple[int, int]:
        """(N, 7)."""
        return len(self.data), ROTATED_COLUMNS

    def __len__(self) -> int:
        return len(self.data)

    def _take(self, rows: Rows) -> OBB:
        return OBB(self.data[rows], self.orig_shape, None if self.id is None else self.id[rows])

    def __repr__(self) -> str:
        return f"OBB({len(self)} in {self.orig_shape[1]}x{self.orig_shape[0]}, data={self.data.tolist()})"


def rotated_corners(boxes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Corners (N, 4, 2) of boxes (N, 5) cx, cy, w, h, angle: centre + half width + half height, then + -, - -, - +."""
    cos, sin = np.cos(boxes[:, 4]), np.sin(boxes[:, 4])
    along = np.stack((cos, sin), axis=1) * boxes[:, 2:3] / 2
    across = np.stack((-sin, cos), axis=1) * boxes[:, 3:4] / 2
    center = boxes[:, :2]
    return np.stack(
        (center + along + across, center + along - across, center - along - across, center - along + across), axis=1
    )


def rotated_extents(boxes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The upright boxes (N, 4) x1 y1 x2 y2 around boxes (N, 5) cx, cy, w, h, angle."""
    corners = rotated_corners(boxes)
    return np.concatenate((corners.min(axis=1), corners.max(axis=1)), axis=1)


def _checked_ids(ids: Ids | None, count: int) -> Array | None:
    if ids is not None and ids.shape != (count,):
        raise ValueError(f"{count} boxes need {count} ids, got {ids.shape}")
    return None if ids is None else ids.view(Array)
