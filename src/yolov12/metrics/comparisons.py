"""What is compared in one image, for each kind of similarity: boxes, masks, keypoints, rotated boxes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from faster_coco_eval.core import mask as run_lengths

from yolov12.data.coco_masks import RunLength, compress, rasterise
from yolov12.data.index import ImageIndex
from yolov12.detections import Detections
from yolov12.matching import Bools, Floats, Ints, Scene, by_score
from yolov12.metrics.coco import Compared
from yolov12.metrics.rotated import object_corners, polygon_area, rotated_overlaps

MAX_KEYPOINT_DETECTIONS: Final = 20
"""Per image and class, as COCO counts where keypoints are compared."""
BOX_SHARE: Final = 0.53
"""How much of its box an object covers, about: keypoints are measured by this area where only the box is known."""
NOWHERE: Final = 1e9
"""Coordinate in place of one that is not a number: far from everything, so it matches nothing."""

Compare = Callable[[ImageIndex, int, Detections], Compared]


def compare_boxes(index: ImageIndex, i: int, found: Detections) -> Compared:
    """Upright boxes by IoU."""
    scene = _scene(index, i, found, by_score(found.rows))
    sides = scene.rows[:, 2:4] - scene.rows[:, :2]
    return _compared(index, i, scene, index.areas[index.objects(i)], sides.prod(axis=1))


def compare_masks(index: ImageIndex, i: int, found: Detections) -> Compared:
    """Masks by the IoU of their pixels; the detections' areas are those of their masks.

    A mask that can match nothing is compared as an empty one of its area. Where labels are partial, a picture with an
    object that has no mask is left out.
    """
    if found.masks is None:
        raise ValueError(f"detections of {index.paths[i]} have no masks to compare")
    where = index.objects(i)
    # Labels of several tasks may leave masks out: such a picture says nothing of what is found in it.
    unknown = index.partial and not all(_has_mask(index, row) for row in range(where.start, where.stop))
    keep = by_score(found.rows)[: 0 if unknown else None]
    masks, scene = found.masks[keep], _scene(index, i, found, keep)
    scene = scene._replace(crowd=scene.crowd | unknown, ignored=scene.ignored | unknown)
    truth = [_object_mask(index, i, row) for row in range(where.start, where.stop)]
    crops = [masks.crop(k) for k in range(len(masks))]
    areas = np.array([np.count_nonzero(crop) for crop in crops], np.float64)
    sides = np.array([crop.shape[::-1] for crop in crops], np.float64).reshape(-1, 2)
    near = _may_match(scene, truth, areas, np.hstack([masks.corners, masks.corners + sides]))
    height, width = index.sizes[i].tolist()
    nothing = RunLength(size=[height, width], counts=compress([height * width], height, width))
    needed = iter(masks[near].to_rle())
    rows = [{"segmentation": next(needed) if each else nothing} for each in near.tolist()]
    compared = _compared(index, i, scene, index.areas[where], areas)
    return compared._replace(object_fields=[{"segmentation": mask} for mask in truth], row_fields=rows)


def compare_keypoints(index: ImageIndex, i: int, found: Detections) -> Compared:
    """Keypoints by OKS; objects without labelled keypoints are ignored.

    Distances are measured by the object's area. Where a label file gives boxes alone, that is 0.53 of the box.
    """
    if found.keypoints is None or index.keypoints is None:
        raise ValueError(f"{index.paths[i]}: detections and labels both need keypoints to be compared")
    keep = by_score(found.rows, MAX_KEYPOINT_DETECTIONS)
    where = index.objects(i)
    points = np.asarray(index.keypoints[where], np.float64)  # (M, K, 3)
    guesses = np.ones((len(keep), *points.shape[1:]))
    guesses[..., :2] = np.nan_to_num(found.keypoints[keep, :, :2], nan=NOWHERE, posinf=NOWHERE, neginf=NOWHERE)
    labelled = np.count_nonzero(points[..., 2] > 0, axis=1)
    scene = _scene(index, i, found, keep)
    scene = scene._replace(ignored=scene.crowd | (labelled == 0))
    areas = index.areas[where]
    if index.area_of_box is not None:
        areas = np.where(index.area_of_box[where], BOX_SHARE * areas, areas)
    extents = np.ptp(guesses[..., :2], axis=1) if len(keep) else np.zeros((0, 2))
    flat, flat_guesses = (each.reshape(len(each), 3 * points.shape[1]) for each in (points, guesses))
    truth = zip(flat.tolist(), labelled.tolist(), strict=True)
    return _compared(index, i, scene, areas, extents.prod(axis=1))._replace(
        object_fields=[{"keypoints": values, "num_keypoints": count} for values, count in truth],
        row_fields=[{"keypoints": values} for values in flat_guesses.tolist()],
    )


def compare_rotated(index: ImageIndex, i: int, found: Detections) -> Compared:
    """Rotated boxes by the IoU of the polygons; all areas are those of the polygons."""
    if found.rotated is None:
        raise ValueError(f"detections of {index.paths[i]} have no rotated boxes to compare")
    keep = by_score(found.rows)
    scene = _scene(index, i, found, keep)
    rotated, corners = found.rotated[keep], object_corners(index, index.objects(i))
    ratios = rotated_overlaps(rotated, corners, scene.crowd)
    compared = _compared(index, i, scene, polygon_area(corners), rotated[:, 2:4].prod(axis=1))
    return compared._replace(ratios=ratios)


COMPARISONS: Final[dict[str, Compare]] = {
    "bbox": compare_boxes,
    "segm": compare_masks,
    "keypoints": compare_keypoints,
    "rotated": compare_rotated,
}
"""By COCO's name of the similarity, and "rotated"."""


