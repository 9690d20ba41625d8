"""Raw and decoded outputs, parameter counts and state-dict keys against those of the published models."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from golden.models import filled_model, filled_state, image
from yolov12.config.model import LOCATING_NORM
from yolov12.models.checkpoint_map import official_to_ours, ours_to_official
from yolov12.models.detector import Detector, fuse
from yolov12.models.heads.detect import DetectOutputs, decode
from yolov12.models.layers import set_norms

MODELS = ("turbo_n", "turbo_s", "turbo_l", "v1_n", "v1_l", "yolo11n", "yolov8n")
TASK_MODELS = ("turbo_n_seg", "v1_n_seg", "v1_n_pose", "v1_n_obb")
CLASSIFIERS = ("turbo_n_cls", "v1_n_cls")
RAW, PIXELS, SCORES, PROBABILITIES = 1e-3, 2e-2, 1e-3, 1e-4
"""The fixtures' own tolerances: raw outputs, decoded boxes and keypoints in pixels, scores, outputs of classifiers."""

VARIANTS = ("as trained", "fused", "channels_last")


def run(golden: Path, name: str, variant: str) -> tuple[Detector, Any, dict[str, np.ndarray]]:
    """The model of a fixture, its raw outputs on the fixture's image, and the fixture's arrays."""
    stem = name if name in TASK_MODELS + CLASSIFIERS else f"{name}_detect"
    info = json.loads((golden / "forward" / f"{stem}.json").read_text(encoding="utf8"))["input"]
    model = filled_model(name)
    images = image(info["batch"], info["height"], info["width"], info["seed"])
    if variant == "fused":
        model = fuse(model)
    elif variant == "channels_last":
        model = model.to(memory_format=torch.channels_last)
        images = images.to(memory_format=torch.channels_last)
    with torch.inference_mode():
        outputs = model(images)[model.config.task]
    with np.load(golden / "forward" / f"{stem}.npz") as arrays:
        return model, outputs, dict(arrays)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", MODELS)
def test_forward(golden: Path, name: str, variant: str) -> None:
    model, outputs, expected = run(golden, name, variant)
    decoded = decode(outputs, model.config.strides).numpy()
    assert np.array_equal(model.head.decode(outputs).dense.numpy(), decoded)
    check_levels(outputs, expected)
    difference = np.abs(decoded - expected["decoded"])
    assert difference[:, :4].max() <= PIXELS
    assert difference[:, 4:].max() <= SCORES


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", TASK_MODELS)
def test_forward_of_the_other_tasks(golden: Path, name: str, variant: str) -> None:
    model, outputs, expected = run(golden, name, variant)
    check_levels(outputs.detect, expected)
    decoded = model.head.decode(outputs)
    raw = {
        "segment": lambda: {"mask_coeff": flat(outputs.coefficients), "proto": outputs.prototypes.numpy()},
        "pose": lambda: {"kpt_raw": flat(outputs.keypoints)},
        "obb": lambda: {"angle": decoded.dense[:, -1:].numpy()},  # the fixture holds angles, in radians
    }[model.config.task]()
    for array, found in raw.items():
        assert np.abs(found - expected[array]).max() <= RAW, array
    assert decoded.dense.dtype == torch.float32
    assert decoded.dense.shape == expected["decoded"].shape
    difference = np.abs(decoded.dense.numpy() - expected["decoded"])
    scores = 4 + model.config.num_classes
    assert difference[:, :4].max() <= PIXELS
    assert difference[:, 4:scores].max() <= SCORES
    assert difference[:, scores:].max() <= (PIXELS if model.config.task == "pose" else RAW)
    if model.config.task == "pose":
        assert difference[:, scores + 2 :: 3].max() <= SCORES  # visibility
    if decoded.prototypes is not None:
        assert np.abs(decoded.prototypes.numpy() - expected["proto"]).max() <= RAW


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_forward_of_classifiers(golden: Path, name: str, variant: str) -> None:
    model, outputs, expected = run(golden, name, variant)
    assert np.abs(outputs.logits.numpy() - expected["logits"]).max() <= PROBABILITIES
    assert np.abs(model.head.decode(outputs).dense.numpy() - expected["probs"]).max() <= PROBABILITIES


def check_levels(outputs: DetectOutputs, expected: dict[str, np.ndarray]) -> None:
    for level, raw in zip(("p3", "p4", "p5"), raw_levels(outputs), strict=True):
        assert np.abs(raw - expected[level]).max() <= RAW, level


def raw_levels(outputs: DetectOutputs) -> list[np.ndarray]:
    pairs = zip(outputs.box_logits, outputs.class_logits, strict=True)
    return [torch.cat(pair, 1).numpy() for pair in pairs]


def flat(levels: tuple[torch.Tensor, ...]) -> np.ndarray:
    return torch.cat([level.flatten(2) for level in levels], 2).numpy()


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_norms_of_classifiers_are_seen_by_the_fixture(golden: Path, name: str) -> None:
    """The other networks' batch norms must fail the test above by far."""
    _, _, expected = run(golden, name, "as trained")
    model = filled_model(name)
    set_norms(model, LOCATING_NORM)
    with torch.inference_mode():
        logits = model(image(1, 128, 128))["classify"].logits.numpy()
    assert np.abs(logits - expected["logits"]).max() > 100 * PROBABILITIES


def test_the_area_of_a_turbo_classifier_is_seen_by_the_fixture(golden: Path) -> None:
    _, _, expected = run(golden, "turbo_n_cls", "as trained")
    model = filled_model("turbo_n_cls")
    for block in model.backbone.get_submodule("stage_p4").modules():
        block.areas = 4
    with torch.inference_mode():
        logits = model(image(1, 128, 128))["classify"].logits.numpy()
    assert np.abs(logits - expected["logits"]).max() > 100 * PROBABILITIES


def test_the_area_split_is_seen_by_the_fixture(golden: Path) -> None:
    """A wrong number of areas must fail the test above by far, or it proves nothing."""
    model = filled_model("turbo_n")
    for block in model.backbone.get_submodule("stage_p4").modules():
        block.areas = 1
    with torch.inference_mode(), np.load(golden / "forward" / "turbo_n_detect.npz") as expected:
        raw = raw_levels(model(image(1, 128, 160))["detect"])
        assert np.abs(raw[1] - expected["p4"]).max() > 100 * RAW


KEYS = ("turbo_n", "turbo_l", "v1_n", "v1_l", "yolo11n", "yolov8n", *TASK_MODELS, *CLASSIFIERS)


@pytest.mark.parametrize("name", KEYS)
def test_keys(shared: Path, name: str) -> None:
    model = filled_model(name)
    official = ours_to_official(model.state_dict(), model.config)
    stem = name if name in TASK_MODELS + CLASSIFIERS else f"{name}_detect"
    with (shared / "spec" / f"keys_{stem}.csv").open(encoding="utf8") as file:
        rows = [(row["key"], row["shape"], row["dtype"]) for row in csv.DictReader(file)]
    assert rows == [
        (key, "x".join(map(str, tensor.shape)) or "scalar", str(tensor.dtype).removeprefix("torch."))
        for key, tensor in official.items()
    ]


@pytest.mark.parametrize("name", KEYS)
def test_round_trip_is_exact(name: str) -> None:
    """Published -> ours -> published, every bit."""
    model = filled_model(name)
    official = filled_state(model.config, model)
    back = ours_to_official(official_to_ours(official, model.config), model.config)
    assert list(back) == list(official)
    assert all(torch.equal(back[key], official[key]) for key in official)
