"""The backbone of YOLOv12 (Tian et al. 2025, arXiv:2502.12524): convolutions at high resolution, attention at low."""

from __future__ import annotations

from torch import Tensor

from yolov12.config.backbones import Yolov12BackboneConfig
from yolov12.models.attention import RELAN, AttentionOptions
from yolov12.models.blocks import C3k2
from yolov12.models.layers import IMAGE_CHANNELS, ConvNormAct
from yolov12.models.registry import BACKBONES, FeatureModule, FeatureSpec


@BACKBONES.register(Yolov12BackboneConfig)
class Yolov12Backbone(FeatureModule):
    """RGB images (B, 3, H, W) in [0, 1] -> maps P3, P4, P5 at strides 8, 16, 32."""

    def __init__(self, config: Yolov12BackboneConfig) -> None:
        super().__init__()
        stem, down2, stage2, down3, stage3, down4, stage4, down5, stage5 = config.channels
        groups2, groups3 = config.down_groups
        self.stem = ConvNormAct(IMAGE_CHANNELS, stem, 3, stride=2)
        self.down_p2 = ConvNormAct(stem, down2, 3, stride=2, groups=groups2)
        self.stage_p2 = _convolutions(down2, stage2, config)
        self.down_p3 = ConvNormAct(stage2, down3, 3, stride=2, groups=groups3)
        self.stage_p3 = _convolutions(down3, stage3, config)
        self.down_p4 = ConvNormAct(stage3, down4, 3, stride=2)
        self.stage_p4 = _attention(down4, stage4, 0, config)
        self.down_p5 = ConvNormAct(stage4, down5, 3, stride=2)
        self.stage_p5 = _attention(down5, stage5, 1, config)
        self.spec = FeatureSpec((stage3, stage4, stage5), (8, 16, 32))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Top to bottom of the figure."""
        p2 = self.stage_p2(self.down_p2(self.stem(images)))
        p3 = self.stage_p3(self.down_p3(p2))
        p4 = self.stage_p4(self.down_p4(p3))
        p5 = self.stage_p5(self.down_p5(p4))
        return p3, p4, p5


def _convolutions(in_channels: int, out_channels: int, config: Yolov12BackboneConfig) -> C3k2:
    return C3k2(in_channels, out_channels, repeats=config.repeats, expansion=0.25, use_c3k=config.use_c3k)


def _attention(in_channels: int, out_channels: int, stage: int, config: Yolov12BackboneConfig) -> RELAN:
    options = AttentionOptions(
        areas=config.areas[stage],
        mlp_hidden=config.mlp_hidden[stage],
        position_kernel=config.position_kernel,
        position_bias=config.position_bias,
    )
    return RELAN(
        in_channels,
        out_channels,
        repeats=config.attention_repeats,
        attention=options,
        residual_scale=config.residual_scale,
    )
