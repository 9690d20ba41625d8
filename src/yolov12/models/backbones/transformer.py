"""The transformer backbone: convolutions, then patches, then stages of self-attention whose maps are fused.

Drawn after the seed design "transformer-attention backbone": hybrid patch embedding, several self-attention stages,
channel-wise adaptive fusion, residuals and layer norms. The map at stride 8 comes from the convolutions in front of the
patches, fused with what attention found one level above; with patches of 8 pixels attention works there, too.
"""

from __future__ import annotations

import itertools

from torch import Tensor, nn

from yolov12.config.backbones import TransformerBackboneConfig
from yolov12.models.fusion import ChannelFusion
from yolov12.models.layers import IMAGE_CHANNELS, ConvNormAct, DepthwiseConv, upsample
from yolov12.models.registry import BACKBONES, FeatureModule, FeatureSpec
from yolov12.models.tokens import GlobalAttention, TransformerBlock

STRIDES = (8, 16, 32)


class Stage(nn.Module):
    """Patches, a position term, blocks of attention: (B, in, H, W) -> (B, out, H / stride, W / stride)."""

    def __init__(self, in_channels: int, channels: int, blocks: int, *, stride: int, mlp_ratio: int) -> None:
        super().__init__()
        # Patches overlap by one position, so that the kernel is odd.
        self.patches = ConvNormAct(in_channels, channels, stride // 2 * 2 + 1, stride=stride, activation=False)
        # A depthwise convolution on zero-padded maps tells positions apart at any size (Chu et al. 2021,
        # arXiv:2102.10882).
        self.position = DepthwiseConv(channels, 3, activation=False)
        self.blocks = nn.Sequential(
            *(TransformerBlock(channels, GlobalAttention(channels), mlp_ratio) for _ in range(blocks))
        )

    def forward(self, features: Tensor) -> Tensor:
        """Embed, place, attend."""
        patches = self.patches(features)
        attended: Tensor = self.blocks(patches + self.position(patches))
        return attended


@BACKBONES.register(TransformerBackboneConfig)
class TransformerBackbone(FeatureModule):
    """RGB images (B, 3, H, W) in [0, 1] -> maps P3, P4, P5 at strides 8, 16, 32."""

    def __init__(self, config: TransformerBackboneConfig) -> None:
        super().__init__()
        stem, *channels = config.channels
        self.levels = config.levels
        self.preprocessing = nn.Sequential(
            ConvNormAct(IMAGE_CHANNELS, stem, 3, stride=2),
            ConvNormAct(stem, 2 * stem, 3, stride=2),
            ConvNormAct(2 * stem, channels[0], 3, stride=2),
        )
        self.stages = nn.ModuleList(
            Stage(
                channels[before],
                channels[level],
                blocks,
                stride=STRIDES[level] // STRIDES[before],
                mlp_ratio=config.mlp_ratio,
            )
            for before, level, blocks in zip((0, *self.levels), self.levels, config.stages, strict=False)
        )
        # A level that no stage works on is made from the one before it.
        self.between = nn.ModuleDict(
            {
                str(level): ConvNormAct(channels[level - 1], channels[level], 3, stride=2)
                for level in range(1, len(STRIDES))
                if level not in self.levels
            }
        )
        self.lateral = nn.ModuleList(
            ConvNormAct(coarse, fine, activation=False) for fine, coarse in itertools.pairwise(channels)
        )
        self.fusions = nn.ModuleList(_fusion(level, width, self.levels) for level, width in enumerate(channels))
        self.spec = FeatureSpec(tuple(channels), STRIDES)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Convolutions, stages, fusion from the coarsest level to the finest."""
        features = self.preprocessing(images)
        found: list[list[Tensor]] = [[features], [], []]
        for level, stage in zip(self.levels, self.stages, strict=True):
            features = stage(features)
            found[level].append(features)
        for name, layer in self.between.items():
            found[int(name)].append(layer(found[int(name) - 1][-1]))
        p5 = self.fusions[2](*found[2])
        p4 = self.fusions[1](*found[1], upsample(self.lateral[1](p5)))
        p3 = self.fusions[0](*found[0], upsample(self.lateral[0](p4)))
        return p3, p4, p5


def _fusion(level: int, channels: int, levels: tuple[int, ...]) -> nn.Module:
    """Of what convolutions and stages found on a level, and of the level above."""
    own = levels.count(level) + (level == 0 or level not in levels)
    above = level < len(STRIDES) - 1
    return ChannelFusion(channels, own + above) if own + above > 1 else nn.Identity()
