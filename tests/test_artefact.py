"""What an exported file says of itself, and what is refused."""

from __future__ import annotations

import dataclasses
import json

import pytest

from yolov12.artefact import Artefact, Suppression, read_artefact
from yolov12.data.contract import contract
from yolov12.errors import CheckpointError

ARTEFACT = Artefact(
    format="onnx",
    task="pose",
    names={0: "고양이", 1: "b"},
    imgsz=(320, 416),
    batch=1,
    dynamic=True,
    precision="fp32",
    preprocess=contract("pose"),
    suppression=Suppression(0.25, 0.7, 300),
    keypoint_shape=(4, 3),
    trained_at=320,
)


@pytest.mark.parametrize("artefact", [ARTEFACT, dataclasses.replace(ARTEFACT, suppression=None, keypoint_shape=None)])
def test_it_survives_being_written(artefact: Artefact) -> None:
    assert read_artefact(artefact.to_json()) == artefact


def test_outputs_follow_from_the_task() -> None:
    assert ARTEFACT.outputs == ("dense",)
    assert dataclasses.replace(ARTEFACT, task="segment").outputs == ("dense", "prototypes")


@pytest.mark.parametrize(
    "change",
    [
        {"task": "detct"},
        {"names": {}},
        {"names": {"1": "a"}},
        {"imgsz": [320]},
        {"imgsz": [321, 320]},
        {"imgsz": [320, 1 << 20]},
        {"imgsz": "320"},
        {"batch": 0},
        {"batch": "many"},
        {"description": 2},
        {"suppression": {"conf": 0.2}},
        {"colour": "red"},
        {"source": None},
        {"versions": []},
    ],
    ids=str,
)
def test_damage_is_refused(change: dict[str, object]) -> None:
    values = {**json.loads(ARTEFACT.to_json()), **change}
    with pytest.raises(CheckpointError, match="description"):
        read_artefact(json.dumps(values))


@pytest.mark.parametrize("text", ["", "[]", "{", "null", '{"description": 1}', "[" * 100_000])
def test_what_is_no_description_is_refused(text: str) -> None:
    with pytest.raises(CheckpointError, match="damaged description"):
        read_artefact(text)


def test_a_file_of_others_is_told_what_to_do() -> None:
    with pytest.raises(CheckpointError, match="Export the model with `yolov12 export`"):
        read_artefact(None)
