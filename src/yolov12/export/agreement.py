"""Which detections two runtimes share. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from yolov12.artefact import Artefact
from yolov12.config.tasks import TASKS
from yolov12.detections import Decoded
from yolov12.postprocess import NmsOptions, select
from yolov12.postprocess.rotated import select_rotated

DETECTIONS: Final = 100
"""Of fewer, the shared ones are not judged: the differences of outputs are."""
CONFIDENCES: Final = (0.25, 0.1, 0.05)
"""Detections are those above the first of these that leaves at least DETECTIONS."""
SAME_BOX: Final = 0.9
"""IoU from which on two detections of a class are the same."""
NEARLY: Final = 0.9
"""Of the confidence: a detection of the file that is as much below it still is one."""
Rows = NDArray[np.float32]
ROW: Final = 6
"""x1, y1, x2, y2, score, class."""


def agreement(pairs: Sequence[tuple[Rows, Rows]], artefact: Artefact) -> dict[str, Any]:
    """How many detections the reference has, above which score, and the share of them that the file finds, too."""
    confidences = CONFIDENCES if artefact.suppression is None else (artefact.suppression.conf,)
    total, same, confidence = 0, 0, confidences[0]
    for confidence in confidences:
        shown = [(above(expected, confidence), above(got, confidence * NEARLY)) for expected, got in pairs]
        total = sum(len(expected) for expected, _ in shown)
        same = sum(matched(expected, got) for expected, got in shown)
        if artefact.suppression is not None:  # what it should have dropped counts against it
            same -= sum(max(len(got) - len(expected), 0) for expected, got in shown)
        if total >= DETECTIONS:
            break
    return {"detections": total, "conf": confidence, "agreement": same / total if total else None}


def rows_of(decoded: Decoded, artefact: Artefact, *, suppressed: bool = False) -> Rows:
    """What is found on one canvas: (n, 6 + E) x1, y1, x2, y2, score, class, extras; rotated boxes as if straight.

    A classified picture is one row, whose box means nothing. `suppressed`: a graph that suppresses by itself has.
    """
    dense, classes, baked = decoded.dense[0], len(artefact.names), artefact.suppression
    if not TASKS[artefact.task].boxes:
        best = int(dense.argmax())
        return np.array([[0, 0, 1, 1, 1, best]], np.float32)
    options = (
        NmsOptions(CONFIDENCES[-1] * NEARLY) if baked is None else NmsOptions(baked.conf, baked.iou, baked.max_det)
    )
    if baked is not None and suppressed:
        options = NmsOptions(baked.conf, 1.0, baked.max_det)
    if not TASKS[artefact.task].rotated:
        return select(dense, classes, options)
    rows = select_rotated(dense, classes, options)  # cx, cy, w, h, score, class, angle
    half = rows[:, 2:4] / 2
    return np.concatenate((rows[:, :2] - half, rows[:, :2] + half, rows[:, 4:6]), 1)


def above(rows: Rows, confidence: float) -> Rows:
    """The rows whose score is higher."""
    return rows[rows[:, 4] > confidence]


def matched(expected: Rows, found: Rows) -> int:
    """How many rows of `expected` have a row of their own in `found`: the same class, IoU of at least SAME_BOX."""
    free = np.ones(len(found), bool)
    count = 0
    for row in expected:
        low, high = np.maximum(row[:2], found[:, :2]), np.minimum(row[2:4], found[:, 2:4])
        common = np.prod(np.clip(high - low, 0, None), axis=1)
        union = np.prod(row[2:4] - row[:2]) + np.prod(found[:, 2:4] - found[:, :2], axis=1) - common
        same = free & (found[:, 5] == row[5]) & (common >= SAME_BOX * union)
        if same.any():
            free[int(np.argmax(same))] = False
            count += 1
    return count
