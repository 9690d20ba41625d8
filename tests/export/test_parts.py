"""ONNX for a pairwise cover of backbones, necks and heads: every part beside every part of another role."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from model_factory import file_of
from part_factory import PAIRS, network
from yolov12 import YOLO
from yolov12.checkpoint import write_model_file

pytestmark = pytest.mark.skipif(
    not os.environ.get("YOLOV12_ALL_FORMATS"), reason="minutes of exports: scripts/formats runs them"
)


@pytest.mark.parametrize("parts", PAIRS, ids="-".join)
def test_a_combination_is_exported(parts: tuple[str, str, str], tmp_path: Path) -> None:
    source = tmp_path / "model.safetensors"
    write_model_file(source, file_of(network(*parts)))
    path = YOLO(source).export(format="onnx", dynamic=False, imgsz=64, images=4, verbose=False)
    assert YOLO(path).artefact.certificate["failures"] == []
