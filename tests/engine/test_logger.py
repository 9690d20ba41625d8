"""Result rows as CSV and JSON lines, and their truncation on resume."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from index_factory import make_index
from yolov12.detections import Detections
from yolov12.engine.logger import RunLogger
from yolov12.metrics import DetectionMetrics, evaluate_detections, result_columns

LOSSES, RATES = ["train/box", "train/cls", "train/dfl"], ["lr/pg0", "lr/pg1", "lr/pg2"]
COLUMNS = ["epoch", *LOSSES, *result_columns("detect"), *RATES]


@pytest.fixture(scope="module")
def metrics() -> DetectionMetrics:
    return evaluate_detections(make_index([[(0, 0, 50, 50, 0)]]), [Detections(np.array([[0, 0, 50, 50, 0.9, 0.0]]))])


def log(logger: RunLogger, epochs: range, metrics: DetectionMetrics | None, seconds: float = 1.5) -> None:
    for epoch in epochs:
        losses = {"box": 3 - epoch / 7, "cls": 2.0, "dfl": 1.0}
        logger.log(epoch, losses, metrics, [0.1, 0.01, 0.01], seconds, 100 / seconds)


def test_both_files_hold_every_epoch_and_only_the_json_lines_hold_times(
    tmp_path: Path, metrics: DetectionMetrics
) -> None:
    logger = RunLogger(tmp_path)
    assert logger.last_row == {}
    log(logger, range(2), metrics)
    rows = list(csv.DictReader(logger.csv_path.read_text(encoding="utf8").splitlines()))
    assert list(rows[0]) == COLUMNS
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert rows[1]["train/box"] == "2.85714"
    assert rows[1]["metrics/mAP50-95"] == "1"
    lines = [json.loads(line) for line in logger.jsonl_path.read_text(encoding="utf8").splitlines()]
    assert lines[1]["train/box"] == 3 - 1 / 7
    assert (lines[1]["seconds"], lines[1]["images_per_second"]) == (1.5, 100 / 1.5)
    assert list(logger.last_row) == COLUMNS


def test_epochs_without_evaluation_and_odd_values_are_empty(tmp_path: Path) -> None:
    logger = RunLogger(tmp_path)
    logger.log(0, {"box": float("nan")}, None, [0.1], 1.0, 2.0)
    row = next(csv.DictReader(logger.csv_path.read_text(encoding="utf8").splitlines()))
    assert row["metrics/mAP50"] == row["train/box"] == ""
    assert json.loads(logger.jsonl_path.read_text(encoding="utf8"))["train/box"] is None


@pytest.mark.parametrize("tail", ["", '{"epoch": 4, "train/bo', "\x00\x00\n", "[]\n"])
def test_resuming_gives_the_table_of_an_unbroken_run(tmp_path: Path, metrics: DetectionMetrics, tail: str) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "broken").mkdir()
    whole, broken = RunLogger(tmp_path / "whole"), RunLogger(tmp_path / "broken")
    log(whole, range(4), metrics)
    log(broken, range(3), metrics)
    with broken.jsonl_path.open("a", encoding="utf8") as file:
        file.write(tail)

    resumed = RunLogger(tmp_path / "broken")
    resumed.truncate(2)  # the third epoch was logged, but its state was not saved
    assert [row["epoch"] for row in resumed.rows] == [1, 2]
    assert len(broken.csv_path.read_text(encoding="utf8").splitlines()) == 3
    log(resumed, range(2, 4), metrics, seconds=9.0)
    assert broken.csv_path.read_bytes() == whole.csv_path.read_bytes()


def test_truncating_a_new_run_leaves_empty_files(tmp_path: Path) -> None:
    logger = RunLogger(tmp_path)
    logger.truncate(0)
    assert logger.jsonl_path.read_bytes() == b""


def test_a_failed_write_keeps_the_previous_table(
    tmp_path: Path, metrics: DetectionMetrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    logger = RunLogger(tmp_path)
    log(logger, range(1), metrics)
    before = logger.csv_path.read_bytes(), logger.jsonl_path.read_bytes()

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(KeyboardInterrupt):
        log(logger, range(1, 2), metrics)
    assert (logger.csv_path.read_bytes(), logger.jsonl_path.read_bytes()) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results.csv", "results.jsonl"]


def test_the_training_curves_are_drawn(tmp_path: Path, metrics: DetectionMetrics) -> None:
    logger = RunLogger(tmp_path)
    logger.draw()
    assert not logger.picture_path.exists()
    log(logger, range(2), metrics)
    logger.draw()
    with Image.open(logger.picture_path) as picture:
        assert picture.size[0] > 1000
