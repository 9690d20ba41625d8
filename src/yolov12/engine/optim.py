"""Parameter groups, choice of the optimizer, and its schedule: the published YOLOv12 recipe.

Three groups: biases, weights (the only ones that decay), batch-norm weights. The schedule is warm-up, then a linear
or cosine fall (Loshchilov & Hutter 2017, arXiv:1608.03983); it is a pure function of the iteration, so a resumed run
needs no scheduler state.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from torch import nn, optim
from torch.optim import Optimizer

from yolov12.config.run import TrainConfig

AUTO_SGD_ITERATIONS = 10_000
"""`auto` takes AdamW for runs up to this many nominal iterations and SGD for longer ones."""
WARMUP_ITERATIONS = 100
"""Warm-up lasts at least this long ..."""
LONGEST_WARMUP = 3
"""... but never more than one third of the run. The cap is ours: the published rule would warm up a short run only."""
BIASES = 0
AUTO = "auto"


class OptimizerChoice(NamedTuple):
    """What `choose_optimizer` decided."""

    name: str
    lr: float
    momentum: float


def parameter_groups(model: nn.Module) -> list[dict[str, Any]]:
    """All trainable parameters in three groups: biases, weights, normalisation weights; frozen ones are in none.

    The groups are the `params` lists that an optimizer takes, with a `name` each.
    """
    groups: dict[str, list[nn.Parameter]] = {"biases": [], "weights": [], "norm_weights": []}
    for module in model.modules():
        norm = isinstance(module, (nn.modules.batchnorm._NormBase, nn.LayerNorm))
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.requires_grad:
                groups["biases" if name.endswith("bias") else "norm_weights" if norm else "weights"].append(parameter)
    return [{"name": name, "params": parameters} for name, parameters in groups.items()]


def nominal_iterations(images: int, config: TrainConfig) -> int:
    """Iterations of the run at no less than the nominal batch, by which `auto` decides; `images` in the split."""
    return math.ceil(images / max(config.batch, config.nbs)) * config.epochs


def choose_optimizer(config: TrainConfig, num_classes: int, iterations: int) -> OptimizerChoice:
    """The configured optimizer, or for `auto` the one for a run of that many `nominal_iterations`.

    `auto` ignores `lr0`, and `momentum` until the end of warm-up.
    """
    if config.optimizer != AUTO:
        return OptimizerChoice(config.optimizer, config.lr0, config.momentum)
    if iterations > AUTO_SGD_ITERATIONS:
        return OptimizerChoice("SGD", 0.01, 0.9)
    return OptimizerChoice("AdamW", round(0.002 * 5 / (4 + num_classes), 6), 0.9)


def scaled_weight_decay(config: TrainConfig) -> float:
    """Weight decay for the batch that an optimizer step really sees, `weight_decay` being meant for `nbs`."""
    accumulate = max(round(config.nbs / config.batch), 1)
    return config.weight_decay * config.batch * accumulate / config.nbs


def build_optimizer(model: nn.Module, config: TrainConfig, num_classes: int, iterations: int) -> Optimizer:
    """The optimizer of a run, over the trainable parameters; for `iterations` see `choose_optimizer`."""
    choice = choose_optimizer(config, num_classes, iterations)
    groups = parameter_groups(model)
    for group in groups:
        group["weight_decay"] = scaled_weight_decay(config) if group["name"] == "weights" else 0.0
    betas = (choice.momentum, 0.999)
    # One kernel per step where torch has one: on a CPU it takes a half to a third of the time of `foreach`.
    makers: dict[str, Callable[..., Optimizer]] = {
        "SGD": partial(optim.SGD, momentum=choice.momentum, nesterov=choice.momentum > 0, fused=True),
        "RMSProp": partial(optim.RMSprop, momentum=choice.momentum, foreach=True),
        "Adam": partial(optim.Adam, betas=betas, fused=True),
        "AdamW": partial(optim.AdamW, betas=betas, fused=True),
        "Adamax": partial(optim.Adamax, betas=betas, foreach=True),
        "NAdam": partial(optim.NAdam, betas=betas, foreach=True),
        "RAdam": partial(optim.RAdam, betas=betas, foreach=True),
    }
    return makers[choice.name](groups, lr=choice.lr)


@dataclass(frozen=True)
class Schedule:
    """Learning rate, momentum and accumulation as functions of the iteration (batches since the start, from 0)."""

    initial_lr: float
    lrf: float
    final_momentum: float
    epochs: int
    steps_per_epoch: int
    warmup_steps: int
    warmup_momentum: float
    warmup_bias_lr: float
    batches_per_update: float
    """`nbs / batch`, not rounded."""
    cosine: bool = False

    @classmethod
    def from_config(cls, config: TrainConfig, optimizer: Optimizer, steps_per_epoch: int) -> Schedule:
        """The schedule of a run; the optimizer is fresh and its learning rate is the initial one."""
        warmup = max(round(config.warmup_epochs * steps_per_epoch), WARMUP_ITERATIONS) if config.warmup_epochs else 0
        return cls(
            initial_lr=optimizer.param_groups[BIASES]["lr"],
            lrf=config.lrf,
            final_momentum=config.momentum,
            epochs=config.epochs,
            steps_per_epoch=steps_per_epoch,
            warmup_steps=min(warmup, config.epochs * steps_per_epoch // LONGEST_WARMUP),
            warmup_momentum=config.warmup_momentum,
            warmup_bias_lr=0.0 if config.optimizer == AUTO else config.warmup_bias_lr,
            batches_per_update=config.nbs / config.batch,
            cosine=config.cos_lr,
        )

    def factor(self, epoch: int) -> float:
        """Learning rate of an epoch over the initial one: from 1 down to `lrf`."""
        if self.cosine:
            return max((1 - math.cos(math.pi * epoch / self.epochs)) / 2, 0) * (self.lrf - 1) + 1
        return max(1 - epoch / self.epochs, 0) * (1 - self.lrf) + self.lrf

    def lr(self, group: int, iteration: int) -> float:
        """Learning rate of a parameter group (0 biases, 1 weights, 2 normalisation weights)."""
        start = self.warmup_bias_lr if group == BIASES else 0.0
        return self._warm(iteration, start, self.initial_lr * self.factor(iteration // self.steps_per_epoch))

    def momentum(self, iteration: int) -> float:
        """SGD's momentum."""
        return self._warm(iteration, self.warmup_momentum, self.final_momentum)

    def accumulate(self, iteration: int) -> int:
        """Batches whose gradients make one optimizer step."""
        return max(round(self._warm(iteration, 1.0, self.batches_per_update)), 1)

    def apply(self, optimizer: Optimizer, iteration: int, rate_scale: float = 1.0) -> None:
        """Set the optimizer's learning rates, times `rate_scale`, and for SGD the momentum."""
        for index, group in enumerate(optimizer.param_groups):
            group["lr"] = self.lr(index, iteration) * rate_scale
            if isinstance(optimizer, optim.SGD):
                group["momentum"] = self.momentum(iteration)

    def _warm(self, iteration: int, start: float, end: float) -> float:
        """Linear from `start` to `end` during warm-up, then `end`."""
        share = iteration / self.warmup_steps if iteration < self.warmup_steps else 1.0
        return end if share == 1.0 else start + share * (end - start)
