"""A feature pyramid down and up whose fusions attend to their sources, and whose blocks weigh channels and places.

Drawn after the seed design "multi-scale feature aggregation neck": FPN + PAN, channel attention (CA), spatial attention
(SA), an aggregation block (AGG) with skips, and fusion by multi-head attention.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from yolov12.config.necks import AttentionPANConfig
from yolov12.models.blocks import C2f
from yolov12.models.fusion import ChannelGate, HeadFusion, SpatialGate
from yolov12.models.layers import ConvNormAct, upsample
from yolov12.models.registry import NECKS, FeatureModule, FeatureSpec


class Aggregation(nn.Module):
    """AGG: join S maps (B, C, H, W), mix, weigh channels and places, add the first map -> (B, C, H, W)."""

    def __init__(self, channels: int, sources: int, config: AttentionPANConfig) -> None:
        super().__init__()
        self.method = config.agg_method
        self.fusion = HeadFusion(channels, config.num_heads) if self.method == "attention" else nn.Identity()
        in_channels = sources * channels if self.method == "concat" else channels
        self.mixer = C2f(in_channels, channels, repeats=config.repeats, shortcut=True)
        self.channel_gate, self.spatial_gate = ChannelGate(channels), SpatialGate()

    def forward(self, *maps: Tensor) -> Tensor:
        """As many maps as the block was made for; the first is the skip."""
        if self.method == "concat":
            joined = torch.cat(maps, 1)
        elif self.method == "sum":
            joined = torch.stack(maps).sum(0)
        else:
            joined = self.fusion(*maps)
        refined: Tensor = self.spatial_gate(self.channel_gate(self.mixer(joined)))
        return maps[0] + refined


@NECKS.register(AttentionPANConfig)
class AttentionPAN(FeatureModule):
    """Three maps, finest first -> three maps of the same sizes."""

    def __init__(self, config: AttentionPANConfig, features: FeatureSpec) -> None:
        super().__init__()
        p3, p4, p5 = config.channels
        self.lateral = nn.ModuleList(
            ConvNormAct(before, after) for before, after in zip(features.channels, config.channels, strict=True)
        )
        self.narrow_p5, self.narrow_p4 = ConvNormAct(p5, p4), ConvNormAct(p4, p3)
        self.top_p4 = Aggregation(p4, 2, config)
        self.out_p3 = Aggregation(p3, 2, config)
        self.down_p3 = ConvNormAct(p3, p4, 3, stride=2)
        self.out_p4 = Aggregation(p4, 3, config)
        self.down_p4 = ConvNormAct(p4, p5, 3, stride=2)
        self.out_p5 = Aggregation(p5, 2, config)
        self.spec = FeatureSpec(config.channels, features.strides)

    def forward(self, features: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Top-down, then bottom-up with a skip from the input."""
        p3, p4, p5 = (layer(level) for layer, level in zip(self.lateral, features, strict=True))
        top_p4 = self.top_p4(p4, upsample(self.narrow_p5(p5)))
        out_p3 = self.out_p3(p3, upsample(self.narrow_p4(top_p4)))
        out_p4 = self.out_p4(top_p4, self.down_p3(out_p3), p4)
        out_p5 = self.out_p5(p5, self.down_p4(out_p4))
        return out_p3, out_p4, out_p5
