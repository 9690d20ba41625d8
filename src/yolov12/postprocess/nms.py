"""Greedy non-maximum suppression of upright boxes: threshold, class filter, suppression, in numpy.

Runs on one image in the network's input space. The rules are those of the published models' evaluation (strict score
threshold, plain IoU, a box is dropped when IoU > `iou`), so that detections can be compared row by row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

BOX_CHANNELS = 4
# Candidates enter the suppression in runs of this many: large enough for vector arithmetic, small enough that the
# pair matrices stay in the processor's cache, and what lies behind the `max_det`-th detection is never looked at.
RUN = 256


@dataclass(frozen=True)
class NmsOptions:
    """How `select` thresholds and suppresses.

    conf: lowest score, exclusive. iou: overlap above which the lower-scored box goes. max_det: most rows returned.
    multi_label: one candidate per (anchor, class) above `conf` instead of the best class only. classes: class ids to
    keep, None for all. agnostic: suppress across classes. max_candidates: best-scored candidates that enter.
    """

    conf: float = 0.25
    iou: float = 0.7
    max_det: int = 300
    multi_label: bool = False
    classes: tuple[int, ...] | None = None
    agnostic: bool = False
    max_candidates: int = 30_000


def select(decoded: FloatArray, num_classes: int, options: NmsOptions) -> FloatArray:
    """Detections of one image, best first: rows (n, 6 + extras) of x1, y1, x2, y2, score, class, extras.

    `decoded` is (4 + C + extras, A) float32: cx, cy, w, h in input pixels, then C scores in 0..1, then extra channels
    that are passed through. A NaN score never passes, nor does a box that is not finite.
    """
    anchors, labels, scores = candidates(decoded[BOX_CHANNELS : BOX_CHANNELS + num_classes], options)
    order = best_first(scores, options.max_candidates)
    anchors, labels, scores = anchors[order], labels[order], scores[order]

    center, half_size = decoded[0:2, anchors], decoded[2:4, anchors] / np.float32(2)
    boxes = np.concatenate((center - half_size, center + half_size))  # (4, n) x1 y1 x2 y2
    finite = np.isfinite(boxes).all(axis=0)
    if not finite.all():
        anchors, labels, scores, boxes = anchors[finite], labels[finite], scores[finite], boxes[:, finite]

    groups = np.zeros_like(labels) if options.agnostic else labels
    kept = suppress(boxes, groups, options.iou, options.max_det)

    rows = np.empty((len(kept), 6 + len(decoded) - BOX_CHANNELS - num_classes), dtype=np.float32)
    rows[:, :4] = boxes[:, kept].T
    rows[:, 4] = scores[kept]
    rows[:, 5] = labels[kept]
    rows[:, 6:] = decoded[BOX_CHANNELS + num_classes :, anchors[kept]].T
    return rows


def candidates(
    class_scores: FloatArray, options: NmsOptions
) -> tuple[NDArray[np.int64], NDArray[np.int64], FloatArray]:
    """(anchors, labels, scores), each (n,), of what exceeds the threshold in `class_scores` (C, A)."""
    # fmax skips NaN, so one bad class of an anchor does not hide a good one, and all-NaN compares as False.
    anchors = np.flatnonzero(np.fmax.reduce(class_scores, axis=0) > options.conf)
    scores = class_scores[:, anchors].T  # (n, C)
    if options.multi_label and len(class_scores) > 1:
        rows, labels = np.nonzero(scores > options.conf)
        anchors = anchors[rows]
    else:
        rows = np.arange(len(anchors))
        labels = np.where(np.isnan(scores), -np.inf, scores).argmax(axis=1)
    best = scores[rows, labels]
    if options.classes is not None:
        wanted = np.isin(labels, options.classes)
        return anchors[wanted], labels[wanted], best[wanted]
    return anchors, labels, best


def best_first(scores: FloatArray, limit: int) -> NDArray[np.int64]:
    """Indices of the `limit` highest of `scores` (n,), descending; equal ones stay in their order."""
    chosen = np.arange(len(scores))
    if len(scores) > limit:  # finding the limit first is much cheaper than sorting everything
        lowest = np.partition(scores, len(scores) - limit)[len(scores) - limit]
        chosen = np.flatnonzero(scores >= lowest)
    return chosen[np.argsort(-scores[chosen], kind="stable")][:limit]


def suppress(boxes: FloatArray, groups: NDArray[np.int64], iou: float, limit: int) -> NDArray[np.int64]:
    """Indices of the boxes that survive greedy suppression, at most `limit`.

    `boxes` (4, n) x1 y1 x2 y2 in descending score; only boxes of the same group (n,) compete. Boxes without area
    overlap nothing.
    """
    kept = np.empty(min(limit, boxes.shape[1]), dtype=np.int64)
    count = 0
    for start in range(0, boxes.shape[1], RUN):
        if count == limit:
            break
        run = np.arange(start, min(start + RUN, boxes.shape[1]))
        for block in range(0, count, RUN // 4):  # the best boxes drop most of a crowd, so the rest meets few
            run = run[~overlapping(boxes, groups, kept[block : min(block + RUN // 4, count)], run, iou).any(axis=0)]
        rivals = overlapping(boxes, groups, run, run, iou)  # (r, r)
        alive = np.ones(len(run), dtype=bool)
        for position, candidate in enumerate(run):
            if alive[position] and count < limit:
                kept[count] = candidate
                count += 1
                alive &= ~rivals[position]
    return kept[:count]


def overlapping(
    boxes: FloatArray, groups: NDArray[np.int64], first: NDArray[np.int64], second: NDArray[np.int64], iou: float
) -> NDArray[np.bool_]:
    """(len(first), len(second)) whether two boxes of `boxes` (4, n) share their group and more than `iou`."""
    # The pair matrices are worked on in place: this is where crowded images spend their time.
    a, b = boxes[:, first, None], boxes[:, None, second]
    width = np.minimum(a[2], b[2])
    spare = np.maximum(a[0], b[0])
    width -= spare
    height = np.minimum(a[3], b[3])
    height -= np.maximum(a[1], b[1], out=spare)
    np.maximum(width, 0, out=width)
    intersection = np.multiply(width, np.maximum(height, 0, out=height), out=width)
    union = np.add((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]), out=height)
    union -= intersection
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):  # two empty boxes: 0 / 0, compares as False
        rivals: NDArray[np.bool_] = np.divide(intersection, union, out=union) > iou
    rivals &= groups[first, None] == groups[second]
    return rivals
