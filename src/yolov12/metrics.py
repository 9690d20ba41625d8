"""Detection metrics, COCO-exact: average precision and recall as COCO's evaluation server defines them.

The numbers come from faster-coco-eval (Apache-2.0). The tests compare its twelve with those of pycocotools: they agree
but for the rounding of one division, 1e-15. At most 100 detections per image and class count (COCO's maxDets), whatever
`max_det` let through. Precision, recall and F1 are read at the one confidence with the best class-mean F1, at IoU 0.5
(see `matching.py`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from faster_coco_eval import COCO, COCOeval_faster

from yolov12.data.index import ImageIndex
from yolov12.errors import printable
from yolov12.matching import (
    MAX_DETECTIONS,
    ConfidenceCurves,
    Floats,
    Ints,
    Objects,
    confidence_curves,
    confusion_matrix,
)

STATS = (
    "map", "map50", "map75", "map_small", "map_medium", "map_large",
    "ar_1", "ar_10", "ar_100", "ar_small", "ar_medium", "ar_large",
)  # fmt: skip
"""COCO's twelve numbers in its own order, as attributes of `BoxMetrics`."""
RESULT_COLUMNS = ("metrics/precision", "metrics/recall", "metrics/mAP50", "metrics/mAP50-95", "fitness")
"""Keys of `DetectionMetrics.results_dict`, and columns of a run's result table."""


@dataclass(frozen=True, eq=False)
class BoxMetrics:
    """Box scores between 0 and 1. NaN where there is nothing to measure: a class, size or data set without objects.

    Arrays have one value per class (C,). `map*` are means over the classes that have objects; small, medium and large
    are COCO's areas (below 32^2, below 96^2, the rest, in pixels of the original image). `confidence` is where `p`,
    `r`, `f1` and their means `mp`, `mr`, `mf1` are read.
    """

    map: float
    map50: float
    map75: float
    map_small: float
    map_medium: float
    map_large: float
    ar_1: float
    ar_10: float
    ar_100: float
    ar_small: float
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

    @property
    def stats(self) -> tuple[float, ...]:
        """COCO's twelve numbers in its own order, -1 for "nothing to measure"."""
        values = (float(getattr(self, name)) for name in STATS)
        return tuple(-1.0 if math.isnan(value) else value for value in values)


