from __future__ import annotations

import copy
import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn, optim

from yolov12.config.run import TrainConfig
from yolov12.engine.optim import (
    OptimizerChoice,
    Schedule,
    build_optimizer,
    choose_optimizer,
    nominal_iterations,
    parameter_groups,
    scaled_weight_decay,
)


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.norm = nn.BatchNorm2d(4)
        self.residual_scale = nn.Parameter(torch.ones(4))
        self.constant = nn.Parameter(torch.arange(4.0), requires_grad=False)


def names_in_groups(model: nn.Module) -> list[set[str]]:
    names = {id(p): name for name, p in model.named_parameters()}
    return [{names[id(p)] for p in group["params"]} for group in parameter_groups(model)]


def test_three_groups() -> None:
    assert names_in_groups(Scaled()) == [{"conv.bias", "norm.bias"}, {"conv.weight", "residual_scale"}, {"norm.weight"}]


def test_frozen_parameters_are_in_no_group() -> None:
    model = Scaled()
    model.norm.requires_grad_(False)
    assert names_in_groups(model) == [{"conv.bias"}, {"conv.weight", "residual_scale"}, set()]


@pytest.mark.parametrize(
    ("options", "num_classes", "iterations", "expected"),
    [
        ({"optimizer": "auto"}, 80, 10_000, OptimizerChoice("AdamW", 0.000119, 0.9)),
        ({"optimizer": "auto"}, 3, 1, OptimizerChoice("AdamW", 0.001429, 0.9)),
        ({"optimizer": "auto"}, 80, 10_001, OptimizerChoice("SGD", 0.01, 0.9)),
        ({"optimizer": "auto", "lr0": 0.5, "momentum": 0.1}, 80, 10_001, OptimizerChoice("SGD", 0.01, 0.9)),
        ({"optimizer": "Adam", "lr0": 0.5, "momentum": 0.1}, 80, 10_001, OptimizerChoice("Adam", 0.5, 0.1)),
    ],
)
def test_choice(options: dict[str, object], num_classes: int, iterations: int, expected: OptimizerChoice) -> None:
    assert choose_optimizer(TrainConfig(**options), num_classes, iterations) == expected


@pytest.mark.parametrize(
    ("images", "batch", "expected"),
    [(292, 16, 5 * 10), (292, 64, 5 * 10), (292, 128, 3 * 10), (1, 16, 10)],
)
def test_nominal_iterations(images: int, batch: int, expected: int) -> None:
    assert nominal_iterations(images, TrainConfig(batch=batch, epochs=10)) == expected


@pytest.mark.parametrize(("batch", "decay"), [(256, 0.002), (128, 0.001), (16, 5e-4), (64, 5e-4), (1, 5e-4)])
def test_weight_decay_follows_the_batch(batch: int, decay: float) -> None:
    assert scaled_weight_decay(TrainConfig(batch=batch)) == pytest.approx(decay)


OPTIMIZERS = {
    "SGD": optim.SGD,
    "RMSProp": optim.RMSprop,
    "Adam": optim.Adam,
    "AdamW": optim.AdamW,
    "Adamax": optim.Adamax,
    "NAdam": optim.NAdam,
    "RAdam": optim.RAdam,
}


def test_every_choice_of_the_config_is_built() -> None:
    (field,) = (field for field in dataclasses.fields(TrainConfig) if field.name == "optimizer")
    assert {"auto", *OPTIMIZERS} == set(field.metadata["choices"])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer_steps_and_only_weights_decay(name: str) -> None:
    model = Scaled()
    optimizer = build_optimizer(model, TrainConfig(optimizer=name, batch=256, lr0=0.1, momentum=0.7), 3, 1)
    assert type(optimizer) is OPTIMIZERS[name]
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0, pytest.approx(0.002), 0]
    assert all(group.get("momentum", group.get("betas", [0])[0]) == 0.7 for group in optimizer.param_groups)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    model.norm(model.conv(torch.rand(2, 3, 4, 4))).square().sum().backward()
    optimizer.step()
    assert not torch.equal(model.conv.weight, before["conv.weight"])
    assert torch.equal(model.constant, before["constant"])


def test_sgd_without_momentum() -> None:
    optimizer = build_optimizer(Scaled(), TrainConfig(optimizer="SGD", momentum=0), 3, 1)
    assert not optimizer.param_groups[0]["nesterov"]


# ---- schedule -------------------------------------------------------------------------------------------------------


def schedule_for(steps_per_epoch: int = 50, **options: object) -> Schedule:
    config = TrainConfig(**{"optimizer": "SGD", "epochs": 30, **options})
    return Schedule.from_config(config, build_optimizer(Scaled(), config, 3, 1), steps_per_epoch)


@pytest.mark.parametrize(
    ("steps_per_epoch", "options", "expected"),
    [
        pytest.param(463, {"epochs": 600}, 1389, id="three epochs"),
        pytest.param(18, {"epochs": 100}, 100, id="at least 100 iterations"),
        pytest.param(18, {"epochs": 9}, 54, id="at most a third of the run"),
        pytest.param(463, {"epochs": 6}, 926, id="at most a third of a run with long epochs"),
        pytest.param(1, {"epochs": 2}, 0, id="no room for any"),
        pytest.param(100, {"epochs": 100, "warmup_epochs": 0}, 0, id="switched off"),
        pytest.param(100, {"epochs": 100, "warmup_epochs": 1.5}, 150, id="a fraction of an epoch"),
    ],
)
def test_length_of_warmup(steps_per_epoch: int, options: dict[str, object], expected: int) -> None:
    assert schedule_for(steps_per_epoch, **options).warmup_steps == expected


