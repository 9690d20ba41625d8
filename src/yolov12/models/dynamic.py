"""Dynamic convolution (Chen et al. 2020, arXiv:1912.03458): sum_i a_i(x) (K_i * x), weights a_i from the picture."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from yolov12.config.model import LOCATING_NORM

REDUCTION = 4
TEMPERATURE = 4.0
"""Softens the choice between kernels, so that all of them learn from the start."""


class DynamicConv(nn.Module):
    """A 3x3 convolution with a kernel mixed of `kernels` fixed ones, batch norm, SiLU: (B, in, H, W) -> (B, out, H, W).

    The mix is a softmax of what a small network makes of the map's mean, one for each picture.
    """

    def __init__(self, in_channels: int, out_channels: int, kernels: int) -> None:
        super().__init__()
        hidden = max(in_channels // REDUCTION, kernels)
        self.choose = nn.Sequential(nn.Linear(in_channels, hidden), nn.SiLU(), nn.Linear(hidden, kernels))
        self.convs = nn.ModuleList(
            nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False) for _ in range(kernels)
        )
        self.norm = nn.BatchNorm2d(out_channels, *LOCATING_NORM)

    def forward(self, features: Tensor) -> Tensor:
        """The convolutions are linear, so the kernels are mixed, and each picture is convolved once."""
        batch, channels, height, width = features.shape
        mix = (self.choose(features.mean((2, 3))) / TEMPERATURE).softmax(1)  # (B, k)
        kernels = torch.stack([conv.get_parameter("weight") for conv in self.convs])  # (k, out, in, 3, 3)
        mixed = torch.einsum("bk,koiyx->boiyx", mix, kernels.to(mix.dtype))
        # One group for each picture: (B, in, H, W) -> (1, B * in, H, W)
        folded = features.reshape(1, batch * channels, height, width)
        out = functional.conv2d(folded, mixed.flatten(0, 1), padding=1, groups=batch)
        return functional.silu(self.norm(out.view(batch, -1, height, width)))