def _scene(index: ImageIndex, i: int, found: Detections, keep: Ints) -> Scene:
    where = index.objects(i)
    crowd = index.crowd[where]
    return Scene(index.boxes[where], index.labels[where], crowd, crowd, np.asarray(found.rows[keep], np.float64))


def _compared(index: ImageIndex, i: int, scene: Scene, object_areas: Floats, row_areas: Floats) -> Compared:
    nothing: dict[str, Any] = {}
    height, width = index.sizes[i].tolist()
    fields = [nothing] * len(scene.labels), [nothing] * len(scene.rows)
    return Compared(scene, object_areas, row_areas, *fields, (height, width))


def _may_match(scene: Scene, truth: Sequence[RunLength], areas: Floats, extents: Floats) -> Bools:
    """Which masks (N,), of these areas and xyxy extents, can reach an IoU of 0.5 with an object of their class.

    The others' pixels change no score, so they need not be written down; of several hundred few are left.
    """
    if not truth:
        return np.zeros(len(areas), bool)
    others = np.asarray(run_lengths.toBbox(list(truth)), np.float64)  # x, y, width, height
    top_left = np.maximum(extents[:, None, :2], others[None, :, :2])
    bottom_right = np.minimum(extents[:, None, 2:], others[None, :, :2] + others[None, :, 2:])
    other_areas = np.asarray(run_lengths.area(list(truth)), np.float64)[None]
    most = np.minimum((bottom_right - top_left).clip(min=0).prod(axis=2), np.minimum(areas[:, None], other_areas))
    union = areas[:, None] + np.where(scene.crowd, 0.0, other_areas - most)
    possible = (2 * most >= union) & (scene.rows[:, 5, None] == scene.labels[None])
    near: Bools = possible.any(axis=1)
    return near


def _has_mask(index: ImageIndex, row: int) -> bool:
    return row in index.run_lengths or bool(index.rings(row))


def _object_mask(index: ImageIndex, i: int, row: int) -> RunLength:
    """The labelled mask of an object; of one that has only a box, that box."""
    if _has_mask(index, row):
        return index.run_length(row)
    height, width = index.sizes[i].tolist()
    corners = index.boxes[row, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(4, 2)
    return {"size": [height, width], "counts": rasterise([corners], height, width)}
