"""A network: backbone, neck, heads. It returns raw outputs and knows neither loss nor postprocessing."""

from __future__ import annotations

import copy
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from yolov12.config.heads import ClassifyHeadConfig
from yolov12.config.model import ModelConfig
from yolov12.errors import ConfigError

# These packages register their parts when they are imported.
from yolov12.models import backbones, heads, necks  # noqa: F401
from yolov12.models.attention import AttentionBlock
from yolov12.models.layers import ConvNormAct, fold_batch_norm, set_norms
from yolov12.models.registry import BACKBONES, HEADS, NECKS, FeatureModule, FeatureSpec, Head

ATTENTION_STD = 0.02
"""Spread of the initial weights inside attention blocks."""


class NoNeck(FeatureModule):
    """Hands the backbone's maps on."""

    def __init__(self, features: FeatureSpec) -> None:
        super().__init__()
        self.spec = features

    def forward(self, features: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The same maps."""
        return features


class Detector(nn.Module):
    """RGB images (B, 3, H, W), float, 0..1, sides multiples of 32 -> raw outputs by head name.

    Heads that classify whole pictures see the backbone's maps, the others those of the neck.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = BACKBONES.build(config.backbone)
        features = self.backbone.spec
        self.neck = NECKS.build(config.neck, features) if config.neck is not None else NoNeck(features)
        if self.neck.spec.strides != config.strides:
            raise ConfigError(f"model.strides {config.strides}: the neck hands on {self.neck.spec.strides}")
        self._whole = {name for name, head in config.heads.items() if isinstance(head, ClassifyHeadConfig)}
        self.heads = nn.ModuleDict(
            {
                name: HEADS.build(head, features if name in self._whole else self.neck.spec)
                for name, head in config.heads.items()
            }
        )
        set_norms(self, config.norm)

    def forward(self, images: Tensor) -> dict[str, Any]:
        """The same outputs in train and eval mode. Raises ConfigError for a size that is not a multiple of 32.

        Each head has an output type of its own, a tuple of tensors.
        """
        check_size(images.shape[2], images.shape[3], max(self.config.strides))
        features = self.backbone(images)
        fused = self.neck(features)
        return {name: head(features if name in self._whole else fused) for name, head in self.heads.items()}

    @property
    def head(self) -> Head:
        """The head that the task is named after."""
        head = self.heads[self.config.task]
        if not isinstance(head, Head):
            raise TypeError(f"{type(head).__name__} is not a head")
        return head


def check_size(height: int, width: int, multiple: int) -> None:
    """Raise ConfigError unless both sides are multiples of the coarsest stride."""
    if height % multiple or width % multiple or not height or not width:
        nearest = [max(multiple, multiple * round(side / multiple)) for side in (height, width)]
        raise ConfigError(
            f"images are {height}x{width} (height x width): both sides must be multiples of {multiple}; "
            f"the nearest is {nearest[0]}x{nearest[1]}"
        )


def build_model(config: ModelConfig, *, seed: int | None = None) -> Detector:
    """A detector with fresh weights. With a seed they depend on it alone and the global generator is left as it was."""
    with nullcontext() if seed is None else torch.random.fork_rng(devices=[]):
        if seed is not None:
            torch.default_generator.manual_seed(seed)
        model = Detector(config)
        for block in model.modules():
            if isinstance(block, AttentionBlock):
                _initialise_attention(block)
    return model


def fuse(model: Detector) -> Detector:
    """A copy for inference: batch norms folded into the convolutions, eval mode, no gradients."""
    fused = copy.deepcopy(model).eval().requires_grad_(False)
    for unit in fused.modules():
        if isinstance(unit, ConvNormAct):
            fold_batch_norm(unit)
    return fused


def _initialise_attention(block: AttentionBlock) -> None:
    for layer in block.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.trunc_normal_(layer.weight, std=ATTENTION_STD)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
