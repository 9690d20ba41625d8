"""Models with the golden fixtures' deterministic weights, and the batch on which their losses were computed."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from yolov12.config.variants import model_config
from yolov12.data.sample import Targets
from yolov12.models.checkpoint_map import official_to_ours, ours_to_official
from yolov12.models.detector import Detector
from yolov12.ops.boxes import cxcywh_to_xyxy

HEIGHT, WIDTH = 128, 160
LAYOUTS = {"turbo_n": "turbo", "v1_n": "v1.0"}


def load_filler(golden: Path) -> ModuleType:
    """The fixtures' own weight generator, checked against this numpy's random stream."""
    spec = importlib.util.spec_from_file_location("golden_filler", golden / "filler.py")
    assert spec is not None
    assert spec.loader is not None
    filler = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(filler)
    filler.self_check()
    return filler


def filled_model(golden: Path, model: str, overrides: Mapping[str, Tensor] | None = None) -> Detector:
    """`turbo_n`, `v1_n`, `v1_n_pose` ... with filler weights, `overrides` by published key; in train mode."""
    filler = load_filler(golden)
    layout, scale, *task = model.split("_")
    variant = "-".join([f"yolov12{scale}", *task])
    detector = Detector(model_config(variant, LAYOUTS[f"{layout}_{scale}"]))
    shapes = ours_to_official(detector.state_dict(), detector.config)
    state = {key: torch.from_numpy(filler.fill(key, tuple(value.shape))) for key, value in shapes.items()}
    detector.load_state_dict(official_to_ours({**state, **(overrides or {})}, detector.config))
    return detector.train()


def golden_images(golden: Path) -> Tensor:
    """The two images of every loss fixture."""
    return torch.from_numpy(load_filler(golden).image(2, HEIGHT, WIDTH, seed=1))


def golden_targets(arrays: Mapping[str, Tensor], prefix: str) -> Targets:
    """Normalised centres and sizes -> rows in input pixels, rounded in the reference's order; no arrays: no objects."""
    if f"{prefix}bboxes" not in arrays:
        return Targets(torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64), torch.zeros(0, 4))
    boxes = arrays[f"{prefix}bboxes"].float().reshape(-1, 4) * torch.tensor([WIDTH, HEIGHT, WIDTH, HEIGHT])
    labels = arrays[f"{prefix}cls"].long().flatten()
    return Targets(arrays[f"{prefix}batch_idx"].long(), labels, cxcywh_to_xyxy(boxes))


def load_arrays(path: Path) -> dict[str, Tensor]:
    """All numeric arrays of a golden file."""
    with np.load(path) as file:
        return {name: torch.from_numpy(file[name]) for name in file.files if file[name].dtype.kind in "fiub"}


def official_state(model: Detector) -> dict[str, Tensor]:
    """Copy of the state by published key."""
    return {key: value.clone() for key, value in ours_to_official(model.state_dict(), model.config).items()}


def official_gradients(model: Detector) -> dict[str, Tensor]:
    """Gradients by published key, mapped like the weights; 0 for buffers and where there is none."""
    gradients = {key: torch.zeros_like(value) for key, value in model.state_dict().items()}
    gradients |= {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return ours_to_official(gradients, model.config)
