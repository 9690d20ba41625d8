"""The losses of all heads of a model. The model knows no loss, and the losses know no network."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from yolov12.config.model import ModelConfig
from yolov12.data.sample import Targets
from yolov12.losses.detect import DEFAULT_GAINS, DetectionLoss, Gains, LossTerms
from yolov12.models.heads.detect import DetectOutputs


class Criterion:
    """Maps a model's outputs and the objects of the batch to named loss terms.

    The loss to differentiate is the sum of the terms times the number of images. Terms of several heads are named
    `head.term`, those of a single head just `term`.
    """

    def __init__(self, config: ModelConfig, gains: Gains = DEFAULT_GAINS, rules: str = "r8363") -> None:
        self.losses = {name: DetectionLoss(config.strides, gains, rules) for name in config.heads}

    def __call__(self, outputs: Mapping[str, DetectOutputs], targets: Targets) -> LossTerms:
        """Gained terms, each a float32 scalar; `outputs` has one entry per head of the model."""
        if len(self.losses) == 1:
            ((name, loss),) = self.losses.items()
            return loss(outputs[name], targets)
        terms: dict[str, Tensor] = {}
        for name, loss in self.losses.items():
            terms |= {f"{name}.{term}": value for term, value in loss(outputs[name], targets).items()}
        return terms
