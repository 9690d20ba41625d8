"""From a model argument to something that predicts: exported files without torch, models with it."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from yolov12.api.exported import ExportedModel, is_exported, refuse_options
from yolov12.api.predicting import Predicting
from yolov12.errors import SetupError, YoloError, printable
from yolov12.extras import is_installed
from yolov12.hub import resolve_model
from yolov12.samples import sample_images as sample_images
from yolov12.tuning.choice import artefact_for, is_allowed

GPU_SIGNS = ("/proc/driver/nvidia/version", "/dev/nvidia0", "/dev/dxg", "/dev/kfd")


def open_fastest(model: str, device: str, *, layout: str, offline: bool | None, verbose: bool) -> Predicting:
    """As `open_predicting`; the artefact that was measured to be fastest in the model's place, if there is one.

    Then a model file is not even read, and torch is not imported.
    """
    here = device == "cpu" or not gpu_in_sight()
    if is_allowed() and here and layout == "turbo" and not is_exported(model) and not model.endswith((".yaml", ".yml")):
        try:
            found = artefact_for(resolve_model(model, layout=layout, offline=True))
            if found is not None:
                if verbose:
                    print(f"runtime {found[1]}", file=sys.stderr)
                return ExportedModel(found[0], offline=offline)
        except YoloError:  # whoever opens the model says what is wrong
            pass
    return open_predicting(model, layout=layout, offline=offline)


def gpu_in_sight() -> bool:
    """Whether the machine has a GPU that torch may want; told by the driver, as torch is not imported for it."""
    return any(Path(sign).exists() for sign in GPU_SIGNS) or sys.platform == "darwin"


def open_predicting(model: str | Path, *, layout: str = "turbo", offline: bool | None = None) -> Predicting:
    """What the argument means; torch is imported only for what needs it."""
    if is_exported(model):
        refuse_options(model, layout="" if layout == "turbo" else layout)
        return ExportedModel(model, offline=offline)
    if not is_installed("torch"):
        raise SetupError(f"{printable(model)}: this kind of model needs torch: pip install 'yolov12[cpu]'")
    opened: Predicting = importlib.import_module("yolov12").YOLO(model, layout=layout, offline=offline)
    return opened
