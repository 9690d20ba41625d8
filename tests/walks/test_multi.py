"""One network for boxes, masks and keypoints, from labels of which some are missing to results and back from disk."""

from __future__ import annotations

import json
from pathlib import Path

import faster_coco_eval.core.mask as codec
import numpy as np
import pytest

from yolov12 import YOLO
from yolov12.cli.main import main
from yolov12.config.run import TrainConfig
from yolov12.data.dataset import load_index
from yolov12.data.loader import TrainSet
from yolov12.data.synthetic import write_synthetic
from yolov12.data.targets import stack_targets
from yolov12.detections import Detections
from yolov12.metrics import evaluate_detections
from yolov12.results import Masks


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scenes of creatures; the first of each split has no mask, the second no keypoints."""
    root = tmp_path_factory.mktemp("multi") / "data"
    write_synthetic(root, task="multi", format="coco", train=12, val=6, size=96, workers=0)
    for split in ("train", "val"):
        path = root / "annotations" / f"{split}.json"
        content = json.loads(path.read_text())
        del content["annotations"][0]["segmentation"]
        del content["annotations"][1]["keypoints"], content["annotations"][1]["num_keypoints"]
        path.write_text(json.dumps(content))
    return root


def test_partial_labels_are_read_as_such(data: Path) -> None:
    index = load_index(data, "train", task="multi")
    assert index.report.total == 0
    assert index.keypoints is not None
    assert [bool(index.rings(row)) for row in range(3)] == [False, True, True]
    assert [bool(index.keypoints[row, :, 2].any()) for row in range(3)] == [True, False, True]
    dataset = TrainSet(index, TrainConfig(imgsz=96, mosaic=0.0, cache=False), "multi")
    samples = [dataset.plain(number) for number in range(len(index))]
    targets = stack_targets(samples, "multi")
    assert targets.outlined is not None
    assert targets.outlined.tolist() == [False, *[True] * (len(targets.labels) - 1)]


def test_what_is_not_labelled_is_not_scored(data: Path) -> None:
    """Perfect detections score 1 in every part, with and without a mask for the object that has none."""
    index = load_index(data, "val", task="multi")
    assert index.keypoints is not None
    detections = []
    for i in range(len(index)):
        where = index.objects(i)
        height, width = index.sizes[i].tolist()
        rows = np.column_stack([index.boxes[where], np.full(len(index.boxes[where]), 0.9), index.labels[where]])
        whole = np.zeros((len(rows), height, width), bool)
        for k, row in enumerate(range(where.start, where.stop)):
            if index.rings(row):
                whole[k] = codec.decode(index.run_length(row)).astype(bool)
        detections.append(Detections(rows, masks=Masks.from_data(whole), keypoints=index.keypoints[where].copy()))
    metrics = evaluate_detections(index, detections, "multi")
    assert metrics.seg is not None
    assert metrics.pose is not None
    assert (metrics.box.map, metrics.seg.map, metrics.pose.map) == pytest.approx((1, 1, 1), abs=1e-9)


def test_from_data_to_results(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--imgsz", "96", "--epochs", "1", "--batch", "4", "--workers", "0", "--device", "cpu"]
    words = ["train", "--data", str(data), "--model", "yolov12n", "--model.heads", "detect", "segment", "pose"]
    assert main([*words, *options, "--project", str(tmp_path), "--name", "run"]) == 0
    assert "pose AP50-95" in capsys.readouterr().out
    best = tmp_path / "run" / "weights" / "best.safetensors"
    model = YOLO(best)
    assert (model.task, model.config.variant) == ("multi", "yolov12n-multi")
    (result,) = model(sorted((data / "images" / "val").iterdir())[0], imgsz=96, conf=0.0001, max_det=4)
    assert result.masks is not None
    assert result.keypoints is not None
    assert len(result.boxes) == len(result.masks) == len(result.keypoints) == 4
    assert result.plot().shape == (96, 96, 3)
    assert {"box", "segments", "keypoints"} <= set(result.to_dict()["detections"][0])
    metrics = model.val(data=str(data), imgsz=96, plots=True, project=str(tmp_path), name="val")
    assert metrics.seg is not None
    assert metrics.pose is not None
    with pytest.raises(Exception, match="has no published form"):
        model.official_state_dict()
