"""Getting used to 8 bits: what is rounded, what is learned, what is left behind."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from model_factory import tiny_file
from part_factory import network
from yolov12.export.finetuning import RoundedInput, RoundedWeight, finetune
from yolov12.export.graph import ExportGraph
from yolov12.models.detector import build_model


def test_weights_are_rounded_by_output_channel() -> None:
    weight = torch.tensor([[1.0, -0.5, 0.003], [100.0, 3.0, 0.3]])
    steps = torch.tensor([[1 / 127], [100 / 127]])
    rounded = RoundedWeight()(weight[:, :, None, None]).flatten(1)
    torch.testing.assert_close(rounded, (weight / steps).round() * steps)


def test_inputs_are_rounded_to_what_was_seen() -> None:
    hook, layer = RoundedInput(), nn.Identity()
    (seen,) = hook(layer, (torch.linspace(-1.0, 4.1, 1000),))
    assert torch.equal(seen, torch.linspace(-1.0, 4.1, 1000))
    hook.settle()
    values = torch.tensor([-7.0, 0.0, 1.005, 9.0])
    (rounded,) = hook(layer, (values,))
    low, high = float(rounded[0]), float(rounded[3])
    assert -1.0 <= low < -0.9
    assert 3.9 < high <= 4.1
    assert float(rounded[1]) == 0.0
    assert float(rounded[2]) == pytest.approx(1.005, abs=(high - low) / 255 / 2 + 1e-6)  # half a step


def test_a_rare_large_value_does_not_coarsen_the_rest() -> None:
    hook, layer = RoundedInput(), nn.Identity()
    values = torch.rand(100_000, generator=torch.Generator().manual_seed(0))
    hook(layer, (torch.cat((values, torch.tensor([30.0]))),))
    hook.settle()
    (rounded,) = hook(layer, (values,))
    assert float((rounded - values).abs().max()) < 0.02  # half a step of 30 / 255 would be 0.06


def test_convolutions_that_only_hold_weights_are_left_alone() -> None:
    config = network("yolov12", "pafpn", "dynamic_mask")
    graph = ExportGraph(build_model(config, seed=0)).eval()
    pictures = [np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), np.uint8)]
    assert np.isfinite(finetune(graph, pictures, 1, lambda text: None)).all()


def test_the_network_learns_its_own_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yolov12.export.finetuning.LEARNING_RATE", 1e-4)  # of a tiny network, in a few steps
    file = tiny_file()
    model = build_model(file.config, seed=0)
    model.load_state_dict(file.state)
    graph = ExportGraph(model).eval()
    before = {name: value.clone() for name, value in graph.state_dict().items()}
    generator = np.random.default_rng(0)
    pictures = [generator.integers(0, 256, (1, 64, 64, 3), np.uint8) for _ in range(4)]
    said: list[str] = []
    losses = finetune(graph, pictures, 8, said.append)
    assert losses[-1] < 0.8 * losses[0]
    assert len(said) == len(losses) == 8
    after = graph.state_dict()
    assert after.keys() == before.keys()  # no rounding is left behind
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    assert "network.backbone.stem.conv.weight" in changed
    assert all(name.endswith((".weight", ".bias")) for name in changed)
    assert not any(value.requires_grad for value in graph.parameters())
    torch.testing.assert_close(model.state_dict(), file.state)  # the model itself is as it was
