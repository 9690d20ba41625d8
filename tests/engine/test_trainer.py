"""One run, end to end at 64 pixels: it learns nothing much, but every file, number and accident is real."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from polite_stop import ask_to_stop
from yolov12.checkpoint import read_model_file, read_tensors
from yolov12.config.model import ModelConfig
from yolov12.config.parse import resolve
from yolov12.config.run import TrainConfig
from yolov12.config.variants import model_config
from yolov12.data.index import ImageIndex
from yolov12.data.sample import Batch
from yolov12.engine import trainer as trainer_module
from yolov12.engine.run import prepare_resume, start_training
from yolov12.engine.trainer import Trainer
from yolov12.errors import ConfigError, Interrupted, ResourceError, TrainingError

IMAGES = 6
OPTIONS: dict[str, Any] = {
    "epochs": 2, "imgsz": 64, "batch": 2, "workers": 0, "nbs": 4, "optimizer": "AdamW", "lr0": 0.001, "plots": False,
}  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six pictures of one bright rectangle each."""
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        (root / "images" / split).mkdir(parents=True)
        (root / "labels" / split).mkdir(parents=True)
        for number in range(IMAGES):
            image = rng.integers(0, 60, (64, 80, 3), dtype=np.uint8)
            cv2.rectangle(image, (20, 16), (20 + 6 * number, 50), (80, 240, 80 * (number % 2)), -1)
            cv2.imwrite(str(root / "images" / split / f"{number}.png"), image)
            row = f"{number % 2} {(20 + 3 * number) / 80:.4f} 0.5156 {(6 * number + 1) / 80:.4f} 0.5312\n"
            (root / "labels" / split / f"{number}.txt").write_text(row)
    (root / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [even, odd]\n")
    return root / "data.yaml"


def quiet(index: ImageIndex) -> None:
    """Says nothing of a data set."""


def narrow() -> ModelConfig:
    return model_config("yolov12n")


def new_trainer(data: Path, folder: Path, **options: Any) -> Trainer:
    values = {**OPTIONS, "data": str(data), "project": str(folder), "name": "run", **options}
    return start_training(resolve(TrainConfig, values), narrow(), None, quiet)


def resumed(folder: Path, **options: Any) -> Trainer:
    return prepare_resume(folder / "run" / "weights" / "last.safetensors", options, quiet)


def final_state(folder: Path) -> dict[str, torch.Tensor]:
    return read_tensors(folder / "run" / "weights" / "last.state.safetensors")[0]


def assert_same(first: Mapping[str, torch.Tensor], second: Mapping[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys()
    assert [name for name in first if not torch.equal(first[name], second[name])] == []


@pytest.fixture(scope="module")
def whole_run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    new_trainer(data, folder, plots=True).run()
    return folder


def test_files_of_a_run(whole_run: Path) -> None:
    run = whole_run / "run"
    names = {path.name for path in run.iterdir()}
    assert {"config.json", "report.json", "results.csv", "results.jsonl", "results.png", "metrics.json"} <= names
    assert {"train_batch0.jpg", "weights"} <= names
    assert len((run / "results.csv").read_text().splitlines()) == 1 + OPTIONS["epochs"]
    config = json.loads((run / "config.json").read_text())
    assert config["options"]["lr0"] == {"value": 0.001, "origin": "user"}
    assert config["options"]["box"] == {"value": 7.5, "origin": "default"}
    for name in ("best", "last"):
        file = read_model_file(run / "weights" / f"{name}.safetensors")
        assert file.names == {0: "even", 1: "odd"}
        assert file.metadata["variant"] == "yolov12n"


def test_resume_after_every_kind_of_stop_is_exact(data: Path, whole_run: Path, tmp_path: Path) -> None:
    for stop_at in (
        1,
        2,
        3,
        5,
    ):  # in the middle of an accumulation, at its end, at the end of an epoch, in the second one
        folder = tmp_path / str(stop_at)
        run = new_trainer(data, folder)
        update = run.update

        def stopping(batch: Batch, run: Trainer = run, update: Any = update, stop_at: int = stop_at) -> None:
            update(batch)
            if run.progress.iteration == stop_at:
                ask_to_stop()

        run.update = stopping  # type: ignore[method-assign]
        with pytest.raises(Interrupted, match="go on with: yolov12 train --resume") as caught:
            run.run()
        assert caught.value.exit_code == 128 + signal.SIGTERM
        resumed(folder, workers=2).run()
        assert_same(final_state(whole_run), final_state(folder))
        assert (folder / "run/results.csv").read_text() == (whole_run / "run/results.csv").read_text()


def test_a_damaged_state_falls_back_to_the_one_before(
    data: Path, whole_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = new_trainer(data, tmp_path, epochs=2)
    run.run()
    state = tmp_path / "run" / "weights" / "last.state.safetensors"
    content = bytearray(state.read_bytes())
    content[-1000] ^= 1
    state.write_bytes(bytes(content))
    resumed(tmp_path).run()
    assert "using last.prev.state.safetensors" in capsys.readouterr().err
    assert_same(final_state(whole_run), final_state(tmp_path))


def test_resume_refuses_other_options_and_other_data(data: Path, whole_run: Path) -> None:
    with pytest.raises(ConfigError, match=r"--lr0 was 0\.001, now 0\.5"):
        resumed(whole_run, lr0=0.5)
    label = data.parent / "labels" / "train" / "0.txt"
    before = label.read_text()
    try:
        label.write_text("1 0.5 0.5 0.5 0.5\n")
        with pytest.raises(ConfigError, match="train images or labels have changed"):
            resumed(whole_run)
    finally:
        label.write_text(before)


def test_a_finished_run_is_complete(whole_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = final_state(whole_run)
    resumed(whole_run).run()
    assert "already complete" in capsys.readouterr().err
    assert_same(before, final_state(whole_run))


def poisoned(run: Trainer, iterations: range) -> None:
    """Make the loss of these iterations NaN."""
    losses = run.losses

    def bad(batch: Batch) -> dict[str, torch.Tensor]:
        terms = losses(batch)
        if run.progress.iteration in iterations:
            run.model.backbone.stem.norm.running_mean.data.fill_(float("nan"))
            return {name: term * float("nan") for name, term in terms.items()}
        return terms

    run.losses = bad  # type: ignore[method-assign]


def test_one_bad_step_is_skipped_and_leaves_no_trace(data: Path, tmp_path: Path) -> None:
    run = new_trainer(data, tmp_path, nbs=2)
    poisoned(run, range(1, 2))
    run.run()
    assert run.progress.skipped_updates == 1
    assert all(bool(torch.isfinite(value).all()) for value in final_state(tmp_path).values())


def test_persistent_bad_steps_end_the_run_with_good_weights(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer_module, "MAX_BAD_STREAK", 2)
    run = new_trainer(data, tmp_path, nbs=2, epochs=6)
    poisoned(run, range(4, 1000))
    with pytest.raises(TrainingError, match="non-finite gradients, also after going back once"):
        run.run()
    assert run.progress.rate_scale == 0.5
    assert all(bool(torch.isfinite(value).all()) for value in final_state(tmp_path).values())


def test_a_full_disk_keeps_the_last_good_state(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = new_trainer(data, tmp_path)
    before = final_state(tmp_path)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ResourceError, match="disk is full"):
        run.run()
    monkeypatch.undo()
    assert_same(before, final_state(tmp_path))
    assert not list((tmp_path / "run" / "weights").glob(".*"))


def test_frozen_layers_stay_as_they_are(data: Path, tmp_path: Path) -> None:
    run = new_trainer(data, tmp_path, freeze=2, epochs=1)
    before = {name: value.clone() for name, value in run.model.state_dict().items()}
    run.run()
    after = run.model.state_dict()
    same = {
        name.split(".")[1] for name in before if name.startswith("backbone.") and torch.equal(before[name], after[name])
    }
    assert {"stem", "down_p2"} <= same
    frozen = [name for name in before if name.startswith(("backbone.stem.", "backbone.down_p2."))]
    assert all(torch.equal(before[name], after[name]) for name in frozen)
    assert not torch.equal(before["backbone.stage_p2.conv1.conv.weight"], after["backbone.stage_p2.conv1.conv.weight"])


def test_auto_is_made_concrete_and_keeps_what_the_user_set(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = {**OPTIONS, "data": str(data), "project": str(tmp_path), "name": "run", "optimizer": "auto"}
    values = {name: value for name, value in values.items() if name not in ("lr0", "momentum")}
    run = start_training(resolve(TrainConfig, {**values, "lr0": 0.003}), narrow(), None, quiet)
    saved = json.loads((tmp_path / "run" / "config.json").read_text())["options"]
    assert saved["optimizer"] == {"value": "AdamW", "origin": "auto"}
    assert saved["lr0"] == {"value": 0.003, "origin": "user"}
    assert saved["momentum"] == {"value": 0.9, "origin": "auto"}
    assert {group["lr"] for group in run.optimizer.param_groups} == {0.003}
    assert "optimizer AdamW, lr0 0.003, momentum 0.9" in capsys.readouterr().err


def test_batches_that_cannot_teach_are_refused_or_warned_about(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConfigError, match=r"--imgsz 32: the last of \d+ images would be alone.*use --imgsz 64"):
        new_trainer(data, tmp_path, imgsz=32, batch=1)
    assert not (tmp_path / "run").exists()
    new_trainer(data, tmp_path, nbs=4096, epochs=1)
    assert "warning: 3 batches in all, but an optimizer step takes 2048" in capsys.readouterr().err
