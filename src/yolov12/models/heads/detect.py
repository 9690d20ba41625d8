"""Anchor-free detection head with separate branches for boxes and classes, and the decoding of its raw outputs.

One anchor point per cell as in FCOS (Tian et al. 2019, arXiv:1904.01355); a box side is a distribution over distances
as in generalized focal loss (Li et al. 2020, arXiv:2006.04388). There is no objectness.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from yolov12.config.heads import DetectHeadConfig
from yolov12.errors import ConfigError
from yolov12.models.layers import ConvNormAct, DepthwiseConv
from yolov12.models.registry import HEADS, Decoded, FeatureSpec, Head
from yolov12.ops.boxes import anchor_points, distances_to_xyxy, expected_distances, xyxy_to_cxcywh

SIDES = 4
BOX_BIAS = 1.0
PRIOR_OBJECTS, PRIOR_SIZE = 5, 640
"""The class bias starts where an image of 640 px holds about 5 objects."""


class DetectOutputs(NamedTuple):
    """Raw outputs, one tensor per level, finest first.

    box_logits    (B, 4 * R, H_l, W_l): R bins for each of left, top, right, bottom, in cells
    class_logits  (B, C, H_l, W_l)
    """

    box_logits: tuple[Tensor, ...]
    class_logits: tuple[Tensor, ...]


@HEADS.register(DetectHeadConfig)
class DetectHead(Head):
    """Feature maps of any number of levels -> DetectOutputs."""

    def __init__(self, config: DetectHeadConfig, features: FeatureSpec, per_cell: int = 1) -> None:
        """`per_cell` predictions in each cell."""
        super().__init__()
        self.config, self.strides = config, features.strides
        dilations = config.dilations or (1,) * len(features.strides)
        if len(dilations) != len(features.strides):
            raise ConfigError(
                f"{config.kind}.dilations {list(config.dilations)}: need one for each of {len(features.strides)} levels"
            )
        levels = list(zip(features.channels, dilations, strict=True))
        self.box_branches = nn.ModuleList(
            branch(channels, config.box_channels, per_cell * SIDES * config.bins, dilation)
            for channels, dilation in levels
        )
        self.class_branches = nn.ModuleList(
            _class_branch(channels, config, per_cell * config.num_classes, dilation) for channels, dilation in levels
        )
        # Distances that the bins stand for. Decoding knows them; they are here because published files carry them.
        # Not arange, which on the meta device would import a symbolic algebra system.
        values = torch.tensor(range(config.bins), dtype=torch.float32).view(1, -1, 1, 1)
        self.bins = nn.ParameterDict({"weight": nn.Parameter(values, requires_grad=False)})
        self._initialise_biases()

    def forward(self, features: tuple[Tensor, ...]) -> DetectOutputs:
        """Both branches on every level."""
        return DetectOutputs(
            tuple(layers(level) for layers, level in zip(self.box_branches, features, strict=True)),
            tuple(layers(level) for layers, level in zip(self.class_branches, features, strict=True)),
        )

    def decode(self, outputs: DetectOutputs) -> Decoded:
        """Boxes and scores (B, 4 + C, A)."""
        return Decoded(decode(outputs, self.strides))

    def _initialise_biases(self) -> None:
        for box, classes, stride in zip(self.box_branches, self.class_branches, self.strides, strict=True):
            cells = (PRIOR_SIZE / stride) ** 2
            nn.init.constant_(_bias(box), BOX_BIAS)
            nn.init.constant_(_bias(classes), math.log(PRIOR_OBJECTS / self.config.num_classes / cells))


def branch(channels: int, hidden: int, outputs: int, dilation: int = 1) -> nn.Sequential:
    """Two 3x3 convolutions and a 1x1 one: (B, channels, H, W) -> (B, outputs, H, W)."""
    return nn.Sequential(
        ConvNormAct(channels, hidden, 3, dilation=dilation),
        ConvNormAct(hidden, hidden, 3, dilation=dilation),
        nn.Conv2d(hidden, outputs, 1),
    )


def _class_branch(channels: int, config: DetectHeadConfig, outputs: int, dilation: int) -> nn.Sequential:
    hidden = config.class_channels
    if config.class_branch == "plain":
        return branch(channels, hidden, outputs, dilation)
    return nn.Sequential(
        nn.Sequential(DepthwiseConv(channels, 3, dilation=dilation), ConvNormAct(channels, hidden)),
        nn.Sequential(DepthwiseConv(hidden, 3, dilation=dilation), ConvNormAct(hidden, hidden)),
        nn.Conv2d(hidden, outputs, 1),
    )


def _bias(layers: nn.Module) -> Tensor:
    output = list(layers.children())[-1]
    if not isinstance(output, nn.Conv2d) or output.bias is None:
        raise TypeError("a branch ends in a convolution with a bias")
    return output.bias


def decode(outputs: DetectOutputs, strides: Sequence[int]) -> Tensor:
    """Boxes and scores of all A anchor points: (B, 4 + C, A) float32.

    Rows are centre x, centre y, width, height in input pixels, then C scores in 0..1; anchor points run level by level
    and row by row.
    """
    points, steps = cells(outputs.box_logits, strides)
    boxes = xyxy_to_cxcywh(distances_to_xyxy(distances(outputs), points)) * steps  # (B, A, 4)
    return torch.cat((boxes, flatten_levels(outputs.class_logits).sigmoid()), 2).transpose(1, 2)


def distances(outputs: DetectOutputs) -> Tensor:
    """Left, top, right, bottom (B, A, 4) of every anchor point, in cells, float32."""
    logits = flatten_levels(outputs.box_logits)  # (B, A, 4R)
    return expected_distances(logits.view(*logits.shape[:2], SIDES, -1))


def cells(levels: tuple[Tensor, ...], strides: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Anchor points (A, 2) in cells and their strides (A, 1) for maps (B, K, H_l, W_l)."""
    sizes = [(level.shape[2], level.shape[3]) for level in levels]
    return anchor_points(sizes, strides, device=levels[0].device, dtype=torch.float32)


def flatten_levels(levels: tuple[Tensor, ...]) -> Tensor:
    """Maps (B, K, H_l, W_l) -> (B, A, K) float32; only the joining copies when they are channels_last."""
    return torch.cat([level.flatten(2).transpose(1, 2).float() for level in levels], 1)
