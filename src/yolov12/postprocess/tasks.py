"""The last step of each task. Input arrays are those of one image, without a batch axis (`Decoded.images`)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from yolov12.detections import Decoded, Detections
from yolov12.postprocess.masks import decode_masks
from yolov12.postprocess.nms import FloatArray, NmsOptions, select
from yolov12.postprocess.placement import Placement
from yolov12.postprocess.rotated import regularised, select_rotated
from yolov12.results import rotated_extents

ROW = 6
"""x1, y1, x2, y2, score, class."""


def find_boxes(decoded: Decoded, placement: Placement, num_classes: int, options: NmsOptions) -> Detections:
    """Boxes: threshold, suppression, back to the original image."""
    return Detections(_select(decoded, placement, num_classes, options)[0])


def find_masks(decoded: Decoded, placement: Placement, num_classes: int, options: NmsOptions) -> Detections:
    """Boxes, and in each the mask at full size. The extras are coefficients of the prototypes."""
    rows, coefficients = _select(decoded, placement, num_classes, options)
    if decoded.prototypes is None:
        raise ValueError("masks need prototypes, and the runtime gave none")
    return Detections(rows, masks=decode_masks(coefficients, decoded.prototypes, rows[:, :4], placement))


def find_keypoints(decoded: Decoded, placement: Placement, num_classes: int, options: NmsOptions) -> Detections:
    """Boxes and their keypoints, moved to the image's edges where they lie outside; none of them is not finite."""
    rows, extras = _select(decoded, placement, num_classes, options)
    finite = np.isfinite(extras).all(axis=1)
    rows, extras = rows[finite], extras[finite]
    keypoints = extras.reshape(len(extras), *(decoded.keypoint_shape or _guess_shape(extras.shape[1])))
    keypoints[:, :, :2] = placement.points_to_original(keypoints[:, :, :2])
    return Detections(rows, keypoints=keypoints)


def find_all(decoded: Decoded, placement: Placement, num_classes: int, options: NmsOptions) -> Detections:
    """Boxes, masks and keypoints of the same objects; the extras are M coefficients, then the keypoints."""
    if decoded.prototypes is None:
        raise ValueError("masks need prototypes, and the runtime gave none")
    rows, extras = _select(decoded, placement, num_classes, options)
    finite = np.isfinite(extras).all(axis=1)
    rows, extras = rows[finite], extras[finite]
    coefficients, points = np.split(extras, [len(decoded.prototypes)], axis=1)
    keypoints = points.reshape(len(points), *(decoded.keypoint_shape or _guess_shape(points.shape[1])))
    keypoints[:, :, :2] = placement.points_to_original(keypoints[:, :, :2])
    masks = decode_masks(coefficients, decoded.prototypes, rows[:, :4], placement)
    return Detections(rows, masks=masks, keypoints=keypoints)


def find_rotated(decoded: Decoded, placement: Placement, num_classes: int, options: NmsOptions) -> Detections:
    """Rotated boxes, which may reach out of the image; `rows` has the upright ones around them, which may not."""
    found = select_rotated(decoded.dense, num_classes, options).astype(np.float64)
    rotated = regularised(_to_original(found[:, [0, 1, 2, 3, 6]], placement))
    height, width = placement.shape
    extents = np.clip(rotated_extents(rotated), 0, [width, height, width, height])
    return Detections(np.concatenate((extents, found[:, 4:6]), axis=1), rotated=rotated)


def find_scores(decoded: Decoded, placement: Placement, num_classes: int, options: NmsOptions) -> Detections:
    """How likely each class is for the whole picture; no boxes, and nothing to choose from."""
    return Detections(np.empty((0, ROW)), scores=decoded.dense)


def _select(
    decoded: Decoded, placement: Placement, num_classes: int, options: NmsOptions
) -> tuple[NDArray[np.float64], FloatArray]:
    """Rows (n, 6) in original pixels and the extras (n, E) of the boxes that remain."""
    found = select(decoded.dense, num_classes, options)
    rows = found[:, :ROW].astype(np.float64)
    rows[:, :4] = placement.to_original(rows[:, :4])
    return rows, found[:, ROW:]


def _guess_shape(channels: int) -> tuple[int, int]:
    """(K, D) where the runtime does not say it: three values a keypoint if that is possible."""
    values = 3 if channels % 3 == 0 else 2
    return channels // values, values


def _to_original(boxes: NDArray[np.float64], placement: Placement) -> NDArray[np.float64]:
    """Rotated boxes (n, 5) of the canvas in original pixels.

    The resize to the canvas rounds to whole pixels, so the two axes may differ in scale by a fraction of a percent, and
    a turned rectangle comes back as something slightly slanted. Centre and both axes are mapped; how much these stretch
    gives the sides, and the direction of the longer one the angle.
    """
    center, sides = boxes[:, :2], boxes[:, 2:4]
    cos, sin = np.cos(boxes[:, 4]), np.sin(boxes[:, 4])
    axes = np.stack((cos, sin, -sin, cos), axis=1).reshape(-1, 2, 2)  # along the width, along the height; 1 px each
    origin = placement.points_to_original(center, clip=False)
    mapped = placement.points_to_original(center[:, None] + axes, clip=False) - origin[:, None]  # (n, 2, 2)
    angles = np.arctan2(mapped[..., 1], mapped[..., 0])  # (n, 2)
    angle = np.where(sides[:, 0] >= sides[:, 1], angles[:, 0], angles[:, 1] - np.pi / 2)
    return np.column_stack((origin, sides * np.hypot(mapped[..., 0], mapped[..., 1]), angle))
