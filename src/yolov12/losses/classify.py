"""The loss of a classifier of whole pictures: softmax cross-entropy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch.nn import functional

from yolov12.config.heads import HeadConfig
from yolov12.data.sample import Targets
from yolov12.losses.choices import DEFAULT_CHOICES, LossChoices
from yolov12.losses.detect import DEFAULT_GAINS, Gains, LossTerms
from yolov12.models.heads.classify import ClassifyOutputs


class ClassificationLoss:
    """Loss of a classification head on one batch: a mean over its pictures, and that is the total."""

    scales_with_batch: ClassVar[bool] = False

    def __init__(
        self,
        strides: Sequence[int] = (),
        gains: Gains = DEFAULT_GAINS,
        rules: str = "r8363",
        head: HeadConfig | None = None,
        choices: LossChoices = DEFAULT_CHOICES,
    ) -> None:
        """Takes what every loss takes; a single term needs none of it."""

    def __call__(self, outputs: ClassifyOutputs, targets: Targets) -> LossTerms:
        """The term `cls`; pictures without a class do not count, and without any it is 0."""
        with torch.autocast(outputs.logits.device.type, enabled=False):
            logits = outputs.logits.float().index_select(0, targets.image_index)
            total = functional.cross_entropy(logits, targets.labels, reduction="sum")
        return {"cls": total / max(len(targets.labels), 1)}
