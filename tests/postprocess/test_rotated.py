"""Suppression of rotated boxes against the plain rule, and the one way of writing a rotated box."""

from __future__ import annotations

import math
import time

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yolov12.postprocess.nms import NmsOptions
from yolov12.postprocess.rotated import regularised, select_rotated, suppress_rotated
from yolov12.results import rotated_corners

Rows = npt.NDArray[np.float32]
A = (50, 50, 40, 10)
B = (52, 50, 40, 10)
FAR = (200, 200, 40, 10)


def decoded(*anchors: tuple[float, ...]) -> Rows:
    """(4 + C + 1, A) from anchors (cx, cy, w, h, score ..., angle)."""
    return np.array(anchors, np.float32).reshape(len(anchors), -1).T


@pytest.mark.parametrize(
    ("anchors", "options", "expected"),
    [
        ([(*A, 0.9, 0.3)], NmsOptions(), [(0.9, 0, 0.3)]),
        ([(*A, 0.25, 0.3)], NmsOptions(), []),
        ([(*A, 0.8, 0.3), (*B, 0.9, 0.3)], NmsOptions(), [(0.9, 0, 0.3)]),
        ([(*A, 0.8, 0.3), (*B, 0.9, 0.3)], NmsOptions(iou=0.95), [(0.9, 0, 0.3), (0.8, 0, 0.3)]),
        ([(*A, 0.8, 0.3), (*A, 0.9, 1.9)], NmsOptions(), [(0.9, 0, 1.9), (0.8, 0, 0.3)]),  # a cross overlaps little
        ([(*A, 0.8, 0.3), (*A, 0.9, 1.9)], NmsOptions(iou=0.1), [(0.9, 0, 1.9)]),
        ([(*A, 0.8, 0.3), (*A, 0.9, 0.3 + math.pi)], NmsOptions(), [(0.9, 0, 0.3 + math.pi)]),
        ([(*A, 0.8, 0.1, 0.3), (*B, 0.1, 0.9, 0.3)], NmsOptions(), [(0.9, 1, 0.3), (0.8, 0, 0.3)]),
        ([(*A, 0.8, 0.1, 0.3), (*B, 0.1, 0.9, 0.3)], NmsOptions(agnostic=True), [(0.9, 1, 0.3)]),
        ([(*A, 0.8, 0.7, 0.3)], NmsOptions(multi_label=True), [(0.8, 0, 0.3), (0.7, 1, 0.3)]),
        ([(*A, 0.8, 0.7, 0.3)], NmsOptions(classes=(1,)), []),
        ([(*A, 0.8, 0.3), (*FAR, 0.9, 0.3)], NmsOptions(max_det=1), [(0.9, 0, 0.3)]),
        ([(*A, 0.8, 0.3), (*FAR, 0.9, 0.3)], NmsOptions(max_candidates=1), [(0.9, 0, 0.3)]),
        ([(*A, np.nan, 0.3), (*FAR, 0.9, 0.3)], NmsOptions(), [(0.9, 0, 0.3)]),
        ([(*A, 0.9, np.nan), (*FAR, 0.8, 0.3)], NmsOptions(), [(0.8, 0, 0.3)]),
        ([(50, 50, np.inf, 20, 0.9, 0), (*FAR, 0.8, 0.3)], NmsOptions(), [(0.8, 0, 0.3)]),
    ],
)
def test_decisions(
    anchors: list[tuple[float, ...]], options: NmsOptions, expected: list[tuple[float, int, float]]
) -> None:
    rows = select_rotated(decoded(*anchors), len(anchors[0]) - 5, options)
    assert [pytest.approx(row) for row in expected] == [tuple(row) for row in rows[:, 4:].tolist()]


def test_a_row_that_goes_takes_others_with_it() -> None:
    """Unlike greedy suppression: the second overlaps the first and goes, and the third overlaps the second."""
    chain = [(50 + 6 * i, 50, 40, 10, 0.9 - 0.1 * i, 0) for i in range(3)]
    assert len(select_rotated(decoded(*chain), 1, NmsOptions(iou=0.7))) == 1
    assert len(select_rotated(decoded(chain[0], chain[2]), 1, NmsOptions(iou=0.7))) == 2


