"""How much rotated boxes overlap, exactly: the area of the intersection of two polygons over that of their union.

An outline is moved into the box's own frame, where the box is `|x| <= w / 2, |y| <= h / 2`, and cut at one pair of
parallel sides, then at the other. Cutting pulls every point outside onto the nearest side and adds a point wherever an
edge crosses one: the pulled parts run to and fro along the side, so they enclose nothing and the shoelace formula gives
the area of the intersection. This holds for outlines of any form, and touching or equal edges are no special case.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from yolov12.data.index import ImageIndex
from yolov12.matching import Bools, Floats
from yolov12.results import rotated_corners

PAIRS_AT_ONCE: Final = 4096
"""Bounds the memory: a pair of a box and four corners takes about 2 kB."""


def rotated_overlaps(rotated: Floats, corners: Floats, crowd: Bools) -> Floats:
    """IoU (N, M) of boxes (N, 5) cx, cy, w, h, radians and quadrilaterals (M, 4, 2); M may be any simple outlines.

    Against a crowd region it is the share of the box's area, as COCO defines it for upright boxes.
    """
    ratios = np.zeros((len(rotated), len(corners)))
    if not ratios.size:
        return ratios
    found = rotated_corners(np.asarray(rotated, np.float64))  # (N, 4, 2)
    low, high = found.min(axis=1), found.max(axis=1)
    other_low, other_high = corners.min(axis=1), corners.max(axis=1)
    meet = (low[:, None] < other_high[None]) & (other_low[None] < high[:, None])
    rows, columns = meet.all(axis=2).nonzero()
    area, other_area = rotated[:, 2] * rotated[:, 3], polygon_area(corners)
    for start in range(0, len(rows), PAIRS_AT_ONCE):
        i, j = rows[start : start + PAIRS_AT_ONCE], columns[start : start + PAIRS_AT_ONCE]
        shared = np.minimum(intersection(rotated[i], corners[j]), np.minimum(area[i], other_area[j]))
        union = np.where(crowd[j], area[i], area[i] + other_area[j] - shared)
        ratios[i, j] = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return ratios


def intersection(rotated: Floats, corners: Floats) -> Floats:
    """Shared area (P,) of P boxes (P, 5) with one outline each (P, V, 2)."""
    cos, sin = np.cos(rotated[:, 4:5]), np.sin(rotated[:, 4:5])
    x, y = np.moveaxis(corners - rotated[:, None, :2], 2, 0)  # (P, V)
    x, y = x * cos + y * sin, y * cos - x * sin
    x, y = _cut(x, y, rotated[:, 2] / 2)  # (P, 3 V)
    y, x = _cut(y, x, rotated[:, 3] / 2)  # (P, 9 V)
    return _shoelace(x, y)


def polygon_area(corners: Floats) -> Floats:
    """Areas (M,) of simple outlines (M, V, 2)."""
    return _shoelace(corners[..., 0], corners[..., 1])


def object_corners(index: ImageIndex, rows: slice) -> Floats:
    """Corners (M, 4, 2) of the objects in `rows`.

    A label of four points that is convex is taken as it is; of any other outline it is the smallest rectangle around
    it, and of an object without one its upright box.
    """
    corners = np.empty((rows.stop - rows.start, 4, 2))
    for k, row in enumerate(range(rows.start, rows.stop)):
        rings = index.rings(row)
        if not rings:
            x1, y1, x2, y2 = index.boxes[row]
            corners[k] = (x1, y1), (x2, y1), (x2, y2), (x1, y2)
        elif len(rings) == 1 and len(rings[0]) == 4 and cv2.isContourConvex(rings[0]):
            corners[k] = rings[0]
        else:
            corners[k] = cv2.boxPoints(cv2.minAreaRect(np.concatenate(rings)))
    return corners


def _cut(x: Floats, y: Floats, half: Floats) -> tuple[Floats, Floats]:
    """Outlines (P, V) pulled into |x| <= half (P,), with two points more for each edge."""
    step_x, step_y = np.roll(x, -1, axis=1) - x, np.roll(y, -1, axis=1) - y
    with np.errstate(divide="ignore", invalid="ignore"):  # an edge along the side: anywhere on it will do
        places = np.stack([(-half[:, None] - x) / step_x, (half[:, None] - x) / step_x])
    places = np.sort(np.clip(np.nan_to_num(places, nan=0.0), 0.0, 1.0), axis=0)  # where along the edge, in order
    shares = np.stack([np.zeros_like(x), *places], axis=2)  # (P, V, 3)
    all_x = (x[..., None] + shares * step_x[..., None]).reshape(len(x), -1)
    all_y = (y[..., None] + shares * step_y[..., None]).reshape(len(x), -1)
    return np.clip(all_x, -half[:, None], half[:, None]), all_y


def _shoelace(x: Floats, y: Floats) -> Floats:
    doubled = x * np.roll(y, -1, axis=-1) - np.roll(x, -1, axis=-1) * y
    area: Floats = np.abs(doubled.sum(axis=-1)) / 2
    return area
