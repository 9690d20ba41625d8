"""Samples made of several pictures: mosaic, copy-paste, mixup; and the order in which a training sample is made.

Mosaic is that of YOLOv4 (Bochkovskiy et al. 2020, arXiv:2004.10934) in the form of YOLOv5, copy-paste follows Ghiasi et
al. 2021 (arXiv:2012.07177) with the picture's own mirror image as the source, mixup is Zhang et al. 2018
(arXiv:1710.09412) for detection: pixels are blended, objects are not weighted.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from yolov12.config.run import AugmentConfig
from yolov12.data.augment import (
    flip,
    hide_outside,
    letterboxed,
    random_affine,
    random_flips,
    random_hsv,
)
from yolov12.data.letterbox import PAD_VALUE
from yolov12.data.outlines import cut_outlines, move_outlines
from yolov12.data.sample import Sample

MAX_COVER: Final = 0.3  # a pasted object hides less than this part of any object that is there
MIXUP_BETA: Final = 32.0  # Beta(32, 32): blends near one half


def training_sample(
    load: Callable[[int], Sample],
    count: int,
    index: int,
    rng: np.random.Generator,
    config: AugmentConfig,
    size: int,
    flip_idx: Sequence[int] | None = None,
) -> Sample:
    """The augmented sample made for image `index` of `count`: `size` x `size` pixels, a function of the arguments.

    `load(i)` gives image i resized to a long side of `size`. Partners are drawn from the whole data set. Samples with
    keypoints need `flip_idx` (see `augment.flip`), or a `config` that mirrors nothing.
    """
    sample = _warped_sample(load, count, index, rng, config, size, flip_idx)
    if rng.random() < config.mixup:
        partner = _warped_sample(load, count, int(rng.integers(count)), rng, config, size, flip_idx)
        sample = mixup(sample, partner, float(rng.beta(MIXUP_BETA, MIXUP_BETA)))
    return random_flips(random_hsv(sample, rng, config), rng, config, flip_idx)


def _warped_sample(
    load: Callable[[int], Sample],
    count: int,
    index: int,
    rng: np.random.Generator,
    config: AugmentConfig,
    size: int,
    flip_idx: Sequence[int] | None,
) -> Sample:
    """Mosaic or letterbox, then copy-paste, then the affine warp onto `size` x `size` pixels."""
    if rng.random() < config.mosaic:
        tiles = [load(index), *(load(partner) for partner in rng.integers(count, size=3).tolist())]
        sample = mosaic(tiles, mosaic_center(rng, size), size)
    else:
        sample = letterboxed(load(index), size)
    return random_affine(copy_paste(sample, config.copy_paste, flip_idx), rng, config, size)


def mosaic_center(rng: np.random.Generator, size: int) -> tuple[int, int]:
    """Where the four pictures meet on the canvas of twice `size`: (y, x)."""
    y, x = rng.uniform(size / 2, 3 * size / 2, 2).tolist()
    return int(y), int(x)


def mosaic(samples: Sequence[Sample], center: tuple[int, int], size: int) -> Sample:
    """Four samples on a grey canvas of twice `size`, touching at `center` (y, x); what sticks out is cut off.

    The order is top left, top right, bottom left, bottom right.
    """
    side, (center_y, center_x) = 2 * size, center
    canvas = np.full((side, side, 3), PAD_VALUE, np.uint8)
    moved = []
    for position, sample in enumerate(samples):
        height, width = sample.image.shape[:2]
        top = center_y if position >= 2 else center_y - height
        left = center_x if position % 2 else center_x - width
        cut_top, cut_left = max(-top, 0), max(-left, 0)
        visible = sample.image[cut_top : side - top, cut_left : side - left]
        y, x = top + cut_top, left + cut_left
        canvas[y : y + visible.shape[0], x : x + visible.shape[1]] = visible
        moved.append(_moved(sample, left, top))
    return _cut(_joined(canvas, moved), side)


def _moved(sample: Sample, left: int, top: int) -> Sample:
    """The sample with its objects, not its picture, moved right and down."""
    offset = np.array([left, top, left, top], np.float32)
    polygons = sample.polygons
    if polygons is not None:
        polygons = move_outlines(polygons, lambda points: points + offset[:2])
    keypoints = None if sample.keypoints is None else sample.keypoints + np.array([left, top, 0], np.float32)
    return dataclasses.replace(sample, boxes=sample.boxes + offset, polygons=polygons, keypoints=keypoints)


def _cut(sample: Sample, side: int) -> Sample:
    """The sample with its objects cut at the edges of the picture of `side` pixels; hidden ones are dropped."""
    boxes, polygons, keypoints = sample.boxes.clip(0, side), sample.polygons, sample.keypoints
    if polygons is not None:
        cut, around = cut_outlines(polygons, (side, side))
        outlined = np.array([len(points) > 0 for points in polygons], bool)
        boxes[outlined] = around[outlined]
    keep = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    if polygons is not None:
        polygons = [cut[row] for row in np.flatnonzero(keep)]
    if keypoints is not None:
        keypoints = hide_outside(keypoints[keep], (side, side))
    return Sample(sample.image, boxes[keep], sample.labels[keep], polygons, keypoints)


def _joined(image: npt.NDArray[np.uint8], samples: Sequence[Sample]) -> Sample:
    """`image` with the objects of all samples, all of which have keypoints, or none."""
    polygons: list[npt.NDArray[np.float32]] | None = None
    if any(sample.polygons is not None for sample in samples):
        polygons = []
        for sample in samples:
            polygons += sample.polygons or [np.zeros((0, 2), np.float32)] * len(sample.labels)
    keypoints = [sample.keypoints for sample in samples if sample.keypoints is not None]
    return Sample(
        image,
        np.concatenate([sample.boxes for sample in samples]),
        np.concatenate([sample.labels for sample in samples]),
        polygons,
        np.concatenate(keypoints) if keypoints else None,
    )


def copy_paste(sample: Sample, fraction: float, flip_idx: Sequence[int] | None = None) -> Sample:
    """Paste a `fraction` of the mirrored outlined objects where they hide little of what is there.

    Those that hide least come first. Nothing is random here: the warp that follows is. Objects with keypoints need
    `flip_idx` (see `augment.flip`).
    """
    if not fraction or not sample.polygons:
        return sample
    mirrored = flip(sample, horizontal=True, flip_idx=flip_idx)
    polygons = mirrored.polygons or []
    hidden = _cover(mirrored.boxes, sample.boxes).max(axis=1)  # (N,)
    outlined = np.array([len(points) > 0 for points in polygons])
    eligible = np.flatnonzero((hidden < MAX_COVER) & outlined)
    chosen = eligible[np.argsort(hidden[eligible], kind="stable")][: round(fraction * len(eligible))]
    if not len(chosen):
        return sample
    mask = np.zeros(sample.image.shape[:2], np.uint8)
    for row in chosen:
        cv2.fillPoly(mask, [polygons[row].astype(np.int32)], 255)
    pasted = Sample(
        mirrored.image,
        mirrored.boxes[chosen],
        mirrored.labels[chosen],
        [polygons[row] for row in chosen],
        None if mirrored.keypoints is None else mirrored.keypoints[chosen],
    )
    return _joined(np.where(mask[..., None] > 0, mirrored.image, sample.image), [sample, pasted])


def _cover(over: npt.NDArray[np.float32], under: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """(N, M): the part of each box of `under` (M, 4) that a box of `over` (N, 4) covers."""
    top_left = np.maximum(over[:, None, :2], under[None, :, :2])
    bottom_right = np.minimum(over[:, None, 2:], under[None, :, 2:])
    shared = (bottom_right - top_left).clip(0).prod(axis=2)
    area = (under[:, 2:] - under[:, :2]).prod(axis=1)
    return np.asarray(shared / (area + np.float32(1e-7)), np.float32)


def mixup(first: Sample, second: Sample, ratio: float) -> Sample:
    """`ratio` of the first picture plus the rest of the second, with the objects of both."""
    # addWeighted rounds to the nearest: taking nearly half a grey level off makes that truncation.
    image = cv2.addWeighted(first.image, ratio, second.image, 1 - ratio, -0.4999)
    return _joined(image.astype(np.uint8, copy=False), [first, second])
