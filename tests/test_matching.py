"""Greedy matching, the confidence curves and the confusion matrix, on cases that can be checked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from yolov12.matching import Objects, by_score, confidence_curves, confusion_matrix, greedy_match, overlaps

A, B, FAR = (0, 0, 10, 10), (100, 100, 110, 110), (300, 300, 310, 310)


def objects(*rows: tuple[tuple[int, int, int, int], int, bool]) -> Objects:
    return Objects(
        np.array([box for box, _, _ in rows], np.float64).reshape(-1, 4),
        np.array([label for _, label, _ in rows], np.int64),
        np.array([crowd for _, _, crowd in rows], bool),
    )


def rows(*found: tuple[tuple[int, int, int, int], float, int]) -> np.ndarray:
    return np.array([(*box, score, label) for box, score, label in found], np.float64).reshape(-1, 6)


def test_overlaps_divides_by_the_union_or_for_a_crowd_by_the_first_area() -> None:
    boxes, others = np.array([[0.0, 0, 10, 10], [5, 5, 5, 5]]), np.array([[0.0, 0, 10, 20], [0, 0, 10, 20]])
    ratios = overlaps(boxes, others, np.array([False, True]))
    np.testing.assert_allclose(ratios, [[0.5, 1.0], [0.0, 0.0]])


def test_by_score_keeps_the_first_100_of_every_class_and_the_order_of_ties() -> None:
    table = np.zeros((260, 6))
    table[:, 0] = np.arange(260)
    table[:, 5] = np.arange(260) % 2
    table[:4, 4] = (0.1, 0.2, 0.3, 0.4)
    kept = by_score(table)
    assert [np.sum(kept[:, 5] == label) for label in (0, 1)] == [100, 100]
    assert kept[:6, 0].tolist() == [3, 2, 1, 0, 4, 5]
    assert by_score(table[:0]).shape == (0, 6)


@pytest.mark.parametrize(
    ("ratios", "crowd", "expected"),
    [
        pytest.param([[0.6, 0.9]], [0, 0], [1], id="the best overlap"),
        pytest.param([[0.7, 0.7]], [0, 0], [1], id="the last of equals"),
        pytest.param([[0.49, 0.2]], [0, 0], [-1], id="too little"),
        pytest.param([[0.5, 0.0]], [0, 0], [0], id="exactly the threshold"),
        pytest.param([[0.9, 0.0], [0.95, 0.6]], [0, 0], [0, 1], id="the first takes it, the second its next best"),
        pytest.param([[0.9], [0.95]], [0], [0, -1], id="a taken object is gone"),
        pytest.param([[0.9], [0.95]], [1], [0, 0], id="a crowd takes any number"),
        pytest.param([[0.6, 0.9]], [0, 1], [0], id="an object before a crowd"),
        pytest.param([[0.4, 0.9]], [0, 1], [1], id="a crowd when there is no object"),
        pytest.param(np.zeros((2, 0)), [], [-1, -1], id="no objects"),
        pytest.param(np.zeros((0, 2)), [0, 0], [], id="no detections"),
    ],
)
def test_greedy_match(ratios: list[list[float]], crowd: list[int], expected: list[int]) -> None:
    assert greedy_match(np.array(ratios, float), np.array(crowd, bool), 0.5).tolist() == expected


def test_confidence_curves_count_what_is_above_each_confidence() -> None:
    image = objects((A, 0, False), (B, 0, False), (FAR, 0, True))
    found = rows((A, 0.9, 0), (B, 0.5, 0), (FAR, 0.95, 0), ((50, 50, 60, 60), 0.7, 0), (A, 0.99, 1))
    curves = confidence_curves([(image, found)], 2)
    assert curves.class_ids.tolist() == [0]
    at = {c: (curves.precision[0, int(1000 * c)], curves.recall[0, int(1000 * c)]) for c in (0.0, 0.5, 0.6, 0.8, 0.95)}
    assert at[0.0] == at[0.5] == pytest.approx((2 / 3, 1.0))
    assert at[0.6] == (0.5, 0.5)
    assert at[0.8] == (1.0, 0.5)  # the detection on the crowd region counts neither way
    assert at[0.95] == (1.0, 0.0)
    assert curves.f1[0, curves.best] == pytest.approx(0.8)
    assert curves.best == 0  # the lowest of the confidences that are equally good


def test_confidence_curves_without_objects_are_empty() -> None:
    curves = confidence_curves([(objects(), rows((A, 0.9, 0)))], 2)
    assert curves.precision.shape == (0, 1001)
    assert confidence_curves([], 0).recall.shape == (0, 1001)


@pytest.mark.parametrize(
    ("truth", "found", "expected"),
    [
        pytest.param([(A, 0, False)], [(A, 0.9, 0)], {(0, 0): 1}, id="right"),
        pytest.param([(A, 0, False)], [(A, 0.9, 1)], {(0, 1): 1}, id="confused"),
        pytest.param([(A, 0, False)], [], {(0, 2): 1}, id="missed"),
        pytest.param([], [(A, 0.9, 1)], {(2, 1): 1}, id="nothing there"),
        pytest.param([(A, 0, False)], [(A, 0.25, 0)], {(0, 2): 1}, id="not above 0.25"),
        pytest.param([(A, 0, False)], [(A, 0.8, 0), (A, 0.9, 1)], {(0, 1): 1, (2, 0): 1}, id="the best score wins"),
        pytest.param([(A, 1, False), (A, 0, False)], [(A, 0.9, 1)], {(1, 1): 1, (0, 2): 1}, id="ties prefer the class"),
        pytest.param([(A, 0, True)], [(A, 0.9, 0), (A, 0.8, 1)], {}, id="a crowd region hides detections"),
    ],
)
def test_confusion_matrix(truth: list, found: list, expected: dict[tuple[int, int], int]) -> None:  # type: ignore[type-arg]
    counts = confusion_matrix([(objects(*truth), rows(*found))], 2)
    assert counts.shape == (3, 3)
    assert {(int(i), int(j)): int(counts[i, j]) for i, j in zip(*counts.nonzero(), strict=True)} == expected
