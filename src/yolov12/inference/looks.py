"""Several looks at one picture, merged: tiles for small objects, other scales and the mirror image for doubtful ones.

A look is a part of the picture on a canvas of its own. What each look finds is moved into the picture and suppressed
together. An object that the border of a tile cuts is found in pieces: a piece goes where a whole one covers it, so
tiles that overlap by an object's size, or one look at the whole picture, leave none. Slicing is that of Akyon et al.
(2022, arXiv:2202.06934), what becomes of the pieces is ours.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from yolov12.config.run import ImageSize, RunConfig
from yolov12.config.tasks import TASKS
from yolov12.data.letterbox import Letterbox, canvas_sides
from yolov12.detections import Detections
from yolov12.errors import ConfigError
from yolov12.inference.runtime import Runtime
from yolov12.postprocess import POSTPROCESS, NmsOptions
from yolov12.postprocess.nms import suppress
from yolov12.postprocess.rotated import regularised, suppress_rotated
from yolov12.results import Masks

AUTO: Final = -1
"""As a tile's side: follow the size of the objects."""
WANTED_SIDE: Final = 48
"""Pixels of the canvas that a typical object should fill, where the tile's side follows the objects."""
SCALES: Final = ((1.0, False), (0.83, True), (0.67, False))
"""Of the canvas, and whether mirrored: the looks of test-time augmentation."""
EDGE: Final = 2.0
"""Pixels from the border of a tile at which a box counts as cut by it."""
FINEST: Final = 16
"""Tiles that follow the objects are no smaller than this part of the picture."""
SURE: Final = 0.25
"""Score above which an object tells how large tiles have to be."""
MAX_TILES: Final = 1024
COVERED: Final = 0.5
"""Share of a cut box inside a whole one of its class from which on it is a piece of that."""


class Look(NamedTuple):
    """A part of a picture, in its pixels, and the canvas that it is put on."""

    top: int
    left: int
    height: int
    width: int
    imgsz: ImageSize
    mirrored: bool = False


class Looks(NamedTuple):
    """What is asked for. tile: a side in pixels, 0 for none, or AUTO; overlap: share of a tile; augment: all SCALES."""

    imgsz: ImageSize
    rect: bool
    tile: int = 0
    overlap: float = 0.2
    augment: bool = False
    batch: int = 8

    @classmethod
    def of(cls, config: RunConfig) -> Looks:
        """As the options say."""
        return cls(config.imgsz, config.rect, config.tile, config.overlap, config.augment, config.batch)

    @property
    def several(self) -> bool:
        """Whether there is more than one look at a picture."""
        return bool(self.tile) or self.augment


def look_closely(
    image: NDArray[np.uint8], runtime: Runtime, task: str, num_classes: int, options: NmsOptions, looks: Looks
) -> Detections:
    """What all looks at a picture (H, W, 3) BGR find together."""
    shape = image.shape[0], image.shape[1]
    planned = whole_looks(shape, task, looks)
    found = _found(image, planned, runtime, task, num_classes, options, looks)
    if looks.tile:
        side = looks.tile if looks.tile != AUTO else max(fitting_tile(found, looks), round(max(shape) / FINEST))
        tiles = [] if side >= max(shape) else tiles_of(shape, side, looks)
        found += _found(image, tiles, runtime, task, num_classes, options, looks)
        planned = [*planned, *tiles]
    return merged(found, planned, shape, options)


def whole_looks(shape: tuple[int, int], task: str, looks: Looks) -> list[Look]:
    """The looks at the whole picture. Without mirror images of keypoints: which of them change sides nobody says."""
    sides = canvas_sides(looks.imgsz)
    scales = SCALES if looks.augment else SCALES[:1]
    return [
        Look(0, 0, *shape, (round(sides[0] * scale), round(sides[1] * scale)), mirrored and not TASKS[task].keypoints)
        for scale, mirrored in scales
    ]


