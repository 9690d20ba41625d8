"""Keypoints, rotated boxes and the scores of a whole picture: shapes, views, indexing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from yolov12.results import OBB, Array, Keypoints, Probs

SHAPE = (80, 100)
POINTS = np.arange(2 * 3 * 3, dtype=np.float32).reshape(2, 3, 3)
ROTATED = np.array([[50, 40, 20, 10, 0, 0.9, 2], [10, 10, 30, 10, math.pi / 2, 0.5, 0]], np.float32)


def test_views_of_keypoints() -> None:
    keypoints = Keypoints(POINTS, SHAPE)
    assert (keypoints.shape, len(keypoints), keypoints.has_visible) == ((2, 3, 3), 2, True)
    assert keypoints.xy.tolist()[0] == [[0, 1], [3, 4], [6, 7]]
    np.testing.assert_allclose(keypoints.xyn[1, 0], [9 / 100, 10 / 80])
    assert keypoints.conf is not None
    assert keypoints.conf.tolist() == [[2, 5, 8], [11, 14, 17]]
    assert isinstance(keypoints.xyn.cpu(), Array)
    assert type(keypoints.cpu().numpy().data.numpy()) is np.ndarray


def test_keypoints_without_visibility() -> None:
    keypoints = Keypoints(POINTS[:, :, :2], SHAPE)
    assert (keypoints.shape, keypoints.has_visible, keypoints.conf) == ((2, 3, 2), False, None)
    assert keypoints.xy.shape == (2, 3, 2)


@pytest.mark.parametrize(
    ("which", "expected"),
    [(0, [0]), (-1, [9]), (slice(None), [0, 9]), ([False, True], [9]), ([1, 0], [9, 0]), ([], [])],
)
def test_indexing(which: Any, expected: list[int]) -> None:
    chosen = Keypoints(POINTS, SHAPE)[which]
    assert isinstance(chosen, Keypoints)
    assert chosen.data[:, 0, 0].tolist() == expected
    rotated = OBB(ROTATED, SHAPE, np.array([7, 8]))[which]
    assert isinstance(rotated, OBB)
    assert rotated.cls.tolist() == [{0: 2, 9: 0}[first] for first in expected]
    assert rotated.id is not None
    assert rotated.id.tolist() == [{0: 7, 9: 8}[first] for first in expected]
    assert len(list(chosen)) == len(list(rotated)) == len(expected)


def test_views_of_rotated_boxes() -> None:
    obb = OBB(ROTATED, SHAPE)
    assert (obb.shape, len(obb), obb.id) == ((2, 7), 2, None)
    np.testing.assert_allclose(obb.xywhr, ROTATED[:, :5])
    assert obb.conf.tolist() == pytest.approx([0.9, 0.5])
    assert obb.cls.tolist() == [2, 0]
    np.testing.assert_allclose(obb.xyxyxyxy[0], [[60, 45], [60, 35], [40, 35], [40, 45]])
    np.testing.assert_allclose(obb.xyxyxyxy[1], [[5, 25], [15, 25], [15, -5], [5, -5]], atol=1e-5)
    np.testing.assert_allclose(obb.xyxyxyxyn[0, 0], [0.6, 45 / 80])
    np.testing.assert_allclose(obb.xyxy, [[40, 35, 60, 45], [5, 0, 15, 25]], atol=1e-5)
    assert OBB(ROTATED[:0], SHAPE).xyxy.shape == (0, 4)
    assert OBB(ROTATED[:0], SHAPE).xyxyxyxy.shape == (0, 4, 2)


def test_scores_of_a_picture() -> None:
    probs = Probs(np.array([0.1, 0.3, 0.05, 0.3, 0.15, 0.07, 0.03], np.float32))
    assert (probs.shape, len(probs), probs.top1, probs.top5) == ((7,), 7, 1, [1, 3, 4, 0, 5])
    assert float(probs.top1conf) == pytest.approx(0.3)
    assert probs.top5conf.tolist() == pytest.approx([0.3, 0.3, 0.15, 0.1, 0.07])
    assert probs.cpu().numpy().data.shape == (7,)
    assert Probs(np.array([0.4, 0.6], np.float32)).top5 == [1, 0]
    assert "1: 0.300" in repr(probs)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Keypoints(np.zeros((2, 3)), SHAPE), r"\(N, K, 2\), got \(2, 3\)"),
        (lambda: Keypoints(np.zeros((2, 3, 4)), SHAPE), r"got \(2, 3, 4\)"),
        (lambda: OBB(np.zeros((2, 6)), SHAPE), r"\(N, 7\), got \(2, 6\)"),
        (lambda: OBB(ROTATED, SHAPE, np.array([1])), "2 boxes need 2 ids"),
        (lambda: Probs(np.zeros((1, 3))), r"\(C,\) with C > 0, got \(1, 3\)"),
        (lambda: Probs(np.zeros(0)), r"got \(0,\)"),
    ],
)
def test_wrong_shapes_are_named(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
