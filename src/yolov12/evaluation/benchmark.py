"""How fast, how large and how accurate: models by runtime, precision, size and batch, measured in turns in one run.

A time is that from files on the disk to results, per picture. Settings take turns picture by picture, so that whatever
else the machine does falls on all of them. No torch: what runs a model is the caller's affair.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import io
import itertools
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from yolov12.config.run import ImageSize, PredictConfig, ValConfig
from yolov12.data.index import ImageIndex
from yolov12.errors import YoloError
from yolov12.evaluation.evaluator import evaluate
from yolov12.inference.predictor import Predictor
from yolov12.inference.runtime import Runtime

WARM_UP: Final = 2
"""Rounds before the clock starts."""
STEPS: Final = ("preprocess", "inference", "postprocess")
ENERGY_COUNTERS: Final = "/sys/class/powercap"


@dataclass(frozen=True)
class Setting:
    """One way to run a model."""

    model: str
    runtime: str
    precision: str
    imgsz: ImageSize
    batch: int

    def __str__(self) -> str:
        size = self.imgsz if isinstance(self.imgsz, int) else "x".join(map(str, self.imgsz))
        return f"{self.model} {self.runtime} {self.precision} {size} batch {self.batch}"


@dataclass(frozen=True, eq=False)
class Entrant:
    """A setting that can run: the runtime behind it and the rectangle rule of its canvases; memory in bytes.

    `cost` is the number of parameters and GFLOPs of one picture, where they are known.
    """

    setting: Setting
    runtime: Runtime
    names: Mapping[int, str]
    rect: bool
    memory: int
    cost: tuple[int, float] | None = None


@dataclass(eq=False)
class Line:
    """What was measured of one setting; `note` says why nothing was.

    parameters    millions, and GFLOPs of one picture, None for files that do not tell
    milliseconds  per picture, from file to result: median and 95th percentile
    steps         of preprocess, inference, postprocess: median and 95th percentile
    throughput    pictures per second, of the medians
    memory        megabytes that the process grew by when the setting ran first
    energy        millijoules of the processor per picture, None where no counter can be read
    accuracy      AP50-95, or top-1, None without a data set
    """

    setting: Setting
    computed: str = ""
    parameters: float | None = None
    gflops: float | None = None
    milliseconds: tuple[float, float] | None = None
    steps: dict[str, tuple[float, float]] = field(default_factory=dict)
    throughput: float | None = None
    memory: float | None = None
    energy: float | None = None
    accuracy: float | None = None
    note: str = ""

    def cells(self) -> dict[str, Any]:
        """By column."""
        median, slow = self.milliseconds or (None, None)
        return {
            **dataclasses.asdict(self.setting),
            "computed": self.computed,
            "parameters M": _rounded(self.parameters),
            "GFLOPs": _rounded(self.gflops, 1),
            "ms median": _rounded(median),
            "ms p95": _rounded(slow),
            **self._step_cells(),
            "images/s": _rounded(self.throughput),
            "memory MB": _rounded(self.memory, 0),
            "mJ": _rounded(self.energy, 0),
            "accuracy": _rounded(self.accuracy, 4),
            "note": self.note,
        }

    def _step_cells(self) -> dict[str, float | int | None]:
        cells: dict[str, float | int | None] = {}
        for step in STEPS:
            median, slow = self.steps.get(step, (None, None))
            cells |= {f"{step} ms": _rounded(median), f"{step} p95": _rounded(slow)}
        return cells


@dataclass(eq=False)
class Benchmark:
    """All lines, and what they were measured on."""

    task: str
    machine: dict[str, str]
    command: str
    pictures: int
    data: str
    lines: list[Line]
    save_dir: Path | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        about = {"task": self.task, "machine": self.machine, "command": self.command, "data": self.data}
        save_dir = None if self.save_dir is None else str(self.save_dir)
        return {
            **about,
            "pictures": self.pictures,
            "save_dir": save_dir,
            "lines": [line.cells() for line in self.lines],
        }

    def markdown(self) -> str:
        """A table, the machine and the command above it."""
        rows = [line.cells() for line in self.lines]
        head = [name for name in rows[0] if any(row[name] not in (None, "") for row in rows)]
        lines = [f"`{self.command}`", "", ", ".join(f"{name} {value}" for name, value in self.machine.items()), ""]
        lines += [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
        lines += [f"| {' | '.join('' if row[name] is None else str(row[name]) for name in head)} |" for row in rows]
        return "\n".join([*lines, "", f"From file to result, per picture, {self.pictures} rounds in turns."])

    def csv(self) -> str:
        """One line a setting."""
        text = io.StringIO()
        rows = [line.cells() for line in self.lines]
        writer = csv.DictWriter(text, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()

    def frontier(self) -> list[Line]:
        """The lines that no other beats in both time and accuracy, fastest first."""
        timed = [line for line in self.lines if line.milliseconds is not None and line.accuracy is not None]
        timed.sort(key=lambda line: (_median(line), -(line.accuracy or 0)))
        best, found = -1.0, []
        for line in timed:
            if (line.accuracy or 0.0) > best:
                found.append(line)
                best = line.accuracy or 0.0
        return found


def within_budget(benchmark: Benchmark, milliseconds: float) -> Line | None:
    """The most accurate line whose median time is within the budget, the fastest of equals; None if there is none."""
    fitting = [line for line in benchmark.frontier() if _median(line) <= milliseconds]
    return max(fitting, key=lambda line: line.accuracy or 0.0, default=None)


def measure(entrants: Sequence[Entrant], files: Sequence[str], task: str, rounds: int) -> list[Line]:
    """Time all entrants in turns on pictures of the disk."""
    totals: list[list[float]] = [[] for _ in entrants]
    steps: list[list[dict[str, float]]] = [[] for _ in entrants]
    energy: list[list[float]] = [[] for _ in entrants]
    predictors = [Predictor(one.runtime, one.names, task) for one in entrants]
    endless = itertools.cycle(files)
    for number in range(WARM_UP + rounds):
        most = max(one.setting.batch for one in entrants)
        pictures = list(itertools.islice(endless, most))
        for turn in range(len(entrants)):
            which = (turn + number) % len(entrants)
            setting = entrants[which].setting
            config = PredictConfig(
                imgsz=setting.imgsz, batch=setting.batch, rect=entrants[which].rect, stream=True, verbose=False
            )
            source: Any = pictures[0] if setting.batch == 1 else pictures[: setting.batch]
            before, started = joules(), time.perf_counter()
            results = list(predictors[which].predict(source, config))
            seconds, after = time.perf_counter() - started, joules()
            if number >= WARM_UP:
                totals[which].append(1000 * seconds / setting.batch)
                steps[which] += [result.speed for result in results]
                if before is not None and after is not None and after >= before:
                    energy[which].append(1000 * (after - before) / setting.batch)
    return [
        Line(
            entrant.setting,
            computed=f"{entrant.runtime.name} {entrant.runtime.precision}",
            parameters=entrant.cost[0] / 1e6 if entrant.cost else None,
            gflops=entrant.cost[1] if entrant.cost else None,
            milliseconds=_median_and_p95(times),
            steps={step: _median_and_p95([speed[step] for speed in speeds]) for step in STEPS},
            throughput=1000 / float(np.median(times)),
            memory=entrant.memory / 1e6,
            energy=float(np.median(spent)) if spent else None,
        )
        for entrant, times, speeds, spent in zip(entrants, totals, steps, energy, strict=True)
    ]


def accuracy_of(entrant: Entrant, index: ImageIndex, config: ValConfig, task: str) -> tuple[float | None, str]:
    """AP50-95, or top-1, on a data set; None and the reason where it cannot be scored."""
    config = dataclasses.replace(config, imgsz=entrant.setting.imgsz, rect=entrant.rect)
    try:
        score = evaluate(entrant.runtime, index, config, task).main
        return (score, "") if np.isfinite(score) else (None, "these pictures have no labelled objects")
    except YoloError as error:
        return None, str(error)


def joules(counters: str = ENERGY_COUNTERS) -> float | None:
    """What the processor's energy counters stand at, None where there are none or they may not be read."""
    total, found = 0.0, False
    with contextlib.suppress(OSError, ValueError):
        for package in Path(counters).glob("intel-rapl:?"):
            total += int((package / "energy_uj").read_text()) / 1e6
            found = True
    return total if found else None


def resident_bytes() -> int:
    """Memory of this process that is in use; 0 where the system does not say."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _median_and_p95(values: Sequence[float]) -> tuple[float, float]:
    return float(np.median(values)), float(np.percentile(values, 95))


def _median(line: Line) -> float:
    return line.milliseconds[0] if line.milliseconds is not None else float("inf")


def _rounded(value: float | None, digits: int = 2) -> float | int | None:
    if value is None:
        return None
    return round(value, digits) if digits else round(value)
