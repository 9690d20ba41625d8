"""Which detection found which object, at one IoU: the ground of the precision/recall curves and the confusion matrix.

Average precision itself comes from faster-coco-eval (see `metrics.py`). The rules here are the same COCO rules (Lin et
al. 2014, arXiv:1405.0312, and the public evaluation page): detections in descending score, at most 100 per image and
class, each takes the free object it overlaps most; a detection on a crowd region counts neither for nor against.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

MAX_DETECTIONS = 100  # per image and class, as COCO counts
CONFIDENCES: Floats = np.linspace(0.0, 1.0, 1001)
CONFIDENCES.setflags(write=False)


class Objects(NamedTuple):
    """The ground truth of one image: `boxes` (M, 4) xyxy pixels, `labels` (M,), `crowd` (M,)."""

    boxes: Floats
    labels: Ints
    crowd: Bools


@dataclass(frozen=True, eq=False)
class ConfidenceCurves:
    """Precision, recall and F1 (K, 1001) of the K classes that have objects, over `confidences` (1001,) at IoU 0.5.

    `best` is the position of the highest class-mean F1. A class without detections above a confidence has precision
    1 and recall 0 there. `class_ids` (K,) names the rows.
    """

    class_ids: Ints
    confidences: Floats
    precision: Floats
    recall: Floats
    f1: Floats
    best: int


def overlaps(boxes: Floats, others: Floats, crowd: Bools) -> Floats:
    """IoU (N, M) of xyxy boxes; against a crowd region the share of the first box's area, as COCO defines it."""
    top_left = np.maximum(boxes[:, None, :2], others[None, :, :2])
    bottom_right = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    intersection = (bottom_right - top_left).clip(min=0).prod(axis=2)  # (N, M)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)[:, None]
    other_area = (others[:, 2:] - others[:, :2]).prod(axis=1)[None, :]
    union = np.where(crowd[None, :], area, area + other_area - intersection)
    ratio: Floats = np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0)
    return ratio


def by_score(rows: Floats) -> Floats:
    """Detection rows (n, 6) in descending score (stable), cut to the first 100 of every class."""
    rows = rows[np.argsort(-rows[:, 4], kind="stable")]
    if len(rows) <= MAX_DETECTIONS:
        return rows
    order = np.argsort(rows[:, 5], kind="stable")  # classes together, scores still descending
    _, first = np.unique(rows[order, 5], return_index=True)
    position = np.arange(len(rows))
    rank = np.empty(len(rows), np.int64)
    rank[order] = position - np.repeat(first, np.diff(np.append(first, len(rows))))
    return rows[rank < MAX_DETECTIONS]


def greedy_match(ratios: Floats, crowd: Bools, threshold: float) -> Ints:
    """For each row of `ratios` (N detections in descending score, M objects) the object it takes, or -1.

    Among equal overlaps the last object wins, as in COCO's own loop. A crowd region is taken only by a detection that
    finds no object, and by any number of them.
    """
    taken = np.full(len(ratios), -1, np.int64)
    free = ~crowd
    for row in np.flatnonzero((ratios >= threshold).any(axis=1)):
        for candidates in (free, crowd):
            open_ratios = np.where(candidates, ratios[row], -1.0)[::-1]  # reversed: argmax then finds the last tie
            best = len(open_ratios) - 1 - int(open_ratios.argmax())
            if ratios[row, best] >= threshold and candidates[best]:
                taken[row] = best
                free[best] = False
                break
    return taken


def confidence_curves(
    images: Sequence[tuple[Objects, Floats]], num_classes: int, threshold: float = 0.5
) -> ConfidenceCurves:
    """Match every image's (objects, rows (n, 6)) per class and read precision and recall at 1001 confidences."""
    instances = np.zeros(num_classes, np.int64)
    found: list[Floats] = [np.zeros((0, 3))]  # columns: class, score, 1 for a true positive
    for objects, rows in images:
        instances += np.bincount(objects.labels[~objects.crowd], minlength=num_classes)
        rows = by_score(rows)
        ratios = overlaps(rows[:, :4], objects.boxes, objects.crowd)
        ratios[rows[:, 5, None] != objects.labels[None, :]] = 0.0
        taken = greedy_match(ratios, objects.crowd, threshold)
        on_crowd = (taken >= 0) & np.append(objects.crowd, False)[taken]  # index -1 reads the appended False
        found.append(np.column_stack([rows[:, 5], rows[:, 4], taken >= 0])[~on_crowd])
    class_ids = np.flatnonzero(instances)
    table = np.concatenate(found)
    precision = np.ones((len(class_ids), len(CONFIDENCES)))
    recall = np.zeros_like(precision)
    for k, class_id in enumerate(class_ids):
        mine = table[table[:, 0] == class_id]
        mine = mine[np.argsort(-mine[:, 1], kind="stable")]
        count = np.searchsorted(-mine[:, 1], -CONFIDENCES, side="right")  # detections with score >= confidence
        true_positives = np.append(0, np.cumsum(mine[:, 2]))[count]
        np.divide(true_positives, count, out=precision[k], where=count > 0)
        recall[k] = true_positives / instances[class_id]
    total = precision + recall
    f1 = np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)
    best = int(f1.mean(axis=0).argmax()) if len(class_ids) else 0
    return ConfidenceCurves(class_ids, CONFIDENCES, precision, recall, f1, best)


def confusion_matrix(
    images: Sequence[tuple[Objects, Floats]], num_classes: int, confidence: float = 0.25, threshold: float = 0.5
) -> Ints:
    """Counts (C + 1, C + 1): row = true class, column = predicted class, the last of each = background.

    Detections above `confidence`, in descending score, each take the free object of *any* class that they overlap most
    (of equal overlaps one of the right class). Missed objects land in the last column, detections of nothing in the
    last row; detections that lie on a crowd region are not counted.
    """
    pairs: list[Ints] = [np.zeros((2, 0), np.int64)]  # true and predicted classes, each (2, n)
    for objects, rows in images:
        rows = by_score(rows[rows[:, 4] > confidence])
        ratios = overlaps(rows[:, :4], objects.boxes, objects.crowd)
        right_class = rows[:, 5, None] == objects.labels[None, :]
        taken = greedy_match(ratios + 1e-9 * (right_class & (ratios > 0)), objects.crowd, threshold)
        predicted = rows[:, 5].astype(np.int64)
        hit = (taken >= 0) & ~np.append(objects.crowd, False)[taken]
        missed = ~objects.crowd
        missed[taken[hit]] = False
        pairs.append(np.stack([objects.labels[taken[hit]], predicted[hit]]))
        pairs.append(np.stack(np.broadcast_arrays(num_classes, predicted[taken < 0])))
        pairs.append(np.stack(np.broadcast_arrays(objects.labels[missed], num_classes)))
    counts = np.zeros((num_classes + 1, num_classes + 1), np.int64)
    np.add.at(counts, tuple(np.concatenate(pairs, axis=1)), 1)
    return counts
