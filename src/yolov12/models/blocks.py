"""Convolutional blocks, bottom-up: bottleneck, C3k, C2f and C3k2, SPPF.

Bottleneck: residual learning (He et al. 2016, arXiv:1512.03385). C3k: cross-stage partial network (Wang et al. 2020,
arXiv:1911.11929). C2f and C3k2: the same split with every unit's output handed on (ELAN, Wang et al. 2022,
arXiv:2211.04800). SPPF: spatial pyramid pooling (He et al. 2014, arXiv:1406.4729) with one small window applied again
and again. Children are created in the order of the published state dicts.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from yolov12.models.layers import ConvNormAct


class Bottleneck(nn.Module):
    """Two 3x3 convolutions, usually with a shortcut around them: (B, C, H, W) -> the same shape."""

    def __init__(self, channels: int, hidden: int, *, shortcut: bool = True) -> None:
        super().__init__()
        self.shortcut = shortcut
        self.conv1 = ConvNormAct(channels, hidden, 3)
        self.conv2 = ConvNormAct(hidden, channels, 3)

    def forward(self, features: Tensor) -> Tensor:
        """Residual refinement."""
        refined: Tensor = self.conv2(self.conv1(features))
        return features + refined if self.shortcut else refined


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


class SplitAndJoin(nn.Module):
    """Two halves and the output of every unit on the second half are joined: (B, in, H, W) -> (B, out, H, W).

    `hidden` is the width of a half, and `unit` makes a module that keeps that width.
    """

    def __init__(
        self, in_channels: int, out_channels: int, hidden: int, *, repeats: int, unit: Callable[[int], nn.Module]
    ) -> None:
        super().__init__()
        self.conv1 = ConvNormAct(in_channels, 2 * hidden)
        self.conv2 = ConvNormAct((2 + repeats) * hidden, out_channels)
        self.units = nn.ModuleList(unit(hidden) for _ in range(repeats))

    def forward(self, features: Tensor) -> Tensor:
        """Split, refine step by step, join everything."""
        parts = list(self.conv1(features).chunk(2, 1))
        for unit in self.units:
            parts.append(unit(parts[-1]))
        joined: Tensor = self.conv2(torch.cat(parts, 1))
        return joined


class C2f(SplitAndJoin):
    """A SplitAndJoin of full-width bottlenecks, each half as wide as the output; `shortcut` is theirs."""

    def __init__(self, in_channels: int, out_channels: int, *, repeats: int, shortcut: bool) -> None:
        def unit(hidden: int) -> nn.Module:
            return Bottleneck(hidden, hidden, shortcut=shortcut)

        super().__init__(in_channels, out_channels, out_channels // 2, repeats=repeats, unit=unit)


class C3k2(SplitAndJoin):
    """A SplitAndJoin of C3k or of bottlenecks of half width; `expansion` is its hidden width over `out_channels`."""

    def __init__(self, in_channels: int, out_channels: int, *, repeats: int, expansion: float, use_c3k: bool) -> None:
        def unit(hidden: int) -> nn.Module:
            return C3k(hidden) if use_c3k else Bottleneck(hidden, hidden // 2)

        super().__init__(in_channels, out_channels, int(out_channels * expansion), repeats=repeats, unit=unit)


class SPPF(nn.Module):
    """The map and three widening neighbourhood maxima of it, joined: (B, in, H, W) -> (B, out, H, W).

    Three 5x5 windows in a row see as far as windows of 5, 9 and 13, at less cost.
    """

    WINDOW = 5

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        hidden = in_channels // 2
        self.conv1 = ConvNormAct(in_channels, hidden)
        self.conv2 = ConvNormAct(4 * hidden, out_channels)

    def forward(self, features: Tensor) -> Tensor:
        """Pool three times, join four maps."""
        parts = [self.conv1(features)]
        for _ in range(3):
            parts.append(functional.max_pool2d(parts[-1], self.WINDOW, stride=1, padding=self.WINDOW // 2))
        joined: Tensor = self.conv2(torch.cat(parts, 1))
        return joined
