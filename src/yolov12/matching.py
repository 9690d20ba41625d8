"""Which detection found which object: the ground of curves, confusion matrix and resampling.

Average precision itself comes from faster-coco-eval (see `metrics/coco.py`). The rules here are the same COCO rules
(Lin et al. 2014, arXiv:1405.0312, and the public evaluation page): detections in descending score, at most 100 per
image and class, each takes the free object that it resembles most; what falls on a crowd region counts neither way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

MAX_DETECTIONS = 100  # per image and class, as COCO counts
THRESHOLDS: Floats = np.linspace(0.5, 0.95, 10)
THRESHOLDS.setflags(write=False)
CONFIDENCES: Floats = np.linspace(0.0, 1.0, 1001)
CONFIDENCES.setflags(write=False)
CONFUSION_CONFIDENCE = 0.25


class Scene(NamedTuple):
    """One image: M objects, and N detections as `by_score` orders and cuts them.

    boxes    (M, 4) xyxy in pixels
    labels   (M,)
    crowd    (M,) regions that any number of detections may fall on
    ignored  (M,) what counts neither way: crowd regions, and objects that cannot be compared
    rows     (N, 6) x1, y1, x2, y2, score, class
    """

    boxes: Floats
    labels: Ints
    crowd: Bools
    ignored: Bools
    rows: Floats


@dataclass(frozen=True, eq=False)
class Matches:
    """D detections of a data set and what each is worth at T similarities, and the G objects that count.

    labels, scores, images  (D,) class, score and position of the image; images ascend, scores descend within each
    hit                     (D, T) whether it found an object that counts
    ignored                 (D, T) whether it fell on something that counts neither way
    object_labels, object_images  (G,)
    """

    num_images: int
    num_classes: int
    labels: npt.NDArray[np.int32]
    scores: Floats
    images: npt.NDArray[np.int32]
    hit: Bools
    ignored: Bools
    object_labels: npt.NDArray[np.int32]
    object_images: npt.NDArray[np.int32]


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


def by_score(rows: Floats, limit: int = MAX_DETECTIONS) -> Ints:
    """Positions of detection rows (n, 6) in descending score (stable), cut to the first `limit` of every class."""
    best = np.argsort(-rows[:, 4], kind="stable")
    if len(rows) <= limit:
        return best
    labels = rows[best, 5]
    order = np.argsort(labels, kind="stable")  # classes together, scores still descending
    _, first = np.unique(labels[order], return_index=True)
    position = np.arange(len(rows))
    rank = np.empty(len(rows), np.int64)
    rank[order] = position - np.repeat(first, np.diff(np.append(first, len(rows))))
    return best[rank < limit]


def greedy_match(ratios: Floats, ignored: Bools, crowd: Bools, thresholds: Floats = THRESHOLDS) -> Ints:
    """At each of T thresholds the object that each row of `ratios` (N detections, M objects) takes, or -1: (N, T).

    Rows come in descending score. Among equal ratios the last object wins, as in COCO's own loop. What is ignored is
    taken only by a detection that finds nothing else; a crowd region by any number of them.
    """
    taken = np.full((len(ratios), len(thresholds)), -1, np.int64)
    if not ratios.size:
        return taken
    free = np.ones((len(thresholds), ratios.shape[1]), bool)
    level = np.arange(len(thresholds))
    near = ratios >= thresholds.min()
    for row in np.flatnonzero(near.any(axis=1)):
        order = np.flatnonzero(near[row])
        if len(order) > 1:  # most wanted first
            order = order[np.lexsort((ratios[row, order], ~ignored[order]))[::-1]]
        can_take = (free[:, order] | crowd[order]) & (ratios[row, order] >= thresholds[:, None])  # (T, columns)
        first = can_take.argmax(axis=1)
        hit = can_take[level, first]
        taken[row, hit] = order[first[hit]]
        free[level[hit], order[first[hit]]] = False
    return taken


def match_scenes(scenes: Sequence[Scene], ratios: Mapping[tuple[int, int], npt.ArrayLike], num_classes: int) -> Matches:
    """Match every scene class by class.

    `ratios[i + 1, k]` (n, m) compares the detections of class `k` in scene `i` with the objects of that class; it may
    be missing or empty where there are none of either.
    """
    hits: list[Bools] = []
    ignored: list[Bools] = []
    for i, scene in enumerate(scenes):
        taken = np.full((len(scene.rows), len(THRESHOLDS)), -1, np.int64)
        for label in np.intersect1d(scene.labels, scene.rows[:, 5]).astype(np.int64).tolist():
            mine, objects = scene.rows[:, 5] == label, np.flatnonzero(scene.labels == label)
            found = greedy_match(np.asarray(ratios[i + 1, label]), scene.ignored[objects], scene.crowd[objects])
            taken[mine] = np.where(found >= 0, objects[found], -1)
        falls_on_ignored = (taken >= 0) & np.append(scene.ignored, False)[taken]  # index -1 reads the appended False
        hits.append((taken >= 0) & ~falls_on_ignored)
        ignored.append(falls_on_ignored)
    none = np.zeros((0, len(THRESHOLDS)), bool)
    rows = np.concatenate([np.zeros((0, 2)), *(scene.rows[:, 4:] for scene in scenes)])
    counted = [scene.labels[~scene.ignored] for scene in scenes]
    position = np.arange(len(scenes), dtype=np.int32)
    return Matches(
        num_images=len(scenes),
        num_classes=num_classes,
        labels=rows[:, 1].astype(np.int32),
        scores=rows[:, 0],
        images=np.repeat(position, [len(scene.rows) for scene in scenes]),
        hit=np.concatenate([none, *hits]),
        ignored=np.concatenate([none, *ignored]),
        object_labels=np.concatenate([np.zeros(0, np.int64), *counted]).astype(np.int32),
        object_images=np.repeat(position, [len(labels) for labels in counted]),
    )


def confidence_curves(matches: Matches) -> ConfidenceCurves:
    """Precision and recall at the lowest similarity of `matches`, 0.5, read at 1001 confidences."""
    instances = np.bincount(matches.object_labels, minlength=matches.num_classes)
    class_ids = np.flatnonzero(instances)
    precision = np.ones((len(class_ids), len(CONFIDENCES)))
    recall = np.zeros_like(precision)
    for k, class_id in enumerate(class_ids):
        mine = np.flatnonzero((matches.labels == class_id) & ~matches.ignored[:, 0])
        mine = mine[np.argsort(-matches.scores[mine], kind="stable")]
        # Detections with score >= confidence.
        count = np.searchsorted(-matches.scores[mine], -CONFIDENCES, side="right")
        true_positives = np.append(0, np.cumsum(matches.hit[mine, 0]))[count]
        np.divide(true_positives, count, out=precision[k], where=count > 0)
        recall[k] = true_positives / instances[class_id]
    total = precision + recall
    f1 = np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)
    best = int(f1.mean(axis=0).argmax()) if len(class_ids) else 0
    return ConfidenceCurves(class_ids, CONFIDENCES, precision, recall, f1, best)


def confident(scene: Scene) -> Floats:
    """The detection rows that the confusion matrix counts: those above a confidence of 0.25."""
    return scene.rows[scene.rows[:, 4] > CONFUSION_CONFIDENCE]


def confusion_matrix(scenes: Iterable[tuple[Scene, Floats]], num_classes: int) -> Ints:
    """Counts (C + 1, C + 1): row = true class, column = predicted class, the last of each = background.

    Each scene comes with the overlaps (n, M) of its `confident` detections with *all* objects. These, in descending
    score, each take the free object of any class that they overlap most, by at least 0.5 (of equal overlaps one of the
    right class). Missed objects land in the last column, detections of nothing in the last row; detections that lie
    on a crowd region are not counted.
    """
    pairs: list[Ints] = [np.zeros((2, 0), np.int64)]  # true and predicted classes, each (2, n)
    for scene, ratios in scenes:
        predicted = confident(scene)[:, 5].astype(np.int64)
        right_class = predicted[:, None] == scene.labels[None, :]
        wanted = ratios + 1e-9 * (right_class & (ratios > 0))
        taken = greedy_match(wanted, scene.crowd, scene.crowd, THRESHOLDS[:1])[:, 0]
        hit = (taken >= 0) & ~np.append(scene.crowd, False)[taken]
        missed = ~scene.crowd
        missed[taken[hit]] = False
        pairs.append(np.stack([scene.labels[taken[hit]], predicted[hit]]))
        pairs.append(np.stack(np.broadcast_arrays(num_classes, predicted[taken < 0])))
        pairs.append(np.stack(np.broadcast_arrays(scene.labels[missed], num_classes)))
    counts = np.zeros((num_classes + 1, num_classes + 1), np.int64)
    np.add.at(counts, tuple(np.concatenate(pairs, axis=1)), 1)
    return counts
