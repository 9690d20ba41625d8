"""How far two outputs for the same images differ, for every task, and whether that is close enough for half precision.

Boxes, keypoints and angles are compared on the best anchors only: elsewhere none is ever shown, and the distribution
over distances is too flat to say anything. What is not a number differs by NaN, which no limit admits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from yolov12.config.tasks import TASKS
from yolov12.detections import Decoded

Floats = NDArray[np.float32]

LIMITS: Final[Mapping[str, float]] = {"scores": 0.01, "pixels": 1.0, "radians": 0.02, "masks": 0.02}
"""For half precision.

scores   of classes, also of whole pictures, and how likely keypoints are to be seen
pixels   corners of boxes, and keypoints that are likely to be seen, on the canvas
radians  angles of boxes
masks    a mask's values before the threshold, relative to their root mean square
"""
COMPARED_ANCHORS: Final = 20
CLEARLY: Final = 0.9
"""Share of a score that is clearly below it."""
SEEN: Final = 0.5


def within_tolerance(expected: Decoded, found: Decoded, task: str, num_classes: int) -> bool:
    """Whether two outputs for the same images agree as half precision has to."""
    return agree(differences(expected, found, task, num_classes), LIMITS)


def agree(found: Mapping[str, float], limits: Mapping[str, float]) -> bool:
    """Whether no difference is over its limit; NaN always is."""
    return all(value <= limits[name] for name, value in found.items())


def differences(expected: Decoded, found: Decoded, task: str, num_classes: int) -> dict[str, float]:
    """The largest differences between two outputs for the same images, by the names of `LIMITS`."""
    if not TASKS[task].boxes:
        return {"scores": _largest(expected.dense - found.dense)}
    end = 4 + num_classes
    scores = _largest(expected.dense[:, 4:end] - found.dense[:, 4:end])
    best = np.argsort(-expected.dense[:, 4:end].max(axis=1), axis=1)[:, :COMPARED_ANCHORS]  # (B, n)
    a, b = (np.take_along_axis(one.dense, best[:, None], axis=2) for one in (expected, found))  # (B, 4 + C + E, n)
    measured = {"scores": scores, "pixels": _corners_apart(a[:, :4], b[:, :4])}
    for name, value in _extras_apart(a[:, end:], b[:, end:], expected, found, task).items():
        measured[name] = float(np.maximum(measured.get(name, 0.0), value))  # unlike max, it keeps NaN
    return measured


def least_compared(expected: Decoded, task: str, num_classes: int) -> float:
    """A score that all anchors whose boxes `differences` compares clearly pass, for runtimes that leave out others."""
    if not TASKS[task].boxes:
        return 0.0
    best = np.sort(expected.dense[:, 4 : 4 + num_classes].max(axis=1), axis=1)[:, -COMPARED_ANCHORS:]  # (B, n)
    return CLEARLY * float(best.min())


def _corners_apart(a: Floats, b: Floats) -> float:
    """(B, 4, n): corners; those of a rotated box as if it lay straight."""
    corners = [a[:, :2] + side * a[:, 2:] / 2 - b[:, :2] - side * b[:, 2:] / 2 for side in (-1, 1)]
    return _largest(np.stack(corners))


def _extras_apart(a: Floats, b: Floats, expected: Decoded, found: Decoded, task: str) -> dict[str, float]:
    """(B, E, n): what follows the scores."""
    if TASKS[task].rotated:
        return {"radians": _largest((a - b + np.pi / 2) % np.pi - np.pi / 2)}  # half a turn gives the same box
    values = (expected.keypoint_shape or (1, 2))[1]
    if TASKS[task].several and expected.prototypes is not None:
        end = expected.prototypes.shape[1]
        masks = _masks_apart(a[:, :end], b[:, :end], expected, found)
        return {"masks": masks, **_keypoints_apart(a[:, end:], b[:, end:], values)}
    if TASKS[task].keypoints:
        return _keypoints_apart(a, b, values)
    if TASKS[task].masks:
        return {"masks": _masks_apart(a, b, expected, found)}
    return {}


def _keypoints_apart(a: Floats, b: Floats, values: int) -> dict[str, float]:
    moved = np.stack([a[:, axis::values] - b[:, axis::values] for axis in (0, 1)])  # (2, B, K, n)
    if values == 2:
        return {"pixels": _largest(moved)}
    moved = np.where(a[:, 2::values] < SEEN, 0, moved)
    return {"pixels": _largest(moved), "scores": _largest(a[:, 2::values] - b[:, 2::values])}


def _masks_apart(a: Floats, b: Floats, expected: Decoded, found: Decoded) -> float:
    """Coefficients (B, M, n) and prototypes by what they are for: the values of masks, over the whole picture."""
    if expected.prototypes is None or found.prototypes is None:
        return float("nan")
    apart = []
    for image in range(len(a)):
        wanted = a[image].T @ expected.prototypes[image].reshape(a.shape[1], -1)  # (n, pixels)
        difference = wanted - b[image].T @ found.prototypes[image].reshape(a.shape[1], -1)
        size = np.sqrt((wanted**2).mean(axis=1))
        apart.append(np.abs(difference).max(axis=1) / np.maximum(size, np.finfo(np.float32).tiny))
    return _largest(np.stack(apart))


def _largest(difference: NDArray[np.floating]) -> float:
    return float(np.abs(difference).max(initial=0.0))