@dataclass(eq=False)
class DetectionMetrics:
    """What `val()` and `train()` return.

    `confusion_matrix` (C + 1, C + 1): row = true, column = predicted, last = background; confidence 0.25, IoU 0.5.
    `precision_at_recall` (K, 101): interpolated precision at IoU 0.5 of the classes in `curves.class_ids`.
    `instances` and `images_with` (C,) count objects and the images that hold them, crowd regions left out.
    `speed` holds milliseconds per image by step; `save_dir` the run's folder where there is one.
    """

    box: BoxMetrics
    names: dict[int, str]
    instances: Ints
    images_with: Ints
    confusion_matrix: Ints
    curves: ConfidenceCurves
    precision_at_recall: Floats
    images: int
    skipped: int
    split: str
    speed: dict[str, float] = field(default_factory=dict)
    save_dir: Path | None = None

    @property
    def fitness(self) -> float:
        """What "best" means in training: 0.1 mAP50 + 0.9 mAP50-95; 0 where there was nothing to measure."""
        value = 0.1 * self.box.map50 + 0.9 * self.box.map
        return 0.0 if math.isnan(value) else value

    @property
    def results_dict(self) -> dict[str, float | None]:
        """The headline numbers under the names that result tables of this ecosystem use; None where box has NaN."""
        return dict(zip(RESULT_COLUMNS, map(_plain, self._headline()), strict=True))

    def _headline(self) -> tuple[float, ...]:
        return self.box.mp, self.box.mr, self.box.map50, self.box.map, self.fitness

    def to_dict(self) -> dict[str, Any]:
        """Everything but the curves as plain JSON values; NaN becomes None."""
        box = {name: _plain(getattr(self.box, name)) for name in (*STATS, "mp", "mr", "mf1", "confidence")}
        columns = {"p": self.box.p, "r": self.box.r, "f1": self.box.f1, "ap50": self.box.maps50, "ap": self.box.maps}
        classes = [
            {
                "id": k,
                "name": self.names[k],
                "images": int(self.images_with[k]),
                "instances": int(self.instances[k]),
                **{name: _plain(column[k]) for name, column in columns.items()},
            }
            for k in range(len(self.names))
        ]
        return {
            "split": self.split,
            "images": self.images,
            "skipped": self.skipped,
            "max_detections": MAX_DETECTIONS,
            "fitness": self.fitness,
            "box": box,
            "classes": classes,
            "confusion_matrix": self.confusion_matrix.tolist(),
            "speed_ms": dict(self.speed),
            "save_dir": None if self.save_dir is None else str(self.save_dir),
        }

    def table(self) -> str:
        """Aligned text: one line for all classes, one for each class, and what was counted; '-': nothing to measure."""
        box = self.box
        head = ("class", "images", "instances", "P", "R", "AP50", "AP50-95")
        total = (int(self.instances.sum()), box.mp, box.mr, box.map50, box.map)
        rows = [head, ("all", str(self.images), *map(_cell, total))]
        for k, name in self.names.items():
            values = (self.images_with[k], self.instances[k], box.p[k], box.r[k], box.maps50[k], box.maps[k])
            rows.append((printable(name), *map(_cell, values)))
        widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
        lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]
        return "\n".join([*lines, self._counts()])

    def _counts(self) -> str:
        images = f"{self.images}/{self.images + self.skipped}" if self.skipped else str(self.images)
        where = "-" if math.isnan(self.box.confidence) else f"{self.box.confidence:.3f}"
        speed = "".join(f", {step} {value:.1f} ms" for step, value in self.speed.items())
        return (
            f"{self.split} {images} images, COCO AP with at most {MAX_DETECTIONS} detections per image and class, "
            f"P and R at confidence {where}{speed}"
        )


def evaluate_detections(index: ImageIndex, detections: Sequence[npt.NDArray[Any] | None]) -> DetectionMetrics:
    """Score one array of rows x1, y1, x2, y2, score, class (original pixels) per image of `index`, in its order.

    None stands for an image that could not be read: it is left out, with its objects, and counted as skipped.
    Raises ValueError when the number of arrays is not the number of images or a row has a class that is not in `names`.
    """
    if len(detections) != len(index):
        raise ValueError(f"{len(detections)} arrays of detections for {len(index)} images: give one for every image")
    num_classes = len(index.names)
    # COCO breaks ties between images by their id: keep that order, with ids of our own that cannot collide.
    order = [int(i) for i in np.argsort(index.image_ids, kind="stable") if detections[i] is not None]
    images: list[tuple[Objects, Floats]] = []
    areas: list[Floats] = []
    for i in order:
        rows = np.asarray(detections[i], np.float64).reshape(-1, 6)
        if len(rows) and not (rows[:, 5].min() >= 0 and rows[:, 5].max() < num_classes):
            raise ValueError(f"detections of {index.paths[i]} name a class outside 0..{num_classes - 1}")
        where = index.objects(i)
        images.append((Objects(index.boxes[where], index.labels[where], index.crowd[where]), rows))
        areas.append(index.areas[where])
    stats, precision = _coco(images, areas, num_classes)
    curves = confidence_curves(images, num_classes)
    counted = [np.bincount(objects.labels[~objects.crowd], minlength=num_classes) for objects, _ in images]
    per_image = np.array(counted, np.int64).reshape(len(images), num_classes)
    return DetectionMetrics(
        box=_box_metrics(stats, precision, curves),
        names=dict(enumerate(index.names)),
        instances=per_image.sum(axis=0),
        images_with=(per_image > 0).sum(axis=0),
        confusion_matrix=confusion_matrix(images, num_classes),
        curves=curves,
        precision_at_recall=precision[0, :, curves.class_ids],
        images=len(images),
        skipped=len(index) - len(images) + index.report.skipped,
        split=index.report.split,
    )


