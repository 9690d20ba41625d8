"""Decision tables for threshold, class filter and suppression, and properties against a plain implementation."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yolov12.postprocess import NmsOptions, select
from yolov12.postprocess.nms import best_first

Rows = npt.NDArray[np.float32]


def decoded(*anchors: tuple[float, ...]) -> Rows:
    """(4 + C, A) from anchors (cx, cy, w, h, score ...)."""
    return np.array(anchors, np.float32).reshape(len(anchors), -1).T


A = (50, 50, 20, 20)
B = (52, 50, 20, 20)  # IoU with A: 18 / 22
FAR = (200, 200, 20, 20)


@pytest.mark.parametrize(
    ("anchors", "options", "expected"),
    [
        ([(*A, 0.9)], NmsOptions(), [(0.9, 0)]),
        ([(*A, 0.25)], NmsOptions(conf=0.25), []),  # strictly above
        ([(*A, 0.2501)], NmsOptions(conf=0.25), [(0.2501, 0)]),
        ([(*A, 0.0)], NmsOptions(conf=0.0), []),
        ([(*A, 0.8), (*B, 0.9)], NmsOptions(iou=0.7), [(0.9, 0)]),
        ([(*A, 0.8), (*B, 0.9)], NmsOptions(iou=0.9), [(0.9, 0), (0.8, 0)]),
        ([(*A, 0.8), (*A, 0.9)], NmsOptions(iou=1.0), [(0.9, 0), (0.8, 0)]),  # dropped above `iou`, not at it
        ([(*A, 0.8), (*A, 0.9)], NmsOptions(iou=0.99), [(0.9, 0)]),
        ([(*A, 0.8, 0.1), (*B, 0.1, 0.9)], NmsOptions(), [(0.9, 1), (0.8, 0)]),  # classes do not compete
        ([(*A, 0.8, 0.1), (*B, 0.1, 0.9)], NmsOptions(agnostic=True), [(0.9, 1)]),
        ([(*A, 0.8, 0.7)], NmsOptions(), [(0.8, 0)]),
        ([(*A, 0.8, 0.7)], NmsOptions(multi_label=True), [(0.8, 0), (0.7, 1)]),
        ([(*A, 0.8, 0.7)], NmsOptions(classes=(1,)), []),  # the filter comes after the choice of the best class
        ([(*A, 0.8, 0.7)], NmsOptions(classes=(1,), multi_label=True), [(0.7, 1)]),
        ([(*A, 0.8), (*FAR, 0.9)], NmsOptions(max_det=1), [(0.9, 0)]),
        ([(*A, 0.8), (*FAR, 0.9)], NmsOptions(max_candidates=1), [(0.9, 0)]),
        ([(*A, 0.5), (*FAR, 0.5)], NmsOptions(max_candidates=1), [(0.5, 0)]),
        ([(*A, np.nan), (*FAR, 0.9)], NmsOptions(), [(0.9, 0)]),
        ([(*A, np.nan, 0.6)], NmsOptions(), [(0.6, 1)]),  # one bad class does not hide a good one
        ([(*A, np.nan, 0.6)], NmsOptions(multi_label=True), [(0.6, 1)]),
        ([(50, 50, np.inf, 20, 0.9), (*FAR, 0.8)], NmsOptions(), [(0.8, 0)]),
        ([(np.nan, 50, 20, 20, 0.9)], NmsOptions(), []),
        ([(50, 50, 0, 0, 0.9), (50, 50, 0, 0, 0.8)], NmsOptions(), [(0.9, 0), (0.8, 0)]),  # no area, no overlap
    ],
)
def test_decisions(anchors: list[tuple[float, ...]], options: NmsOptions, expected: list[tuple[float, int]]) -> None:
    rows = select(decoded(*anchors), len(anchors[0]) - 4, options)
    assert [(pytest.approx(score), label) for score, label in expected] == [tuple(row) for row in rows[:, 4:].tolist()]


def test_a_row_is_corners_score_class_extras() -> None:
    rows = select(decoded((50, 60, 20, 40, 0.2, 0.9, 7, 8)), 2, NmsOptions())
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, [[40, 40, 60, 80, 0.9, 1, 7, 8]])


@pytest.mark.parametrize("anchors", [0, 1])
def test_nothing_found_keeps_the_shape(anchors: int) -> None:
    assert select(np.zeros((4 + 3 + 2, anchors), np.float32), 3, NmsOptions()).shape == (0, 8)


def test_far_classes_stay_apart_exactly() -> None:
    """A shift by class, as others do it, would round these coordinates at high class numbers."""
    data = np.zeros((4 + 1000, 2), np.float32)
    data[:4] = decoded((50, 50, 20, 20), (50, 50.01, 20, 20))
    data[4 + 999] = 0.9, 0.8
    assert len(select(data, 1000, NmsOptions(iou=0.9991))) == 2
    assert len(select(data, 1000, NmsOptions(iou=0.9989))) == 1


def plain(data: Rows, options: NmsOptions) -> list[int]:
    """Greedy suppression, one pair at a time, of one class: the anchors kept, in order."""
    order = [i for i in np.argsort(-data[4], kind="stable") if data[4, i] > options.conf]
    kept: list[int] = []
    for i in order:
        if len(kept) < options.max_det and all(overlap(data[:4, i], data[:4, j]) <= options.iou for j in kept):
            kept.append(int(i))
    return kept


def overlap(a: Rows, b: Rows) -> float:
    low = np.maximum(a[:2] - a[2:] / 2, b[:2] - b[2:] / 2)
    high = np.minimum(a[:2] + a[2:] / 2, b[:2] + b[2:] / 2)
    inside = float(np.prod(np.maximum(high - low, 0)))
    return inside / (float(np.prod(a[2:]) + np.prod(b[2:])) - inside)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 700), st.sampled_from([5, 40, 300]), st.sampled_from([0.31, 0.7]))
def test_equals_the_plain_algorithm(seed: int, count: int, limit: int, iou: float) -> None:
    """More boxes than one run of the blocked algorithm holds, with ties in the scores."""
    random = np.random.default_rng(seed)
    data = np.empty((5, count), np.float32)
    data[:2] = random.integers(0, 60, (2, count))
    data[2:4] = random.integers(8, 40, (2, count))
    data[4] = random.integers(1, 40, count) / 40
    options = NmsOptions(conf=0.1, iou=iou, max_det=limit)
    kept = plain(data, options)
    rows = select(data, 1, options)
    np.testing.assert_array_equal(rows[:, 4], data[4, kept])
    np.testing.assert_array_equal((rows[:, :2] + rows[:, 2:4]) / 2, data[:2, kept].T)


@given(st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.4]), max_size=30), st.integers(1, 10))
def test_best_first_is_a_stable_sort(values: list[float], limit: int) -> None:
    scores = np.array(values, np.float32)
    np.testing.assert_array_equal(best_first(scores, limit), np.argsort(-scores, kind="stable")[:limit])


@pytest.mark.parametrize(("count", "classes", "seconds"), [(1000, 80, 0.04), (30_000, 1, 0.4)])
def test_is_fast(count: int, classes: int, seconds: float) -> None:
    """Ten times what a quiet machine needs, so that only a change of the algorithm can fail this."""
    random = np.random.default_rng(0)
    data = random.uniform(0.3, 1, (4 + classes, count)).astype(np.float32)
    data[:2] *= 600
    data[2:4] *= 150
    times = []
    for _ in range(3):
        started = time.thread_time()
        select(data, classes, NmsOptions(conf=0.01, iou=0.5))
        times.append(time.thread_time() - started)
    assert min(times) < seconds
