"""Raw and decoded outputs, parameter counts and state-dict keys against those of the published models."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from golden.models import filled_model, filled_state, image
from yolov12.models.checkpoint_map import official_to_ours, ours_to_official
from yolov12.models.detector import fuse
from yolov12.models.heads.detect import DetectOutputs, decode

MODELS = ("turbo_n", "turbo_s", "turbo_l", "v1_n", "v1_l", "yolo11n", "yolov8n")
RAW, PIXELS, SCORES = 1e-3, 2e-2, 1e-3
"""The fixtures' own tolerances: raw outputs, decoded boxes in pixels, scores."""


@pytest.mark.parametrize("variant", ["as trained", "fused", "channels_last"])
@pytest.mark.parametrize("name", MODELS)
def test_forward(golden: Path, name: str, variant: str) -> None:
    info = json.loads((golden / "forward" / f"{name}_detect.json").read_text(encoding="utf8"))["input"]
    model = filled_model(name)
    images = image(info["batch"], info["height"], info["width"], info["seed"])
    if variant == "fused":
        model = fuse(model)
    elif variant == "channels_last":
        model = model.to(memory_format=torch.channels_last)
        images = images.to(memory_format=torch.channels_last)
    with torch.inference_mode():
        outputs = model(images)["detect"]
        decoded = decode(outputs, model.config.strides).numpy()
    with np.load(golden / "forward" / f"{name}_detect.npz") as expected:
        for level, raw in zip(("p3", "p4", "p5"), raw_levels(outputs), strict=True):
            assert np.abs(raw - expected[level]).max() <= RAW, level
        difference = np.abs(decoded - expected["decoded"])
    assert difference[:, :4].max() <= PIXELS
    assert difference[:, 4:].max() <= SCORES


def raw_levels(outputs: DetectOutputs) -> list[np.ndarray]:
    pairs = zip(outputs.box_logits, outputs.class_logits, strict=True)
    return [torch.cat(pair, 1).numpy() for pair in pairs]


def test_the_area_split_is_seen_by_the_fixture(golden: Path) -> None:
    """A wrong number of areas must fail the test above by far, or it proves nothing."""
    model = filled_model("turbo_n")
    for block in model.backbone.get_submodule("stage_p4").modules():
        block.areas = 1
    with torch.inference_mode(), np.load(golden / "forward" / "turbo_n_detect.npz") as expected:
        raw = raw_levels(model(image(1, 128, 160))["detect"])
        assert np.abs(raw[1] - expected["p4"]).max() > 100 * RAW


@pytest.mark.parametrize("name", ["turbo_n", "turbo_l", "v1_n", "v1_l", "yolo11n", "yolov8n"])
def test_keys(shared: Path, name: str) -> None:
    model = filled_model(name)
    official = ours_to_official(model.state_dict(), model.config)
    with (shared / "spec" / f"keys_{name}_detect.csv").open(encoding="utf8") as file:
        rows = [(row["key"], row["shape"], row["dtype"]) for row in csv.DictReader(file)]
    assert rows == [
        (key, "x".join(map(str, tensor.shape)) or "scalar", str(tensor.dtype).removeprefix("torch."))
        for key, tensor in official.items()
    ]


@pytest.mark.parametrize("name", ["turbo_n", "turbo_l", "v1_n", "v1_l", "yolo11n", "yolov8n"])
def test_round_trip_is_exact(name: str) -> None:
    """Published -> ours -> published, every bit."""
    model = filled_model(name)
    official = filled_state(model.config, model)
    back = ours_to_official(official_to_ours(official, model.config), model.config)
    assert list(back) == list(official)
    assert all(torch.equal(back[key], official[key]) for key in official)
