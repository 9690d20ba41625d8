"""Masks in COCO's compressed run-length form: drawn from outlines by COCO's own rule, and outlined again.

A mask is its counts (bytes) together with the size of its image, height and width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

import cv2
import numpy as np
import numpy.typing as npt
from faster_coco_eval.core import mask as coco

Points = npt.NDArray[np.floating[Any]]

DECIMALS = 3
"""COCO's rule rounds to fifths of a pixel, and the one decimal that most label files have lies in the middle between
two. So float32 points are first turned back into the short decimal numbers that they were."""
MAX_OUTLINE = 1_000_000
"""Longest outline (pixels) that is drawn. An image full of zigzag would otherwise take gigabytes."""


class RunLength(TypedDict):
    """What COCO's tools take for a mask."""

    size: list[int]
    counts: bytes


def as_written(points: Points) -> npt.NDArray[np.float64]:
    """Float32 points (P, 2) as the decimal numbers that they were rounded from."""
    exact = points.astype(np.float64)
    return exact.round(DECIMALS)


def rasterise(rings: Sequence[Points], height: int, width: int) -> bytes:
    """The union of the areas inside `rings` (P, 2; pixels)."""
    exact = [as_written(ring) if ring.dtype == np.float32 else ring for ring in rings]
    parts = coco.frPyObjects([ring.ravel().tolist() for ring in exact], height, width)
    counts: bytes = coco.merge(parts)["counts"]
    return counts


def compress(counts: Sequence[int], height: int, width: int) -> bytes:
    """Run lengths (background first, down the columns), which must cover the image, in compressed form."""
    packed: bytes = coco.frPyObjects({"size": [height, width], "counts": list(counts)}, height, width)["counts"]
    return packed


def mask_area(counts: bytes, height: int, width: int) -> int:
    """Pixels in the mask."""
    return int(coco.area({"size": [height, width], "counts": counts}))


def outline_length(rings: Sequence[Points]) -> float:
    """Pixels along all `rings` (P, 2), as the drawing steps: the longer of both ways of each side."""
    closed = (np.concatenate([ring, ring[:1]]) for ring in rings)
    return float(sum(np.abs(np.diff(ring, axis=0)).max(axis=1).sum() for ring in closed))


def too_long(rings: Sequence[Points]) -> bool:
    """Whether drawing `rings` (P, 2) would take too much memory."""
    at_most = sum(len(ring) * float((ring.max(axis=0) - ring.min(axis=0)).max()) for ring in rings)
    return at_most > MAX_OUTLINE and outline_length(rings) > MAX_OUTLINE


def contours(counts: bytes, height: int, width: int) -> list[npt.NDArray[np.float32]]:
    """Outlines (P, 2) of the connected parts of a mask, along the edges of its pixels; holes are filled.

    Their extent is exactly that of the mask, and they stay within a pixel of its edge.
    """
    run_length = {"size": [height, width], "counts": counts}
    x, y, w, h = (int(value) for value in coco.toBbox(run_length))
    if not w or not h:
        return []
    part = coco.decode(run_length)[y : y + h, x : x + w]
    # Contours run through the centres of pixels. Of two by two small ones per pixel, the outer lie at its edges.
    fine = np.ascontiguousarray(part.repeat(2, axis=0).repeat(2, axis=1))
    found, _ = cv2.findContours(fine, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    rings = (ring.reshape(-1, 2) for ring in found)
    return [((ring + 1) // 2 + (x, y)).astype(np.float32) for ring in rings]
