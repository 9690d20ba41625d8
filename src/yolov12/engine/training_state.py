"""The whole state of a training run in one file, so that a resumed run equals an uninterrupted one bit for bit.

`last.state.safetensors` holds the raw weights, their average, the optimizer's tensors and, when a batch of gradients
is still being accumulated, those gradients; its JSON header holds the counters. No random state is needed: weights
are drawn once, and every sample and the order of an epoch are pure functions of (seed, epoch, index). The file is
written under a temporary name, synced and renamed; the one before it is kept as `last.prev.state.safetensors`.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from yolov12.checkpoint.native import read_tensors, write_tensors
from yolov12.engine.ema import WeightAverage
from yolov12.errors import CheckpointError, ResourceError

STATE_FILE = "last.state.safetensors"
PREVIOUS_FILE = "last.prev.state.safetensors"


@dataclass
class Progress:
    """Counters of a run; everything that a resumed run must know beside tensors."""

    epoch: int = 0
    """The epoch that is running or comes next."""
    batch: int = 0
    """Batches of that epoch already seen."""
    iteration: int = 0
    """Batches seen since the start; the schedule is a function of it."""
    last_update: int = -1
    """Iteration of the last optimizer step."""
    loss_sums: dict[str, float] = field(default_factory=dict)
    """Sum of each loss term over this epoch's batches."""
    best_fitness: float = -1.0
    best_epoch: int = -1
    skipped_updates: int = 0
    """Optimizer steps left out because a gradient was not finite."""
    bad_streak: int = 0
    """Skipped steps in a row."""
    rate_scale: float = 1.0
    """Factor on the learning rate; halved once when training has to go back to a saved state."""
    finished: bool = False


@dataclass(frozen=True)
class Parts:
    """The objects of a run whose contents are saved."""

    model: nn.Module
    average: WeightAverage
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler


@dataclass(frozen=True)
class TrainingState:
    """What `load_state` found: counters, the run's description and the file it came from."""

    progress: Progress
    run: dict[str, Any]
    path: Path


def save_state(folder: Path, parts: Parts, progress: Progress, run: Mapping[str, Any]) -> None:
    """Write the state into `folder` atomically; raises ResourceError when the disk is full (the old files stay)."""
    tensors = {f"model.{name}": value for name, value in parts.model.state_dict().items()}
    tensors |= {f"average.{name}": value for name, value in parts.average.model.state_dict().items()}
    for index, slots in parts.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{slot}": value for slot, value in slots.items() if isinstance(value, Tensor)}
    tensors |= {f"grad.{name}": p.grad for name, p in parts.model.named_parameters() if p.grad is not None}
    header = {
        "progress": dataclasses.asdict(progress),
        "average_updates": parts.average.updates,
        "scaler": parts.scaler.state_dict(),
        "run": dict(run),
    }
    target, previous = folder / STATE_FILE, folder / PREVIOUS_FILE
    fresh = folder / f".{STATE_FILE}.new.tmp"
    try:
        write_tensors(fresh, tensors, header)
    except ResourceError as error:
        kept = "the state before is kept; free some space and resume" if target.exists() else "nothing was written"
        raise ResourceError(f"{target}: the disk is full; {kept}") from error
    if target.exists():
        os.replace(target, previous)
    os.replace(fresh, target)


def load_state(folder: Path, parts: Parts) -> Progress:
    """Put the newest intact state of `folder` into `parts` and return the run's counters."""
    tensors, header, _ = _read_newest(folder)
    parts.model.load_state_dict(_section(tensors, "model."))
    parts.average.model.load_state_dict(_section(tensors, "average."))
    parts.average.updates = header["average_updates"]
    if header["scaler"]:  # empty on devices that need none
        parts.scaler.load_state_dict(header["scaler"])
    parameters = [parameter for group in parts.optimizer.param_groups for parameter in group["params"]]
    slots: dict[int, dict[str, Tensor]] = {}
    for name, value in _section(tensors, "optimizer.").items():
        index, slot = name.split(".", 1)
        slots.setdefault(int(index), {})[slot] = _laid_out_like(parameters[int(index)], value)
    parts.optimizer.load_state_dict({"state": slots, "param_groups": parts.optimizer.state_dict()["param_groups"]})
    gradients = _section(tensors, "grad.")
    for name, parameter in parts.model.named_parameters():
        gradient = gradients.get(name)
        parameter.grad = None if gradient is None else _laid_out_like(parameter, gradient)
    return Progress(**header["progress"])


def read_run(folder: Path) -> TrainingState:
    """The counters and the description of the run in `folder`, without its tensors' destination."""
    _, header, path = _read_newest(folder)
    return TrainingState(Progress(**header["progress"]), header["run"], path)


def _read_newest(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any], Path]:
    problems = []
    for path in (folder / STATE_FILE, folder / PREVIOUS_FILE):
        if not path.exists():
            problems.append(f"{path.name} is missing")
            continue
        try:
            return *read_tensors(path), path
        except CheckpointError as error:
            problems.append(str(error))
    raise CheckpointError(f"{folder}: no training state to resume from ({'; '.join(problems)})")


def _laid_out_like(parameter: Tensor, value: Tensor) -> Tensor:
    """`value` in the memory format of its parameter: fused optimizer kernels walk both by address."""
    if value.shape != parameter.shape:  # a step counter
        return value
    return torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)


def _section(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
