"""What a model file holds, whatever its format: the architecture, the weights, the class names, and its origin."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from yolov12.config.model import ModelConfig
from yolov12.errors import CheckpointError, printable
from yolov12.models.detector import Detector

MAX_PARAMETERS = 300_000_000
"""The largest published model has 59 million; a file that claims more than this is refused before memory is taken."""


@dataclass(frozen=True)
class ModelFile:
    """One model, ready to be built: `build_model(file.config).load_state_dict(file.state)`."""

    config: ModelConfig
    state: dict[str, Tensor]
    """Our keys; float32 (and the int64 counters of batch norm)."""
    names: dict[int, str]
    """Class names, one for each of `config.num_classes` outputs."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """JSON values: task, variant, layout, preprocess, training, metrics, licence, version, source."""


def check_names(names: Mapping[int, str], num_classes: int) -> dict[int, str]:
    """`names` in class order; '0', '1', ... when there are none.

    Raises CheckpointError unless they are numbered 0 ... num_classes - 1.
    """
    if not names:
        return {index: str(index) for index in range(num_classes)}
    if len(names) != num_classes:
        raise CheckpointError(
            f"names: {len(names)} class names, expected {num_classes} for the network's class outputs"
        )
    if sorted(names) != list(range(num_classes)):
        raise CheckpointError(f"names: classes must be numbered 0 to {num_classes - 1}, found {sorted(names)[:10]}")
    return {index: str(names[index]) for index in range(num_classes)}


def check_state(state: Mapping[str, Tensor], config: ModelConfig) -> None:
    """Raise CheckpointError listing what differs between `state` and the tensors of `config`'s network.

    The network is laid out without memory, so a header that claims enormous widths costs nothing.
    """
    repeats = config.backbone.units + (config.neck.units if config.neck is not None else 0)
    if repeats > len(state):
        raise CheckpointError(f"damaged header ({repeats} repeated units, but only {len(state)} tensors)")
    with torch.device("meta"):
        model = Detector(config)
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in state.items()}
    problems = [f"missing {name}" for name in expected.keys() - found.keys()]
    problems += [f"unexpected {name}" for name in found.keys() - expected.keys()]
    problems += [
        f"{name}: expected shape {expected[name]}, found {found[name]}"
        for name in expected.keys() & found.keys()
        if expected[name] != found[name]
    ]
    if problems:
        rest = f" and {len(problems) - 10} more" if len(problems) > 10 else ""
        raise CheckpointError(f"tensors do not fit the network: {'; '.join(sorted(problems)[:10])}{rest}")


def check_finite(state: Mapping[str, Tensor]) -> None:
    """Raise CheckpointError naming the first tensor that holds a NaN or an infinity."""
    for name, tensor in state.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(f"non-finite values in {name}")


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Put the file's name in front of what goes wrong inside; the functions below speak of contents only."""
    try:
        yield
    except CheckpointError as error:
        raise type(error)(f"{printable(path)}: {error}") from error
    except OSError as error:
        raise CheckpointError(f"{printable(path)}: cannot be read: {error.strerror}") from error
