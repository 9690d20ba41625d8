"""A network put together from its parts, in the words of the design that this project started from.

    from yolov12 import DetectionHead, FPNPANNeck, TransformerBackbone, YoloV12
    model = YoloV12(
        backbone=TransformerBackbone(stages=[2, 2, 2], patch_size=16),
        neck=FPNPANNeck(num_heads=4, agg_method="attention"),
        head=DetectionHead(anchor_free=True, iou_loss="ciou", num_classes=80),
    )

The backbone and the neck are the configs of the parts `transformer` and `attention_pan`; any other will do.
"""

from __future__ import annotations

from dataclasses import dataclass

from yolov12.api.model import YOLO
from yolov12.config.backbones import TransformerBackboneConfig
from yolov12.config.fields import checked_fields
from yolov12.config.heads import AnchorHeadConfig, DetectHeadConfig
from yolov12.config.model import CUSTOM, STANDARD, ModelConfig
from yolov12.config.necks import AttentionPANConfig
from yolov12.config.parse import resolve
from yolov12.config.parts import BackboneConfig, NeckConfig
from yolov12.config.run import TrainConfig
from yolov12.errors import ConfigError

TransformerBackbone = TransformerBackboneConfig
FPNPANNeck = AttentionPANConfig


@dataclass(frozen=True)
class DetectionHead:
    """A head for boxes, whose widths follow from the neck.

    anchor_free  False: with anchor boxes, which training computes from the data set
    iou_loss     what training punishes badly placed boxes by, as of `train(iou_loss=...)`
    """

    anchor_free: bool = True
    iou_loss: str = "ciou"
    num_classes: int = 80

    def __post_init__(self) -> None:
        checked_fields("DetectionHead", type(self), vars(self))
        resolve(TrainConfig, {"iou_loss": self.iou_loss})

    def config(self, neck: NeckConfig) -> DetectHeadConfig:
        """The head on a neck."""
        kind = DetectHeadConfig if self.anchor_free else AnchorHeadConfig
        return kind.fitted(self.num_classes, neck.finest_channels)


class YoloV12(YOLO):
    """A detector of a backbone, a neck and a head, with fresh weights; a `YOLO` in every other respect."""

    def __init__(self, backbone: BackboneConfig, neck: NeckConfig, head: DetectionHead) -> None:
        for name, part, kind in (("backbone", backbone, BackboneConfig), ("neck", neck, NeckConfig)):
            if not isinstance(part, kind):
                raise ConfigError(f"{name}: expected the config of a {name}, got {type(part).__name__}")
        if not isinstance(head, DetectionHead):
            raise ConfigError(f"head: expected a DetectionHead, got {type(head).__name__}")
        super().__init__(ModelConfig(CUSTOM, STANDARD, "detect", backbone, neck, {"detect": head.config(neck)}))
        self.metadata["iou_loss"] = head.iou_loss
