"""Checks of single values in a COCO file: ids, numbers, boxes, polygons, run-length masks. Masks are never drawn."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from yolov12.data.index import Float64
from yolov12.errors import printable

Record = dict[str, Any]

LARGEST = 1e12
"""No pixel has such a number."""


def is_number(value: object) -> bool:
    """A finite int or float of a size that images have (bool is no number here)."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= LARGEST  # NaN fails, too


def is_int(value: object) -> bool:
    """An int that is no bool."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_id(value: object) -> bool:
    """Ids are opaque: a number or text."""
    return is_int(value) or isinstance(value, str)


def shown(value: object) -> str:
    """A value from the file as it may appear in a message: short and printable."""
    return printable(repr(value))[:60]


def box_problem(box: object) -> str:
    """Why a value is no COCO box (x, y, width, height), or an empty string."""
    if not isinstance(box, list):
        return "missing" if box is None else f"{shown(box)} is not a list"
    if len(box) != 4:
        return f"{len(box)} numbers; expected x, y, width, height"
    for value in box:
        if isinstance(value, float) and not math.isfinite(value):
            return f"not finite ({shown(box)})"
        if not is_number(value):
            return f"{shown(value)} is not a number"
    return f"negative size ({shown(box)})" if box[2] < 0 or box[3] < 0 else ""


def polygons(segmentation: list[Any]) -> list[Float64] | str:
    """The polygons (P, 2; pixels) that have three points or more, or the problem."""
    parts: list[Float64] = []
    for part in segmentation:
        points = _points(part)
        if points is None:
            return "a polygon is not a list of pairs of finite numbers"
        if len(points) >= 3:
            parts.append(points)
    return parts


def _points(values: object) -> Float64 | None:
    """Pairs of numbers (P, 2); None for anything else. The numbers are those of `is_number`, but looked at at once."""
    if not isinstance(values, list) or len(values) % 2 or not set(map(type, values)) <= {int, float}:
        return None
    try:
        points = np.array(values, np.float64).reshape(-1, 2)
    except OverflowError:  # an int of hundreds of digits
        return None
    return points if (np.abs(points) <= LARGEST).all() else None


def mask_problem(mask: Record, size: tuple[int, int]) -> str:
    """What is wrong with a run-length mask; it is checked without being drawn."""
    if mask.get("size") != list(size):
        return f"size: {shown(mask.get('size'))} is not that of the image, {list(size)}"
    counts = mask.get("counts")
    if isinstance(counts, str):
        counts = _unpack_counts(counts)
    if not isinstance(counts, list) or not all(is_int(run) and run >= 0 for run in counts):
        return "counts: not a list of run lengths"
    if sum(counts) != size[0] * size[1]:
        return f"counts: the runs cover {sum(counts)} pixels of {size[0] * size[1]}"
    return ""


def _unpack_counts(text: str) -> list[int] | None:
    """Run lengths from COCO's compressed form: 5 bits a character from 48 on, from the third run on as differences."""
    counts: list[int] = []
    value = shift = 0
    for character in text:
        code = ord(character) - 48
        if not 0 <= code < 64 or shift > 60:
            return None
        value |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        if code & 16:
            value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
        value = shift = 0
    return counts if not shift else None


def keypoints_problem(values: object, count: int, size: tuple[int, int], tolerance: float) -> str:
    """Why a value is no list of x, y, flag for `count` keypoints of an image of `size`, or an empty string."""
    if not isinstance(values, list):
        what = "missing" if values is None else f"{shown(values)} is not a list"
        return f"{what}; pose needs x, y and flag of {count} keypoints"
    if len(values) != 3 * count:
        return f"{len(values)} numbers; expected x, y and flag of {count} keypoints"
    height, width = size
    for i, value in enumerate(values):
        name = f"{'xyv'[i % 3]}{i // 3 + 1}"
        if isinstance(value, float) and not math.isfinite(value):
            return f"{name}: not finite"
        if not is_number(value):
            return f"{name}: {shown(value)} is not a number"
        if i % 3 == 2 and value not in (0, 1, 2):
            return f"{name}: {shown(value)} is not a flag: 0 not labelled, 1 hidden, 2 visible"
        limit = (width, height, 0)[i % 3]
        if i % 3 < 2 and values[i - i % 3 + 2] != 0 and not -tolerance <= value <= limit + tolerance:
            return f"{name}: {shown(value)} is outside of the image, {width}x{height}"
    return ""
