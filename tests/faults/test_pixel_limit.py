"""`max_pixels` of a run is the limit of everything that reads its images, not only of the scan."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest

from yolov12.config.parse import resolve
from yolov12.config.run import TrainConfig
from yolov12.config.variants import model_config
from yolov12.data.image_io import read_image
from yolov12.data.loader import TrainSet
from yolov12.engine.run import start_training
from yolov12.errors import DataError, ImageError, TrainingError


def test_scan_training_and_validation_share_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for split in ("train", "val"):
        (tmp_path / split).mkdir()
        for name in ("a", "b"):
            cv2.imwrite(str(tmp_path / f"{split}/{name}.png"), np.full((40, 50, 3), 90, np.uint8))
            (tmp_path / f"{split}/{name}.txt").write_text("0 0.5 0.5 0.4 0.4\n")
    data = tmp_path / "data.yaml"
    data.write_text("train: train\nval: val\nnames: [a]\n")
    options = {"epochs": 1, "imgsz": 32, "batch": 2, "workers": 0, "plots": False, "device": "cpu"}
    options |= {"data": str(data), "project": str(tmp_path)}

    monkeypatch.setitem(read_image.__kwdefaults__, "max_pixels", 1)  # whoever is not told the limit fails
    resolved = resolve(TrainConfig, {**options, "max_pixels": 2000})
    run = start_training(resolved, model_config("yolov12n"), None, lambda index: None)
    assert run.run().images == 2
    run.config = dataclasses.replace(run.config, max_pixels=1999)
    with pytest.raises(ImageError, match="pixels 2000 > 1999"):
        run.evaluate()
    with pytest.raises(TrainingError, match="pixels 2000 > 1999"):
        TrainSet(run.job.train, run.config).plain(0)
    with pytest.raises(DataError, match="pixels 2000 > 1999"):
        start_training(resolve(TrainConfig, {**options, "max_pixels": 1999}), model_config("yolov12n"), None, print)