def _coco(images: Sequence[tuple[Objects, Floats]], areas: Sequence[Floats], num_classes: int) -> tuple[Floats, Floats]:
    """COCO's twelve numbers, and precision (T = 10 IoUs, 101 recalls, C) over all areas; -1 = nothing to measure."""
    if not images or num_classes == 0:
        return np.full(len(STATS), -1.0), np.full((10, 101, num_classes), -1.0)
    truth: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    for image_id, ((objects, rows), image_areas) in enumerate(zip(images, areas, strict=True), start=1):
        extra = zip(image_areas.tolist(), objects.crowd.tolist(), strict=True)
        for box, label, (area, crowd) in zip(_xywh(objects.boxes), objects.labels.tolist(), extra, strict=True):
            truth.append(_annotation(len(truth), image_id, label, box) | {"area": area, "iscrowd": int(crowd)})
        for box, score, label in zip(_xywh(rows[:, :4]), rows[:, 4].tolist(), rows[:, 5].tolist(), strict=True):
            extra_fields = {"area": box[2] * box[3], "iscrowd": 0, "score": score}
            found.append(_annotation(len(found), image_id, int(label), box) | extra_fields)
    common = {
        "images": [{"id": image_id} for image_id in range(1, len(images) + 1)],
        "categories": [{"id": k, "name": str(k)} for k in range(num_classes)],
    }
    evaluation = COCOeval_faster(
        COCO(common | {"annotations": truth}, print_function=_silent),
        COCO(common | {"annotations": found}, print_function=_silent),
        "bbox",
        print_function=_silent,
    )
    evaluation.run()
    return np.asarray(evaluation.stats, np.float64), evaluation.eval["precision"][:, :, :, 0, -1]


def _annotation(count: int, image_id: int, label: int, box: list[float]) -> dict[str, Any]:
    return {"id": count + 1, "image_id": image_id, "category_id": label, "bbox": box}  # id 0 means "unmatched" there


def _xywh(boxes: Floats) -> list[list[float]]:
    """Corners (N, 4) as COCO's x, y, width, height."""
    return np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]]).tolist()  # type: ignore[no-any-return]


def _silent(*_: object) -> None:
    """Takes the place of faster-coco-eval's progress messages."""


def _box_metrics(stats: Floats, precision: Floats, curves: ConfidenceCurves) -> BoxMetrics:
    """Name COCO's numbers, NaN for -1, and read the confidence curves at their best point."""
    num_classes, ids, best = precision.shape[2], curves.class_ids, curves.best

    def spread(values: Floats) -> Floats:
        """Values (K,) of the classes with objects among all classes (C,)."""
        full = np.full(num_classes, np.nan)
        full[ids] = values
        return full

    def mean(values: Floats) -> float:
        return float(values.mean()) if len(values) else math.nan

    recall = curves.recall[:, best]
    found_precision = np.where(recall > 0, curves.precision[:, best], 0.0)  # nothing found: 0 rather than 0 / 0
    return BoxMetrics(
        **{name: math.nan if value < 0 else float(value) for name, value in zip(STATS, stats, strict=True)},
        maps=spread(precision[:, :, ids].mean(axis=(0, 1))),
        maps50=spread(precision[0, :, ids].mean(axis=1)),
        p=spread(found_precision),
        r=spread(recall),
        f1=spread(curves.f1[:, best]),
        mp=mean(found_precision),
        mr=mean(recall),
        mf1=mean(curves.f1[:, best]),
        confidence=float(curves.confidences[best]) if len(ids) else math.nan,
    )


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _cell(value: float) -> str:
    """A count as it is, a score with three decimals, NaN as '-'."""
    if isinstance(value, int | np.integer):
        return str(value)
    return "-" if math.isnan(value) else f"{value:.3f}"
