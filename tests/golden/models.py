"""Networks with the filler's deterministic weights."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from golden import filler
from yolov12.config.model import ModelConfig
from yolov12.config.variants import model_config
from yolov12.models.checkpoint_map import official_to_ours, ours_to_official
from yolov12.models.detector import Detector

LAYOUTS = {"turbo": "turbo", "v1": "v1.0"}


def fixture_config(name: str, num_classes: int | None = None) -> ModelConfig:
    """`turbo_n`, `v1_l`, `v1_n_seg`, `yolo11n`, `yolov8n-pose` ...; classes of the published model of that task."""
    if "_" in name:
        layout, *variant = name.removesuffix("_detect").split("_")
        return model_config(f"yolov12{'-'.join(variant)}", LAYOUTS[layout], num_classes)
    return model_config(name, num_classes=num_classes)


def filled_model(name: str, num_classes: int | None = None) -> Detector:
    """A network by a fixture's name, in eval mode, every tensor filled by its published key."""
    config = fixture_config(name, num_classes)
    model = Detector(config)
    model.load_state_dict(official_to_ours(filled_state(config, model), config))
    return model.eval()


def filled_state(config: ModelConfig, model: Detector) -> dict[str, Tensor]:
    """The published state dict of a network, filled."""
    official = ours_to_official(model.state_dict(), config)
    return {key: filled_tensor(key, tuple(tensor.shape)) for key, tensor in official.items()}


def filled_tensor(key: str, shape: tuple[int, ...]) -> Tensor:
    return torch.from_numpy(np.asarray(filler.fill(key, shape)))


def image(batch: int, height: int, width: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(filler.image(batch, height, width, seed))