def tiles_of(shape: tuple[int, int], side: int, looks: Looks) -> list[Look]:
    """Evenly spread tiles that cover a picture, each overlapping its neighbours by at least its share."""
    height, width = min(side, shape[0]), min(side, shape[1])
    counts = [len(_starts(length, part, looks.overlap)) for length, part in zip(shape, (height, width), strict=True)]
    if counts[0] * counts[1] > MAX_TILES:
        raise ConfigError(
            f"--tile {side}: a picture of {shape[0]}x{shape[1]} would take {counts[0] * counts[1]} looks; at most "
            f"{MAX_TILES}: choose larger tiles or less --overlap"
        )
    tops, lefts = (_starts(length, part, looks.overlap) for length, part in zip(shape, (height, width), strict=True))
    return [Look(top, left, height, width, looks.imgsz) for top in tops for left in lefts]


def fitting_tile(found: Sequence[Detections], looks: Looks) -> int:
    """The side of tiles on whose canvas the typical object that was found is WANTED_SIDE pixels large.

    Where nothing was found: that at which the canvas shows the picture as it is.
    """
    imgsz = looks.imgsz if isinstance(looks.imgsz, int) else min(looks.imgsz)
    boxes = np.concatenate([one.rows[one.rows[:, 4] > SURE, :4] for one in found])
    if not len(boxes):
        return imgsz
    areas = (boxes[:, 2:] - boxes[:, :2]).clip(1).prod(axis=1)
    return max(32, round(imgsz * math.sqrt(float(np.median(areas))) / WANTED_SIDE))


def merged(
    found: Sequence[Detections], looks: Sequence[Look], shape: tuple[int, int], options: NmsOptions
) -> Detections:
    """The detections of all looks, each in the pixels of its look, as those of the picture of `shape`."""
    joined = joined_up([moved(one, look, shape) for one, look in zip(found, looks, strict=True)], shape)
    cut = np.concatenate([cut_by(one, look, shape) for one, look in zip(found, looks, strict=True)])
    order = np.lexsort((-joined.rows[:, 4], cut))  # whole ones first, the best of each first
    joined, cut = chosen(joined, order), cut[order]
    kept = np.flatnonzero(~cut)[_survivors(chosen(joined, np.flatnonzero(~cut)), options)]
    pieces = np.flatnonzero(cut)
    pieces = pieces[~_covered(joined.rows[pieces], joined.rows[kept], options)]
    both = chosen(joined, np.concatenate((kept, pieces)))
    both = chosen(both, np.argsort(-both.rows[:, 4], kind="stable"))
    return chosen(both, _survivors(both, options))


def moved(found: Detections, look: Look, shape: tuple[int, int]) -> Detections:
    """Detections of a look in the pixels of the whole picture."""
    rows, rotated, keypoints, masks = found.rows.copy(), found.rotated, found.keypoints, found.masks
    if look.mirrored:
        rows[:, [0, 2]] = look.width - rows[:, [2, 0]]
    rows[:, :4] += (look.left, look.top, look.left, look.top)
    if rotated is not None:
        rotated = rotated.copy()
        if look.mirrored:
            rotated[:, 0], rotated[:, 4] = look.width - rotated[:, 0], -rotated[:, 4]
        rotated[:, :2] += (look.left, look.top)
        rotated = regularised(rotated)
    if keypoints is not None:
        keypoints = keypoints.copy()
        keypoints[..., :2] += np.array((look.left, look.top), keypoints.dtype)
    if masks is not None:
        crops = [masks.crop(number) for number in range(len(masks))]
        corners = masks.corners.astype(np.int64)
        if look.mirrored:
            corners[:, 0] = [look.width - left - crop.shape[1] for left, crop in zip(corners[:, 0], crops, strict=True)]
            crops = [np.ascontiguousarray(crop[:, ::-1]) for crop in crops]
        masks = Masks(crops, corners + np.array((look.left, look.top)), shape)
    return Detections(rows, masks, keypoints, rotated)


def joined_up(parts: Sequence[Detections], shape: tuple[int, int]) -> Detections:
    """One after the other, all in the pixels of a picture of `shape`."""
    first = parts[0]
    masks = [part.masks for part in parts if part.masks is not None]
    crops = [one.crop(number) for one in masks for number in range(len(one))]
    keypoints = [part.keypoints for part in parts if part.keypoints is not None]
    rotated = [part.rotated for part in parts if part.rotated is not None]
    return Detections(
        np.concatenate([part.rows for part in parts]),
        None if first.masks is None else Masks(crops, np.concatenate([one.corners for one in masks]), shape),
        None if first.keypoints is None else np.concatenate(keypoints),
        None if first.rotated is None else np.concatenate(rotated),
    )


