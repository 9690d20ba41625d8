"""The rules for objects that are given in pixels (VOC, COCO, DOTA, corners of rotated boxes), in one place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from yolov12.data.index import DataReport, Float32, Float64
from yolov12.data.objects import Objects

Box = tuple[float, float, float, float]

TOLERANCE = 1e-3
"""A corner this far (pixels) outside the image is rounding and not counted as clipped."""
NO_AREA = 1e-6
"""Square pixels below which an outline encloses nothing."""


def clip_box(box: Box, height: int, width: int) -> Box:
    """The part of a corner box (pixels) that lies inside the image."""
    x1, y1, x2, y2 = box
    return min(max(x1, 0.0), width), min(max(y1, 0.0), height), min(max(x2, 0.0), width), min(max(y2, 0.0), height)


def overhang(box: Box, height: int, width: int) -> float:
    """How far (pixels) a box reaches out of the image."""
    return max(-box[0], -box[1], box[2] - width, box[3] - height)


def extent(points: Float64 | Float32) -> Box:
    """The corner box around points (P, 2)."""
    (x1, y1), (x2, y2) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    return x1, y1, x2, y2


def polygon_area(points: Float64 | Float32) -> float:
    """Area inside an outline (P, 2), by the shoelace formula."""
    x, y = (points - points[0]).T.astype(np.float64)  # from the first corner, so that its own terms are zero
    return abs(float(x[:-1] @ y[1:] - x[1:] @ y[:-1])) / 2


def add_pixel_box(
    objects: Objects,
    label: int,
    box: Box,
    size: tuple[int, int],
    *,
    where: str,
    report: DataReport,
    area: float | None = None,
    crowd: bool = False,
    polygon: Sequence[Float32] = (),
    keypoints: Float32 | None = None,
    run_length: bytes | None = None,
) -> None:
    """Check, clip and append one box; `size` is the image's height and width, `where` begins every finding."""
    x1, y1, x2, y2 = box
    if x2 < x1 or y2 < y1:
        report.bad_row(f"{where}: negative size ({x2 - x1:g} x {y2 - y1:g})")
        return
    clipped = clip_box(box, *size)
    width, height = clipped[2] - clipped[0], clipped[3] - clipped[1]
    if x2 == x1 or y2 == y1:
        report.degenerate += 1
        return
    if width <= 0 or height <= 0:
        report.bad_row(f"{where}: outside of the image: {x1:g},{y1:g},{x2:g},{y2:g} in {size[1]}x{size[0]}")
        return
    report.clipped += overhang(box, *size) > TOLERANCE
    report.subpixel += min(width, height) < 1
    report.crowd += crowd
    report.polygons += len(polygon) > 0
    report.keypoints += 0 if keypoints is None else int(np.count_nonzero(keypoints[:, 2]))
    objects.add(
        label, clipped, area=area, crowd=crowd, polygon=polygon, keypoints=keypoints, run_length=run_length
    )  # fmt: skip


def in_order(corners: Float64) -> tuple[Float64, bool]:
    """The four corners (4, 2) of a rotated box one after the other around it, and whether they were not.

    Four corners make one box, in whatever order they are written; only a box whose sides cross is written anew.
    """
    a, b, c, d = corners
    if not (_cross(a, b, c, d) or _cross(b, c, d, a)):
        return corners, False
    x, y = (corners - corners.mean(axis=0)).T
    return corners[np.argsort(np.arctan2(y, x), kind="stable")], True


def _cross(a: Float64, b: Float64, c: Float64, d: Float64) -> bool:
    """Whether the lines a-b and c-d cross inside both."""
    return _side(a, b, c) * _side(a, b, d) < 0 and _side(c, d, a) * _side(c, d, b) < 0


def _side(a: Float64, b: Float64, point: Float64) -> float:
    """Above 0 on one side of the line through a and b, below 0 on the other."""
    return float((b[0] - a[0]) * (point[1] - a[1]) - (b[1] - a[1]) * (point[0] - a[0]))


def add_rotated_box(
    objects: Objects,
    label: int,
    corners: Float64,
    size: tuple[int, int],
    *,
    where: str,
    report: DataReport,
    crowd: bool = False,
) -> bool:
    """As `add_pixel_box` for four corners (4, 2). Returns whether they were not in order.

    The corners stay where they are, also outside of the image (a cut rotated box is none); the upright box around them
    is clipped.
    """
    ring, crossed = in_order(corners)
    area = polygon_area(ring)
    if area <= NO_AREA:
        report.degenerate += 1
        return False
    add_pixel_box(
        objects,
        label,
        extent(ring),
        size,
        where=where,
        report=report,
        area=area,
        crowd=crowd,
        polygon=(ring.astype(np.float32),),
    )
    return crossed


def crossed_warning(count: int, report: DataReport) -> None:
    """Say how many rotated boxes had to be put in order."""
    if count:
        what = "list their corners crosswise; they were put in order around the box"
        report.warnings.append(f"{report.split}: {count} rotated boxes {what}")
