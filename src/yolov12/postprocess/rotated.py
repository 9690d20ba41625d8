"""Suppression of rotated boxes by ProbIoU, and the one way of writing down a rotated box, in numpy.

Two boxes are compared as Gaussians of their centre and spread (Llerena et al. 2021, arXiv:2106.06072). The rule is that
of the published models: a row goes when it overlaps *any* better row of its class, also one that goes itself. Unlike
greedy suppression this needs no order of events, so whole blocks of pairs are decided at once.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from yolov12.postprocess.nms import BOX_CHANNELS, FloatArray, NmsOptions, best_first, candidates

EPS: Final = np.float32(1e-7)
FARTHEST: Final = np.float32(100.0)
"""Largest Bhattacharyya distance that still counts."""
BLOCK: Final = 128
"""Rows that are decided at once; what lies behind the `max_det`-th is never looked at."""


def select_rotated(decoded: FloatArray, num_classes: int, options: NmsOptions) -> FloatArray:
    """Rotated detections of one image, best first: rows (n, 7) of cx, cy, w, h, score, class, angle.

    `decoded` is (4 + C + 1, A) float32: cx, cy, w, h in input pixels, C scores in 0..1, the angle in radians. A NaN
    score never passes, nor does a box that is not finite.
    """
    anchors, labels, scores = candidates(decoded[BOX_CHANNELS : BOX_CHANNELS + num_classes], options)
    order = best_first(scores, options.max_candidates)
    anchors, labels, scores = anchors[order], labels[order], scores[order]
    boxes = np.concatenate((decoded[:BOX_CHANNELS, anchors], decoded[-1:, anchors])).T  # (n, 5)
    finite = np.isfinite(boxes).all(axis=1)
    if not finite.all():
        labels, scores, boxes = labels[finite], scores[finite], boxes[finite]
    groups = np.zeros_like(labels) if options.agnostic else labels
    kept = suppress_rotated(boxes, groups, options.iou, options.max_det)
    return np.column_stack((boxes[kept, :4], scores[kept], labels[kept], boxes[kept, 4])).astype(np.float32)


def suppress_rotated(boxes: FloatArray, groups: NDArray[np.int64], iou: float, limit: int) -> NDArray[np.int64]:
    """Indices, at most `limit`, of the boxes (n, 5) that overlap no better one of their group by more than `iou`.

    `boxes` come in descending score: cx, cy, w, h, angle.
    """
    spread, reach = _gaussians(boxes), _reach(boxes, iou)
    # Groups side by side, so far apart that no pair of two groups is near.
    widest = float(reach.max(initial=0.0))
    span = 2 * (float(np.abs(boxes[:, 0]).max(initial=0.0)) + widest) + 1
    x, y = boxes[:, 0].astype(np.float64) + groups * span, boxes[:, 1].astype(np.float64)
    by_x = np.argsort(x)
    kept: list[NDArray[np.int64]] = []
    count = 0
    for start in range(0, len(boxes), BLOCK):
        if count >= limit:
            break
        rows = np.arange(start, min(start + BLOCK, len(boxes)))
        # In a crowd the kept rows and the last ones before the block decide nearly all of it, and they are few.
        for best in (*kept, np.arange(max(start - BLOCK, 0), start)):
            squares = (x[rows, None] - x[best]) ** 2 + (y[rows, None] - y[best]) ** 2  # (r, k)
            row, other = np.nonzero(squares <= reach[rows, None] ** 2 + reach[best] ** 2)
            other = best[other]
            beaten = probiou(boxes[rows[row]], boxes[other], spread[rows[row]], spread[other]) > iou
            rows = np.delete(rows, row[beaten])
        # Most pairs are too far apart to overlap enough, whatever their shapes: only the rest is worth the formula.
        radius = np.hypot(reach[rows], widest)
        first = np.searchsorted(x, x[rows] - radius, sorter=by_x)
        near = np.searchsorted(x, x[rows] + radius, side="right", sorter=by_x) - first  # (r,) neighbours of each
        row = np.repeat(np.arange(len(rows)), near)
        other = by_x[np.arange(len(row)) + np.repeat(first - (np.cumsum(near) - near), near)]
        distance = (x[rows[row]] - x[other]) ** 2 + (y[rows[row]] - y[other]) ** 2
        close = (other < rows[row]) & (distance <= reach[rows[row]] ** 2 + reach[other] ** 2)
        row, other = row[close], other[close]
        rivals = probiou(boxes[rows[row]], boxes[other], spread[rows[row]], spread[other]) > iou
        alive = np.ones(len(rows), dtype=bool)
        alive[row[rivals]] = False
        kept.append(rows[alive])
        count += int(alive.sum())
    return np.concatenate(kept)[:limit] if kept else np.empty(0, np.int64)


def probiou(a: FloatArray, b: FloatArray, spread_a: FloatArray, spread_b: FloatArray) -> FloatArray:
    """Overlap in 0..1 of corresponding boxes (n, 5) and (n, 5), whose `spread`s come from `_gaussians`."""
    xx, yy, xy = (spread_a + spread_b).T
    dx, dy = (b[:, :2] - a[:, :2]).T
    determinant = xx * yy - xy**2
    single = np.maximum(spread_a[:, 0] * spread_a[:, 1] - spread_a[:, 2] ** 2, 0)
    other = np.maximum(spread_b[:, 0] * spread_b[:, 1] - spread_b[:, 2] ** 2, 0)
    centres = (xx * dy**2 + yy * dx**2) / (determinant + EPS) / 4 - xy * dx * dy / (determinant + EPS) / 2
    shapes = np.log(determinant / (4 * np.sqrt(single * other) + EPS) + EPS) / 2
    distance = np.clip(centres + shapes, EPS, FARTHEST)
    overlap: FloatArray = 1 - np.sqrt(1 - np.exp(-distance) + EPS)
    return overlap


def regularised(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same boxes (n, 5) with width >= height and the angle in [0, pi): one box, one way to write it."""
    wide = boxes[:, 2] > boxes[:, 3]
    angle = np.where(wide, boxes[:, 4], boxes[:, 4] + math.pi / 2) % math.pi
    angle[angle >= math.pi] = 0  # a tiny negative one was rounded up
    return np.column_stack(
        (
            boxes[:, :2],
            np.where(wide, boxes[:, 2], boxes[:, 3]),
            np.where(wide, boxes[:, 3], boxes[:, 2]),
            angle,
        )
    )


