"""Path-aggregation feature pyramid (Liu et al. 2018, arXiv:1803.01534) with the blocks of YOLOv12, YOLO11 or YOLOv8."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from yolov12.config.necks import PAFPNConfig
from yolov12.models.attention import RELAN
from yolov12.models.blocks import C2f, C3k2
from yolov12.models.layers import ConvNormAct, upsample
from yolov12.models.registry import NECKS, FeatureModule, FeatureSpec


@NECKS.register(PAFPNConfig)
class PAFPN(FeatureModule):
    """Three maps, finest first -> three maps of the same sizes: coarse meaning goes down, fine position comes up."""

    def __init__(self, config: PAFPNConfig, features: FeatureSpec) -> None:
        super().__init__()
        p3, p4, p5 = features.channels
        top_p4, out_p3, down_p3, out_p4, down_p4, out_p5 = config.channels
        self.top_p4 = _block(p5 + p4, top_p4, config)
        self.out_p3 = _block(top_p4 + p3, out_p3, config)
        self.down_p3 = ConvNormAct(out_p3, down_p3, 3, stride=2)
        self.out_p4 = _block(down_p3 + top_p4, out_p4, config)
        self.down_p4 = ConvNormAct(out_p4, down_p4, 3, stride=2)
        self.out_p5 = _block(down_p4 + p5, out_p5, config, coarsest=True)
        self.enlarge_p5, self.enlarge_p4 = _enlarging(p5, config), _enlarging(top_p4, config)
        self.spec = FeatureSpec((out_p3, out_p4, out_p5), features.strides)

    def forward(self, features: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Top-down, then bottom-up."""
        p3, p4, p5 = features
        top_p4 = self.top_p4(torch.cat((_upsample(p5, self.enlarge_p5), p4), 1))
        out_p3 = self.out_p3(torch.cat((_upsample(top_p4, self.enlarge_p4), p3), 1))
        out_p4 = self.out_p4(torch.cat((self.down_p3(out_p3), top_p4), 1))
        out_p5 = self.out_p5(torch.cat((self.down_p4(out_p4), p5), 1))
        return out_p3, out_p4, out_p5


def _block(in_channels: int, out_channels: int, config: PAFPNConfig, *, coarsest: bool = False) -> nn.Module:
    if config.block == "c2f":
        return C2f(in_channels, out_channels, repeats=config.repeats, shortcut=False)
    if config.block == "c3k2" or coarsest:
        use_c3k = config.use_c3k or coarsest
        return C3k2(in_channels, out_channels, repeats=config.repeats, expansion=0.5, use_c3k=use_c3k)
    return RELAN(in_channels, out_channels, repeats=config.repeats)


def _enlarging(channels: int, config: PAFPNConfig) -> nn.ConvTranspose2d | None:
    return nn.ConvTranspose2d(channels, channels, 2, stride=2) if config.upsample == "transposed" else None


def _upsample(features: Tensor, layer: nn.Module | None) -> Tensor:
    """(B, C, H, W) -> (B, C, 2H, 2W): by a learned layer or the nearest neighbour."""
    if layer is None:
        return upsample(features)
    enlarged: Tensor = layer(features)
    return enlarged
