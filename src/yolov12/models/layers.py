"""The one convolution unit that everything is made of, and the folding of its batch norm for inference."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from yolov12.config.model import LOCATING_NORM, NormConfig

IMAGE_CHANNELS = 3


class ConvNormAct(nn.Module):
    """Convolution, batch norm, SiLU: (B, in, H, W) -> (B, out, H / stride, W / stride).

    The kernel is odd and padded by half of its reach; its taps lie `dilation` apart. `activation=False` leaves the SiLU
    out; `bias=True` gives the convolution a bias of its own before the norm, as some released files have.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 1,
        *,
        stride: int = 1,
        groups: int = 1,
        dilation: int = 1,
        activation: bool = True,
        bias: bool = False,
    ) -> None:
        super().__init__()
        padding = dilation * (kernel // 2)
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, padding, dilation, groups, bias)
        self.norm: nn.BatchNorm2d | nn.Identity = nn.BatchNorm2d(out_channels, *LOCATING_NORM)
        self.activation = activation

    def forward(self, images: Tensor) -> Tensor:
        """One map in, one map out."""
        features: Tensor = self.norm(self.conv(images))
        if not self.activation:
            return features
        # In place saves a pass over memory in inference; under autograd it would cost a hidden copy instead.
        return functional.silu(features, inplace=not features.requires_grad)


class DepthwiseConv(ConvNormAct):
    """A ConvNormAct with one filter per channel."""

    def __init__(
        self, channels: int, kernel: int, *, dilation: int = 1, activation: bool = True, bias: bool = False
    ) -> None:
        super().__init__(
            channels, channels, kernel, groups=channels, dilation=dilation, activation=activation, bias=bias
        )


def upsample(features: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C, 2H, 2W), nearest neighbour."""
    return functional.interpolate(features, scale_factor=2.0, mode="nearest")


class Attention(nn.Module):
    """Base of modules that mix positions by attention: they say what their matrix products cost."""

    def products(self, positions: int) -> int:
        """Multiply-accumulates of queries times keys and weights times values, for one image of so many positions."""
        raise NotImplementedError


def set_norms(network: nn.Module, config: NormConfig) -> None:
    """Give all batch norms of a network the same numbers; a fresh one has those of detectors."""
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.eps, norm.momentum = config


def fold_batch_norm(unit: ConvNormAct) -> None:
    """Put the norm's running statistics into the convolution, in place; exact up to rounding, inference only."""
    norm = unit.norm
    if isinstance(norm, nn.Identity):
        return
    if norm.running_mean is None or norm.running_var is None:
        raise ValueError("a batch norm without running statistics cannot be folded")
    conv = unit.conv
    with torch.no_grad():
        # Double precision: the fold happens once, its rounding would stay for ever.
        gain = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
        bias = torch.zeros_like(gain) if conv.bias is None else conv.bias.double()
        weight = conv.weight.double() * gain[:, None, None, None]
        shift = norm.bias.double() + (bias - norm.running_mean.double()) * gain
        conv.weight.copy_(weight)
        conv.bias = nn.Parameter(shift.to(conv.weight.dtype), requires_grad=conv.weight.requires_grad)
    unit.norm = nn.Identity()
