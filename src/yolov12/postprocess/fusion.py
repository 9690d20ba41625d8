"""Weighted box fusion: the boxes of several models as one set (Solovyev et al. 2021, arXiv:1910.13302).

Unlike suppression it drops nothing: boxes of a class that overlap become their average, weighted by their scores, and
what few of the models have seen counts less.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float64]
"""(n, 6): x1, y1, x2, y2, score, class."""


def fuse_boxes(
    found: Sequence[Rows], *, iou: float = 0.55, weights: Sequence[float] | None = None, max_det: int = 300
) -> Rows:
    """The rows of several models for one picture, fused, best first.

    A cluster takes the next best box of its class if its fused box overlaps it by more than `iou`. `weights` of the
    models scale their scores (None: all alike). The score of a cluster of T boxes of N models is their mean times
    min(T, N) / N, the weights in place of the counts.
    """
    share = np.ones(len(found)) if weights is None else np.asarray(weights, float)
    if len(share) != len(found) or not (share > 0).all():
        raise ValueError(f"{len(found)} models need as many positive weights, got {share.tolist()}")
    rows = np.concatenate([np.column_stack((one[:, :6], np.full(len(one), i))) for i, one in enumerate(found)])
    rows = rows[np.argsort(-rows[:, 4] * share[rows[:, 6].astype(int)], kind="stable")]
    clusters: list[list[Rows]] = []
    fused = np.empty((0, 6))
    for row in rows:
        overlaps = np.where(fused[:, 5] == row[5], overlap(fused[:, :4], row[:4]), 0.0)
        best = int(overlaps.argmax()) if len(overlaps) else -1
        if best >= 0 and overlaps[best] > iou:
            clusters[best].append(row)
        else:
            best = len(clusters)
            clusters.append([row])
            fused = np.concatenate((fused, np.empty((1, 6))))
        fused[best] = _average(np.stack(clusters[best]), share)
    return fused[np.argsort(-fused[:, 4], kind="stable")][:max_det]


def overlap(boxes: Rows, box: Rows) -> NDArray[np.float64]:
    """(n,) IoU of boxes (n, 4) with one box (4,)."""
    sides = np.clip(np.minimum(boxes[:, 2:], box[2:]) - np.maximum(boxes[:, :2], box[:2]), 0, None)
    common = sides.prod(axis=1)
    union = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod() - common
    shares = np.zeros(len(boxes))
    np.divide(common, union, out=shares, where=union > 0)
    return shares


def _average(rows: Rows, share: NDArray[np.float64]) -> Rows:
    """One row of a cluster (n, 7), whose last column is the model."""
    weights = share[rows[:, 6].astype(int)]
    scores = rows[:, 4] * weights
    box = (rows[:, :4] * scores[:, None]).sum(axis=0) / max(scores.sum(), 1e-12)
    confidence = scores.sum() / weights.sum() * min(weights.sum(), share.sum()) / share.sum()
    return np.array([*box, confidence, rows[0, 5]])
