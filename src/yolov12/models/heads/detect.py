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

from yolov12.config.model import DetectHeadConfig
from yolov12.models.layers import ConvNormAct, DepthwiseConv
from yolov12.models.registry import HEADS, FeatureSpec
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


@HEADS.register("detect")
class DetectHead(nn.Module):
    """Feature maps of any number of levels -> DetectOutputs."""

    def __init__(self, config: DetectHeadConfig, features: FeatureSpec) -> None:
        super().__init__()
        self.config, self.strides = config, features.strides
        self.box_branches = nn.ModuleList(_box_branch(channels, config) for channels in features.channels)
        self.class_branches = nn.ModuleList(_class_branch(channels, config) for channels in features.channels)
        # Distances that the bins stand for. Decoding knows them; they are here because published files carry them.
        # Not arange, which on the meta device would import a symbolic algebra system.
        values = torch.tensor(range(config.bins), dtype=torch.float32).view(1, -1, 1, 1)
        self.bins = nn.ParameterDict({"weight": nn.Parameter(values, requires_grad=False)})
        self._initialise_biases()

    def forward(self, features: tuple[Tensor, ...]) -> DetectOutputs:
        """Both branches on every level."""
        return DetectOutputs(
            tuple(branch(level) for branch, level in zip(self.box_branches, features, strict=True)),
            tuple(branch(level) for branch, level in zip(self.class_branches, features, strict=True)),
        )

    def _initialise_biases(self) -> None:
        for box, classes, stride in zip(self.box_branches, self.class_branches, self.strides, strict=True):
            cells = (PRIOR_SIZE / stride) ** 2
            nn.init.constant_(_bias(box), BOX_BIAS)
            nn.init.constant_(_bias(classes), math.log(PRIOR_OBJECTS / self.config.num_classes / cells))


def _box_branch(channels: int, config: DetectHeadConfig) -> nn.Sequential:
    hidden = config.box_channels
    return nn.Sequential(
        ConvNormAct(channels, hidden, 3),
        ConvNormAct(hidden, hidden, 3),
        nn.Conv2d(hidden, SIDES * config.bins, 1),
    )


def _class_branch(channels: int, config: DetectHeadConfig) -> nn.Sequential:
    hidden = config.class_channels
    if config.class_branch == "plain":
        return nn.Sequential(
            ConvNormAct(channels, hidden, 3),
            ConvNormAct(hidden, hidden, 3),
            nn.Conv2d(hidden, config.num_classes, 1),
        )
    return nn.Sequential(
        nn.Sequential(DepthwiseConv(channels, 3), ConvNormAct(channels, hidden)),
        nn.Sequential(DepthwiseConv(hidden, 3), ConvNormAct(hidden, hidden)),
        nn.Conv2d(hidden, config.num_classes, 1),
    )


def _bias(branch: nn.Module) -> Tensor:
    output = list(branch.children())[-1]
    if not isinstance(output, nn.Conv2d) or output.bias is None:
        raise TypeError("a branch ends in a convolution with a bias")
    return output.bias


def decode(outputs: DetectOutputs, strides: Sequence[int]) -> Tensor:
    """Boxes and scores of all A anchor points: (B, 4 + C, A) float32.

    Rows are centre x, centre y, width, height in input pixels, then C scores in 0..1; anchor points run level by level
    and row by row.
    """
    logits, class_logits = _flatten(outputs.box_logits), _flatten(outputs.class_logits)  # (B, A, 4R), (B, A, C)
    sizes = [(level.shape[2], level.shape[3]) for level in outputs.box_logits]
    points, steps = anchor_points(sizes, strides, device=logits.device, dtype=torch.float32)
    distances = expected_distances(logits.view(*logits.shape[:2], SIDES, -1))  # (B, A, 4)
    boxes = xyxy_to_cxcywh(distances_to_xyxy(distances, points)) * steps
    return torch.cat((boxes, class_logits.sigmoid()), 2).transpose(1, 2)


def _flatten(levels: tuple[Tensor, ...]) -> Tensor:
    """Maps (B, K, H_l, W_l) -> (B, A, K) float32; only the joining copies when they are channels_last."""
    return torch.cat([level.flatten(2).transpose(1, 2).float() for level in levels], 1)
