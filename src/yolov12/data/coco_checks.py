"""Checks of single values in a COCO file: ids, numbers, boxes, polygons, run-length masks. Masks are never drawn."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from yolov12.data.index import Float32
from yolov12.errors import printable

Record = dict[str, Any]


def is_number(value: object) -> bool:
    """A finite int or float of a size that images have (bool is no number here)."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= 1e12  # NaN fails, too


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


def outline(segmentation: object, size: tuple[int, int]) -> tuple[Float32 | None, str]:
    """The largest polygon (K, 2) in pixels, or the problem with a mask; a run-length mask has no polygon."""
    if segmentation is None or segmentation == []:
        return None, ""
    if isinstance(segmentation, dict):
        return None, _mask_problem(segmentation, size)
    if not isinstance(segmentation, list):
        return None, f"{shown(segmentation)} is neither polygons nor a mask"
    polygons = []
    for part in segmentation:
        if not isinstance(part, list) or len(part) % 2 or not all(is_number(value) for value in part):
            return None, "a polygon is not a list of pairs of finite numbers"
        if len(part) >= 6:
            polygons.append(np.array(part, np.float32).reshape(-1, 2))
    height, width = size
    largest = max(polygons, key=_polygon_area, default=None)
    return None if largest is None else np.clip(largest, 0, (width, height)).astype(np.float32), ""


def _polygon_area(points: Float32) -> float:
    """Shoelace formula over (K, 2)."""
    x, y = points.T.astype(np.float64)
    return abs(float(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))) / 2


def _mask_problem(mask: Record, size: tuple[int, int]) -> str:
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
