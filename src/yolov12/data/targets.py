"""What a batch teaches: the objects of its samples as the arrays that the losses of each task compare with.

Outlines become index maps (segment) or rotated boxes (obb) here, after all augmentation: both follow from what is left
of an outline in the picture. The arrays are NumPy; the loader wraps them as `sample.Targets`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from yolov12.config.tasks import TASKS
from yolov12.data.sample import Sample

MASK_RATIO: Final = 4  # canvas pixels per mask pixel, as coarse as the network's prototypes


class TargetArrays(NamedTuple):
    """The objects of B samples under each other, N rows; the fields are those of `sample.Targets`, in its order."""

    image_index: npt.NDArray[np.int64]  # (N,)
    labels: npt.NDArray[np.int64]  # (N,)
    boxes: npt.NDArray[np.float32]  # (N, 4)
    masks: npt.NDArray[np.int16] | None = None  # (B, H / 4, W / 4)
    keypoints: npt.NDArray[np.float32] | None = None  # (N, K, 3)
    rotated: npt.NDArray[np.float32] | None = None  # (N, 5)
    outlined: npt.NDArray[np.bool_] | None = None  # (N,)


def stack_targets(samples: Sequence[Sample], task: str) -> TargetArrays:
    """The objects of samples of one size, with what `task` needs beyond boxes and labels."""
    counts = [len(sample.labels) for sample in samples]
    return TargetArrays(
        np.repeat(np.arange(len(samples)), counts),
        np.concatenate([sample.labels for sample in samples]),
        np.concatenate([sample.boxes for sample in samples]),
        np.stack([index_map(sample, boxes=not TASKS[task].several) for sample in samples])
        if TASKS[task].masks
        else None,
        np.concatenate([_labelled_keypoints(sample) for sample in samples]) if TASKS[task].keypoints else None,
        np.concatenate([rotated_boxes(sample) for sample in samples]) if TASKS[task].rotated else None,
        np.concatenate([_outlined(sample) for sample in samples]) if TASKS[task].several else None,
    )


def _outlined(sample: Sample) -> npt.NDArray[np.bool_]:
    """(N,) which objects have an outline."""
    outlines = sample.polygons if sample.polygons is not None else [()] * len(sample.labels)
    return np.array([len(points) > 0 for points in outlines], np.bool_)


def index_map(sample: Sample, *, boxes: bool = True) -> npt.NDArray[np.int16]:
    """Which object each mask pixel shows, (H / 4, W / 4): 0 none, j + 1 row j of the sample. Small ones lie on top.

    An outline is filled at full size with its vertices cut to whole pixels and then reduced bilinearly, as the
    published models were trained; an object without an outline is its box, or nothing without `boxes`. H and W must be
    multiples of 4.
    """
    height, width = (side // MASK_RATIO for side in sample.image.shape[:2])
    filled = np.zeros((height, width), np.int16)
    shapes = [_quarter_mask(_outline(sample, row).astype(np.int32)) for row in range(len(sample.labels))]
    areas = np.array([np.count_nonzero(mask) for mask, _, _ in shapes], np.int64)
    drawn = np.ones(len(shapes), np.bool_) if boxes else _outlined(sample)
    for row in (row for row in np.argsort(-areas, kind="stable").tolist() if drawn[row]):
        mask, top, left = shapes[row]
        mask = mask[: height - top, : width - left]  # an outline may end exactly at the far edge, beyond the last pixel
        filled[top : top + mask.shape[0], left : left + mask.shape[1]][mask] = row + 1
    return filled


def _quarter_mask(vertices: npt.NDArray[np.int32]) -> tuple[npt.NDArray[np.bool_], int, int]:
    """The mask pixels (h, w) that a polygon (P, 2) of whole, not negative pixels fills; their first row and column.

    Only the blocks of 4 x 4 pixels that the polygon touches are drawn: the same pixels as on the whole canvas, but
    small objects cost next to nothing.
    """
    x, y, width, height = cv2.boundingRect(vertices)
    left, top = x // MASK_RATIO, y // MASK_RATIO
    columns, rows = (x + width - 1) // MASK_RATIO - left + 1, (y + height - 1) // MASK_RATIO - top + 1
    canvas = np.zeros((rows * MASK_RATIO, columns * MASK_RATIO), np.uint8)
    cv2.fillPoly(canvas, [vertices], 1, offset=(-left * MASK_RATIO, -top * MASK_RATIO))
    # Zeros and ones in eight bits: at least two of the middle four pixels of a block make it a one.
    reduced = cv2.resize(canvas, (columns, rows), interpolation=cv2.INTER_LINEAR)
    return reduced.astype(np.bool_), top, left


def rotated_boxes(sample: Sample) -> npt.NDArray[np.float32]:
    """(N, 5): the smallest rotated rectangle around each object's outline, or its upright box if it has none."""
    rows = [rotated_box(_outline(sample, row)) for row in range(len(sample.labels))]
    return np.array(rows, np.float32).reshape(-1, 5)


def rotated_box(points: npt.NDArray[Any]) -> tuple[float, float, float, float, float]:
    """Centre x, y, width, height, angle of the smallest rectangle around points (P, 2).

    Of the equivalent ways to write it, the one whose width is the longer side and whose angle (radians, from the x axis
    towards the y axis, so clockwise on the screen) lies in [-pi/4, 3 pi/4), the range of the network's angle branch.
    """
    (x, y), (width, height), degrees = cv2.minAreaRect(np.asarray(points, np.float32))
    angle = math.radians(degrees)  # in which range and of which side depends on OpenCV's version
    if width < height:
        width, height, angle = height, width, angle + math.pi / 2
    return x, y, width, height, (angle + math.pi / 4) % math.pi - math.pi / 4


def _outline(sample: Sample, row: int) -> npt.NDArray[np.float32]:
    """The outline (P, 2) of one object, or the corners of its box if it has none."""
    if sample.polygons is not None and len(sample.polygons[row]):
        return sample.polygons[row]
    return sample.boxes[row, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(4, 2)


def _labelled_keypoints(sample: Sample) -> npt.NDArray[np.float32]:
    """The keypoints (N, K, 3), zero where the flag is: a warp may have sent what nobody sees anywhere."""
    if sample.keypoints is None:
        raise ValueError("a sample without keypoints cannot teach pose")
    return np.where(sample.keypoints[..., 2:] > 0, sample.keypoints, np.float32(0))
