"""Outlines of objects: moving all of a picture at once, their extents, and cutting them at the picture's edges.

An outline is a closed polygon, points (P, 2) float32 of x y in pixels; P = 0 for an object that has none.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float32]


def join_rings(rings: Sequence[Points]) -> Points:
    """One outline (P, 2) that encloses what all `rings` do: they are strung on a path that is walked there and back."""
    if not rings:
        return np.zeros((0, 2), np.float32)
    closed = [np.concatenate([ring, ring[:1]]) for ring in rings[1:]]
    back = [ring[:1] for ring in reversed(rings[:-1])]
    return np.concatenate([rings[0], rings[0][:1], *closed, *back]) if closed else rings[0]


def move_outlines(outlines: Sequence[Points], move: Callable[[Points], npt.NDArray[Any]]) -> list[Points]:
    """Every outline after `move`, which takes and gives points (P, 2): those of all outlines in one call."""
    if not outlines:
        return []
    moved = move(np.concatenate(outlines)).astype(np.float32, copy=False)
    ends = itertools.accumulate((len(points) for points in outlines), initial=0)
    return [moved[first:last] for first, last in itertools.pairwise(ends)]


def extents(outlines: Sequence[Points]) -> npt.NDArray[np.float32]:
    """The boxes (N, 4) around outlines; zeros for those without points."""
    boxes = np.zeros((len(outlines), 4), np.float32)
    lengths = np.array([len(points) for points in outlines], np.int64)
    some = lengths > 0
    if some.any():
        points = np.concatenate(outlines)
        starts = (np.cumsum(lengths) - lengths)[some]
        boxes[some, :2] = np.minimum.reduceat(points, starts)
        boxes[some, 2:] = np.maximum.reduceat(points, starts)
    return boxes


def cut_outlines(outlines: Sequence[Points], size: tuple[int, int]) -> tuple[list[Points], npt.NDArray[np.float32]]:
    """What lies in a picture of `size` (height, width) of each outline, and the boxes (N, 4) around that.

    An outline that lies wholly inside keeps its points; of one that lies outside nothing is left.
    """
    cut, boxes = list(outlines), extents(outlines)
    leaving = (boxes[:, :2] < 0).any(axis=1) | (boxes[:, 2:] > size[::-1]).any(axis=1)
    for row in np.flatnonzero(leaving).tolist():
        cut[row] = cut_outline(outlines[row], size)
        boxes[row] = extents(cut[row : row + 1])[0]
    return cut, boxes


def cut_outline(points: Points, size: tuple[int, int]) -> Points:
    """The part of an outline (P, 2) that lies in a picture of `size` (height, width).

    Each edge in turn cuts off what lies beyond it (Sutherland and Hodgman 1974). Parts that only the outside joined
    stay joined along the edge, by lines that enclose nothing.
    """
    for axis, limit, inwards in ((0, 0, 1), (1, 0, 1), (0, size[1], -1), (1, size[0], -1)):
        depth = inwards * (points[:, axis] - limit)
        inside = depth >= 0
        if inside.all():
            continue
        if not inside.any():
            return np.zeros((0, 2), np.float32)
        # Every side of the polygon gives its first point where that is inside, and the point where it crosses the edge.
        following = np.concatenate([points[1:], points[:1]])
        crosses = inside != np.concatenate([inside[1:], inside[:1]])
        start, end = points[crosses], following[crosses]
        part = depth[crosses] / (inwards * (start[:, axis] - end[:, axis]))
        pairs = np.stack([points, following], axis=1)  # (P, first point and crossing, xy)
        pairs[crosses, 1] = start + part[:, None] * (end - start)
        pairs[crosses, 1, axis] = limit
        points = pairs[np.stack([inside, crosses], axis=1)]
    return points
