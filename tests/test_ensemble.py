"""Several models that answer together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from model_factory import tiny_file
from yolov12 import YOLO
from yolov12.api.ensemble import Ensemble
from yolov12.checkpoint import write_model_file
from yolov12.cli.main import main
from yolov12.errors import ConfigError
from yolov12.samples import sample_images


def test_twins_answer_as_one_of_them() -> None:
    picture = str(sorted(sample_images().iterdir())[0])
    model = YOLO("yolov12n-bccd")
    options = {"imgsz": 160, "verbose": False, "precision": "fp32"}
    alone = model.predict(picture, iou=0.5, **options)[0].boxes.data
    together = Ensemble([model, YOLO("yolov12n-bccd")]).predict(picture, **options)[0].boxes.data
    assert len(together) > 5
    strong = alone[alone[:, 4] > 0.7]
    for row in strong:
        assert np.abs(together[:, :4] - row[:4]).max(axis=1).min() < 6


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    picture = str(sorted(sample_images().iterdir())[0])
    assert main(["predict", picture, "--imgsz", "160", "--fuse", "yolov12n-bccd", "--model", "yolov12n-bccd"]) == 0
    assert "RBC" in capsys.readouterr().out


def test_only_what_belongs_together(tmp_path: Path) -> None:
    tiny = tmp_path / "tiny.safetensors"
    write_model_file(tiny, tiny_file())
    blood = YOLO("yolov12n-bccd")
    with pytest.raises(ConfigError, match="knows other classes"):
        Ensemble([blood, YOLO(tiny)])
    with pytest.raises(ConfigError, match="is for segment"):
        Ensemble([blood, YOLO("yolov12n-seg-shapes")])
    with pytest.raises(ConfigError, match="at least two"):
        Ensemble([blood])
    with pytest.raises(ConfigError, match="as many positive numbers"):
        Ensemble([blood, blood], weights=[1, 0])
