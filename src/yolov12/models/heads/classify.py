"""Classes of a whole picture: the coarsest map mixed, averaged, and classified."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from yolov12.config.heads import ClassifyHeadConfig
from yolov12.models.layers import ConvNormAct
from yolov12.models.registry import HEADS, Decoded, FeatureSpec, Head


class ClassifyOutputs(NamedTuple):
    """Raw outputs: logits (B, C)."""

    logits: Tensor


@HEADS.register(ClassifyHeadConfig)
class ClassifyHead(Head):
    """The last of the feature maps -> ClassifyOutputs."""

    def __init__(self, config: ClassifyHeadConfig, features: FeatureSpec) -> None:
        super().__init__()
        self.config = config
        self.mixer = ConvNormAct(features.channels[-1], config.hidden)
        self.classifier = nn.Linear(config.hidden, config.num_classes)

    def forward(self, features: tuple[Tensor, ...]) -> ClassifyOutputs:
        """Mix, average over the map, classify."""
        pooled = self.mixer(features[-1]).mean((2, 3))  # (B, hidden, H, W) -> (B, hidden)
        return ClassifyOutputs(self.classifier(pooled))

    def decode(self, outputs: ClassifyOutputs) -> Decoded:
        """Scores (B, C) that sum to 1."""
        return Decoded(outputs.logits.float().softmax(1))
