"""COCO-exact metrics against pycocotools, and the table, dictionary and special cases around them."""

from __future__ import annotations

import json
import logging
import math

import numpy as np
import pytest

from coco_oracle import oracle
from index_factory import make_index
from scored_case import random_case
from yolov12.detections import Detections
from yolov12.metrics import DetectionMetrics, evaluate_detections, result_columns

NO_ROWS = Detections(np.zeros((0, 6)))


def found(*rows: tuple[float, ...]) -> Detections:
    """Rows of x1, y1, x2, y2, score, class."""
    return Detections(np.array(rows, np.float64))


def scored(seed: int) -> DetectionMetrics:
    index, rows = random_case(seed)
    return evaluate_detections(index, [Detections(each) for each in rows])


@pytest.mark.parametrize("seed", range(8))
def test_the_twelve_numbers_are_those_of_pycocotools(seed: int) -> None:
    index, rows = random_case(seed)
    expected = oracle(index, rows)
    metrics = scored(seed)
    np.testing.assert_allclose(metrics.box.stats, expected.stats, rtol=0, atol=1e-12)
    precision = np.where(expected.eval["precision"][..., 0, -1] < 0, np.nan, expected.eval["precision"][..., 0, -1])
    np.testing.assert_allclose(metrics.box.maps, precision.mean(axis=(0, 1)), rtol=0, atol=1e-12)
    np.testing.assert_allclose(metrics.box.maps50, precision[0].mean(axis=0), rtol=0, atol=1e-12)
    # Our own matching finds as many objects as COCO's at IoU 0.5.
    recall = expected.eval["recall"][0, :, 0, -1]
    np.testing.assert_allclose(
        metrics.box.curves.recall[:, 0], recall[metrics.box.curves.class_ids], rtol=0, atol=1e-12
    )


def test_perfect_detections_score_one() -> None:
    index = make_index([[(0, 0, 50, 50, 0)], [(10, 10, 200, 200, 1), (5, 5, 20, 20, 1)], []], split="test")
    where = [index.objects(i) for i in range(3)]
    rows = [np.column_stack([index.boxes[w], np.full(len(index.boxes[w]), 0.9), index.labels[w]]) for w in where]
    metrics = evaluate_detections(index, [Detections(each) for each in rows])
    box = metrics.box
    assert (box.map, box.map50, box.map75, box.mp, box.mr, box.mf1) == (1, 1, 1, 1, 1, 1)
    assert metrics.fitness == pytest.approx(1.0)
    assert box.maps.tolist() == [1.0, 1.0]
    assert metrics.instances.tolist() == [1, 2]
    assert metrics.images_with.tolist() == [1, 1]
    assert metrics.confusion_matrix.tolist() == [[1, 0, 0], [0, 2, 0], [0, 0, 0]]
    assert metrics.results_dict == dict.fromkeys(result_columns("detect"), 1.0)
    assert metrics.table().splitlines()[-1].startswith("test 3 images")


def test_a_class_without_objects_is_left_out_of_the_means() -> None:
    index = make_index([[(0, 0, 50, 50, 0)]], ["seen", "unseen"])
    metrics = evaluate_detections(index, [found((0, 0, 50, 50, 0.9, 0), (0, 0, 50, 50, 0.9, 1))])
    assert metrics.box.map == 1.0
    assert math.isnan(metrics.box.maps[1])
    row = next(line for line in metrics.table().splitlines() if line.startswith("unseen"))
    assert row.split() == ["unseen", "0", "0", "-", "-", "-", "-"]


@pytest.mark.parametrize(
    ("objects", "rows", "stats", "fitness"),
    [
        pytest.param([], NO_ROWS, -1, 0.0, id="nothing at all"),
        pytest.param([], found((0, 0, 9, 9, 0.5, 1)), -1, 0.0, id="no ground truth"),
        pytest.param([(0, 0, 50, 50, 1, True)], NO_ROWS, -1, 0.0, id="only a crowd region"),
        pytest.param([], None, -1, 0.0, id="the only image cannot be read"),
    ],
)
def test_nothing_to_measure_is_nan_without_warnings(
    objects: list,
    rows: Detections | None,
    stats: float,
    fitness: float,  # type: ignore[type-arg]
) -> None:
    metrics = evaluate_detections(make_index([objects]), [rows])
    assert metrics.box.stats == (stats,) * 12
    assert math.isnan(metrics.box.map)
    assert metrics.fitness == fitness
    assert metrics.results_dict["metrics/mAP50-95"] is None
    assert "-" in metrics.table()
    assert json.loads(json.dumps(metrics.to_dict(), allow_nan=False))["box"]["map"] is None


def test_no_detections_score_zero() -> None:
    metrics = evaluate_detections(make_index([[(0, 0, 50, 50, 1)]]), [NO_ROWS])
    assert (metrics.box.map, metrics.box.mp, metrics.box.mr, metrics.fitness) == (0, 0, 0, 0)
    assert metrics.box.stats[3] == -1.0  # no small object


def test_no_images_and_no_classes() -> None:
    assert evaluate_detections(make_index([]), []).images == 0
    assert evaluate_detections(make_index([], names=()), []).confusion_matrix.tolist() == [[0]]


def test_an_unread_image_is_left_out_with_its_objects_and_counted() -> None:
    index = make_index([[(0, 0, 50, 50, 0)], [(0, 0, 50, 50, 0)]])
    metrics = evaluate_detections(index, [found((0, 0, 50, 50, 0.9, 0)), None])
    assert metrics.box.map == 1.0
    assert (metrics.images, metrics.skipped) == (1, 1)
    assert "val 1/2 images" in metrics.table()


def test_the_dictionary_is_json_and_names_every_class() -> None:
    index, metrics = random_case(0)[0], scored(0)
    metrics.speed = {"inference": 1.5}
    values = json.loads(json.dumps(metrics.to_dict(), allow_nan=False))
    assert values["box"]["map"] == metrics.box.map
    assert values["max_detections"] == 100
    assert [row["name"] for row in values["classes"]] == list(index.names)
    assert values["speed_ms"] == {"inference": 1.5}
    assert np.shape(values["confusion_matrix"]) == (6, 6)


@pytest.mark.parametrize(
    ("detections", "message"),
    [
        ([], "0 detections for 1 images"),
        ([found((0, 0, 9, 9, 0.5, 2))], r"0\.png name a class outside 0\.\.1"),
    ],
)
def test_wrong_detections_are_refused(detections: list[Detections], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate_detections(make_index([[]]), detections)


def test_nothing_is_printed_or_logged(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    before = logging.root.level, list(logging.root.handlers)
    with caplog.at_level(logging.INFO):
        scored(1)
    assert capsys.readouterr() == ("", "")
    assert not caplog.records
    assert (logging.root.level, list(logging.root.handlers)) == before
