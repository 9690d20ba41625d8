"""Shared detections."""

from __future__ import annotations

import numpy as np

from yolov12.export.agreement import matched


def test_detections_match_one_to_one() -> None:
    rows = np.array([[0, 0, 10, 10, 0.9, 0], [0, 0, 10, 10, 0.8, 1], [50, 50, 60, 60, 0.7, 0]], np.float32)
    assert matched(rows, rows) == 3
    assert matched(rows, rows[:1]) == 1
    assert matched(np.concatenate((rows[:1], rows[:1])), rows[:1]) == 1
    assert matched(rows, np.empty((0, 6), np.float32)) == 0
    assert matched(rows, rows + np.array([2, 0, 2, 0, 0, 0], np.float32)) == 0
