"""Instance masks: prototypes for the whole picture and coefficients per detection (YOLACT, Bolya et al. 2019)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from yolov12.config.heads import SegmentHeadConfig
from yolov12.models.heads.detect import DetectHead, DetectOutputs, branch, decode, flatten_levels
from yolov12.models.layers import ConvNormAct
from yolov12.models.registry import HEADS, Decoded, FeatureSpec, Head


class SegmentOutputs(NamedTuple):
    """Raw outputs; maps of all levels, finest first.

    detect        boxes and classes
    coefficients  (B, M, H_l, W_l) of the M prototypes
    prototypes    (B, M, H / 4, W / 4)
    """

    detect: DetectOutputs
    coefficients: tuple[Tensor, ...]
    prototypes: Tensor


MakeConv = Callable[[int, int], nn.Module]
"""From input and output width to a 3x3 convolution with norm and activation."""


def plain_conv(in_channels: int, out_channels: int) -> nn.Module:
    """The same kernels for all pictures."""
    return ConvNormAct(in_channels, out_channels, 3)


class Prototypes(nn.Module):
    """The finest map, twice as fine: (B, in, H, W) -> (B, M, 2H, 2W)."""

    def __init__(self, in_channels: int, hidden: int, masks: int, conv: MakeConv = plain_conv) -> None:
        super().__init__()
        self.conv1 = conv(in_channels, hidden)
        self.upsample = nn.ConvTranspose2d(hidden, hidden, 2, stride=2)
        self.conv2 = conv(hidden, hidden)
        self.conv3 = ConvNormAct(hidden, masks)

    def forward(self, features: Tensor) -> Tensor:
        """Refine, upsample, refine; the result has passed a SiLU."""
        prototypes: Tensor = self.conv3(self.conv2(self.upsample(self.conv1(features))))
        return prototypes


@HEADS.register(SegmentHeadConfig)
class SegmentHead(Head):
    """Feature maps of any number of levels -> SegmentOutputs; the first has stride 8."""

    def __init__(self, config: SegmentHeadConfig, features: FeatureSpec) -> None:
        super().__init__()
        self.config, self.strides = config, features.strides
        self.detect = DetectHead(config, features)
        self.prototypes = Prototypes(features.channels[0], config.prototype_channels, config.masks, self.conv())
        self.coefficient_branches = nn.ModuleList(
            branch(channels, config.mask_channels, config.masks) for channels in features.channels
        )

    def conv(self) -> MakeConv:
        """What the prototypes' 3x3 convolutions are."""
        return plain_conv

    def forward(self, features: tuple[Tensor, ...]) -> SegmentOutputs:
        """Detections and coefficients on every level, prototypes on the finest."""
        coefficients = tuple(layer(level) for layer, level in zip(self.coefficient_branches, features, strict=True))
        return SegmentOutputs(self.detect(features), coefficients, self.prototypes(features[0]))

    def decode(self, outputs: SegmentOutputs) -> Decoded:
        """Boxes, scores and coefficients (B, 4 + C + M, A), and the prototypes."""
        coefficients = flatten_levels(outputs.coefficients).transpose(1, 2)  # (B, M, A)
        dense = torch.cat((decode(outputs.detect, self.strides), coefficients), 1)
        return Decoded(dense, outputs.prototypes.float())
