"""Quantization-aware fine-tuning: a network gets used to 8 bits before it is quantized.

Weights and inputs of the convolutions that will be quantized are rounded as 8-bit numbers would be, gradients pass
straight through (Bengio et al. 2013, arXiv:1308.3432; Jacob et al. 2018, arXiv:1712.05877), and the network learns to
answer as it did before: its raw outputs on unlabelled pictures are its own teacher (Hinton et al. 2015,
arXiv:1503.02531).
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Sequence
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.utils._pytree import tree_leaves

from yolov12.export.graph import ExportGraph
from yolov12.export.quantization import IN_FLOATS
from yolov12.inference.backends.base import Canvases, blob

LEARNING_RATE: Final = 1e-6
"""Batch norms are folded and each picture is a step: at 1e-4 the network forgets more than rounding costs."""
LEVELS: Final = 255
MOST: Final = 127
"""Largest weight in 8 bits, with a sign."""
SAMPLE: Final = 512
"""Values of each picture that ranges of inputs are chosen by."""
SHARES: Final = tuple(i / 40 for i in range(40, 7, -1))
"""Of the largest value that was seen, where a range may end."""


class RoundedWeight(nn.Module):
    """A convolution's weight as symmetric 8-bit numbers, with a scale for each output channel."""

    def forward(self, weight: Tensor) -> Tensor:
        """The same shape."""
        scale = weight.detach().abs().amax(tuple(range(1, weight.dim()))).clamp(min=1e-12) / MOST
        zero = torch.zeros_like(scale, dtype=torch.int32)
        return torch.fake_quantize_per_channel_affine(weight, scale, zero, 0, -MOST, MOST)


class RoundedInput:
    """A hook in front of a convolution: its input as 8-bit numbers, of the range that changes least what it has seen.

    It watches until it is settled.
    """

    def __init__(self) -> None:
        self._seen: list[Tensor] = []
        self._low, self._high = 0.0, 0.0  # zero is always one of the numbers
        self._generator = torch.Generator().manual_seed(0)
        self._settled = False

    def __call__(self, module: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
        """Watch, or round."""
        if self._settled:
            return (_rounded(inputs[0], self._low, self._high),)
        values = inputs[0].detach().flatten()
        self._low, self._high = min(self._low, float(values.min())), max(self._high, float(values.max()))
        self._seen.append(values[torch.randint(len(values), (SAMPLE,), generator=self._generator)])
        return inputs

    @property
    def has_seen(self) -> bool:
        """Whether the convolution was called."""
        return bool(self._seen)

    def settle(self) -> None:
        """Choose the range: rare large values are worth less than fine steps for the many small ones."""
        values = torch.cat(self._seen)

        def harm(low: float, high: float) -> float:
            return float((_rounded(values, low, high) - values).square().sum())

        self._high = min((self._high * share for share in SHARES), key=lambda high: harm(self._low, high))
        self._low = min((self._low * share for share in SHARES), key=lambda low: harm(low, self._high))
        self._settled = True
        self._seen.clear()


def _rounded(values: Tensor, low: float, high: float) -> Tensor:
    """As `LEVELS` steps from `low` to `high`, one of which is 0."""
    scale = max(high - low, 1e-12) / LEVELS
    return torch.fake_quantize_per_tensor_affine(values, scale, round(-low / scale), 0, LEVELS)


def finetune(
    graph: ExportGraph, pictures: Sequence[Canvases], epochs: int, say: Callable[[str], object]
) -> list[float]:
    """Change the weights of `graph` in place, in `epochs` passes over `pictures`, each (1, H, W, 3) uint8 BGR.

    Returns the mean loss of each pass: squared differences of the raw outputs in units of their variance.
    """
    network = graph.network
    teacher = copy.deepcopy(network).eval()
    modules = network.named_modules()
    convolutions = [one for name, one in modules if isinstance(one, nn.Conv2d) and not name.endswith(IN_FLOATS)]
    hooks = {module: RoundedInput() for module in convolutions}
    handles = [module.register_forward_pre_hook(hook) for module, hook in hooks.items()]
    with torch.no_grad():
        for picture in pictures:
            network(torch.from_numpy(blob(picture)))
    convolutions = [module for module in convolutions if hooks[module].has_seen]  # some only hold their weights
    weights = [value for module in convolutions for value in module.parameters()]
    for module in convolutions:
        hooks[module].settle()
        parametrize.register_parametrization(module, "weight", RoundedWeight())
    for value in weights:
        value.requires_grad_(True)
    try:
        return _learn(network, teacher, pictures, weights, epochs, say)
    finally:
        for handle in handles:
            handle.remove()
        for module in convolutions:
            parametrize.remove_parametrizations(module, "weight", leave_parametrized=False)
        for value in network.parameters():
            value.requires_grad_(False)


def _learn(
    network: nn.Module, teacher: nn.Module, pictures: Sequence[Canvases], weights: Sequence[Tensor], epochs: int,
    say: Callable[[str], object],
) -> list[float]:  # fmt: skip
    optimizer = torch.optim.Adam(weights, LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * len(pictures))
    order, means = random.Random(0), []
    for number in range(epochs):
        losses = []
        for picture in order.sample(pictures, len(pictures)):
            image = torch.from_numpy(blob(picture))
            with torch.no_grad():
                expected = tree_leaves(teacher(image))
            loss = torch.zeros(())
            for one, other in zip(tree_leaves(network(image)), expected, strict=True):
                loss = loss + (one - other).square().mean() / other.var().clamp(min=1e-6)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
            losses.append(float(loss.detach()))
        means.append(sum(losses) / len(losses))
        say(f"int8: fine-tuning, pass {number + 1} of {epochs}: loss {means[-1]:.4g}")
    return means
