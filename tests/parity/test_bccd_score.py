"""A genuine trained checkpoint must score on real images what its makers' run and COCO's evaluation say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from yolov12.checkpoint import read_model_file
from yolov12.config.run import ValConfig
from yolov12.data.dataset import load_index
from yolov12.data.image_io import read_image
from yolov12.data.index import ImageIndex
from yolov12.data.letterbox import Letterbox
from yolov12.evaluation.evaluator import evaluate
from yolov12.inference.torch_runtime import TorchRuntime
from yolov12.metrics import DetectionMetrics, evaluate_detections
from yolov12.models.detector import build_model
from yolov12.postprocess import NmsOptions, find_boxes

TOLERANCE = 0.002


@pytest.fixture(scope="module")
def index(bccd_yaml: Path) -> ImageIndex:
    return load_index(bccd_yaml, "test")


@pytest.fixture(scope="module")
def runtime(shared: Path) -> TorchRuntime:
    file = read_model_file(shared / "data/checkpoints/ultralytics_v1_n_bccd.pt")
    model = build_model(file.config)
    model.load_state_dict(file.state)
    assert list(file.names.values()) == ["RBC", "WBC", "Platelets"]
    return TorchRuntime(model)


@pytest.fixture(scope="module")
def reference(shared: Path) -> dict[str, list[float]]:
    return json.loads((shared / "data/checkpoints/reference.json").read_text(encoding="utf8"))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def metrics(runtime: TorchRuntime, index: ImageIndex) -> DetectionMetrics:
    return evaluate(runtime, index, ValConfig(split="test", imgsz=320, verbose=False))


def test_the_ground_truth_is_that_of_the_published_conversion(bccd: Path, index: ImageIndex) -> None:
    truth = json.loads((bccd / "test_coco.json").read_text(encoding="utf8"))
    first_class = min(category["id"] for category in truth["categories"])
    names = [category["name"] for category in sorted(truth["categories"], key=lambda category: category["id"])]
    assert list(index.names) == names
    expected: dict[str, list[list[float]]] = {image["file_name"]: [] for image in truth["images"]}
    file_names = {image["id"]: image["file_name"] for image in truth["images"]}
    for annotation in truth["annotations"]:
        x, y, width, height = annotation["bbox"]
        row = [annotation["category_id"] - first_class, x, y, x + width, y + height, annotation["area"]]
        expected[file_names[annotation["image_id"]]].append(row)
    found = {
        path.name: np.column_stack([index.labels[w], index.boxes[w], index.areas[w]]).tolist()
        for path, w in ((path, index.objects(i)) for i, path in enumerate(index.paths))
    }
    assert {name: sorted(rows) for name, rows in found.items()} == {
        name: sorted(rows) for name, rows in expected.items()
    }


def test_the_score_is_that_of_the_checkpoint(metrics: DetectionMetrics, reference: dict[str, list[float]]) -> None:
    assert metrics.images == 72
    expected = reference["stats_AP_AP50_AP75_APs_APm_APl"]
    assert metrics.box.map == pytest.approx(expected[0], abs=TOLERANCE)
    np.testing.assert_allclose(metrics.box.stats[:6], expected, rtol=0, atol=0.005)


def test_one_label_per_anchor_gives_the_recorded_numbers_to_the_last_digit(
    runtime: TorchRuntime, index: ImageIndex, reference: dict[str, list[float]]
) -> None:
    """The record was made from `predict` rows, one class per anchor; validation lets an anchor have several."""
    options = NmsOptions(conf=0.001, iou=0.7, max_det=300)
    detections = []
    for path, (height, width) in zip(index.paths, index.sizes.tolist(), strict=True):
        letterbox = Letterbox.fit((height, width), 320, rect=True)
        (decoded,) = runtime(letterbox.apply(read_image(path))[None]).images()
        detections.append(find_boxes(decoded, letterbox, len(index.names), options))
    stats = evaluate_detections(index, detections).box.stats[:6]
    np.testing.assert_allclose(stats, reference["stats_AP_AP50_AP75_APs_APm_APl"], rtol=0, atol=2e-5)


def test_the_reference_protocol_scores_about_the_same(
    runtime: TorchRuntime, index: ImageIndex, metrics: DetectionMetrics
) -> None:
    other = evaluate(runtime, index, ValConfig(split="test", imgsz=320, protocol="reference", verbose=False))
    assert other.box.map == pytest.approx(metrics.box.map, abs=0.02)
