"""Instance masks of one image, stored compactly: each cut to its box, eight pixels to a byte."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from faster_coco_eval.core import mask as coco_mask

from yolov12.results.array import Array, Part, Rows

Bits = npt.NDArray[np.bool_]
Outline = npt.NDArray[np.float32]


class Masks(Part):
    """N masks at the size of the original image; iterating or indexing gives `Masks` again.

    crops        one array (h, w) of booleans for each object: its mask inside its box, empty where nothing was found
    corners      (N, 2) integers: column and row of each crop's first pixel in the image
    orig_shape   (height, width) of the image; every crop lies inside of it
    """

    def __init__(self, crops: Sequence[Bits], corners: npt.NDArray[Any], orig_shape: tuple[int, int]) -> None:
        if corners.shape != (len(crops), 2):
            raise ValueError(f"{len(crops)} masks need corners ({len(crops)}, 2), got {corners.shape}")
        height, width = orig_shape
        for crop, (left, top) in zip(crops, corners.tolist(), strict=True):
            if crop.ndim != 2 or crop.dtype != np.bool_:
                raise ValueError(f"a mask's crop is an array (h, w) of booleans, got {crop.dtype} {crop.shape}")
            if crop.size and not (0 <= left <= width - crop.shape[1] and 0 <= top <= height - crop.shape[0]):
                raise ValueError(f"a mask of {crop.shape} at {(top, left)} leaves its image of {orig_shape}")
        self._packed = [np.packbits(crop) for crop in crops]
        self._sides = [crop.shape for crop in crops]
        self.corners = corners.astype(np.int32)
        self.orig_shape = orig_shape

    @classmethod
    def from_data(cls, data: npt.NDArray[Any]) -> Masks:
        """From whole masks (N, H, W) of booleans."""
        crops, corners = [], np.zeros((len(data), 2), np.int32)
        for number, mask in enumerate(data.astype(bool, copy=False)):
            rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
            if not len(rows):
                crops.append(np.zeros((0, 0), bool))
                continue
            corners[number] = columns[0], rows[0]
            crops.append(mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
        return cls(crops, corners, (int(data.shape[1]), int(data.shape[2])))

    @classmethod
    def from_outlines(cls, outlines: Sequence[npt.NDArray[Any]], orig_shape: tuple[int, int]) -> Masks:
        """What the outlines (P, 2), as `xy` gives them, enclose, themselves included; P = 0: an empty mask."""
        crops, corners = [], np.zeros((len(outlines), 2), np.int32)
        for number, outline in enumerate(outlines):
            points = np.rint(outline).astype(np.int32).reshape(-1, 2)
            points = np.clip(points, 0, np.maximum(np.array(orig_shape[::-1]) - 1, 0)).astype(np.int32)
            low, high = (points.min(axis=0), points.max(axis=0) + 1) if len(points) else (corners[number],) * 2
            crop = np.zeros((high - low)[::-1], np.uint8)
            if len(points):
                cv2.fillPoly(crop, [points - low], 1)
            corners[number] = low
            crops.append(crop.astype(bool))
        return cls(crops, corners, orig_shape)

    @property
    def data(self) -> Array:
        """(N, H, W) booleans at the size of the original image; made anew each time, H * W bytes for each mask."""
        whole = np.zeros((len(self), *self.orig_shape), bool)
        for number, (left, top) in enumerate(self.corners.tolist()):
            crop = self.crop(number)
            whole[number, top : top + crop.shape[0], left : left + crop.shape[1]] = crop
        return whole.view(Array)

    @property
    def xy(self) -> list[Outline]:
        """The outer outline (P, 2) of each mask's largest piece: pixel columns and rows, going around; P = 0: no mask.

        Holes and smaller pieces, most often specks, are left out; `data` and `to_rle` have them. The points are the
        outermost pixels of the piece themselves: filled again with its edge, the outline gives the same pixels.
        """
        outlines = []
        for number, corner in enumerate(self.corners):
            contours, _ = cv2.findContours(
                self.crop(number).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
            )
            largest = max(contours, key=lambda points: (cv2.contourArea(points), len(points)), default=np.empty((0, 2)))
            outlines.append((largest.reshape(-1, 2) + corner).astype(np.float32))
        return outlines

    @property
    def xyn(self) -> list[Outline]:
        """`xy` as fractions of the image."""
        return [self._fractions(outline).numpy() for outline in self.xy]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, H, W) of `data`."""
        return len(self), *self.orig_shape

    def crop(self, number: int) -> Bits:
        """Mask `number` inside its box, (h, w); its first pixel lies at `corners[number]`."""
        height, width = self._sides[number]
        return np.unpackbits(self._packed[number], count=height * width).view(bool).reshape(height, width)

    def to_rle(self) -> list[dict[str, Any]]:
        """COCO's compressed run lengths of each whole mask: {"size": [height, width], "counts": bytes}."""
        height, width = self.orig_shape
        lengths = [
            {"size": [height, width], "counts": _run_lengths(self.crop(number), corner, height, width)}
            for number, corner in enumerate(self.corners.tolist())
        ]
        return list(coco_mask.frPyObjects(lengths, height, width)) if lengths else []

    def __len__(self) -> int:
        return len(self._packed)

    def _take(self, rows: Rows) -> Masks:
        numbers = np.arange(len(self))[rows]
        taken = Masks([], np.empty((0, 2), np.int32), self.orig_shape)
        taken._packed = [self._packed[number] for number in numbers]
        taken._sides = [self._sides[number] for number in numbers]
        taken.corners = self.corners[numbers]
        return taken


def _run_lengths(crop: Bits, corner: tuple[int, int], height: int, width: int) -> list[int]:
    """Lengths of zeros, ones, zeros ... of the whole mask read column by column."""
    left, top = corner
    # Each column between two zeros: where a value differs from the one above, a run begins or ends.
    columns = np.zeros((crop.shape[1], crop.shape[0] + 2), np.uint8)
    if crop.size:
        columns[:, 1:-1] = cv2.transpose(crop.view(np.uint8))
    column, row = np.divmod(np.flatnonzero(columns[:, 1:] != columns[:, :-1]), crop.shape[0] + 1)
    changes = (column + left) * height + row + top  # begin, end, begin, end ...
    # A run that reaches the bottom goes on where the next column begins with one.
    joined = np.flatnonzero(changes[1:-1:2] == changes[2::2]) * 2 + 1
    changes = np.delete(changes, np.concatenate((joined, joined + 1)))
    lengths: list[int] = np.diff(changes, prepend=0, append=height * width).tolist()
    return lengths if lengths[-1] else lengths[:-1]  # nothing follows ones that reach the last pixel
