"""Greedy matching, the confidence curves and the confusion matrix, on cases that can be checked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from yolov12.matching import (
    THRESHOLDS,
    Matches,
    Scene,
    by_score,
    confidence_curves,
    confident,
    confusion_matrix,
    greedy_match,
    match_scenes,
    overlaps,
)

Box = tuple[int, int, int, int]
A, B, FAR = (0, 0, 10, 10), (100, 100, 110, 110), (300, 300, 310, 310)


def scene(
    objects: list[tuple[Box, int, bool]], found: list[tuple[Box, float, int]], ignored: tuple[int, ...] = ()
) -> Scene:
    """Objects (box, class, crowd), detections (box, score, class), and which objects do not count besides crowds."""
    crowd = np.array([crowd for _, _, crowd in objects], bool)
    rows = np.array([(*box, score, label) for box, score, label in found], np.float64).reshape(-1, 6)
    return Scene(
        np.array([box for box, _, _ in objects], np.float64).reshape(-1, 4),
        np.array([label for _, label, _ in objects], np.int64),
        crowd,
        crowd | np.isin(np.arange(len(objects)), ignored),
        rows[by_score(rows)],
    )


def matches(*scenes: Scene, classes: int = 2) -> Matches:
    ratios = {
        (i, k): overlaps(s.rows[s.rows[:, 5] == k, :4], s.boxes[s.labels == k], s.crowd[s.labels == k])
        for i, s in enumerate(scenes, start=1)
        for k in range(classes)
    }
    return match_scenes(scenes, ratios, classes)


def test_overlaps_divides_by_the_union_or_for_a_crowd_by_the_first_area() -> None:
    boxes, others = np.array([[0.0, 0, 10, 10], [5, 5, 5, 5]]), np.array([[0.0, 0, 10, 20], [0, 0, 10, 20]])
    ratios = overlaps(boxes, others, np.array([False, True]))
    np.testing.assert_allclose(ratios, [[0.5, 1.0], [0.0, 0.0]])


@pytest.mark.parametrize("limit", [100, 20])
def test_by_score_keeps_the_first_of_every_class_and_the_order_of_ties(limit: int) -> None:
    table = np.zeros((260, 6))
    table[:, 5] = np.arange(260) % 2
    table[:4, 4] = (0.1, 0.2, 0.3, 0.4)
    kept = by_score(table, limit)
    assert [np.sum(table[kept, 5] == label) for label in (0, 1)] == [limit, limit]
    assert kept[:6].tolist() == [3, 2, 1, 0, 4, 5]
    assert by_score(table[:0]).shape == (0,)


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
    crowded = np.array(crowd, bool)
    taken = greedy_match(np.array(ratios, float), crowded, crowded)
    assert taken.shape == (len(ratios), len(THRESHOLDS))
    assert taken[:, 0].tolist() == expected


def test_every_threshold_is_matched_by_itself() -> None:
    nobody = np.zeros(2, bool)
    taken = greedy_match(np.array([[0.6, 0.7], [0.0, 0.9]]), nobody, nobody, np.array([0.5, 0.65, 0.8]))
    # At 0.8 the first detection is too far off, so the second finds its object free.
    assert taken.tolist() == [[1, 1, -1], [-1, -1, 1]]


def test_what_is_ignored_but_no_crowd_is_taken_once() -> None:
    ignored, crowd = np.array([True]), np.array([False])
    assert greedy_match(np.array([[0.9], [0.9]]), ignored, crowd)[:, 0].tolist() == [0, -1]


def test_matches_tell_hits_misses_and_what_counts_neither_way() -> None:
    found = matches(
        scene([(A, 0, False), (B, 0, True)], [(A, 0.9, 0), (B, 0.8, 0), (FAR, 0.7, 0), (A, 0.6, 1)]),
        scene([(A, 1, False), (B, 1, False)], [(B, 0.5, 1), (A, 0.4, 1)], ignored=(1,)),
    )
    assert found.num_images == 2
    assert found.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert found.images.tolist() == [0, 0, 0, 0, 1, 1]
    assert found.scores.tolist() == [0.9, 0.8, 0.7, 0.6, 0.5, 0.4]
    assert found.hit[:, 9].tolist() == [True, False, False, False, False, True]
    assert found.ignored[:, 9].tolist() == [False, True, False, False, True, False]
    assert (found.object_labels.tolist(), found.object_images.tolist()) == ([0, 1], [0, 1])


def test_confidence_curves_count_what_is_above_each_confidence() -> None:
    truth = [(A, 0, False), (B, 0, False), (FAR, 0, True)]
    found = [(A, 0.9, 0), (B, 0.5, 0), (FAR, 0.95, 0), ((50, 50, 60, 60), 0.7, 0), (A, 0.99, 1)]
    curves = confidence_curves(matches(scene(truth, found)))
    assert curves.class_ids.tolist() == [0]
    at = {c: (curves.precision[0, int(1000 * c)], curves.recall[0, int(1000 * c)]) for c in (0.0, 0.5, 0.6, 0.8, 0.95)}
    assert at[0.0] == at[0.5] == pytest.approx((2 / 3, 1.0))
    assert at[0.6] == (0.5, 0.5)
    assert at[0.8] == (1.0, 0.5)  # the detection on the crowd region counts neither way
    assert at[0.95] == (1.0, 0.0)
    assert curves.f1[0, curves.best] == pytest.approx(0.8)
    assert curves.best == 0  # the lowest of the confidences that are equally good


def test_confidence_curves_without_objects_are_empty() -> None:
    assert confidence_curves(matches(scene([], [(A, 0.9, 0)]))).precision.shape == (0, 1001)
    assert confidence_curves(matches(classes=0)).recall.shape == (0, 1001)


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
    image = scene(truth, found)
    ratios = overlaps(confident(image)[:, :4], image.boxes, image.crowd)
    counts = confusion_matrix([(image, ratios)], 2)
    assert counts.shape == (3, 3)
    assert {(int(i), int(j)): int(counts[i, j]) for i, j in zip(*counts.nonzero(), strict=True)} == expected