def chosen(found: Detections, which: NDArray[np.int64]) -> Detections:
    """Some of the detections, in the order that is given."""
    return Detections(
        found.rows[which],
        None if found.masks is None else found.masks[which],
        None if found.keypoints is None else found.keypoints[which],
        None if found.rotated is None else found.rotated[which],
    )


def cut_by(found: Detections, look: Look, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """(n,) which boxes of a look end where the look does and the picture does not."""
    x1, y1, x2, y2 = found.rows[:, :4].T
    inner_left, inner_right = look.left > 0, look.left + look.width < shape[1]
    if look.mirrored:
        inner_left, inner_right = inner_right, inner_left
    cut: NDArray[np.bool_] = (
        ((x1 < EDGE) & inner_left)
        | ((y1 < EDGE) & (look.top > 0))
        | ((x2 > look.width - EDGE) & inner_right)
        | ((y2 > look.height - EDGE) & (look.top + look.height < shape[0]))
    )
    return cut


def _found(
    image: NDArray[np.uint8],
    looks: Sequence[Look],
    runtime: Runtime,
    task: str,
    num_classes: int,
    options: NmsOptions,
    wanted: Looks,
) -> list[Detections]:
    """What each look finds, in its own pixels; looks on canvases of one size run together."""
    views = [Letterbox.fit((look.height, look.width), look.imgsz, rect=wanted.rect) for look in looks]
    found: dict[int, Detections] = {}
    for batch in _batches(views, wanted.batch):
        canvases = np.stack([views[i].apply(_part(image, looks[i])) for i in batch])
        for i, decoded in zip(batch, runtime(canvases, options.conf).images(), strict=True):
            found[i] = POSTPROCESS[task](decoded, views[i], num_classes, options)
    return [found[i] for i in range(len(looks))]


def _batches(views: Sequence[Letterbox], size: int) -> Iterator[list[int]]:
    by_canvas: dict[tuple[int, int], list[int]] = {}
    for i, view in enumerate(views):
        by_canvas.setdefault(view.canvas, []).append(i)
    for group in by_canvas.values():
        yield from (group[start : start + size] for start in range(0, len(group), size))


def _part(image: NDArray[np.uint8], look: Look) -> NDArray[np.uint8]:
    part = image[look.top : look.top + look.height, look.left : look.left + look.width]
    return cv2.flip(part, 1).astype(np.uint8, copy=False) if look.mirrored else part


def _starts(length: int, part: int, overlap: float) -> list[int]:
    """Where parts of a length begin: evenly, the first at the beginning, the last at the end."""
    if part >= length:
        return [0]
    count = math.ceil((length - part) / max(part * (1 - overlap), 1)) + 1
    return [round(i * (length - part) / (count - 1)) for i in range(count)]


def _survivors(found: Detections, options: NmsOptions) -> NDArray[np.int64]:
    """Which of the detections, best first, remain."""
    groups = (np.zeros(len(found.rows)) if options.agnostic else found.rows[:, 5]).astype(np.int64)
    if found.rotated is not None:
        return suppress_rotated(found.rotated.astype(np.float32), groups, options.iou, options.max_det)
    return suppress(found.rows[:, :4].T.astype(np.float32), groups, options.iou, options.max_det)


def _covered(pieces: NDArray[np.float64], whole: NDArray[np.float64], options: NmsOptions) -> NDArray[np.bool_]:
    """(n,) which of the rows lie inside a whole one of their class."""
    low = np.maximum(pieces[:, None, :2], whole[None, :, :2])  # (n, m, 2)
    high = np.minimum(pieces[:, None, 2:4], whole[None, :, 2:4])
    common = np.clip(high - low, 0, None).prod(axis=2)
    areas = (pieces[:, 2:4] - pieces[:, :2]).prod(axis=1)
    same = options.agnostic | (pieces[:, None, 5] == whole[None, :, 5])
    covered: NDArray[np.bool_] = (same & (common > COVERED * areas[:, None])).any(axis=1)
    return covered
