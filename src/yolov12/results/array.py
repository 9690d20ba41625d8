"""Arrays that can be treated like tensors, and what all parts of a result have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Self, SupportsIndex

import numpy as np
import numpy.typing as npt

Index = SupportsIndex | slice | npt.ArrayLike
Rows = slice | npt.NDArray[Any]


class Array(np.ndarray[Any, np.dtype[Any]]):
    """A NumPy array that can be treated like a tensor on the CPU."""

    def cpu(self) -> Array:
        """Itself: it is there already."""
        return self

    def numpy(self) -> npt.NDArray[Any]:
        """The same memory as a plain NumPy array."""
        return self.view(np.ndarray)

    def __float__(self) -> float:
        return float(self.item())  # one element in any shape, as tensors allow

    def __int__(self) -> int:
        return int(self.item())


class Part(ABC):
    """Something of each of N objects of one image: iterating or indexing gives the same for fewer objects.

    An index is a number, a slice, a mask or a list of numbers; a lone number keeps its dimension: one box still is
    N = 1.
    """

    orig_shape: tuple[int, int]
    """(height, width) of the image in pixels."""

    def cpu(self) -> Self:
        """Itself."""
        return self

    def numpy(self) -> Self:
        """Itself: its arrays are NumPy arrays."""
        return self

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def _take(self, rows: Rows) -> Self:
        """The objects of `rows`."""

    def __getitem__(self, which: Index) -> Self:
        rows: Any = [which] if isinstance(which, SupportsIndex) and not isinstance(which, np.ndarray) else which
        rows = rows if isinstance(rows, slice) else np.asarray(rows)
        if isinstance(rows, np.ndarray):
            rows = rows.reshape(-1) if rows.size else rows.reshape(-1).astype(np.int64)
        return self._take(rows)

    def __iter__(self) -> Iterator[Self]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        height, width = self.orig_shape
        return f"{type(self).__name__}({len(self)} in {width}x{height})"

    def _fractions(self, points: npt.NDArray[Any]) -> Array:
        """Points (..., 2) x y as fractions of the image; zeros for an image that could not be read."""
        height, width = self.orig_shape
        return (points / np.array([max(width, 1), max(height, 1)], dtype=np.float32)).view(Array)
