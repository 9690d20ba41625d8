"""What a COCO annotation says beyond its box, as far as a task wants to know.

detect   The largest polygon, if there is one. Run lengths are checked, and not kept.
segment  All polygons, or the mask as run lengths; without either the annotation cannot be used. Polygons are clipped to
         the image. Where they reach out of it, or have more decimals than the index keeps, the exact mask is stored
         beside them, so that evaluation sees what COCO's own tools would draw. A mask that comes as run lengths is kept
         as it is and outlined for training, crowds excepted. Polygons of fewer than three points draw nothing and are
         left out; an object without a single pixel is dropped and counted.
pose     `keypoints`: x, y and flag each. A person without a labelled keypoint is kept, because detectors are trained on
         it, too; evaluation ignores it, as COCO does. A crowd may do without the list. `num_keypoints` is counted anew.
multi    Both, as far as an annotation has them; what it lacks teaches nothing and is not scored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from yolov12.config.tasks import TASKS
from yolov12.data.coco_checks import Record, keypoints_problem, mask_problem, polygons, shown
from yolov12.data.coco_masks import (
    MAX_OUTLINE,
    as_written,
    compress,
    contours,
    mask_area,
    rasterise,
    too_long,
)
from yolov12.data.index import Float32, Float64
from yolov12.data.pixel_boxes import NO_AREA, TOLERANCE, polygon_area

Size = tuple[int, int]
"""Height and width of the image."""


class Shape(NamedTuple):
    """The form of one object inside its box."""

    rings: tuple[Float32, ...] = ()
    run_length: bytes | None = None
    keypoints: Float32 | None = None
    area: float | None = None
    """Pixels of the mask, for annotations that do not say it; 0: the object is not there."""


def read_shape(annotation: Record, task: str, size: Size, *, crowd: bool, keypoints: int) -> Shape | str:
    """What `task` needs of an annotation besides its box, or `field: reason`."""
    if TASKS[task].several:
        return _several(annotation, size, crowd=crowd, keypoints=keypoints)
    if TASKS[task].keypoints:
        return _pose(annotation.get("keypoints"), keypoints, size, crowd=crowd)
    segmentation = annotation.get("segmentation")
    if TASKS[task].masks:
        shape = _mask(segmentation, size, crowd=crowd)
        return f"segmentation: {shape}" if isinstance(shape, str) else shape
    outline = largest_polygon(segmentation, size)
    if isinstance(outline, str):
        return f"segmentation: {outline}"
    return Shape() if outline is None else Shape((outline,))


def _several(annotation: Record, size: Size, *, crowd: bool, keypoints: int) -> Shape | str:
    """Mask and keypoints, as far as there are any: an object may be labelled for a part of the tasks."""
    segmentation, points = annotation.get("segmentation"), annotation.get("keypoints")
    shape: Shape | str = Shape() if segmentation in (None, []) else _mask(segmentation, size, crowd=crowd)
    if isinstance(shape, str):
        return f"segmentation: {shape}"
    if points in (None, []):
        return shape._replace(keypoints=np.zeros((keypoints, 3), np.float32))
    pose = _pose(points, keypoints, size, crowd=crowd)
    return pose if isinstance(pose, str) else shape._replace(keypoints=pose.keypoints)


def largest_polygon(segmentation: object, size: Size) -> Float32 | str | None:
    """The largest polygon (P, 2) in pixels, or the problem; a run-length mask has no polygon."""
    if segmentation is None or segmentation == []:
        return None
    if isinstance(segmentation, dict):
        return mask_problem(segmentation, size) or None
    if not isinstance(segmentation, list):
        return f"{shown(segmentation)} is neither polygons nor a mask"
    parts = polygons(segmentation)
    if isinstance(parts, str):
        return parts
    largest = parts[0] if len(parts) == 1 else max(parts, key=polygon_area, default=None)
    return None if largest is None else _clipped(largest, size)


def _clipped(points: Float64, size: Size) -> Float32:
    return np.clip(points, 0, size[::-1]).astype(np.float32)


def _mask(segmentation: object, size: Size, *, crowd: bool) -> Shape | str:
    if segmentation is None or segmentation == []:
        return "missing; segment needs an outline or a mask"
    if isinstance(segmentation, dict):
        return _run_length(segmentation, size, crowd=crowd)
    if not isinstance(segmentation, list):
        return f"{shown(segmentation)} is neither polygons nor a mask"
    parts = polygons(segmentation)
    if isinstance(parts, str):
        return parts
    if not parts:
        return "no polygon has three points"
    if too_long(parts):
        return f"the outlines are longer than {MAX_OUTLINE} pixels"
    return _outlined(parts, size)


def _run_length(mask: Record, size: Size, *, crowd: bool) -> Shape | str:
    problem = mask_problem(mask, size)
    if problem:
        return problem
    given = mask["counts"]
    counts = given.encode("ascii") if isinstance(given, str) else compress(given, *size)
    area = float(mask_area(counts, *size))
    return Shape(() if crowd else tuple(contours(counts, *size)), counts, area=area)


def _outlined(parts: Sequence[Float64], size: Size) -> Shape:
    clipped = [_clipped(part, size) for part in parts]
    rings = tuple(ring for ring in clipped if polygon_area(ring) > NO_AREA)
    same = len(rings) == len(parts) and all(map(np.array_equal, map(as_written, clipped), parts))
    run_length = None if same or not rings else rasterise(parts, *size)
    return Shape(rings, run_length, area=sum(polygon_area(ring) for ring in rings))


def _pose(values: object, count: int, size: Size, *, crowd: bool) -> Shape | str:
    if crowd and values is None:
        return Shape()
    problem = keypoints_problem(values, count, size, TOLERANCE)
    if problem:
        return f"keypoints: {problem}"
    points = np.array(values, np.float64).reshape(-1, 3)
    points[points[:, 2] == 0] = 0
    points[:, :2] = np.clip(points[:, :2], 0, size[::-1])
    return Shape(keypoints=points.astype(np.float32))
