"""The rules for boxes that come as corners in pixels (VOC, COCO), in one place."""

from __future__ import annotations

from collections.abc import Sequence

from yolov12.data.index import DataReport, Float32, Objects

Box = tuple[float, float, float, float]

TOLERANCE = 1e-3
"""A corner this far (pixels) outside the image is rounding and not counted as clipped."""


def clip_box(box: Box, height: int, width: int) -> Box:
    """The part of a corner box (pixels) that lies inside the image."""
    x1, y1, x2, y2 = box
    return min(max(x1, 0.0), width), min(max(y1, 0.0), height), min(max(x2, 0.0), width), min(max(y2, 0.0), height)


def overhang(box: Box, height: int, width: int) -> float:
    """How far (pixels) a box reaches out of the image."""
    return max(-box[0], -box[1], box[2] - width, box[3] - height)


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
    objects.add(label, clipped, area=area, crowd=crowd, polygon=polygon)
