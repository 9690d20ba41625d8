"""Exponential moving average of the weights: what is validated, saved and used (Polyak & Juditsky 1992).

The decay rises from 0, `decay * (1 - exp(-updates / tau))`, so that the average forgets the random start.
"""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

from yolov12.models.detector import Detector


class WeightAverage:
    """Average over the updates of a model's parameters and floating-point buffers; other buffers are copied.

    `model` is the averaged model, in eval mode and without gradients; `updates` counts the updates. These two are
    the whole state. Neither model may be moved to another device or type afterwards: finding their tensors takes
    longer than averaging them, so they are looked up once.
    """

    def __init__(self, model: Detector, decay: float = 0.9999, tau: float = 2000.0) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay
        self.tau = tau
        self.updates = 0
        self._averaged, self._copied = split_by_kind(self.model)
        self._source = model
        self._live_averaged, self._live_copied = split_by_kind(model)

    def decay_at(self, update: int) -> float:
        """Weight of the old average in update number `update`, counted from 1."""
        return self.decay * (1 - math.exp(-update / self.tau))

    @torch.no_grad()
    def update(self, model: Detector) -> None:
        """Move the average towards the weights of `model`, which has the same structure."""
        if model is not self._source:
            self._source = model
            self._live_averaged, self._live_copied = split_by_kind(model)
        self.updates += 1
        torch._foreach_lerp_(self._averaged, self._live_averaged, 1 - self.decay_at(self.updates))
        torch._foreach_copy_(self._copied, self._live_copied)


def split_by_kind(model: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """Parameters and buffers of a model: the floating-point ones, and the rest."""
    tensors = [*model.parameters(), *model.buffers()]
    return [t for t in tensors if t.is_floating_point()], [t for t in tensors if not t.is_floating_point()]
