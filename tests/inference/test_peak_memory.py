"""Memory of one forward pass, counted from the tensors: weights, and the activations that live at once."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from yolov12.inference.peak_memory import network_bytes

ROWS, WIDE = 7, 1000


class Chain(nn.Module):
    """Three linear layers; only two neighbouring activations are needed at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(WIDE, WIDE, bias=False) for _ in range(3))

    def forward(self, rows: Tensor) -> Tensor:
        for layer in self.layers:
            rows = layer(rows)
        return rows


class Residual(Chain):
    """Keeps its first activation to the end."""

    def forward(self, rows: Tensor) -> Tensor:
        first = self.layers[0](rows)
        return first + self.layers[2](self.layers[1](first))


def test_activations_that_live_at_once_are_counted() -> None:
    weights, activation = 3 * WIDE * WIDE * 4, ROWS * WIDE * 4
    rows = torch.zeros(ROWS, WIDE)
    assert network_bytes(Chain(), rows) == weights + 2 * activation
    assert network_bytes(Residual(), rows) == weights + 3 * activation


def test_views_cost_nothing() -> None:
    class View(Chain):
        def forward(self, rows: Tensor) -> Tensor:
            return self.layers[0](rows).view(-1).reshape(ROWS, WIDE).t().t()

    assert network_bytes(View(), torch.zeros(ROWS, WIDE)) == 3 * WIDE * WIDE * 4 + ROWS * WIDE * 4


def test_it_does_not_depend_on_what_ran_before() -> None:
    model, rows = Chain(), torch.zeros(ROWS, WIDE)
    assert network_bytes(model, rows) == network_bytes(model, rows)
