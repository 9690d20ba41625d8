"""What the metrics of every task have in common, and the names of their columns in result tables."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from yolov12.config.tasks import TASKS
from yolov12.metrics.scores import plain

FITNESS: Final = "fitness"
BOX_COLUMNS: Final = ("metrics/precision", "metrics/recall", "metrics/mAP50", "metrics/mAP50-95")
MASK_COLUMNS: Final = ("metrics/mask_precision", "metrics/mask_recall", "metrics/mask_mAP50", "metrics/mask_mAP50-95")
POSE_COLUMNS: Final = ("metrics/pose_precision", "metrics/pose_recall", "metrics/pose_mAP50", "metrics/pose_mAP50-95")
ACCURACY_COLUMNS: Final = ("metrics/accuracy_top1", "metrics/accuracy_top5")

COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "detect": (*BOX_COLUMNS, FITNESS),
    "segment": (*BOX_COLUMNS, *MASK_COLUMNS, FITNESS),
    "pose": (*BOX_COLUMNS, *POSE_COLUMNS, FITNESS),
    "multi": (*BOX_COLUMNS, *MASK_COLUMNS, *POSE_COLUMNS, FITNESS),
    "obb": (*BOX_COLUMNS, FITNESS),
    "classify": (*ACCURACY_COLUMNS, FITNESS),
}


def result_columns(task: str) -> tuple[str, ...]:
    """The keys of `Metrics.results_dict`, and columns of a run's result table."""
    return COLUMNS[task]


def main_name(task: str) -> str:
    """What `Metrics.main` is called."""
    return "AP50-95" if TASKS[task].boxes else "top-1"


@dataclass(eq=False, kw_only=True)
class Metrics(ABC):
    """What `val()` and `train()` return; see `DetectionMetrics` and `ClassificationMetrics`.

    `images` were scored, `skipped` left out. `speed` holds milliseconds per image by step; `save_dir` the run's folder
    where there is one.
    """

    task: str
    names: dict[int, str]
    images: int
    skipped: int
    split: str
    speed: dict[str, float] = field(default_factory=dict)
    save_dir: Path | None = None

    @property
    @abstractmethod
    def fitness(self) -> float:
        """What "best" means in training: higher is better; 0 where there was nothing to measure."""

    @property
    @abstractmethod
    def main(self) -> float:
        """The one score that models are compared by, in 0..1; NaN where there was nothing to measure."""

    @property
    @abstractmethod
    def headline(self) -> tuple[float, ...]:
        """The numbers of the result table but fitness, NaN where there is nothing to measure."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Everything but the curves as plain JSON values; NaN becomes None."""

    @abstractmethod
    def table(self) -> str:
        """Aligned text: one line for all classes, one for each class, and what was counted; '-': nothing to measure."""

    @property
    def results_dict(self) -> dict[str, float | None]:
        """The headline numbers under the names of `result_columns`; None for NaN."""
        return dict(zip(COLUMNS[self.task], map(plain, (*self.headline, self.fitness)), strict=True))

    def _common(self) -> dict[str, Any]:
        return {"task": self.task, "split": self.split, "images": self.images, "skipped": self.skipped}

    def _closing(self) -> dict[str, Any]:
        return {"speed_ms": dict(self.speed), "save_dir": None if self.save_dir is None else str(self.save_dir)}

    def _counts(self, rule: str) -> str:
        images = f"{self.images}/{self.images + self.skipped}" if self.skipped else str(self.images)
        speed = "".join(f", {step} {value:.1f} ms" for step, value in self.speed.items())
        return f"{self.split} {images} images, {rule}{speed}"


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table whose first column is flush left, the others right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]


def cell(value: float) -> str:
    """A count as it is, a score with three decimals, NaN as '-'."""
    if isinstance(value, int | np.integer):
        return str(value)
    return "-" if math.isnan(value) else f"{value:.3f}"
