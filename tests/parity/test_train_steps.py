"""Three SGD steps of the published n model, and the tables of its optimizer, schedule and weight average."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from filled import filled_model, golden_images, golden_targets, load_arrays, official_state
from yolov12.config.run import TrainConfig
from yolov12.config.variants import model_config
from yolov12.engine.ema import WeightAverage
from yolov12.engine.optim import Schedule, build_optimizer, choose_optimizer, parameter_groups
from yolov12.losses.criterion import Criterion
from yolov12.models.detector import Detector

SGD = TrainConfig(optimizer="SGD", lr0=0.01, batch=16)
AUTO = TrainConfig(optimizer="auto", batch=16)


@pytest.fixture(scope="module")
def tables(golden: Path) -> dict[str, Any]:
    return json.loads((golden / "train" / "turbo_n_sgd_3steps.json").read_text())


@pytest.fixture(scope="module")
def model() -> Detector:
    return Detector(model_config("yolov12n"))


def test_three_steps(golden: Path, tables: dict[str, Any]) -> None:
    want = load_arrays(golden / "train" / "turbo_n_sgd_3steps.npz")
    batch = load_arrays(golden / "loss" / "turbo_n_detect__r8363.npz")
    model = filled_model(golden, "turbo_n")
    images, targets = golden_images(golden), golden_targets(batch, "target:")
    criterion = Criterion(model.config)
    optimizer = build_optimizer(model, SGD, 80, 1)
    average = WeightAverage(model)

    for row, tolerance in zip(tables["steps"], (1e-5, 1e-4, 1e-3), strict=True):
        terms = criterion(model(images), targets)
        total = torch.stack(list(terms.values())).sum() * len(images)
        total.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), SGD.clip)
        optimizer.step()
        optimizer.zero_grad()
        average.update(model)
        assert [float(term.detach()) for term in terms.values()] == pytest.approx(row["items"], rel=tolerance)
        assert float(total.detach()) == pytest.approx(row["total"], rel=tolerance)
        assert float(norm) == pytest.approx(row["grad_norm_before_clip"], rel=10 * tolerance)
        assert average.decay_at(average.updates) == pytest.approx(row["ema_decay"], rel=1e-12)
        assert_state(official_state(model), want, f"step{row['step']}:", tolerance)
    assert_state(official_state(average.model), want, "ema3:", 1e-3)


def assert_state(state: dict[str, torch.Tensor], want: dict[str, torch.Tensor], prefix: str, tolerance: float) -> None:
    """Stored entries within `tolerance` of their largest magnitude, or of 1 where that is smaller."""
    stored = [name for name in want if name.startswith(prefix)]
    assert stored
    for name in stored:
        limit = tolerance * max(1.0, float(want[name].abs().max()))
        torch.testing.assert_close(state[name.removeprefix(prefix)], want[name], rtol=0, atol=limit)


def test_group_sizes(tables: dict[str, Any], model: Detector) -> None:
    """The values of the reference less 16 constants, and a tensor less per attention: its projections are one here."""
    groups = parameter_groups(model)
    expected = [group["n_values"] for group in tables["sgd_groups"]]
    assert [sum(p.numel() for p in group["params"]) for group in groups] == [expected[0], expected[1] - 16, expected[2]]
    tensors = [group["n_tensors"] for group in tables["sgd_groups"]]
    assert [len(group["params"]) for group in groups] == [tensors[0] - 8, tensors[1] - 8 - 1, tensors[2] - 8]


@pytest.mark.parametrize("iterations", [9999, 277800])
@pytest.mark.parametrize("num_classes", [2, 80])
def test_auto_optimizer(tables: dict[str, Any], model: Detector, iterations: int, num_classes: int) -> None:
    want = tables[f"auto_iterations{iterations}_nc{num_classes}"]
    assert choose_optimizer(AUTO, num_classes, iterations).name == want["type"]
    optimizer = build_optimizer(model, AUTO, num_classes, iterations)
    assert type(optimizer).__name__ == want["type"]
    for group, expected in zip(optimizer.param_groups, want["groups"], strict=True):
        assert group["lr"] == expected["lr"]
        assert group["weight_decay"] == expected["weight_decay"]
        momentum = group["momentum"] if want["type"] == "SGD" else list(group["betas"])
        assert momentum == expected["momentum"]
        assert group.get("nesterov", True)


def schedule_for(model: Detector, config: TrainConfig, steps_per_epoch: int) -> Schedule:
    return Schedule.from_config(config, build_optimizer(model, config, 80, 1), steps_per_epoch)


@pytest.mark.parametrize(
    ("table", "key", "config", "steps_per_epoch"),
    [
        ("lr_table_linear_nb463_600ep_sgd0.01", "lr", TrainConfig(optimizer="SGD", epochs=600, batch=256), 463),
        ("lr_table_linear_nb100_100ep_batch16", "lr_bias", TrainConfig(optimizer="SGD", epochs=100, batch=16), 100),
    ],
)
def test_schedule(
    tables: dict[str, Any], model: Detector, table: str, key: str, config: TrainConfig, steps_per_epoch: int
) -> None:
    schedule = schedule_for(model, config, steps_per_epoch)
    for row in tables[table]:
        iteration = row["iteration"]
        assert iteration // steps_per_epoch == row["epoch"]
        for group in range(3):
            assert schedule.lr(group, iteration) == pytest.approx(row[key], rel=1e-9, abs=1e-15)
        assert schedule.momentum(iteration) == pytest.approx(row["momentum"], rel=1e-9)
        assert schedule.accumulate(iteration) == row["accumulate"]


def test_cosine_factor(tables: dict[str, Any], model: Detector) -> None:
    schedule = schedule_for(model, TrainConfig(optimizer="SGD", epochs=200, cos_lr=True), 10)
    for epoch, factor in tables["cosine_factor_200ep"].items():
        assert schedule.factor(int(epoch)) == pytest.approx(factor, rel=1e-9)


def test_average_decay(tables: dict[str, Any], model: Detector) -> None:
    average = WeightAverage(model)
    for update, decay in tables["ema_decay_at_update"].items():
        assert average.decay_at(int(update)) == pytest.approx(decay, rel=1e-12)
