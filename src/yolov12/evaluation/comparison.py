"""Several models on the same data in one run: accuracy with confidence intervals, latency, size and memory.

Accuracy is COCO's; its intervals come from the bootstrap over images, and two models are compared on the same resamples
(see `bootstrap`). For the latency the models take turns image by image, so that a slow moment of the machine hits all
of them; it is the time from a decoded picture to its `Result`, one picture at a time.
"""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from yolov12.config.run import CompareConfig, ImageSize, PredictConfig, ValConfig
from yolov12.data.image_io import read_image
from yolov12.data.index import ImageIndex
from yolov12.errors import ImageError, printable
from yolov12.evaluation.bootstrap import (
    Difference,
    Interval,
    Weights,
    accuracy,
    average_precision,
    difference,
    draw_weights,
    interval,
)
from yolov12.evaluation.evaluator import evaluate
from yolov12.evaluation.labels import suited
from yolov12.inference.peak_memory import network_bytes
from yolov12.inference.predictor import Predictor
from yolov12.inference.runtime import Runtime
from yolov12.matching import Floats
from yolov12.metrics import ClassificationMetrics, DetectionMetrics, Metrics
from yolov12.models.detector import Detector, fuse
from yolov12.models.profile import profile

WARM_UP: Final = 3
"""Images that every model sees before the clock starts."""
MEGABYTE: Final = 1e6


@dataclass(frozen=True, eq=False)
class Contestant:
    """A model that takes part: what the user called it, what runs it, and at which size."""

    name: str
    model: Detector
    names: Mapping[int, str]
    runtime: Runtime
    imgsz: ImageSize


@dataclass(frozen=True, eq=False)
class Standing:
    """What was measured of one model.

    scores        by name ("box AP50-95", "top-1", ...) with its interval; the first is what models are ranked by
    latency_ms    median and 95th percentile, milliseconds per picture
    memory_bytes  weights and peak activations of one forward pass of one picture in float32
    """

    name: str
    variant: str
    imgsz: ImageSize
    runtime: str
    precision: str
    scores: dict[str, Interval]
    latency_ms: tuple[float, float]
    parameters: int
    gflops: float
    memory_bytes: int


@dataclass(frozen=True, eq=False)
class Duel:
    """Two models by one score: first minus second."""

    first: str
    second: str
    score: str
    difference: Difference

    def sentence(self) -> str:
        """`a - b, box AP50-95: +0.012 [-0.004, +0.027]: not significant`."""
        gap = self.difference.interval
        if np.isnan(gap.value):
            return f"{printable(self.first)} - {printable(self.second)}, {self.score}: nothing to measure"
        verdict = "significant" if self.difference.significant else "not significant"
        return (
            f"{printable(self.first)} - {printable(self.second)}, {self.score}: {gap.value:+.3f} "
            f"[{gap.low:+.3f}, {gap.high:+.3f}]: {verdict}"
        )


