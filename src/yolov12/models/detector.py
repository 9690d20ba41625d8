"""A detector: backbone, neck, heads. It returns raw outputs and knows neither loss nor postprocessing."""

from __future__ import annotations

import copy
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from yolov12.config.model import ModelConfig
from yolov12.errors import ConfigError

# These packages register their parts when they are imported.
from yolov12.models import backbones, heads, necks  # noqa: F401
from yolov12.models.attention import AttentionBlock
from yolov12.models.heads.detect import DetectOutputs
from yolov12.models.layers import ConvNormAct, fold_batch_norm
from yolov12.models.registry import BACKBONES, HEADS, NECKS

ATTENTION_STD = 0.02
"""Spread of the initial weights inside attention blocks."""


class Detector(nn.Module):
    """RGB images (B, 3, H, W), float, 0..1, sides multiples of 32 -> raw outputs by head name."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = BACKBONES.build(config.backbone)
        self.neck = NECKS.build(config.neck, self.backbone.spec)
        self.heads = nn.ModuleDict({name: HEADS.build(head, self.neck.spec) for name, head in config.heads.items()})
        if self.neck.spec.strides != config.strides:
            raise ConfigError(f"model.strides {config.strides}: the neck hands on {self.neck.spec.strides}")

    def forward(self, images: Tensor) -> dict[str, DetectOutputs]:
        """The same outputs in train and eval mode. Raises ConfigError for a size that is not a multiple of 32."""
        check_size(images.shape[2], images.shape[3], max(self.config.strides))
        features = self.neck(self.backbone(images))
        return {name: head(features) for name, head in self.heads.items()}


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
