"""Whether what half precision says of some images is close enough to what fp32 says, for every task.

Boxes, keypoints and angles are compared on the best anchors only: elsewhere none is ever shown, and the distribution
over distances is too flat to say anything. Every comparison is written so that NaN fails.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from yolov12.config.tasks import TASKS
from yolov12.detections import Decoded

Floats = NDArray[np.float32]

SCORES: Final = 0.01
"""Scores of classes, also of whole pictures, and how likely keypoints are to be seen."""
PIXELS: Final = 1.0
"""Corners of boxes, and keypoints that are likely to be seen, on the canvas."""
RADIANS: Final = 0.02
MASKS: Final = 0.02
"""Largest difference between a mask's values before the threshold, relative to their root mean square."""
COMPARED_ANCHORS: Final = 20
SEEN: Final = 0.5


def within_tolerance(expected: Decoded, found: Decoded, task: str, num_classes: int) -> bool:
    """Whether two outputs for the same images agree."""
    if not TASKS[task].boxes:
        return _all(np.abs(expected.dense - found.dense) <= SCORES)
    end = 4 + num_classes
    if not _all(np.abs(expected.dense[:, 4:end] - found.dense[:, 4:end]) <= SCORES):
        return False
    best = np.argsort(-expected.dense[:, 4:end].max(axis=1), axis=1)[:, :COMPARED_ANCHORS]  # (B, n)
    a, b = (np.take_along_axis(one.dense, best[:, None], axis=2) for one in (expected, found))  # (B, 4 + C + E, n)
    return _boxes_agree(a[:, :4], b[:, :4]) and _extras_agree(a[:, end:], b[:, end:], expected, found, task)


def _boxes_agree(a: Floats, b: Floats) -> bool:
    """(B, 4, n): corners; those of a rotated box as if it lay straight."""
    corners = (a[:, :2] + side * a[:, 2:] / 2 - b[:, :2] - side * b[:, 2:] / 2 for side in (-1, 1))
    return all(_all(np.abs(difference) <= PIXELS) for difference in corners)


def _extras_agree(a: Floats, b: Floats, expected: Decoded, found: Decoded, task: str) -> bool:
    """(B, E, n): what follows the scores."""
    if TASKS[task].rotated:
        turn = (a - b + np.pi / 2) % np.pi - np.pi / 2  # half a turn gives the same box
        return _all(np.abs(turn) <= RADIANS)
    if TASKS[task].several and expected.prototypes is not None:
        end = expected.prototypes.shape[1]
        return _masks_agree(a[:, :end], b[:, :end], expected, found) and _keypoints_agree(
            a[:, end:], b[:, end:], (expected.keypoint_shape or (1, 2))[1]
        )
    if TASKS[task].keypoints:
        return _keypoints_agree(a, b, (expected.keypoint_shape or (1, 2))[1])
    if TASKS[task].masks:
        return _masks_agree(a, b, expected, found)
    return True


def _keypoints_agree(a: Floats, b: Floats, values: int) -> bool:
    moved = [np.abs(a[:, axis::values] - b[:, axis::values]) <= PIXELS for axis in (0, 1)]
    if values == 2:
        return all(map(_all, moved))
    unseen = a[:, 2::values] < SEEN
    return all(_all(near | unseen) for near in moved) and _all(np.abs(a[:, 2::values] - b[:, 2::values]) <= SCORES)


def _masks_agree(a: Floats, b: Floats, expected: Decoded, found: Decoded) -> bool:
    """Coefficients (B, M, n) and prototypes by what they are for: the values of masks, over the whole picture."""
    if expected.prototypes is None or found.prototypes is None:
        return False
    for image in range(len(a)):
        wanted = a[image].T @ expected.prototypes[image].reshape(a.shape[1], -1)  # (n, pixels)
        difference = wanted - b[image].T @ found.prototypes[image].reshape(a.shape[1], -1)
        if not _all(np.abs(difference).max(axis=1) <= MASKS * np.sqrt((wanted**2).mean(axis=1))):
            return False
    return True


def _all(close: NDArray[np.bool_]) -> bool:
    return bool(close.all())
