from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from yolov12.config.variants import model_config
from yolov12.engine.ema import WeightAverage
from yolov12.models.detector import Detector


@pytest.fixture
def model() -> Detector:
    return Detector(model_config("yolov12n", num_classes=2)).train()


@torch.no_grad()
def disturb(model: nn.Module, amount: float) -> None:
    for tensor in [*model.parameters(), *model.buffers()]:
        tensor += tensor.new_tensor(amount)


def test_it_starts_as_a_copy_for_inference(model: Detector) -> None:
    average = WeightAverage(model)
    assert average.updates == 0
    assert not average.model.training
    assert model.training
    for (name, mine), live in zip(average.model.state_dict().items(), model.state_dict().values(), strict=True):
        assert torch.equal(mine, live), name
        assert mine.data_ptr() != live.data_ptr(), name
    assert not any(parameter.requires_grad for parameter in average.model.parameters())


def test_decay_rises_to_its_limit() -> None:
    average = WeightAverage(Detector(model_config("yolov12n")), decay=0.9, tau=10)
    decays = [average.decay_at(update) for update in (1, 10, 1000)]
    assert decays == pytest.approx([0.9 * (1 - math.exp(-0.1)), 0.9 * (1 - math.exp(-1)), 0.9])


def test_updates_average_floats_and_copy_counters(model: Detector) -> None:
    average = WeightAverage(model, decay=0.9, tau=2)
    expected = {name: value.double() for name, value in model.state_dict().items()}
    for update in (1, 2, 3):
        disturb(model, update)
        before = {name: value.clone() for name, value in model.state_dict().items()}
        average.update(model)
        decay = 0.9 * (1 - math.exp(-update / 2))
        for name, value in model.state_dict().items():
            share = 1 - decay if value.is_floating_point() else 1.0
            expected[name] += share * (value.double() - expected[name])
            assert torch.equal(value, before[name]), name
    assert average.updates == 3
    for name, value in average.model.state_dict().items():
        torch.testing.assert_close(value.double(), expected[name], rtol=1e-6, atol=1e-6, msg=name)


def test_an_update_keeps_equal_weights_bit_for_bit(model: Detector) -> None:
    """Frozen layers must come out of training as they went in."""
    average = WeightAverage(model)
    average.update(model)
    for name, value in average.model.state_dict().items():
        assert torch.equal(value, model.state_dict()[name]), name


def test_its_state_is_the_model_and_the_count(model: Detector) -> None:
    straight, resumed = WeightAverage(model), WeightAverage(Detector(model.config))
    straight.update(model)
    resumed.model.load_state_dict(straight.model.state_dict())
    resumed.updates = straight.updates
    disturb(model, 0.5)
    straight.update(model)
    resumed.update(model)
    for mine, other in zip(straight.model.state_dict().values(), resumed.model.state_dict().values(), strict=True):
        assert torch.equal(mine, other)
