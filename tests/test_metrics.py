"""COCO-exact metrics against pycocotools, and the table, dictionary and special cases around them."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import math
from typing import Any

import numpy as np
import pytest

from index_factory import make_index
from yolov12.data.index import ImageIndex
from yolov12.metrics import RESULT_COLUMNS, evaluate_detections

NO_ROWS = np.zeros((0, 6), np.float32)


def random_case(seed: int, images: int = 12, classes: int = 5) -> tuple[ImageIndex, list[np.ndarray]]:
    """Jittered copies of the objects as detections: tied scores, crowd regions, a class without objects."""
    rng = np.random.default_rng(seed)
    truth, found = [], []
    for _ in range(images):
        count = int(rng.integers(0, 10))
        corner, size = rng.integers(0, 300, (count, 2)), rng.integers(1, 220, (count, 2))
        boxes, labels = np.hstack([corner, corner + size]), rng.integers(0, classes - 1, count)
        crowd = rng.random(count) < 0.15
        truth.append([(*box, int(k), bool(c)) for box, k, c in zip(boxes.tolist(), labels, crowd, strict=True)])
        amount = int(rng.integers(0, 250)) if count else 3  # more than 100 of one class, at times
        source = rng.integers(0, max(count, 1), amount)
        guesses = boxes[source] + rng.integers(-15, 16, (amount, 4)) if count else np.tile([0, 0, 50, 50], (3, 1))
        guesses[:, 2:] = np.maximum(guesses[:, 2:], guesses[:, :2] + 1)
        right = labels[source] if count else np.zeros(3, int)
        label = np.where(rng.random(amount) < 0.8, right, rng.integers(0, classes, amount))
        found.append(np.column_stack([guesses, rng.random(amount).round(1), label]))
    objects = sum(map(len, truth))
    names = [str(k) for k in range(classes)]
    areas = rng.integers(1, 20_000, objects).astype(float)  # an object's area need not be its box's
    return make_index(truth, names, areas=areas, image_ids=rng.permutation(images) * 7), found


def oracle(index: ImageIndex, found: list[np.ndarray]) -> Any:
    """pycocotools' COCOeval after `summarize`."""
    coco = pytest.importorskip("pycocotools.coco")
    cocoeval = pytest.importorskip("pycocotools.cocoeval")
    annotations = []
    for i in range(len(index)):
        for j in range(index.offsets[i], index.offsets[i + 1]):
            x1, y1, x2, y2 = index.boxes[j].tolist()
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": int(index.image_ids[i]),
                    "category_id": int(index.labels[j]),
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": float(index.areas[j]),
                    "iscrowd": int(index.crowd[j]),
                }
            )
    results = [
        {"image_id": int(i), "category_id": int(k), "bbox": [x1, y1, x2 - x1, y2 - y1], "score": score}
        for i, rows in zip(index.image_ids, found, strict=True)
        for x1, y1, x2, y2, score, k in rows.tolist()
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco.COCO()
        truth.dataset = {
            "images": [{"id": int(i)} for i in index.image_ids],
            "annotations": annotations,
            "categories": [{"id": k, "name": name} for k, name in enumerate(index.names)],
        }
        truth.createIndex()
        evaluation = cocoeval.COCOeval(truth, truth.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


@pytest.mark.parametrize("seed", range(8))
def test_the_twelve_numbers_are_those_of_pycocotools(seed: int) -> None:
    index, found = random_case(seed)
    expected = oracle(index, found)
    metrics = evaluate_detections(index, found)
    np.testing.assert_allclose(metrics.box.stats, expected.stats, rtol=0, atol=1e-12)
    precision = np.where(expected.eval["precision"][..., 0, -1] < 0, np.nan, expected.eval["precision"][..., 0, -1])
    np.testing.assert_allclose(metrics.box.maps, precision.mean(axis=(0, 1)), rtol=0, atol=1e-12)
    np.testing.assert_allclose(metrics.box.maps50, precision[0].mean(axis=0), rtol=0, atol=1e-12)
    # Our own matching finds as many objects as COCO's at IoU 0.5.
    recall = expected.eval["recall"][0, :, 0, -1]
    np.testing.assert_allclose(metrics.curves.recall[:, 0], recall[metrics.curves.class_ids], rtol=0, atol=1e-12)


def test_perfect_detections_score_one() -> None:
    index = make_index([[(0, 0, 50, 50, 0)], [(10, 10, 200, 200, 1), (5, 5, 20, 20, 1)], []], split="test")
    found = [np.column_stack([index.boxes[w], np.full(len(index.boxes[w]), 0.9), index.labels[w]]) for w in
             (index.objects(i) for i in range(3))]  # fmt: skip
    metrics = evaluate_detections(index, found)
    box = metrics.box
    assert (box.map, box.map50, box.map75, box.mp, box.mr, box.mf1) == (1, 1, 1, 1, 1, 1)
    assert metrics.fitness == pytest.approx(1.0)
    assert box.maps.tolist() == [1.0, 1.0]
    assert metrics.instances.tolist() == [1, 2]
    assert metrics.images_with.tolist() == [1, 1]
    assert metrics.confusion_matrix.tolist() == [[1, 0, 0], [0, 2, 0], [0, 0, 0]]
    assert metrics.results_dict == dict.fromkeys(RESULT_COLUMNS, 1.0)
    assert metrics.table().splitlines()[-1].startswith("test 3 images")


def test_a_class_without_objects_is_left_out_of_the_means() -> None:
    index = make_index([[(0, 0, 50, 50, 0)]], ["seen", "unseen"])
    metrics = evaluate_detections(index, [np.array([[0, 0, 50, 50, 0.9, 0], [0, 0, 50, 50, 0.9, 1]])])
    assert metrics.box.map == 1.0
    assert math.isnan(metrics.box.maps[1])
    row = next(line for line in metrics.table().splitlines() if line.startswith("unseen"))
    assert row.split() == ["unseen", "0", "0", "-", "-", "-", "-"]


@pytest.mark.parametrize(
    ("objects", "rows", "stats", "fitness"),
    [
        pytest.param([], NO_ROWS, -1, 0.0, id="nothing at all"),
        pytest.param([], np.array([[0, 0, 9, 9, 0.5, 1]]), -1, 0.0, id="no ground truth"),
        pytest.param([(0, 0, 50, 50, 1, True)], NO_ROWS, -1, 0.0, id="only a crowd region"),
        pytest.param([], None, -1, 0.0, id="the only image cannot be read"),
    ],
)
def test_nothing_to_measure_is_nan_without_warnings(
    objects: list,
    rows: np.ndarray | None,
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
    metrics = evaluate_detections(index, [np.array([[0, 0, 50, 50, 0.9, 0]]), None])
    assert metrics.box.map == 1.0
    assert (metrics.images, metrics.skipped) == (1, 1)
    assert "val 1/2 images" in metrics.table()


def test_the_dictionary_is_json_and_names_every_class() -> None:
    index, found = random_case(0)
    metrics = evaluate_detections(index, found)
    metrics.speed = {"inference": 1.5}
    values = json.loads(json.dumps(metrics.to_dict(), allow_nan=False))
    assert values["box"]["map"] == metrics.box.map
    assert values["max_detections"] == 100
    assert [row["name"] for row in values["classes"]] == list(index.names)
    assert values["speed_ms"] == {"inference": 1.5}
    assert np.shape(values["confusion_matrix"]) == (6, 6)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ([], "0 arrays of detections for 1 images"),
        ([np.array([[0, 0, 9, 9, 0.5, 2]])], r"0\.png name a class outside 0\.\.1"),
    ],
)
def test_wrong_detections_are_refused(found: list[np.ndarray], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate_detections(make_index([[]]), found)


def test_nothing_is_printed_or_logged(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    before = logging.root.level, list(logging.root.handlers)
    with caplog.at_level(logging.INFO):
        evaluate_detections(*random_case(1))
    assert capsys.readouterr() == ("", "")
    assert not caplog.records
    assert (logging.root.level, list(logging.root.handlers)) == before
