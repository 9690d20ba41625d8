"""Random raw outputs, a few objects, and what every loss must do with them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from yolov12.data.sample import Targets
from yolov12.models.heads.detect import DetectOutputs

STRIDES = (8, 16, 32)
NO_OBJECTS = Targets(
    torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64), torch.zeros(0, 4, dtype=torch.float32)
)
OBJECTS = Targets(
    torch.tensor([0, 1, 1]),
    torch.tensor([0, 2, 1]),
    torch.tensor([[3.0, 5, 50, 60], [10, 10, 30, 64], [0, 0, 64, 64]]),
)


def random_maps(
    channels: int, generator: torch.Generator, size: int = 64, images: int = 2, dtype: torch.dtype = torch.float32
) -> list[Tensor]:
    """Leaves (images, channels, H, W), one for each level of a square input."""
    return [
        torch.randn(images, channels, size // stride, size // stride, generator=generator).to(dtype).requires_grad_()
        for stride in STRIDES
    ]


def random_outputs(
    size: int = 64, classes: int = 3, images: int = 2, dtype: torch.dtype = torch.float32
) -> tuple[DetectOutputs, list[Tensor]]:
    """Raw outputs for a square input and the leaves they consist of."""
    generator = torch.Generator().manual_seed(0)
    boxes, scores = (random_maps(channels, generator, size, images, dtype) for channels in (64, classes))
    return DetectOutputs(tuple(boxes), tuple(scores)), boxes + scores


def total(terms: dict[str, Tensor]) -> Tensor:
    """Sum of all terms."""
    return torch.stack(list(terms.values())).sum()


def changed(outputs: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The same nested outputs with every tensor changed."""
    if isinstance(outputs, Tensor):
        return change(outputs)
    parts = [changed(part, change) for part in outputs]
    return type(outputs)(*parts) if hasattr(outputs, "_fields") else tuple(parts)


def check_without_objects(terms: dict[str, Tensor], leaves: Sequence[Tensor], class_maps: Sequence[Tensor]) -> None:
    """All terms but `cls` are 0, and every output is reached, all but the class logits by a gradient of 0."""
    total(terms).backward()
    assert {name for name, term in terms.items() if term.item() != 0} == {"cls"}
    for leaf in leaves:
        assert leaf.grad is not None
        assert bool(leaf.grad.any()) == any(leaf is level for level in class_maps)


def check_gradients_are_finite(terms: dict[str, Tensor], leaves: Sequence[Tensor]) -> None:
    """Every output gets a gradient, and a finite one."""
    total(terms).backward()
    for leaf in leaves:
        assert leaf.grad is not None
        assert torch.isfinite(leaf.grad).all()


def check_half(loss: Callable[..., dict[str, Tensor]], outputs: NamedTuple, targets: Targets) -> None:
    """Half-precision outputs under autocast give exactly the terms of the same numbers in float32."""
    half = changed(outputs, lambda tensor: tensor.detach().bfloat16())
    exact = loss(changed(half, lambda tensor: tensor.float()), targets)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        terms = loss(half, targets)
    for name, expected in exact.items():
        assert terms[name].dtype == torch.float32
        assert torch.equal(terms[name], expected), name


def check_nan(loss: Callable[..., dict[str, Tensor]], outputs: NamedTuple, targets: Targets) -> None:
    """Each kind of output by itself spoils the loss and raises nothing."""
    for broken in with_one_broken(outputs):
        assert not torch.isfinite(total(loss(broken, targets)))


def with_one_broken(outputs: Any) -> Iterator[Any]:
    """The outputs with one field after the other NaN throughout, also those of nested outputs."""
    for name, field in outputs._asdict().items():
        nested = with_one_broken(field) if hasattr(field, "_fields") else [changed(field, lambda x: x * math.nan)]
        for broken in nested:
            yield outputs._replace(**{name: broken})