@dataclass(eq=False)
class Comparison:
    """What `compare` found; `save_dir` is the run's folder where there is one."""

    task: str
    data: str
    split: str
    images: int
    timed: int
    level: float
    resamples: int
    standings: list[Standing]
    duels: list[Duel]
    save_dir: Path | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; a score that does not exist is None."""
        values = dataclasses.asdict(self)
        for duel, record in zip(self.duels, values["duels"], strict=True):
            record["difference"]["significant"] = duel.difference.significant
        values["save_dir"] = None if self.save_dir is None else str(self.save_dir)
        return {name: _plain(value) for name, value in values.items()}

    def table(self) -> str:
        """Aligned text: a line for each model, then what the differences are worth."""
        head = ["model", "imgsz", *self.standings[0].scores, "ms median", "ms p95", "params M", "GFLOPs", "memory MB"]
        rows = [head, *(_cells(standing) for standing in self.standings)]
        widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
        lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]
        what = (
            f"{self.split}, {self.images} images; intervals: {self.level:.0%} of {self.resamples} resamples of the "
            f"images; latency: picture in memory to result, {self.timed} pictures in turns"
        )
        return "\n".join([*lines, what, *(duel.sentence() for duel in self.duels)])


def compare(contestants: Sequence[Contestant], index: ImageIndex, config: CompareConfig, task: str) -> Comparison:
    """Score and time all `contestants` on `index`; raises ConfigError naming the model whose classes do not fit."""
    weights: Weights | None = None
    scored: list[dict[str, tuple[float, Floats]]] = []
    skipped = 0
    suits = [
        suited(index, each.names, each.model.config.keypoint_shape, blame=printable(each.name)) for each in contestants
    ]
    for contestant, suit in zip(contestants, suits, strict=True):
        metrics = _evaluate(contestant, suit, config, task)
        skipped = max(skipped, len(index) - metrics.images)
        weights = draw_weights(metrics.images, config.resamples, config.seed) if weights is None else weights
        scored.append(resampled_scores(metrics, weights))
    latencies = measure_latency(contestants, _pictures(index, config), task)
    standings = [
        _standing(contestant, scores, latency, config)
        for contestant, scores, latency in zip(contestants, scored, latencies, strict=True)
    ]
    duels = [
        Duel(standings[a].name, standings[b].name, name, _duel(scored[a][name], scored[b][name], config.confidence))
        for a, b in itertools.combinations(range(len(standings)), 2)
        for name in scored[0]
    ]
    return Comparison(
        task=task,
        data=config.data,
        split=config.split,
        images=len(index) - skipped,
        timed=len(latencies[0]),
        level=config.confidence,
        resamples=config.resamples,
        standings=standings,
        duels=duels,
    )


def measure_latency(contestants: Sequence[Contestant], pictures: Iterable[Any], task: str) -> list[list[float]]:
    """Milliseconds per picture (H, W, 3) and model, the models taking turns; the order changes with every picture.

    The first few are seen twice, to warm up.
    """
    pictures = iter(pictures)
    first = list(itertools.islice(pictures, WARM_UP))
    predictors = [Predictor(one.runtime, one.names, task) for one in contestants]
    options = [PredictConfig(imgsz=one.imgsz, verbose=False) for one in contestants]
    times: list[list[float]] = [[] for _ in contestants]
    for number, picture in enumerate(itertools.chain(first, first, pictures)):
        for turn in range(len(contestants)):
            which = (turn + number) % len(contestants)
            started = time.perf_counter()
            list(predictors[which].predict(picture, options[which]))
            if number >= len(first):
                times[which].append(1000 * (time.perf_counter() - started))
    return times


def _evaluate(contestant: Contestant, index: ImageIndex, config: CompareConfig, task: str) -> Metrics:
    options = ValConfig(
        imgsz=contestant.imgsz,
        batch=config.batch,
        on_bad_label=config.on_bad_label,
        max_pixels=config.max_pixels,
        verbose=config.verbose,
    )
    return evaluate(contestant.runtime, index, options, task)


def resampled_scores(metrics: Metrics, weights: Weights) -> dict[str, tuple[float, Floats]]:
    """Each score on all images, and on every resample (R,)."""
    if isinstance(metrics, ClassificationMetrics):
        shares = accuracy(metrics.hits, weights)
        return {"top-1": (metrics.top1, shares[:, 0]), "top-5": (metrics.top5, shares[:, 1])}
    if not isinstance(metrics, DetectionMetrics):
        raise TypeError(f"nothing is known of {type(metrics).__name__}")
    scores = {}
    for name, part in reversed(metrics.parts.items()):  # masks and keypoints before the boxes that they need
        resampled = average_precision(part.matches, weights)
        scores[f"{name} AP50-95"] = part.map, resampled[:, 0]
        scores[f"{name} AP50"] = part.map50, resampled[:, 1]
    return scores


def _duel(first: tuple[float, Floats], second: tuple[float, Floats], level: float) -> Difference:
    return difference((first[0], second[0]), first[1], second[1], level)


def _pictures(index: ImageIndex, config: CompareConfig) -> Iterator[Any]:
    """Up to `config.timed` pictures, evenly spread over the split, decoded one at a time."""
    count = min(config.timed, len(index))
    for i in (k * len(index) // count for k in range(count)):
        try:
            yield read_image(index.paths[i], max_pixels=config.max_pixels)
        except ImageError:
            if config.on_bad_label == "error":
                raise


def _standing(
    contestant: Contestant, scores: Mapping[str, tuple[float, Floats]], times: Sequence[float], config: CompareConfig
) -> Standing:
    imgsz = contestant.imgsz
    height, width = (imgsz, imgsz) if isinstance(imgsz, int) else imgsz
    described = profile(contestant.model, imgsz)
    blank = torch.zeros(1, 3, height, width)
    return Standing(
        name=contestant.name,
        variant=contestant.model.config.variant,
        imgsz=imgsz,
        runtime=contestant.runtime.name,
        precision=contestant.runtime.precision,
        scores={name: interval(value, resampled, config.confidence) for name, (value, resampled) in scores.items()},
        latency_ms=(float(np.median(times)), float(np.percentile(times, 95))),
        parameters=described.parameters,
        gflops=described.gflops,
        memory_bytes=network_bytes(fuse(contestant.model).cpu(), blank),
    )


def _cells(standing: Standing) -> list[str]:
    imgsz = standing.imgsz if isinstance(standing.imgsz, int) else "x".join(map(str, standing.imgsz))
    median, slow = standing.latency_ms
    numbers = (median, slow, standing.parameters / 1e6, standing.gflops, standing.memory_bytes / MEGABYTE)
    scores = map(str, standing.scores.values())
    return [printable(standing.name), str(imgsz), *scores, *(f"{number:.1f}" for number in numbers)]


def _plain(value: Any) -> Any:
    """Values that JSON knows, NaN as None."""
    if isinstance(value, dict):
        return {name: _plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and np.isnan(value):
        return None
    return value.item() if isinstance(value, np.generic) else value
