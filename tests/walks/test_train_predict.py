"""A walk through the program as its user types it, each step a process of its own: train, predict, stop, resume."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import yolov12
from scene_factory import IMAGES, write_data, write_model
from yolov12.checkpoint import read_model_file

COMMAND = (sys.executable, "-W", "error", "-m", "yolov12")
OPTIONS = (
    "--imgsz", "64", "--batch", "2", "--workers", "2", "--optimizer", "AdamW", "--no-plots", "--device", "cpu",
)  # fmt: skip


def environment() -> dict[str, str]:
    """One thread, this package, and no way into the network."""
    source = str(Path(yolov12.__file__).resolve().parents[1])
    return {**os.environ, "PYTHONPATH": source, "OMP_NUM_THREADS": "1", "YOLOV12_OFFLINE": "1"}


def start(folder: Path, *words: object) -> subprocess.Popen[str]:
    command = [*COMMAND, *(str(word) for word in words)]
    return subprocess.Popen(
        command, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def run(folder: Path, *words: object) -> tuple[int, str, str]:
    with start(folder, *words) as process:
        out, err = process.communicate()
    return process.returncode, out, err


def lines_until(process: subprocess.Popen[str], text: str) -> Iterator[str]:
    """Lines of stderr up to the first that holds `text`."""
    assert process.stderr is not None
    for line in process.stderr:
        yield line
        if text in line:
            return


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data set and a small model to start from."""
    folder = tmp_path_factory.mktemp("walk")
    write_data(folder / "data")
    write_model(folder / "start.safetensors")
    return folder


def test_train_then_predict_with_what_it_wrote(place: Path) -> None:
    code, out, err = run(
        place, "train", "--data", "data/data.yaml", "--model", "start.safetensors", "--epochs", 2, *OPTIONS
    )
    assert code == 0, err
    assert "results: runs/detect/train" in out
    weights = place / "runs" / "detect" / "train" / "weights"
    best = read_model_file(weights / "best.safetensors")
    assert best.names == {0: "even", 1: "odd"}
    folder = place / "data" / "images" / "val"
    words = ("predict", folder, "--model", weights / "best.pt", "--imgsz", 64, "--conf", 0.001, "--json")
    code, out, err = run(place, *words)
    assert code == 0, err
    found = [json.loads(line) for line in out.splitlines()]
    assert [Path(one["path"]).name for one in found] == [f"{number}.png" for number in range(IMAGES)]
    assert {item["name"] for one in found for item in one["detections"]} <= {"even", "odd"}
    code, out, err = run(place, "train", "--resume", "--model", weights / "last.safetensors")
    assert code == 0, err
    assert "already complete" in err


def test_a_signal_stops_cleanly_and_resume_completes(place: Path) -> None:
    epochs = 8
    words = ("train", "--data", "data/data.yaml", "--model", "start.safetensors", "--name", "stopped")
    with start(place, *words, "--epochs", epochs, *OPTIONS) as process:
        seen = list(lines_until(process, f"epoch 1/{epochs}"))
        assert f"epoch 1/{epochs}" in seen[-1], "".join(seen)
        process.send_signal(signal.SIGTERM)
        asked = time.monotonic()
        out, err = process.communicate()
    assert process.returncode == 128 + signal.SIGTERM, err
    assert time.monotonic() - asked < 30  # a step takes milliseconds, but the machine may be busy
    assert out == ""
    assert "Traceback" not in err
    last = "runs/detect/stopped/weights/last.safetensors"
    message = err.splitlines()[-1]
    assert message.startswith("error: stopped by signal 15")
    assert message.endswith(f"go on with: yolov12 train --resume --model {last}")
    code, out, err = run(place, *message.split("yolov12 ")[-1].split())  # as it says
    assert code == 0, err
    assert "resuming runs/detect/stopped" in err
    with (place / "runs" / "detect" / "stopped" / "results.csv").open() as file:
        assert [int(row["epoch"]) for row in csv.DictReader(file)] == list(range(1, epochs + 1))
    assert read_model_file(place / last).metadata["epoch"] == epochs
