"""From a model argument to something that predicts: exported files without torch, models with it."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from yolov12.api.exported import ExportedModel, is_exported
from yolov12.api.predicting import Predicting
from yolov12.errors import YoloError
from yolov12.hub import resolve_model
from yolov12.samples import sample_images as sample_images
from yolov12.tuning.choice import artefact_for, is_allowed


def open_fastest(model: str, *, layout: str, offline: bool | None, verbose: bool) -> Predicting:
    """As `open_predicting`; the artefact that was measured to be fastest in the model's place, if there is one.

    Then a model file is not even read, and torch is not imported.
    """
    if is_allowed() and not is_exported(model) and not model.endswith((".yaml", ".yml")):
        try:
            found = artefact_for(resolve_model(model, layout=layout, offline=True))
            if found is not None:
                if verbose:
                    print(f"runtime {found[1]}", file=sys.stderr)
                return ExportedModel(found[0], offline=offline)
        except YoloError:  # whoever opens the model says what is wrong
            pass
    return open_predicting(model, layout=layout, offline=offline)


def open_predicting(model: str | Path, *, layout: str = "turbo", offline: bool | None = None) -> Predicting:
    """What the argument means; torch is imported only for what needs it."""
    if is_exported(model):
        return ExportedModel(model, offline=offline)
    opened: Predicting = importlib.import_module("yolov12").YOLO(model, layout=layout, offline=offline)
    return opened