def _gaussians(boxes: FloatArray) -> FloatArray:
    """Variance along x, along y, and covariance of boxes (n, 5), each (n, 3)."""
    along, across = boxes[:, 2] ** 2 / 12, boxes[:, 3] ** 2 / 12
    cos, sin = np.cos(boxes[:, 4]), np.sin(boxes[:, 4])
    return np.column_stack(
        (
            along * cos**2 + across * sin**2,
            along * sin**2 + across * cos**2,
            (along - across) * sin * cos,
        )
    )


def _reach(boxes: FloatArray, iou: float) -> NDArray[np.float64]:
    """(n,) lengths such that two boxes whose squared centre distance exceeds the sum of squares overlap at most `iou`.

    An overlap above `iou` means a Bhattacharyya distance below -ln(1 - (1 - iou)^2), of which the centres alone take
    d^2 / (4 (v + v')), where v is the largest variance of a box: that of its longer side. The last factor covers the
    formula's small constants; a box of almost no area, where they would matter, overlaps nothing at a distance.
    """
    longest = np.maximum(boxes[:, 2], boxes[:, 3]).astype(np.float64)
    limit = min(-math.log(max(1 - (1 - min(iou, 1.0)) ** 2, 1e-300)), float(FARTHEST))
    return longest * math.sqrt(4 * limit / 12 * 1.01 + 1e-6)
