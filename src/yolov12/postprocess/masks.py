"""Instance masks at the size of the original image, computed around each kept box only. Needs NumPy and OpenCV.

A mask is a sum of prototypes (YOLACT, Bolya et al. 2019), which live at a quarter of the canvas. The way up is that of
the later published code's full-size masks: enlarge until the letterbox' padding is a whole number of pixels, cut it
off, resize to the image, keep what is above zero inside the box. Both steps are bilinear, so a part of the picture
needs only a part of the prototypes; and if both begin where a pixel of one begins with a pixel of the other, the part
comes out as it would of the whole, but for the last bits of the sums.
"""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from yolov12.postprocess.nms import FloatArray
from yolov12.postprocess.placement import Placement
from yolov12.results import Masks

PROTOTYPE_STRIDE: Final = 4
"""Canvas pixels per prototype pixel."""


def decode_masks(coefficients: FloatArray, prototypes: FloatArray, boxes: NDArray[Any], placement: Placement) -> Masks:
    """Masks of n detections: coefficients (n, M), prototypes (M, H / 4, W / 4), boxes (n, 4) in original pixels.

    A pixel in column c is inside a box when x1 <= c < x2, likewise in rows.
    """
    height, width = placement.shape
    rows, columns = axes(placement)
    edges = np.clip(np.ceil(boxes), 0, [width, height, width, height]).astype(np.int64)
    crops = [
        _crop(coefficient, prototypes, rows.part(top, bottom), columns.part(left, right))
        for coefficient, (left, top, right, bottom) in zip(coefficients, edges.tolist(), strict=True)
    ]
    return Masks(crops, edges[:, :2], (height, width))


class Part(NamedTuple):
    """What one axis of a crop is made of.

    prototypes  pixels of the prototypes
    factor      by which they are enlarged
    enlarged    which of the enlarged ones are resized
    resized     how many these become
    crop        which of those are wanted
    """

    prototypes: slice
    factor: int
    enlarged: slice
    resized: int
    crop: slice

    @property
    def length(self) -> int:
        """Pixels of the crop."""
        return int(self.crop.stop - self.crop.start)


class Axis(NamedTuple):
    """The way of one axis: prototypes are enlarged by `factor`; `length` pixels from `start` become `out` pixels."""

    factor: int
    start: int
    length: int
    out: int

    def part(self, start: int, stop: int) -> Part:
        """For the pixels from `start` to `stop` of the original image."""
        # Every `step_in` enlarged pixels end where every `step_out` original ones do: parts may be cut there. One more
        # on each side holds the neighbours that the outermost pixels lean on.
        steps = math.gcd(self.length, self.out)
        step_in, step_out = self.length // steps, self.out // steps
        first, last = max(start // step_out - 1, 0), min(-(-stop // step_out) + 1, steps)
        begin, end = self.start + first * step_in, self.start + last * step_in
        # The prototypes' array ends where it ends: a slice may ask for one pixel more.
        low, high = max(begin // self.factor - 1, 0), -(-end // self.factor) + 1
        offset = low * self.factor
        return Part(
            slice(low, high),
            self.factor,
            slice(begin - offset, end - offset),
            (last - first) * step_out,
            slice(start - first * step_out, stop - first * step_out),
        )


def axes(placement: Placement) -> tuple[Axis, Axis]:
    """Rows and columns."""
    # The smallest enlargement at which the image's edges on the canvas fall between pixels.
    factor = next(f for f in (1, 2, PROTOTYPE_STRIDE) if not any(n * f % PROTOTYPE_STRIDE for n in placement.window))
    top, left, height, width = (n * factor // PROTOTYPE_STRIDE for n in placement.window)
    return Axis(factor, top, height, placement.shape[0]), Axis(factor, left, width, placement.shape[1])


def _crop(coefficient: FloatArray, prototypes: FloatArray, rows: Part, columns: Part) -> NDArray[np.bool_]:
    """One mask (h, w) inside its box."""
    if rows.length <= 0 or columns.length <= 0:
        return np.zeros((0, 0), dtype=bool)
    # Not a product of matrices: libraries would spread it over threads that others are using.
    logits = np.einsum("m,mab->ab", coefficient, prototypes[:, rows.prototypes, columns.prototypes])
    if rows.factor > 1:
        size = logits.shape[1] * columns.factor, logits.shape[0] * rows.factor
        logits = cv2.resize(logits, size, interpolation=cv2.INTER_LINEAR)
    logits = logits[rows.enlarged, columns.enlarged]
    size = columns.resized, rows.resized
    if logits.shape[::-1] != size:
        logits = cv2.resize(logits, size, interpolation=cv2.INTER_LINEAR)
    mask: NDArray[np.bool_] = logits[rows.crop, columns.crop] > 0
    return mask
