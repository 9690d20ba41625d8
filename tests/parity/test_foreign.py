"""Genuine checkpoints of the authors' repository and of a later package: structure, weights and detections."""

from __future__ import annotations

import csv
import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from yolov12.checkpoint import ModelFile, convert, read_model_file, write_model_file
from yolov12.config.model import ModelConfig
from yolov12.config.run import PredictConfig
from yolov12.config.variants import model_config
from yolov12.inference.predictor import Predictor
from yolov12.inference.torch_runtime import TorchRuntime
from yolov12.models.checkpoint_map import ours_to_official
from yolov12.models.detector import build_model

NAMES = {0: "RBC", 1: "WBC", 2: "Platelets"}
FILES = {
    "fork_turbo_n_stripped": ("turbo", "8.3.63", 160),
    "fork_turbo_n_unstripped": ("turbo", "8.3.63", 160),
    "ultralytics_v1_n_bccd": ("v1.0", "8.4.190", 320),
}
KEYS = {"turbo": "keys_turbo_n_detect.csv", "v1.0": "keys_v1_n_detect.csv"}
BOX_TOLERANCE, SCORE_TOLERANCE = 0.5, 0.005


@pytest.fixture(scope="module")
def files(shared: Path) -> dict[str, ModelFile]:
    return {name: read_model_file(shared / "data" / "checkpoints" / f"{name}.pt") for name in FILES}


@pytest.mark.parametrize("name", FILES)
def test_genuine_files_load_without_their_package(files: dict[str, ModelFile], name: str) -> None:
    layout, version, imgsz = FILES[name]
    file = files[name]
    assert file.config == model_config("yolov12n", layout, 3)
    assert file.names == NAMES
    assert file.metadata["producer"] == f"ultralytics {version}"
    assert file.metadata["licence"].startswith("AGPL-3.0")
    assert file.metadata["training"]["imgsz"] == imgsz
    assert all(value.dtype in (torch.float32, torch.int64) for value in file.state.values())
    assert not [module for module in sys.modules if module.startswith("ultralytics")]
    build_model(file.config).load_state_dict(file.state)


@pytest.mark.parametrize("name", FILES)
def test_the_published_keys_and_their_order(files: dict[str, ModelFile], shared: Path, name: str) -> None:
    official = ours_to_official(files[name].state, files[name].config)
    with (shared / "spec" / KEYS[FILES[name][0]]).open(encoding="utf8") as stream:
        keys = [row["key"] for row in csv.DictReader(stream)]
    assert list(official) == keys


@pytest.mark.parametrize("name", FILES)
def test_ours_and_back_to_the_published_form_is_bit_exact(
    files: dict[str, ModelFile], shared: Path, tmp_path: Path, name: str
) -> None:
    source = shared / "data" / "checkpoints" / f"{name}.pt"
    convert(source, tmp_path / "ours.safetensors")
    convert(tmp_path / "ours.safetensors", tmp_path / "theirs.pt")
    expected = ours_to_official(files[name].state, files[name].config)
    found = torch.load(tmp_path / "theirs.pt", weights_only=True)
    assert list(found) == list(expected)
    assert all(torch.equal(found[key], value) for key, value in expected.items())
    again = read_model_file(tmp_path / "theirs.pt")
    assert again.config == files[name].config
    assert all(torch.equal(again.state[key], value) for key, value in files[name].state.items())


def test_half_precision_files_lose_nothing_in_our_half_precision(files: dict[str, ModelFile], tmp_path: Path) -> None:
    """The file stores float16; keeping it so gives the same float32 weights."""
    file = files["ultralytics_v1_n_bccd"]
    write_model_file(tmp_path / "half.safetensors", file, half=True)
    found = read_model_file(tmp_path / "half.safetensors")
    assert all(torch.equal(found.state[key], value) for key, value in file.state.items())


def test_the_unstripped_file_gives_its_average(files: dict[str, ModelFile]) -> None:
    """Both files come from one run: the stripped one is the average of the other in half precision."""
    stripped, unstripped = files["fork_turbo_n_stripped"].state, files["fork_turbo_n_unstripped"].state
    assert all(torch.equal(unstripped[key].half().float(), value.float()) for key, value in stripped.items())


