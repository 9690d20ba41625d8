"""The loss of a classifier of whole pictures: softmax cross-entropy."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch.nn import functional

from yolov12.data.sample import Targets
from yolov12.losses.base import Loss, LossTerms
from yolov12.models.heads.classify import ClassifyOutputs


class ClassificationLoss(Loss):
    """Loss of a classification head on one batch: a mean over its pictures, and that is the total."""

    scales_with_batch: ClassVar[bool] = False
    options: ClassVar[frozenset[str]] = frozenset({"label_smoothing"})

    def __call__(self, outputs: ClassifyOutputs, targets: Targets) -> LossTerms:
        """The term `cls`; pictures without a class do not count, and without any it is 0."""
        with torch.autocast(outputs.logits.device.type, enabled=False):
            logits = outputs.logits.float().index_select(0, targets.image_index)
            smoothing = self.choices.smoothing
            total = functional.cross_entropy(logits, targets.labels, reduction="sum", label_smoothing=smoothing)
        return {"cls": total / max(len(targets.labels), 1)}