@pytest.mark.parametrize("anchors", [0, 1])
def test_nothing_found_keeps_the_shape(anchors: int) -> None:
    assert select_rotated(np.zeros((4 + 3 + 1, anchors), np.float32), 3, NmsOptions()).shape == (0, 7)


def overlap(a: Rows, b: Rows) -> float:
    """ProbIoU of two boxes, from their covariances in double precision."""
    covariances = []
    for box in (a, b):
        turn = np.array([[math.cos(box[4]), -math.sin(box[4])], [math.sin(box[4]), math.cos(box[4])]])
        covariances.append(turn @ np.diag(box[2:4].astype(float) ** 2 / 12) @ turn.T)
    mean, delta = sum(covariances) / 2, (a[:2] - b[:2]).astype(float)
    distance = delta @ np.linalg.inv(mean) @ delta / 8
    distance += math.log(np.linalg.det(mean) / math.sqrt(math.prod(map(np.linalg.det, covariances)))) / 2
    return 1 - math.sqrt(1 - math.exp(-max(distance, 0)))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 150), st.sampled_from([0.05, 0.3, 0.7, 0.95]), st.integers(1, 60))
def test_equals_the_plain_rule(seed: int, count: int, iou: float, limit: int) -> None:
    """Pairs near enough to the threshold for rounding to decide are left out by drawing again."""
    random = np.random.default_rng(seed)
    boxes = np.column_stack(
        [random.uniform(0, 90, (count, 2)), random.uniform(3, 60, (count, 2)), random.uniform(-1, 3, count)]
    ).astype(np.float32)
    groups = random.integers(0, 3, count)
    expected = []
    for i in range(count):
        rivals = [overlap(boxes[i], boxes[j]) for j in range(i) if groups[i] == groups[j]]
        if any(abs(value - iou) < 1e-4 for value in rivals):
            return
        if max(rivals, default=0) <= iou:
            expected.append(i)
    assert suppress_rotated(boxes, groups, iou, limit).tolist() == expected[:limit]


def test_is_fast() -> None:
    """Twenty times what a quiet machine needs, so that only a change of the algorithm can fail this."""
    random = np.random.default_rng(0)
    boxes = np.column_stack(
        [random.uniform(0, 1024, (10_000, 2)), random.uniform(5, 80, (10_000, 2)), random.uniform(-1, 3, 10_000)]
    ).astype(np.float32)
    times = []
    for _ in range(3):
        started = time.thread_time()
        suppress_rotated(boxes, random.integers(0, 15, 10_000), 0.3, 10_000)
        times.append(time.thread_time() - started)
    assert min(times) < 1.2


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((5, 6, 4, 2, 0.3), (5, 6, 4, 2, 0.3)),
        ((5, 6, 2, 4, 0.3), (5, 6, 4, 2, 0.3 + math.pi / 2)),
        ((5, 6, 2, 4, 2.0), (5, 6, 4, 2, 2.0 - math.pi / 2)),
        ((5, 6, 4, 2, -0.3), (5, 6, 4, 2, math.pi - 0.3)),
        ((5, 6, 3, 3, 0.3), (5, 6, 3, 3, 0.3 + math.pi / 2)),  # the published rule for squares
    ],
)
def test_regularised(box: tuple[float, ...], expected: tuple[float, ...]) -> None:
    np.testing.assert_allclose(regularised(np.array([box])), [expected])


@given(st.lists(st.tuples(st.floats(0.1, 9), st.floats(0.1, 9), st.floats(-7, 7)), max_size=5))
def test_regularised_boxes_are_the_same_boxes(values: list[tuple[float, float, float]]) -> None:
    boxes = np.array([(1, 2, *value) for value in values]).reshape(-1, 5)
    found = regularised(boxes)
    assert (found[:, 2] >= found[:, 3]).all()
    assert ((found[:, 4] >= 0) & (found[:, 4] < math.pi)).all()
    for a, b in zip(rotated_corners(boxes), rotated_corners(found), strict=True):
        np.testing.assert_allclose(sorted(a.round(6).tolist()), sorted(b.round(6).tolist()), atol=2e-6)
