"""Options of `data synth`: which synthetic scenes to write. They are the arguments of `write_synthetic`, too."""

from __future__ import annotations

from dataclasses import dataclass

from yolov12.config.run import option
from yolov12.config.tasks import TASKS

SYNTHETIC_FORMATS = ("yolo", "coco")


@dataclass(frozen=True)
class SyntheticConfig:
    """How many scenes of which kind. Scene i of a split depends on `task`, `size`, `seed`, the split and i alone."""

    task: str = option("detect", "what the labels are for", choices=tuple(TASKS))
    train: int = option(2000, "scenes to train on", low=1, high=1_000_000)
    val: int = option(200, "scenes to validate on; 0: no such split", low=0, high=1_000_000)
    test: int = option(0, "scenes kept for a last test; 0: no such split", low=0, high=1_000_000)
    size: int = option(256, "side of the square pictures in pixels", low=64, high=2048)
    seed: int = option(0, "seed of all scenes", low=0, high=2**31 - 1)
    format: str = option("yolo", "text labels (class folders for classify) or COCO JSON", choices=SYNTHETIC_FORMATS)
    workers: int = option(2, "processes that draw, at most one per core; 0: this one", low=0, high=256)
