"""How far half precision may be from fp32, for every task, at the edges of what is allowed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from yolov12.detections import Decoded
from yolov12.inference.tolerance import within_tolerance

Floats = npt.NDArray[np.float32]
BOX = (50, 50, 20, 20, 0.8, 0.1)


def dense(*extras: float) -> Floats:
    return np.array([[*BOX, *extras]], np.float32)[:, :, None]


def moved(base: Floats, row: int, by: float) -> Floats:
    other = base.copy()
    other[0, row, 0] += by
    return other


def agree(task: str, row: int, by: float, *extras: float, **parts: Any) -> bool:
    base = dense(*extras)
    return within_tolerance(Decoded(base, **parts), Decoded(moved(base, row, by), **parts), task, 2)


@pytest.mark.parametrize(
    ("row", "by", "agrees"),
    [
        (0, 0.0, True),
        (0, 0.9, True),
        (0, 1.1, False),
        (2, 1.8, True),  # a width moves each corner by half
        (2, 2.2, False),
        (4, 0.009, True),
        (4, -0.011, False),
        (5, 0.011, False),
        (4, math.nan, False),
        (1, math.nan, False),
    ],
)
def test_boxes_and_scores(row: int, by: float, agrees: bool) -> None:
    assert agree("detect", row, by) is agrees
    assert agree("obb", row, by, 0.3) is agrees
    assert agree("pose", row, by, 1, 2, 0.9, keypoint_shape=(1, 3)) is agrees


@pytest.mark.parametrize(
    ("by", "agrees"),
    [(0.019, True), (-0.019, True), (0.021, False), (math.pi - 0.01, True), (math.pi / 2, False), (math.nan, False)],
)
def test_angles(by: float, agrees: bool) -> None:
    assert agree("obb", 6, by, 0.3) is agrees


@pytest.mark.parametrize(
    ("row", "by", "agrees"),
    [
        (6, 0.9, True),
        (6, -1.1, False),
        (7, 1.1, False),
        (8, 0.009, True),
        (8, 0.02, False),
        (9, 50, True),
        (11, 0.02, False),
    ],
)
def test_keypoints_count_where_they_are_seen(row: int, by: float, agrees: bool) -> None:
    assert agree("pose", row, by, 1, 2, 0.9, 30, 40, 0.4, keypoint_shape=(2, 3)) is agrees


@pytest.mark.parametrize(("row", "by", "agrees"), [(6, 0.9, True), (9, 1.1, False)])
def test_keypoints_without_visibility(row: int, by: float, agrees: bool) -> None:
    assert agree("pose", row, by, 1, 2, 3, 4, 5, 6, keypoint_shape=(3, 2)) is agrees


@pytest.mark.parametrize(("by", "agrees"), [(0.015, True), (0.05, False), (math.nan, False)])
def test_masks_count_by_what_coefficients_and_prototypes_make(by: float, agrees: bool) -> None:
    planes = np.random.default_rng(0).choice([-1, 1], (1, 2, 4, 4)).astype(np.float32)
    assert agree("segment", 6, by, 1.0, 0.0, prototypes=planes) is agrees
    base = Decoded(dense(1.0, 0.0), planes)
    assert within_tolerance(base, Decoded(base.dense, planes * (1 + by)), "segment", 2) is agrees
    twice = Decoded(dense(2.0, 0.0), planes / 2)  # other numbers, the same masks
    assert within_tolerance(base, twice, "segment", 2)
    assert not within_tolerance(base, Decoded(base.dense), "segment", 2)


@pytest.mark.parametrize(("by", "agrees"), [(0.009, True), (-0.011, False), (math.nan, False)])
def test_scores_of_pictures(by: float, agrees: bool) -> None:
    scores = np.array([[0.2, 0.8], [0.5, 0.5]], np.float32)
    assert within_tolerance(Decoded(scores), Decoded(scores + np.float32(by)), "classify", 2) is agrees


def test_only_the_best_anchors_boxes_count() -> None:
    expected = np.zeros((1, 5, 100), np.float32)
    expected[0, 4] = np.linspace(0.9, 0.1, 100)
    found = expected.copy()
    found[0, 0, 50] = 300  # the 51st best is off
    assert within_tolerance(Decoded(expected), Decoded(found), "detect", 1)
    found[0, 0, 3] = 300
    assert not within_tolerance(Decoded(expected), Decoded(found), "detect", 1)
