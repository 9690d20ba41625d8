"""A bi-directional feature network whose fusions weigh their sources by what is in them.

Drawn after the seed design "multi-level contextual neck": BiFPN (Tan et al. 2020, arXiv:1911.09070) with attention for
weights, and a residual path around it that hands on the detail which repeated fusion smooths away.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from yolov12.config.necks import ContextBiFPNConfig
from yolov12.models.fusion import ContextFusion
from yolov12.models.layers import ConvNormAct, upsample
from yolov12.models.light import LightConv
from yolov12.models.registry import NECKS, FeatureModule, FeatureSpec

Maps = tuple[Tensor, ...]


class Pass(nn.Module):
    """Once down and once up: maps (B, W, H_l, W_l) -> the same shapes."""

    def __init__(self, width: int, levels: int) -> None:
        super().__init__()
        inner = levels - 2
        self.down = nn.ModuleList(Node(width, 2) for _ in range(levels - 1))
        # On the way up an inner level sees its input, what came down, and the finer level; the coarsest has no middle.
        self.up = nn.ModuleList(Node(width, 3 if level < inner else 2) for level in range(levels - 1))

    def forward(self, maps: Maps) -> Maps:
        """Finest first."""
        middle = [maps[-1]]
        for node, part in zip(self.down, reversed(maps[:-1]), strict=True):
            middle.insert(0, node(part, upsample(middle[0])))
        out = [middle[0]]
        for level, node in enumerate(self.up, 1):
            below = functional.max_pool2d(out[-1], 2)
            inner = level < len(maps) - 1
            out.append(node(maps[level], middle[level], below) if inner else node(maps[level], below))
        return tuple(out)


class Node(nn.Module):
    """Fuse S maps of one shape, then mix: (B, W, H, W) -> the same shape."""

    def __init__(self, width: int, sources: int) -> None:
        super().__init__()
        self.fusion = ContextFusion(width, sources)
        self.mixer = nn.Sequential(LightConv(width, width), LightConv(width, width))

    def forward(self, *maps: Tensor) -> Tensor:
        """As many maps as the node was made for."""
        mixed: Tensor = self.mixer(self.fusion(*maps))
        return mixed


@NECKS.register(ContextBiFPNConfig)
class ContextBiFPN(FeatureModule):
    """Any number of maps, finest first -> as many maps of the same sizes, all of one width."""

    def __init__(self, config: ContextBiFPNConfig, features: FeatureSpec) -> None:
        super().__init__()
        levels, width = len(features.channels), config.width
        self.lateral = nn.ModuleList(ConvNormAct(channels, width, activation=False) for channels in features.channels)
        self.passes = nn.ModuleList(Pass(width, levels) for _ in range(config.repeats))
        # Per channel, how much of the detail of the input goes past the passes.
        self.detail = nn.ParameterList(nn.Parameter(torch.ones(width, 1, 1)) for _ in range(levels))
        self.spec = FeatureSpec((width,) * levels, features.strides)

    def forward(self, features: Maps) -> Maps:
        """To one width, down and up again and again, detail back in."""
        inputs = tuple(layer(level) for layer, level in zip(self.lateral, features, strict=True))
        fused = inputs
        for repeat in self.passes:
            fused = repeat(fused)
        return tuple(
            smooth + gain * high_frequencies(level)
            for smooth, gain, level in zip(fused, self.detail, inputs, strict=True)
        )


def high_frequencies(features: Tensor) -> Tensor:
    """A map without its local mean of 3x3 places: (B, C, H, W) -> the same shape."""
    return features - functional.avg_pool2d(features, 3, stride=1, padding=1, count_include_pad=False)
