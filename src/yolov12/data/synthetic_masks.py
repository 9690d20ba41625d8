"""From outlines to pixels and back: how much of each pixel a shape covers, and the outline of a mask.

A pixel in column c and row r is the square from (c, r) to (c + 1, r + 1), so a mask of whole pixels has an exact box
and an exact outline.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Plane = npt.NDArray[np.float32]
Points = npt.NDArray[np.float64]

FINE = 4
"""A pixel's coverage is counted on FINE x FINE points."""
_FRACTION_BITS = 4
_STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))
"""Right, down, left, up; the next one is a turn to the right."""


class Region(NamedTuple):
    """A rectangle of pixels: columns x1 to x2, rows y1 to y2, the last left out."""

    x1: int
    y1: int
    x2: int
    y2: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns."""
        return slice(self.y1, self.y2), slice(self.x1, self.x2)

    def within(self, size: int) -> Region:
        """The part inside a picture of `size` x `size`; may be empty."""
        x1, y1, x2, y2 = (min(max(side, 0), size) for side in self)
        return Region(x1, y1, x2, y2)


def region_around(rings: list[Points], margin: int) -> Region:
    """The pixels that `rings` touch and `margin` more on each side."""
    points = np.concatenate(rings)
    low, high = np.floor(points.min(axis=0)) - margin, np.ceil(points.max(axis=0)) + margin
    return Region(int(low[0]), int(low[1]), int(high[0]), int(high[1]))


def coverage(rings: list[Points], region: Region) -> Plane:
    """Which part of each pixel of `region` lies inside any of `rings`; (height, width) float32 in 0..1."""
    height, width = region.y2 - region.y1, region.x2 - region.x1
    fine = np.zeros((height * FINE, width * FINE), np.uint8)
    for ring in rings:
        # OpenCV's whole numbers are the centres of pixels: hence the half.
        corners = (ring - (region.x1, region.y1)) * FINE - 0.5
        fixed = np.round(corners * 2**_FRACTION_BITS).astype(np.int32)
        cv2.fillPoly(fine, [fixed], 255, cv2.LINE_8, _FRACTION_BITS)
    return cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / np.float32(255)


def box_of(mask: Mask) -> tuple[int, int, int, int]:
    """x1, y1, x2, y2 around the pixels of a mask that has some."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def is_one_part(mask: Mask) -> bool:
    """Whether the pixels of a mask hang together by their sides and leave no hole: then one outline says it all."""
    if not mask.any():
        return False
    x1, y1, x2, y2 = box_of(mask)
    inside = np.pad(mask[y1:y2, x1:x2], 1).astype(np.uint8)
    parts, _ = cv2.connectedComponents(inside, connectivity=4)
    outside, _ = cv2.connectedComponents(1 - inside, connectivity=8)
    return bool(parts == 2 and outside == 2)  # one of them is the rest


def outline(mask: Mask) -> Points:
    """The outline (P, 2) of a mask in one part, through the middles of the sides of its border pixels.

    The centre of a pixel lies inside of it exactly where the mask is set, and its extent is that of the mask.
    """
    x1, y1, x2, y2 = box_of(mask)
    inside = np.pad(mask[y1:y2, x1:x2], 1).tolist()
    x, y = inside[1].index(True), 1  # the upper left corner of the first pixel; walk around with the mask on the right
    start, heading = (x, y), 0
    middles = []
    while True:
        dx, dy = _STEPS[heading]
        middles.append((x + dx / 2, y + dy / 2))
        x, y = x + dx, y + dy
        if (x, y) == start and heading == 3:
            break
        # The two pixels ahead of this corner, on the left and on the right.
        right = inside[y + (dx + dy - 1) // 2][x + (dx - dy - 1) // 2]
        left = inside[y + (dy - dx - 1) // 2][x + (dx + dy - 1) // 2]
        if not right:
            heading = (heading + 1) % 4
        elif left:
            heading = (heading + 3) % 4
    points = np.array(middles, np.float64) + np.array([x1 - 1, y1 - 1])
    before, after = points - np.roll(points, 1, axis=0), np.roll(points, -1, axis=0) - points
    bends = before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]
    return np.asarray(points[bends])
