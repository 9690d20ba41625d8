"""Average precision with what goes with it: COCO's numbers, values per class, curves, matches."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import numpy as np

from yolov12.matching import ConfidenceCurves, Floats, Matches
from yolov12.metrics.coco import CocoScores

S = TypeVar("S", bound="ApMetrics")


@dataclass(frozen=True, eq=False, kw_only=True)
class ApMetrics:
    """Scores between 0 and 1 by one similarity. NaN where there is nothing to measure: a class, a size, a data set.

    Arrays have one value per class (C,). `map*` are means over the classes that have objects, over IoU (or what stands
    for it) 0.50:0.05:0.95, `map50` and `map75` at one; medium and large are COCO's areas (32^2 to 96^2, and the rest,
    in pixels of the original image). `confidence` is where `p`, `r`, `f1` and their means `mp`, `mr`, `mf1` are read,
    at 0.5: where the class-mean F1 is best.

    `precision_at_recall` (K, 101): interpolated precision at 0.5 of the classes in `curves.class_ids`.
    `matches` is what each detection was worth: what `evaluation.bootstrap` needs.
    """

    STATS: ClassVar[tuple[str, ...]] = ()
    """COCO's numbers in its own order, as attributes."""

    map: float
    map50: float
    map75: float
    map_medium: float
    map_large: float
    ar_medium: float
    ar_large: float
    maps: Floats
    maps50: Floats
    p: Floats
    r: Floats
    f1: Floats
    mp: float
    mr: float
    mf1: float
    confidence: float
    curves: ConfidenceCurves
    precision_at_recall: Floats
    matches: Matches

    @property
    def stats(self) -> tuple[float, ...]:
        """COCO's numbers in its own order, -1 for "nothing to measure"."""
        values = (float(getattr(self, name)) for name in self.STATS)
        return tuple(-1.0 if math.isnan(value) else value for value in values)

    @property
    def headline(self) -> tuple[float, float, float, float]:
        """Precision, recall, AP50, AP."""
        return self.mp, self.mr, self.map50, self.map

    @property
    def fitness(self) -> float:
        """What "best" means in training: 0.1 AP50 + 0.9 AP; 0 where there was nothing to measure."""
        value = 0.1 * self.map50 + 0.9 * self.map
        return 0.0 if math.isnan(value) else value

    def to_dict(self) -> dict[str, float | None]:
        """The numbers of the whole data set; NaN becomes None."""
        return {name: plain(getattr(self, name)) for name in (*self.STATS, "mp", "mr", "mf1", "confidence")}

    def class_dict(self, k: int) -> dict[str, float | None]:
        """The numbers of class `k`."""
        columns = {"p": self.p, "r": self.r, "f1": self.f1, "ap50": self.maps50, "ap": self.maps}
        return {name: plain(column[k]) for name, column in columns.items()}


@dataclass(frozen=True, eq=False, kw_only=True)
class RegionMetrics(ApMetrics):
    """Boxes, masks or rotated boxes, by IoU: COCO's twelve numbers.

    Small is an area below 32^2. `ar_1`, `ar_10`, `ar_100`: recall with that many detections per image and class.
    """

    STATS: ClassVar[tuple[str, ...]] = (
        "map", "map50", "map75", "map_small", "map_medium", "map_large",
        "ar_1", "ar_10", "ar_100", "ar_small", "ar_medium", "ar_large",
    )  # fmt: skip

    map_small: float
    ar_1: float
    ar_10: float
    ar_100: float
    ar_small: float


@dataclass(frozen=True, eq=False, kw_only=True)
class KeypointMetrics(ApMetrics):
    """Keypoints, by OKS: COCO's ten numbers, with at most 20 detections per image and class, and no small objects."""

    STATS: ClassVar[tuple[str, ...]] = (
        "map", "map50", "map75", "map_medium", "map_large", "ar_20", "ar50", "ar75", "ar_medium", "ar_large",
    )  # fmt: skip

    ar_20: float
    ar50: float
    ar75: float


def named(cls: type[S], scores: CocoScores, curves: ConfidenceCurves, matches: Matches) -> S:
    """Name COCO's numbers, NaN for -1, and read the confidence curves at their best point."""
    precision = scores.precision
    num_classes, ids, best = precision.shape[2], curves.class_ids, curves.best

    def spread(values: Floats) -> Floats:
        """Values (K,) of the classes with objects among all classes (C,)."""
        full = np.full(num_classes, np.nan)
        full[ids] = values
        return full

    recall = curves.recall[:, best]
    found_precision = np.where(recall > 0, curves.precision[:, best], 0.0)  # nothing found: 0 rather than 0 / 0
    values: dict[str, Any] = {
        **{name: math.nan if value < 0 else float(value) for name, value in zip(cls.STATS, scores.stats, strict=True)},
        "maps": spread(precision[:, :, ids].mean(axis=(0, 1))),
        "maps50": spread(precision[0, :, ids].mean(axis=1)),
        "p": spread(found_precision),
        "r": spread(recall),
        "f1": spread(curves.f1[:, best]),
        "mp": mean(found_precision),
        "mr": mean(recall),
        "mf1": mean(curves.f1[:, best]),
        "confidence": float(curves.confidences[best]) if len(ids) else math.nan,
        "curves": curves,
        "precision_at_recall": precision[0, :, ids],
        "matches": matches,
    }
    return cls(**values)


def mean(values: Floats) -> float:
    """NaN for the mean of nothing."""
    return float(values.mean()) if len(values) else math.nan


def plain(value: float) -> float | None:
    """For JSON: None instead of NaN."""
    return None if math.isnan(value) else float(value)
