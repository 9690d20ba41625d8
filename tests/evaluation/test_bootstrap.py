"""Resampled scores: all weights 1 is COCO's number, doubled images count twice, intervals cover the truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from coco_oracle import oracle
from index_factory import make_index
from scored_case import random_case
from yolov12.data.index import ImageIndex
from yolov12.detections import Detections
from yolov12.evaluation.bootstrap import accuracy, average_precision, difference, draw_weights, interval
from yolov12.matching import Matches
from yolov12.metrics import DetectionMetrics, evaluate_detections


def scored(index: ImageIndex, found: list[np.ndarray]) -> DetectionMetrics:
    return evaluate_detections(index, [Detections(rows) for rows in found])


@pytest.mark.parametrize("seed", range(6))
def test_weights_of_one_give_the_numbers_of_coco(seed: int) -> None:
    index, found = random_case(seed)
    metrics = scored(index, found)
    expected = oracle(index, found).stats
    values = average_precision(metrics.box.matches, np.ones((2, len(index)), np.int32))
    np.testing.assert_allclose(values, [[expected[0], expected[1]]] * 2, rtol=0, atol=1e-9)
    assert (metrics.box.map, metrics.box.map50) == pytest.approx(tuple(values[0]), abs=1e-9)


def test_keypoints_and_rotated_boxes_too() -> None:
    index, found = random_case(1)
    centers = index.boxes.reshape(-1, 2, 2).astype(np.float32)
    index = replace(index, keypoints=np.insert(centers, 2, 2, axis=2), keypoint_shape=(2, 3))
    detections = [
        Detections(
            rows,
            keypoints=rows[:, :4].reshape(-1, 2, 2).astype(np.float32),
            rotated=np.column_stack([(rows[:, :2] + rows[:, 2:4]) / 2, rows[:, 2:4] - rows[:, :2], [0.1] * len(rows)]),
        )
        for rows in found
    ]
    for task, part in (("pose", "pose"), ("obb", "box")):
        scores = evaluate_detections(index, detections, task).parts[part]
        values = average_precision(scores.matches, np.ones((1, len(index)), np.int32))[0]
        assert 0.01 < scores.map < 1
        assert (scores.map, scores.map50) == pytest.approx(tuple(values), abs=1e-9)


def test_a_resample_scores_as_the_data_set_that_it_stands_for() -> None:
    """Images that are repeated and left out, once as weights and once in earnest."""
    index, found = random_case(3)
    rng = np.random.default_rng(0)
    found = [np.column_stack([rows[:, :4], rng.permutation(len(rows)) / 1e3 + rng.random() / 1e4, rows[:, 5]])
             for rows in found]  # fmt: skip
    matches = scored(index, found).box.matches
    ordered = np.argsort(index.image_ids)
    for weights in draw_weights(len(index), 5, seed=1):
        drawn = np.repeat(ordered, weights)
        objects = [
            [(*index.boxes[j], index.labels[j], index.crowd[j]) for j in range(*index.offsets[i : i + 2])]
            for i in drawn
        ]  # fmt: skip
        whole = scored(make_index(objects, index.names), [found[i] for i in drawn])
        values = average_precision(matches, weights[None])[0]
        assert (whole.box.map, whole.box.map50) == pytest.approx(tuple(values), abs=1e-9)


def test_weights_draw_as_many_images_as_there_are_and_follow_the_seed() -> None:
    weights = draw_weights(40, 300, seed=5)
    assert weights.shape == (300, 40)
    assert (weights.sum(axis=1) == 40).all()
    np.testing.assert_allclose(weights.mean(axis=0), 1.0, atol=0.25)
    np.testing.assert_array_equal(weights, draw_weights(40, 300, seed=5))
    assert (weights != draw_weights(40, 300, seed=6)).any()
    assert draw_weights(0, 3).shape == (3, 0)


def test_small_steps_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    index, found = random_case(2)
    matches, weights = scored(index, found).box.matches, draw_weights(len(index), 50)
    expected = average_precision(matches, weights)
    monkeypatch.setattr("yolov12.evaluation.bootstrap.VALUES_AT_ONCE", 1)
    np.testing.assert_array_equal(average_precision(matches, weights), expected)


def simulated(rng: np.random.Generator, images: int, skill: float) -> Matches:
    """One object and up to three detections per image; the model finds it in a share `skill` of the images."""
    truth = [[(10.0, 10.0, 60.0, 60.0, 0)]] * images
    found = []
    for _ in range(images):
        rows = [(10, 10, 60, 60, rng.beta(4, 2), 0)] if rng.random() < skill else []
        rows += [(200, 200, 250, 250, rng.beta(2, 4), 0)] * int(rng.integers(0, 3))
        found.append(np.array(rows, float).reshape(-1, 6))
    return scored(make_index(truth), found).box.matches


def test_an_interval_covers_the_truth_as_often_as_it_says() -> None:
    """Against the score of very many images of the same kind: 90 % intervals of 40 samples, of which 4 should miss."""
    rng = np.random.default_rng(0)
    once = np.ones((1, 4000), np.int32)
    truth = average_precision(simulated(rng, 4000, 0.7), once)[0, 0]
    covered = 0
    for _ in range(40):
        matches = simulated(rng, 80, 0.7)
        value = average_precision(matches, np.ones((1, 80), np.int32))[0, 0]
        found = interval(value, average_precision(matches, draw_weights(80, 200))[:, 0], 0.9)
        assert found.low <= found.value <= found.high
        covered += found.low <= truth <= found.high
    assert 30 <= covered <= 39


def test_the_paired_difference_sees_what_intervals_cannot() -> None:
    """The first model finds what the second does and a few objects more: their intervals overlap, the gap is clear."""
    rng = np.random.default_rng(1)
    box, far = (10.0, 10.0, 60.0, 60.0), (200, 200, 250, 250)
    easy, gained = rng.random(200) < 0.6, rng.random(200) < 0.06
    confidence = rng.beta(4, 2, 200)

    def found(hit: np.ndarray) -> list[np.ndarray]:
        return [np.array([(*(box if h else far), s, 0)], float) for h, s in zip(hit, confidence, strict=True)]

    index, weights = make_index([[(*box, 0)]] * 200), draw_weights(200, 500)
    metrics = [scored(index, found(hit)) for hit in (easy | gained, easy)]
    first, second = (average_precision(each.box.matches, weights)[:, 0] for each in metrics)
    values = metrics[0].box.map, metrics[1].box.map
    assert interval(values[0], first).low < interval(values[1], second).high
    gap = difference(values, first, second)
    assert gap.significant
    assert gap.interval.low > 0
    assert gap.better > 0.97
    same = difference((values[0], values[0]), first, first)
    assert (same.interval.low, same.interval.high, same.better, same.significant) == (0.0, 0.0, 0.5, False)


def test_accuracy_of_resamples() -> None:
    hits = np.array([[True, True], [False, True], [False, False]])
    weights = np.array([[1, 1, 1], [3, 0, 0], [0, 1, 2]], np.int32)
    np.testing.assert_allclose(accuracy(hits, weights), [[1 / 3, 2 / 3], [1, 1], [0, 1 / 3]])


def test_nothing_to_measure_is_nan_without_warnings() -> None:
    empty = scored(make_index([[], []]), [np.array([[0, 0, 9, 9, 0.5, 0.0]]), np.zeros((0, 6))]).box.matches
    assert np.isnan(average_precision(empty, draw_weights(2, 3))).all()
    none = interval(np.nan, np.full(3, np.nan))
    assert np.isnan([none.value, none.low, none.high]).all()
    assert str(interval(0.5, np.array([0.4, 0.6]), 1.0)) == "0.500 [0.400, 0.600]"
    gap = difference((np.nan, np.nan), np.full(3, np.nan), np.full(3, np.nan))
    assert not gap.significant
    # A class that a resample happens to miss is left out of its mean.
    two = make_index([[(0, 0, 9, 9, 0)], [(0, 0, 9, 9, 1)]])
    matches = scored(two, [np.array([[0, 0, 9, 9, 0.5, 0.0]]), np.zeros((0, 6))]).box.matches
    np.testing.assert_allclose(average_precision(matches, np.array([[1, 1], [2, 0], [0, 2]]))[:, 0], [0.5, 1, 0])


@pytest.mark.parametrize("images", [1, 3])
def test_weights_must_fit(images: int) -> None:
    matches = scored(make_index([[], []]), [np.zeros((0, 6))] * 2).box.matches
    with pytest.raises(ValueError, match=f"weights of {images} images"):
        average_precision(matches, np.ones((1, images), np.int32))
    with pytest.raises(ValueError, match=f"weights of {images} images"):
        accuracy(np.zeros((2, 2), bool), np.ones((1, images), np.int32))
    with pytest.raises(ValueError, match="1 and 2 resamples"):
        difference((0, 0), np.zeros(1), np.zeros(2))
