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
MIN_POINTS = 3
"""Of an outline that encloses something."""
SAME = 1e-3
"""Points that differ by less, in pixels along an axis, are one."""


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
    """The part of an outline (P, 2) that lies in a picture of `size` (height, width); several parts are joined."""
    rings = [points]
    for axis, limit, inwards in ((0, 0, 1), (1, 0, 1), (0, size[1], -1), (1, size[0], -1)):
        rings = [part for ring in rings for part in cut_at_edge(ring, axis, limit, inwards)]
    if len(rings) == 1 and rings[0] is points:
        return points
    blunt = [without_spikes(ring) for ring in rings]
    return join_rings([ring for ring in blunt if len(ring) >= MIN_POINTS])


def without_spikes(points: Points) -> Points:
    """An outline (P, 2) without paths there and back, such as one to a ring that has been cut off."""
    kept: list[tuple[float, float]] = []
    for x, y in points.tolist():
        point = (x, y)
        while kept and _near(point, kept[-1]):
            kept.pop()
        if len(kept) > 1 and _near(point, kept[-2]):
            kept.pop()
        else:
            kept.append(point)
    while len(kept) >= MIN_POINTS:  # the same across the seam of last and first
        if _near(kept[-1], kept[0]):
            kept.pop()
        elif _near(kept[-2], kept[0]):
            del kept[-1], kept[-1]
        elif _near(kept[-1], kept[1]):
            del kept[0], kept[0]
        else:
            break
    return np.array(kept, np.float32).reshape(-1, 2)


def _near(first: tuple[float, float], second: tuple[float, float]) -> bool:
    return abs(first[0] - second[0]) < SAME and abs(first[1] - second[1]) < SAME


def cut_at_edge(points: Points, axis: int, limit: float, inwards: int) -> list[Points]:
    """What an edge leaves of an outline (P, 2), as outlines.

    Sutherland and Hodgman 1974 walk along the outline and give its points on the inner side and where it crosses the
    edge. They go on from where the outline leaves to where it comes back, whereby parts that only the outside joined
    stay joined along the edge. Here the crossings are paired in their order along the edge, so that each part closes.
    """
    depth = inwards * (points[:, axis] - limit)
    inside = depth >= 0
    if inside.all():
        return [points]
    if not inside.any():
        return []
    following = np.concatenate([points[1:], points[:1]])
    crosses = inside != np.concatenate([inside[1:], inside[:1]])
    start, end = points[crosses], following[crosses]
    part = depth[crosses] / (inwards * (start[:, axis] - end[:, axis]))
    pairs = np.stack([points, following], axis=1)  # (P, first point and crossing, xy)
    pairs[crosses, 1] = start + part[:, None] * (end - start)
    pairs[crosses, 1, axis] = limit
    leaves = crosses & inside
    first = int(np.flatnonzero(crosses & ~inside)[0])  # so that the walk begins where the outline comes in
    order = np.roll(np.arange(len(points)), -first)
    walks = [
        pairs[rows][np.stack([inside, crosses], axis=1)[rows]]
        for rows in np.split(order, np.flatnonzero(leaves[order])[:-1] + 1)
    ]
    return close_walks(walks, 1 - axis)


def close_walks(walks: Sequence[Points], along: int) -> list[Points]:
    """Outlines of walks (P, 2) that each begin and end on an edge, along which coordinate number `along` runs."""
    ends, begins = (np.argsort([walk[at, along] for walk in walks], kind="stable").tolist() for at in (-1, 0))
    following = dict(zip(ends, begins, strict=True))
    rings = []
    while following:
        ring = [next(iter(following))]
        while (walk := following.pop(ring[-1])) != ring[0]:
            ring.append(walk)
        rings.append(np.concatenate([walks[walk] for walk in ring]))
    return rings
