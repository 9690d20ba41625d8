"""The hybrid backbone: light convolutions while maps are large, attention inside windows once they are small.

Drawn after the seed design "augmented hybrid backbone": depthwise and pointwise convolutions early, Swin or Twins late.
"""

from __future__ import annotations

from torch import Tensor, nn

from yolov12.config.backbones import HybridBackboneConfig
from yolov12.models.layers import IMAGE_CHANNELS, Attention, ConvNormAct
from yolov12.models.light import LightConv, LightUnit
from yolov12.models.registry import BACKBONES, FeatureModule, FeatureSpec
from yolov12.models.tokens import SubsampledAttention, TransformerBlock, WindowAttention


@BACKBONES.register(HybridBackboneConfig)
class HybridBackbone(FeatureModule):
    """RGB images (B, 3, H, W) in [0, 1] -> maps P3, P4, P5 at strides 8, 16, 32."""

    def __init__(self, config: HybridBackboneConfig) -> None:
        super().__init__()
        stem, p2, p3, p4, p5 = config.channels
        in_p2, in_p3, in_p4, in_p5 = config.repeats
        self.stem = ConvNormAct(IMAGE_CHANNELS, stem, 3, stride=2)
        self.down_p2 = LightConv(stem, p2, stride=2)
        self.stage_p2 = _light(p2, in_p2, config)
        self.down_p3 = LightConv(p2, p3, stride=2)
        self.stage_p3 = _light(p3, in_p3, config)
        self.down_p4 = LightConv(p3, p4, stride=2, activation=False)
        self.stage_p4 = _windowed(p4, in_p4, config)
        self.down_p5 = LightConv(p4, p5, stride=2, activation=False)
        self.stage_p5 = _windowed(p5, in_p5, config)
        self.spec = FeatureSpec((p3, p4, p5), (8, 16, 32))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Top to bottom of the figure."""
        p2 = self.stage_p2(self.down_p2(self.stem(images)))
        p3 = self.stage_p3(self.down_p3(p2))
        p4 = self.stage_p4(self.down_p4(p3))
        p5 = self.stage_p5(self.down_p5(p4))
        return p3, p4, p5


def _light(channels: int, repeats: int, config: HybridBackboneConfig) -> nn.Sequential:
    return nn.Sequential(*(LightUnit(channels, config.mlp_ratio) for _ in range(repeats)))


def _windowed(channels: int, repeats: int, config: HybridBackboneConfig) -> nn.Sequential:
    """Every second block looks over the edges of the first one's windows."""
    window = config.window

    def attention(number: int) -> Attention:
        if config.attention == "twins" and number % 2:
            return SubsampledAttention(channels, window)
        return WindowAttention(channels, window, shift=window // 2 if number % 2 else 0)

    return nn.Sequential(
        *(TransformerBlock(channels, attention(number), config.mlp_ratio) for number in range(repeats)),
        nn.BatchNorm2d(channels),
    )
