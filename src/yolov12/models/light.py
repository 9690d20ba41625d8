"""Light convolutions: depthwise in space, pointwise across channels (MobileNets, Howard et al. 2017, 1704.04861)."""

from __future__ import annotations

from torch import Tensor, nn

from yolov12.models.layers import ConvNormAct, DepthwiseConv


class LightConv(nn.Module):
    """A depthwise 3x3 and a pointwise convolution: (B, in, H, W) -> (B, out, H / stride, W / stride)."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int = 1, activation: bool = True) -> None:
        super().__init__()
        self.depthwise = ConvNormAct(in_channels, in_channels, 3, stride=stride, groups=in_channels, activation=False)
        self.pointwise = ConvNormAct(in_channels, out_channels, activation=activation)

    def forward(self, features: Tensor) -> Tensor:
        """Space, then channels."""
        mixed: Tensor = self.pointwise(self.depthwise(features))
        return mixed


class LightUnit(nn.Module):
    """Depthwise 5x5, pointwise to `ratio` times the width and back, beside a shortcut: (B, C, H, W) -> the same."""

    def __init__(self, channels: int, ratio: int) -> None:
        super().__init__()
        self.depthwise = DepthwiseConv(channels, 5, activation=False)
        self.widen = ConvNormAct(channels, ratio * channels)
        self.narrow = ConvNormAct(ratio * channels, channels, activation=False)

    def forward(self, features: Tensor) -> Tensor:
        """Residual refinement."""
        refined: Tensor = self.narrow(self.widen(self.depthwise(features)))
        return features + refined
