"""Convolutional blocks, bottom-up: bottleneck, C3k and C3k2.

Bottleneck: residual learning (He et al. 2016, arXiv:1512.03385). C3k: cross-stage partial network (Wang et al. 2020,
arXiv:1911.11929). C3k2: the same split with every unit's output handed on (ELAN, Wang et al. 2022, arXiv:2211.04800).
Children are created in the order of the published state dicts.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from yolov12.models.layers import ConvNormAct


class Bottleneck(nn.Module):
    """Two 3x3 convolutions with a shortcut around them: (B, C, H, W) -> the same shape."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.conv1 = ConvNormAct(channels, hidden, 3)
        self.conv2 = ConvNormAct(hidden, channels, 3)

    def forward(self, features: Tensor) -> Tensor:
        """Residual refinement."""
        refined: Tensor = self.conv2(self.conv1(features))
        return features + refined


class C3k(nn.Module):
    """Half of the channels pass two bottlenecks (`conv1`, `units`), half go past them (`conv2`); `conv3` joins them.

    (B, C, H, W) -> the same shape.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = channels // 2
        self.conv1 = ConvNormAct(channels, hidden)
        self.conv2 = ConvNormAct(channels, hidden)
        self.conv3 = ConvNormAct(2 * hidden, channels)
        self.units = nn.Sequential(Bottleneck(hidden, hidden), Bottleneck(hidden, hidden))

    def forward(self, features: Tensor) -> Tensor:
        """Refine one half, join both."""
        refined = self.units(self.conv1(features))
        joined: Tensor = self.conv3(torch.cat((refined, self.conv2(features)), 1))
        return joined


class C3k2(nn.Module):
    """Two halves and the output of every unit on the second half are joined: (B, in, H, W) -> (B, out, H, W).

    `expansion` is the width of a half relative to `out_channels`; the unit is a C3k or a bottleneck of half width.
    """

    def __init__(self, in_channels: int, out_channels: int, *, repeats: int, expansion: float, use_c3k: bool) -> None:
        super().__init__()
        hidden = int(out_channels * expansion)
        self.conv1 = ConvNormAct(in_channels, 2 * hidden)
        self.conv2 = ConvNormAct((2 + repeats) * hidden, out_channels)
        self.units = nn.ModuleList(C3k(hidden) if use_c3k else Bottleneck(hidden, hidden // 2) for _ in range(repeats))

    def forward(self, features: Tensor) -> Tensor:
        """Split, refine step by step, join everything."""
        parts = list(self.conv1(features).chunk(2, 1))
        for unit in self.units:
            parts.append(unit(parts[-1]))
        joined: Tensor = self.conv2(torch.cat(parts, 1))
        return joined
