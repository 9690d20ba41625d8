"""From a model argument to something that predicts: exported files without torch, models with it."""

from __future__ import annotations

import importlib
from pathlib import Path

from yolov12.api.exported import ExportedModel, is_exported
from yolov12.api.predicting import Predicting
from yolov12.samples import sample_images as sample_images


def open_predicting(model: str | Path, *, layout: str = "turbo", offline: bool | None = None) -> Predicting:
    """What the argument means; torch is imported only for what needs it."""
    if is_exported(model):
        return ExportedModel(model, offline=offline)
    opened: Predicting = importlib.import_module("yolov12").YOLO(model, layout=layout, offline=offline)
    return opened
