"""How sure a score is: what it would be on other images of the same kind (the bootstrap, Efron 1979).

A resample draws as many images as there are, each as often as chance has it. Which detection found which object does
not depend on the other images, so the matches of one evaluation serve for all resamples: an image that is drawn twice
simply counts twice. Two models are compared on the same resamples, because what is hard for one is hard for the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from yolov12.matching import Bools, Floats, Matches

Weights = npt.NDArray[np.int32]

RECALLS: Final[Floats] = np.linspace(0.0, 1.0, 101)
VALUES_AT_ONCE: Final = 4_000_000
"""Bounds the memory of one step: resamples times detections of a class."""


@dataclass(frozen=True)
class Interval:
    """A score, and where it lies in `level` of the resamples (0.95: 19 of 20). NaN: nothing to measure."""

    value: float
    low: float
    high: float
    level: float

    def __str__(self) -> str:
        return "-" if np.isnan(self.value) else f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class Difference:
    """How much better the first of two models is, and the share of resamples in which it is better (half a tie)."""

    interval: Interval
    better: float

    @property
    def significant(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.interval.low > 0 or self.interval.high < 0


def draw_weights(images: int, resamples: int = 1000, seed: int = 0) -> Weights:
    """How often each image is in each resample, (resamples, images); the same for the same arguments."""
    if not images:
        return np.zeros((resamples, 0), np.int32)
    drawn = np.random.default_rng(seed).integers(0, images, (resamples, images))
    drawn += np.arange(resamples)[:, None] * images
    return np.bincount(drawn.ravel(), minlength=resamples * images).reshape(resamples, images).astype(np.int32)


def average_precision(matches: Matches, weights: Weights) -> Floats:
    """COCO's AP and AP50 (R, 2) where image i counts `weights[r, i]` times, weights (R, I); NaN: no objects.

    All areas, 101 recalls, mean over the classes that have objects; weights of one give COCO's own numbers.
    """
    if weights.shape[1] != matches.num_images:
        raise ValueError(f"weights of {weights.shape[1]} images for matches of {matches.num_images}")
    total = np.zeros((len(weights), matches.hit.shape[1]))  # (R, T)
    classes = np.zeros(len(weights))
    for label in np.unique(matches.object_labels).tolist():
        precision, present = _class_precision(matches, label, weights)
        total += np.where(present[:, None], precision, 0.0)
        classes += present
    means = np.divide(total, classes[:, None], out=np.full_like(total, np.nan), where=classes[:, None] > 0)
    return np.column_stack([means.mean(axis=1), means[:, 0]])


def accuracy(hits: Bools, weights: Weights) -> Floats:
    """Top-1 and top-5 (R, 2) from `ClassificationMetrics.hits` (I, 2), where image i counts `weights[r, i]` times."""
    if weights.shape[1] != len(hits):
        raise ValueError(f"weights of {weights.shape[1]} images for the answers to {len(hits)}")
    images = weights.sum(axis=1, dtype=np.float64)[:, None]
    right = weights.astype(np.float64) @ hits.astype(np.float64)
    shares: Floats = np.divide(right, images, out=np.full_like(right, np.nan), where=images > 0)
    return shares


def interval(value: float, resampled: Floats, level: float = 0.95) -> Interval:
    """The percentiles of `resampled` (R,) that enclose `level` of them, around the score of all images."""
    known = resampled[np.isfinite(resampled)]
    if not len(known):
        return Interval(value, np.nan, np.nan, level)
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2]).tolist()
    return Interval(value, low, high, level)


def difference(values: tuple[float, float], first: Floats, second: Floats, level: float = 0.95) -> Difference:
    """First minus second of two models: `values` on all images, and both (R,) on the same resamples."""
    if first.shape != second.shape:
        raise ValueError(f"{len(first)} and {len(second)} resamples: both models need the same")
    gaps = first - second
    known = gaps[np.isfinite(gaps)]
    better = float(np.mean((np.sign(known) + 1) / 2)) if len(known) else np.nan
    return Difference(interval(values[0] - values[1], gaps, level), better)


def _class_precision(matches: Matches, label: int, weights: Weights) -> tuple[Floats, Bools]:
    """AP (R, T) of one class at each similarity, and whether a resample has objects of it (R,)."""
    mine = np.flatnonzero(matches.labels == label)
    mine = mine[np.argsort(-matches.scores[mine], kind="stable")]
    images, hit, ignored = matches.images[mine], matches.hit[mine], matches.ignored[mine]
    owners = matches.object_images[matches.object_labels == label]
    precision = np.zeros((len(weights), hit.shape[1]))
    objects = np.zeros(len(weights))
    step = max(VALUES_AT_ONCE // max(len(mine), len(owners), 1), 1)
    for start in range(0, len(weights), step):
        part = slice(start, start + step)
        objects[part] = weights[part][:, owners].sum(axis=1)
        drawn = weights[part][:, images].astype(np.float64)  # (r, n) how often each detection counts
        counted = np.cumsum(drawn, axis=1)
        for level in range(hit.shape[1]):
            precision[part, level] = _precision(drawn, counted, hit[:, level], ignored[:, level], objects[part])
    return precision, objects > 0


def _precision(drawn: Floats, counted: Floats, hit: Bools, ignored: Bools, objects: Floats) -> Floats:
    """AP (r,) at one similarity. Precision is highest right after a hit, so only hits need to be looked at."""
    places, left_out = np.flatnonzero(hit), np.flatnonzero(ignored)
    if not len(places):
        return np.zeros(len(drawn))
    found = np.cumsum(drawn[:, places], axis=1)  # (r, h) true positives so far
    spared = np.cumsum(np.pad(drawn[:, left_out], ((0, 0), (1, 0))), axis=1)
    false_and_true = counted[:, places] - spared[:, np.searchsorted(left_out, places)]
    precision = found / (false_and_true + np.spacing(1))
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    recall = found / np.maximum(objects, 1)[:, None]
    # How many of the 101 recalls are reached by each hit; each is read at the first hit that reaches it.
    reached = np.searchsorted(RECALLS, recall, side="right")
    news = np.diff(reached, axis=1, prepend=0)
    value: Floats = (precision * news).sum(axis=1) / len(RECALLS)
    return value
