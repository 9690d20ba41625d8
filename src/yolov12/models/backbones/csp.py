"""The convolutional backbones of YOLOv8 and YOLO11: cross-stage partial stages, then spatial pyramid pooling.

YOLOv8 (Ultralytics, 2023) has C2f stages; YOLO11 (2024) has C3k2 stages and attention after the pooling. Both are built
from a description of their layers (tables of widths and repeats), not from their source.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from yolov12.config.backbones import Yolo11BackboneConfig, Yolov8BackboneConfig
from yolov12.models.blocks import SPPF, C2f, C3k2
from yolov12.models.layers import IMAGE_CHANNELS, ConvNormAct
from yolov12.models.psa import C2PSA
from yolov12.models.registry import BACKBONES, FeatureModule, FeatureSpec

MakeStage = Callable[[int, int, int], nn.Module]
"""From the stage's number (0 to 3), input and output width."""


class CSPBackbone(FeatureModule):
    """RGB images (B, 3, H, W) in [0, 1] -> maps P3, P4, P5 at strides 8, 16, 32.

    `channels` are those of the configs; without the last one there is no pooling.
    """

    def __init__(self, channels: tuple[int, ...], make_stage: MakeStage) -> None:
        super().__init__()
        stem, down2, stage2, down3, stage3, down4, stage4, down5, stage5, *pooled = channels
        self.stem = ConvNormAct(IMAGE_CHANNELS, stem, 3, stride=2)
        self.down_p2 = ConvNormAct(stem, down2, 3, stride=2)
        self.stage_p2 = make_stage(0, down2, stage2)
        self.down_p3 = ConvNormAct(stage2, down3, 3, stride=2)
        self.stage_p3 = make_stage(1, down3, stage3)
        self.down_p4 = ConvNormAct(stage3, down4, 3, stride=2)
        self.stage_p4 = make_stage(2, down4, stage4)
        self.down_p5 = ConvNormAct(stage4, down5, 3, stride=2)
        self.stage_p5 = make_stage(3, down5, stage5)
        self.pooling = SPPF(stage5, *pooled) if pooled else None
        self.spec = FeatureSpec((stage3, stage4, channels[-1]), (8, 16, 32))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Top to bottom of the figure."""
        p2 = self.stage_p2(self.down_p2(self.stem(images)))
        p3 = self.stage_p3(self.down_p3(p2))
        p4 = self.stage_p4(self.down_p4(p3))
        p5 = self.stage_p5(self.down_p5(p4))
        return p3, p4, p5 if self.pooling is None else self.pooling(p5)


@BACKBONES.register(Yolov8BackboneConfig)
class Yolov8Backbone(CSPBackbone):
    """C2f stages with shortcuts."""

    def __init__(self, config: Yolov8BackboneConfig) -> None:
        def stage(number: int, in_channels: int, out_channels: int) -> nn.Module:
            return C2f(in_channels, out_channels, repeats=config.repeats[number], shortcut=True)

        super().__init__(config.channels, stage)


@BACKBONES.register(Yolo11BackboneConfig)
class Yolo11Backbone(CSPBackbone):
    """C3k2 stages, narrow and with plain bottlenecks in the small models up to stride 8; attention at stride 32."""

    def __init__(self, config: Yolo11BackboneConfig) -> None:
        def stage(number: int, in_channels: int, out_channels: int) -> nn.Module:
            fine = number < 2
            return C3k2(
                in_channels,
                out_channels,
                repeats=config.repeats,
                expansion=0.25 if fine else 0.5,
                use_c3k=config.use_c3k or not fine,
            )

        super().__init__(config.channels, stage)
        self.attention = C2PSA(config.channels[-1], repeats=config.attention_repeats)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """As in the base, and attention on the coarsest map."""
        p3, p4, p5 = super().forward(images)
        return p3, p4, self.attention(p5)
