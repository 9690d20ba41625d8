"""Anchor boxes from a data set: k-means of box sizes by overlap (Redmon and Farhadi 2017, arXiv:1612.08242)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from yolov12.data.index import ImageIndex

ROUNDS = 100
SMALLEST = 2.0
"""Pixels; smaller sides are as this one."""


def anchor_sizes(index: ImageIndex, size: int, count: int) -> tuple[int, ...]:
    """`count` widths and heights in pixels of a canvas of `size`, smallest area first: (2 * count,) numbers.

    Depends on the data set alone. A data set without boxes gives squares from a sixteenth to all of the canvas.
    """
    counts = np.diff(index.offsets)
    gain = np.repeat(size / index.sizes.max(1, initial=1), counts)  # (M,) as the letterbox scales
    sides = np.maximum((index.boxes[:, 2:] - index.boxes[:, :2]) * gain[:, None], SMALLEST)[~index.crowd]
    if not len(sides):
        sides = np.geomspace(size / 16, size, count)[:, None].repeat(2, 1)
    centers = clustered(sides, count)
    order = np.argsort(centers.prod(1), kind="stable")
    return tuple(int(side) for side in centers[order].round().clip(SMALLEST).ravel())


def clustered(sides: npt.NDArray[np.float64], count: int) -> npt.NDArray[np.float64]:
    """(count, 2) means of groups of box `sides` (M, 2), each box with the mean that it overlaps most."""
    by_area = sides[np.argsort(sides.prod(1), kind="stable")]
    centers: npt.NDArray[np.float64] = by_area[((np.arange(count) + 0.5) / count * len(sides)).astype(int)].copy()
    group = np.full(len(sides), -1)
    for _ in range(ROUNDS):
        nearest = overlaps(sides, centers).argmax(1)
        if np.array_equal(nearest, group):
            break
        group = nearest
        for number in np.unique(group):  # a group that lost all its boxes stays where it was
            centers[number] = sides[group == number].mean(0)
    return centers


def overlaps(sides: npt.NDArray[np.float64], centers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """IoU (M, K) of boxes (M, 2) with boxes (K, 2) about the same middle."""
    both: npt.NDArray[np.float64] = np.minimum(sides[:, None], centers).prod(2)
    union: npt.NDArray[np.float64] = sides.prod(1)[:, None] + centers.prod(1) - both
    return both / union
