"""The losses of all heads of a model. The model knows no loss, and the losses know no network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from yolov12.config.model import ModelConfig
from yolov12.data.sample import Targets
from yolov12.losses.anchor import AnchorLoss
from yolov12.losses.base import DEFAULT_CHOICES, DEFAULT_GAINS, Gains, Loss, LossChoices, LossTerms
from yolov12.losses.classify import ClassificationLoss
from yolov12.losses.detect import DetectionLoss
from yolov12.losses.heatmap_pose import HeatmapPoseLoss
from yolov12.losses.multi import MultiLoss
from yolov12.losses.obb import RotatedLoss
from yolov12.losses.pose import PoseLoss
from yolov12.losses.segment import SegmentationLoss

LOSSES: dict[str, type[Loss]] = {
    "detect": DetectionLoss,
    "anchor": AnchorLoss,
    "segment": SegmentationLoss,
    "dynamic_mask": SegmentationLoss,
    "pose": PoseLoss,
    "heatmap_pose": HeatmapPoseLoss,
    "multi": MultiLoss,
    "obb": RotatedLoss,
    "classify": ClassificationLoss,
}
"""By the kind of head."""

TERMS = ("box", "seg", "pose", "kobj", "cls", "dfl", "heatmap", "angle", "uncertainty")
"""All terms in the order in which they are reported."""


class Criterion:
    """Maps a model's outputs and the objects of the batch to named loss terms.

    Terms of several heads are named `head.term`, those of a single head just `term`.
    """

    def __init__(
        self,
        config: ModelConfig,
        gains: Gains = DEFAULT_GAINS,
        rules: str = "r8363",
        choices: LossChoices = DEFAULT_CHOICES,
    ) -> None:
        self.losses = {
            name: LOSSES[head.kind](config.strides, gains, rules, head, choices) for name, head in config.heads.items()
        }

    def __call__(self, outputs: Mapping[str, Any], targets: Targets) -> LossTerms:
        """Gained terms, each a float32 scalar; `outputs` has one entry per head of the model."""
        terms: dict[str, Tensor] = {}
        for name, loss in self.losses.items():
            found = loss(outputs[name], targets)
            terms |= found if len(self.losses) == 1 else {f"{name}.{term}": value for term, value in found.items()}
        return terms

    def in_order(self, values: Mapping[str, float]) -> dict[str, float]:
        """Values by term, head by head, each head's terms in their own order."""
        heads = list(self.losses)

        def place(name: str) -> tuple[int, int]:
            head, _, term = name.rpartition(".")
            return heads.index(head) if head else 0, TERMS.index(term) if term in TERMS else len(TERMS)

        return {name: values[name] for name in sorted(values, key=place)}

    def total(self, terms: LossTerms, images: int) -> Tensor:
        """The loss to differentiate: terms of objects count once for each image of the batch, those of images once."""
        weights = [
            images if loss.scales_with_batch else 1
            for name, loss in self.losses.items()
            for term in terms
            if len(self.losses) == 1 or term.startswith(f"{name}.")
        ]
        return torch.stack([value * weight for value, weight in zip(terms.values(), weights, strict=True)]).sum()