@pytest.mark.parametrize(
    ("options", "first_bias_lr"),
    [
        ({"optimizer": "SGD", "warmup_bias_lr": 0.1}, 0.1),
        ({"optimizer": "auto", "warmup_bias_lr": 0.1}, 0.0),
    ],
)
def test_biases_may_start_warm(options: dict[str, object], first_bias_lr: float) -> None:
    schedule = schedule_for(**options)
    assert [schedule.lr(group, 0) for group in range(3)] == [first_bias_lr, 0, 0]
    end = schedule.warmup_steps
    assert schedule.lr(1, end - 1) == pytest.approx((end - 1) / end * schedule.initial_lr * schedule.factor(2))
    assert schedule.lr(0, end) == schedule.lr(1, end) == schedule.initial_lr * schedule.factor(3)


@pytest.mark.parametrize("cosine", [False, True])
def test_rate_falls_from_the_initial_to_the_final_one(cosine: bool) -> None:
    schedule = schedule_for(cos_lr=cosine, warmup_epochs=0, lr0=0.5, lrf=0.2)
    rates = [schedule.lr(1, epoch * 50) for epoch in range(31)]
    assert rates[0] == 0.5
    assert rates[30] == pytest.approx(0.1)
    assert rates == sorted(rates, reverse=True)
    assert schedule.lr(1, 49) == rates[0]


@pytest.mark.parametrize(("batch", "expected"), [(16, 4), (64, 1), (256, 1), (24, 3), (10, 6)])
def test_accumulation_after_warmup(batch: int, expected: int) -> None:
    schedule = schedule_for(batch=batch)
    assert schedule.accumulate(0) == 1
    assert schedule.accumulate(schedule.warmup_steps) == schedule.accumulate(1499) == expected
    assert schedule_for(batch=batch, warmup_epochs=0).accumulate(0) == expected


@settings(deadline=None)
@given(st.integers(1, 400), st.integers(1, 200), st.sampled_from([1, 7, 16, 64, 300]), st.booleans())
def test_values_stay_in_their_ranges(steps_per_epoch: int, epochs: int, batch: int, cosine: bool) -> None:
    schedule = schedule_for(steps_per_epoch, epochs=epochs, batch=batch, cos_lr=cosine)
    last = steps_per_epoch * epochs - 1
    assert schedule.warmup_steps <= (last + 1) / 3
    for iteration in {0, 1, last // 7, last // 3, last // 2, last}:
        assert 0 <= schedule.lr(1, iteration) <= schedule.initial_lr
        assert 0.8 <= schedule.momentum(iteration) <= 0.937
        assert 1 <= schedule.accumulate(iteration) <= max(round(64 / batch), 1)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_apply(name: str) -> None:
    config = TrainConfig(optimizer=name, epochs=30, warmup_bias_lr=0.05)
    optimizer = build_optimizer(Scaled(), config, 3, 1)
    schedule = Schedule.from_config(config, optimizer, 50)
    schedule.apply(optimizer, 75, rate_scale=0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [schedule.lr(g, 75) / 2 for g in range(3)]
    for group in optimizer.param_groups:
        if name == "SGD":
            assert group["momentum"] == schedule.momentum(75) != config.momentum
        elif name != "RMSProp":
            assert group["betas"] == (config.momentum, 0.999)


def test_a_schedule_remembers_nothing() -> None:
    """The same iteration gives the same values whatever was asked before: a resumed run needs no state of it."""
    config = TrainConfig(optimizer="SGD", epochs=30)
    resumed, straight = (build_optimizer(Scaled(), config, 3, 1) for _ in range(2))
    schedule = Schedule.from_config(config, straight, 50)
    for iteration in range(200):
        schedule.apply(straight, iteration)
    schedule.apply(resumed, 199)
    for a, b in zip(resumed.param_groups, straight.param_groups, strict=True):
        assert (a["lr"], a["momentum"]) == (b["lr"], b["momentum"])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_restored_optimizer_goes_on_bit_for_bit(name: str) -> None:
    """From the tensors of its state alone, as the training state keeps them."""
    torch.manual_seed(0)
    config = TrainConfig(optimizer=name, lr0=0.01)
    models = [Scaled(), Scaled()]
    optimizers = [build_optimizer(model, config, 3, 1) for model in models]

    def step(which: int) -> None:
        optimizers[which].zero_grad()
        models[which].norm(models[which].conv(torch.ones(2, 3, 4, 4))).square().sum().backward()
        optimizers[which].step()

    step(0)
    step(0)
    models[1].load_state_dict(models[0].state_dict())
    state = {"state": optimizers[0].state_dict()["state"], "param_groups": optimizers[1].state_dict()["param_groups"]}
    optimizers[1].load_state_dict(copy.deepcopy(state))
    step(0)
    step(1)
    for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert torch.equal(a, b)
