"""Top-1 and top-5 against counts by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from index_factory import make_index
from yolov12.data.index import ImageIndex
from yolov12.detections import Detections
from yolov12.metrics import evaluate_classification, result_columns

NAMES = tuple("abcdefg")


def pictures(*labels: int, names: tuple[str, ...] = NAMES) -> ImageIndex:
    return make_index([[(0, 0, 700, 500, label)] for label in labels], names)


def scores(*values: float) -> Detections:
    return Detections(np.zeros((0, 6)), scores=np.array(values, np.float32))


def test_counts_by_hand() -> None:
    index = pictures(0, 0, 1, 6, 2)
    found = [
        scores(0.9, 0.1, 0, 0, 0, 0, 0),  # right
        scores(0.1, 0.5, 0.2, 0.05, 0.05, 0.05, 0.05),  # third
        scores(0.1, 0.3, 0.2, 0.1, 0.1, 0.1, 0.1),  # right
        scores(0.3, 0.2, 0.15, 0.12, 0.11, 0.1, 0.02),  # last of seven
        scores(0.3, 0.25, 0.1, 0.2, 0.15, 0.0, 0.0),  # fifth
    ]
    metrics = evaluate_classification(index, found)
    assert (metrics.top1, metrics.top5) == (0.4, 0.8)
    assert metrics.fitness == pytest.approx(0.6)
    assert metrics.hits.tolist() == [[True, True], [False, True], [True, True], [False, False], [False, True]]
    assert metrics.instances.tolist() == [2, 1, 1, 0, 0, 0, 1]
    np.testing.assert_array_equal(metrics.accuracies, [0.5, 1, 0, np.nan, np.nan, np.nan, 0])
    np.testing.assert_array_equal(metrics.accuracies5, [1, 1, 1, np.nan, np.nan, np.nan, 0])
    expected = np.zeros((7, 7), int)
    expected[[0, 0, 1, 6, 2], [0, 1, 1, 0, 0]] = 1
    np.testing.assert_array_equal(metrics.confusion_matrix, expected)


@pytest.mark.parametrize(
    ("label", "values", "right"),
    [
        pytest.param(0, (0.5, 0.5, 0), (True, True), id="of equals the lower class comes first"),
        pytest.param(1, (0.5, 0.5, 0), (False, True), id="the higher class comes second"),
        pytest.param(2, (0.0,) * 7, (False, True), id="all equal: third"),
        pytest.param(5, (0.0,) * 7, (False, False), id="all equal: sixth"),
        pytest.param(0, (math.nan, 0.1, 0.2), (False, False), id="no number is no answer"),
        pytest.param(1, (math.nan, 0.1, 0.05), (True, True), id="nor does it stand before one"),
    ],
)
def test_ties_and_broken_scores(label: int, values: tuple[float, ...], right: tuple[bool, bool]) -> None:
    metrics = evaluate_classification(pictures(label, names=NAMES[: len(values)]), [scores(*values)])
    assert tuple(metrics.hits[0].tolist()) == right


def test_an_unread_picture_is_left_out_and_counted() -> None:
    metrics = evaluate_classification(pictures(0, 1, names=("a", "b")), [None, scores(0.2, 0.8)])
    assert (metrics.images, metrics.skipped, metrics.top1) == (1, 1, 1.0)
    assert "val 1/2 images" in metrics.table()


def test_nothing_to_measure() -> None:
    metrics = evaluate_classification(pictures(names=("a",)), [])
    assert math.isnan(metrics.top1)
    assert metrics.fitness == 0.0
    assert metrics.results_dict == dict(zip(result_columns("classify"), (None, None, 0.0), strict=True))
    assert metrics.table().splitlines()[1].split() == ["all", "0", "-", "-"]
    assert json.loads(json.dumps(metrics.to_dict(), allow_nan=False))["top1"] is None


def test_table_and_dictionary() -> None:
    metrics = evaluate_classification(pictures(0, 1, names=("cat\n", "dog")), [scores(1, 0), scores(1, 0)])
    metrics.speed = {"inference": 1.5}
    lines = [line.split() for line in metrics.table().splitlines()]
    assert lines[:4] == [
        ["class", "images", "top-1", "top-5"],
        ["all", "2", "0.500", "1.000"],
        ["cat\\n", "1", "1.000", "1.000"],
        ["dog", "1", "0.000", "1.000"],
    ]
    values = json.loads(json.dumps(metrics.to_dict(), allow_nan=False))
    assert (values["task"], values["top1"], values["classes"][1]["top1"]) == ("classify", 0.5, 0.0)
    assert values["speed_ms"] == {"inference": 1.5}


@pytest.mark.parametrize(
    ("index", "found", "message"),
    [
        (pictures(0), [], "scores of 0 pictures for 1"),
        (pictures(0), [scores(1, 0)], r"scores of 7 classes are needed, got \(2,\)"),
        (pictures(0), [Detections(np.zeros((0, 6)))], "scores of 7 classes are needed, got None"),
        (make_index([[]], NAMES), [scores(*range(7))], "has 0 labels: a picture to classify has one"),
    ],
)
def test_what_cannot_be_scored_is_refused(index: ImageIndex, found: list[Detections], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate_classification(index, found)