@pytest.mark.parametrize(
    ("keys", "config"),
    [
        ("keys_turbo_n_detect.csv", model_config("yolov12n", "turbo")),
        ("keys_v1_n_detect.csv", model_config("yolov12n", "v1.0")),
        ("keys_turbo_l_detect.csv", model_config("yolov12l", "turbo")),
        ("keys_v1_l_detect.csv", model_config("yolov12l", "v1.0")),
        ("keys_turbo_n_seg.csv", model_config("yolov12n-seg", "turbo")),
        ("keys_turbo_n_cls.csv", model_config("yolov12n-cls", "turbo")),
        ("keys_v1_n_seg.csv", model_config("yolov12n-seg", "v1.0")),
        ("keys_v1_n_cls.csv", model_config("yolov12n-cls", "v1.0")),
        ("keys_v1_n_pose.csv", model_config("yolov12n-pose", "v1.0")),
        ("keys_v1_n_obb.csv", model_config("yolov12n-obb", "v1.0")),
        ("keys_yolo11n_detect.csv", model_config("yolo11n")),
        ("keys_yolov8n_detect.csv", model_config("yolov8n")),
    ],
)
def test_published_models_are_recognised(shared: Path, tmp_path: Path, keys: str, config: ModelConfig) -> None:
    torch.save(state_of(shared / "spec" / keys), tmp_path / "anything.bin")
    found = read_model_file(tmp_path / "anything.bin")
    assert found.config == config
    assert len(found.names) == config.num_classes


def state_of(path: Path) -> dict[str, torch.Tensor]:
    """Zeros of the shapes that a list of published keys gives."""
    with path.open(encoding="utf8") as stream:
        rows = list(csv.DictReader(stream))
    state = {}
    for row in rows:
        shape = [] if row["shape"] == "scalar" else [int(size) for size in row["shape"].split("x")]
        state[row["key"]] = torch.zeros(shape, dtype=torch.int64 if row["dtype"] == "int64" else torch.float16)
    return state


@pytest.mark.parametrize("name", FILES)
def test_reading_leaves_the_file_as_it_was(shared: Path, name: str) -> None:
    path = shared / "data" / "checkpoints" / f"{name}.pt"
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    read_model_file(path)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before


def test_detections_are_those_of_the_package_that_made_the_file(
    files: dict[str, ModelFile], shared: Path, bccd: Path
) -> None:
    """Float32, 320 px, rectangular: every reference row has its own row here, and there are no others."""
    reference = json.loads((shared / "data" / "checkpoints" / "reference.json").read_text(encoding="utf8"))
    file = files["ultralytics_v1_n_bccd"]
    model = build_model(file.config)
    model.load_state_dict(file.state)
    predictor = Predictor(TorchRuntime(model, "cpu", "fp32"), file.names)
    config = PredictConfig(
        conf=reference["conf_for_rows"],
        iou=reference["iou"],
        max_det=reference["max_det"],
        imgsz=reference["imgsz"],
        precision="fp32",
        verbose=False,
    )
    rows = reference["rows_x1y1x2y2_score_class"]
    sources = [bccd / "JPEGImages" / image for image in rows]
    for expected, result in zip(rows.values(), predictor.predict(sources, config), strict=True):
        match_rows(np.array(expected, dtype=np.float64).reshape(-1, 6), np.asarray(result.boxes.data))


def match_rows(expected: np.ndarray, found: np.ndarray) -> None:
    """Pair rows one to one. A score within the tolerance of the threshold may be on either side of it."""
    threshold = 0.25 + SCORE_TOLERANCE
    unmatched = list(range(len(found)))
    for row in expected:
        near = [
            index
            for index in unmatched
            if found[index, 5] == row[5]
            and np.abs(found[index, :4] - row[:4]).max() <= BOX_TOLERANCE
            and abs(found[index, 4] - row[4]) <= SCORE_TOLERANCE
        ]
        assert near or row[4] < threshold, f"no detection like {row}; found {found}"
        if near:
            unmatched.remove(near[0])
    assert all(found[index, 4] < threshold for index in unmatched), f"not in the reference: {found[unmatched]}"
