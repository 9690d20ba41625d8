"""The record of a training run: result rows as CSV and JSON lines, and their curves.

`results.csv` has only what a repeated or resumed run reproduces exactly; `results.jsonl` has the same and the times.
Both are rewritten as a whole, atomically, so a reader or a kill never sees half a row.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from yolov12.atomic import write_atomic
from yolov12.evaluation.curves import draw_training
from yolov12.metrics import Metrics, result_columns

Row = dict[str, float | int | None]

TIMES = ("seconds", "images_per_second")
"""Columns that differ from run to run: in the JSON lines only."""


class RunLogger:
    """One row per finished epoch in `folder`/results.csv and results.jsonl. Epochs in the files count from 1."""

    def __init__(self, folder: Path, task: str = "detect") -> None:
        self.task = task
        self.csv_path = folder / "results.csv"
        self.jsonl_path = folder / "results.jsonl"
        self.picture_path = folder / "results.png"
        self.rows: list[Row] = []

    @property
    def last_row(self) -> Row:
        """What was logged last, without the times; empty before the first epoch."""
        return {name: value for name, value in self.rows[-1].items() if name not in TIMES} if self.rows else {}

    def log(
        self,
        epoch: int,
        losses: Mapping[str, float],
        metrics: Metrics | None,
        rates: Sequence[float],
        seconds: float,
        images_per_second: float,
    ) -> None:
        """Add the row of `epoch` (from 0): mean losses, metrics where it was evaluated, each group's learning rate.

        A value that is not finite is recorded as missing (an empty cell, null).
        """
        results = dict.fromkeys(result_columns(self.task)) if metrics is None else metrics.results_dict
        values = {
            **{f"train/{name}": value for name, value in losses.items()},
            **results,
            **{f"lr/pg{group}": rate for group, rate in enumerate(rates)},
            **dict(zip(TIMES, (seconds, images_per_second), strict=True)),
        }
        self.rows.append({"epoch": epoch + 1, **{name: _finite(value) for name, value in values.items()}})
        self._write()

    def truncate(self, epoch: int) -> None:
        """On resume: take over the rows of the first `epoch` epochs from the files and drop all later ones."""
        lines = self.jsonl_path.read_text(encoding="utf8").splitlines() if self.jsonl_path.exists() else []
        rows = [row for row in map(_parse, lines) if row is not None]
        self.rows = [row for row in rows if row["epoch"] in range(1, epoch + 1)]
        self._write()

    def draw(self) -> None:
        """Draw all columns but the times over the epochs into results.png."""
        draw_training([{name: row[name] for name in row if name not in TIMES} for row in self.rows], self.picture_path)

    def _write(self) -> None:
        columns = list(dict.fromkeys(name for row in self.rows for name in row if name not in TIMES))
        table = io.StringIO()
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_cell(row.get(name)) for name in columns] for row in self.rows)
        lines = "".join(json.dumps(row, allow_nan=False) + "\n" for row in self.rows)
        # The JSON lines first: a resumed run reads them and writes the CSV from them.
        write_atomic(self.jsonl_path, lines.encode())
        write_atomic(self.csv_path, table.getvalue().encode())


def _parse(line: str) -> Row | None:
    """One JSON line, or None for a damaged one (cut off by a full disk, say)."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) and isinstance(row.get("epoch"), int) else None


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _cell(value: float | int | None) -> str:
    return "" if value is None else f"{value:.6g}"
