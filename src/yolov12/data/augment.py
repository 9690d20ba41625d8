"""Random changes of one training picture together with its objects: affine or perspective warp, colour, flips.

The recipe (which operations, in which order the random numbers are drawn, when an object survives) is the one that the
YOLO family has trained with since YOLOv5. Every function is pure: what it does depends on its arguments only, all
randomness comes from the generator that is handed in, and pictures are never changed in place.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from yolov12.config.run import AugmentConfig
from yolov12.data.letterbox import PAD_VALUE, Letterbox
from yolov12.data.outlines import cut_outlines, move_outlines
from yolov12.data.sample import Sample

MIN_SIDE: Final = 2.0  # an object that is thinner than this after the warp is dropped (pixels)
MAX_ASPECT: Final = 100.0
MIN_VISIBLE: Final = 0.1  # part of the zoomed area that must stay in the picture
MIN_VISIBLE_OUTLINED: Final = 0.01  # the same for objects with a polygon, whose new box is tight


class AffineDraws(NamedTuple):
    """The random numbers of one warp, in the order in which they are drawn."""

    perspective_x: float
    perspective_y: float
    degrees: float
    zoom: float
    shear_x: float  # degrees
    shear_y: float
    shift_x: float  # where the centre of the picture lands, as a fraction of the output
    shift_y: float


def draw_affine(rng: np.random.Generator, config: AugmentConfig) -> AffineDraws:
    """The random numbers of one warp within the ranges of `config`."""
    p, d, s, h, t = config.perspective, config.degrees, config.scale, config.shear, config.translate
    low = np.array([-p, -p, -d, 1 - s, -h, -h, 0.5 - t, 0.5 - t])
    high = np.array([p, p, d, 1 + s, h, h, 0.5 + t, 0.5 + t])
    return AffineDraws(*rng.uniform(low, high).tolist())


def affine_matrix(draws: AffineDraws, source: tuple[int, int], target: tuple[int, int]) -> npt.NDArray[np.float32]:
    """The (3, 3) matrix from pixels of a picture of `source` (height, width) to those of one of `target`."""
    center = np.array([[1, 0, -source[1] / 2], [0, 1, -source[0] / 2], [0, 0, 1]])
    perspective = np.array([[1, 0, 0], [0, 1, 0], [draws.perspective_x, draws.perspective_y, 1]])
    angle = np.deg2rad(draws.degrees)
    cos, sin = draws.zoom * np.cos(angle), draws.zoom * np.sin(angle)
    rotation = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
    shear = np.array([[1, np.tan(np.deg2rad(draws.shear_x)), 0], [np.tan(np.deg2rad(draws.shear_y)), 1, 0], [0, 0, 1]])
    shift = np.array([[1, 0, draws.shift_x * target[1]], [0, 1, draws.shift_y * target[0]], [0, 0, 1]])
    # Rounded once here, so that the picture and its boxes are moved by the same numbers.
    return np.asarray(shift @ shear @ rotation @ perspective @ center, np.float32)


def map_points(points: npt.NDArray[Any], matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Points (..., 2) moved by a (3, 3) matrix."""
    wide = matrix.astype(np.float64)
    moved: npt.NDArray[np.float64] = points @ wide[:2, :2].T + wide[:2, 2]
    if wide[2, 0] or wide[2, 1]:
        moved = moved / (points @ wide[2, :2] + wide[2, 2])[..., None]
    return moved


def warp(image: npt.NDArray[np.uint8], matrix: npt.NDArray[np.float32], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """`image` (h, w, 3) moved by a (3, 3) matrix onto a grey canvas of `size` (height, width), bilinear."""
    moved = matrix.astype(np.float64)
    flat = not (moved[2, 0] or moved[2, 1])
    if flat:
        image, moved = _used_part(image, moved, size)
    # OpenCV warps four channels more than twice as fast as three, with the same result.
    padded = cv2.cvtColor(image, cv2.COLOR_BGR2BGRA)
    dsize, border = (size[1], size[0]), (PAD_VALUE,) * 4
    if flat:
        warped = cv2.warpAffine(padded, moved[:2], dsize, borderValue=border)
    else:
        warped = cv2.warpPerspective(padded, moved, dsize, borderValue=border)
    return cv2.cvtColor(warped, cv2.COLOR_BGRA2BGR).astype(np.uint8, copy=False)


def _used_part(
    image: npt.NDArray[np.uint8], matrix: npt.NDArray[np.float64], size: tuple[int, int]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float64]]:
    """The part of `image` that an affine `matrix` shows on `size`, and the matrix for that part.

    A mosaic has four times the pixels of the result. Leaving out what is not seen keeps the copies of the warp small
    enough for the allocator to reuse: otherwise page faults take as long as the warp.
    """
    height, width = size
    if abs(np.linalg.det(matrix)) < 1e-12:  # zoomed to a point
        return image, matrix
    corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]]) @ np.linalg.inv(matrix)[:2].T
    left, top = np.maximum(np.floor(corners.min(axis=0)).astype(int) - 2, 0).tolist()
    right, bottom = np.maximum(np.ceil(corners.max(axis=0)).astype(int) + 3, 0).tolist()
    part = image[top:bottom, left:right]
    if not part.size:
        return image, matrix
    moved = matrix.copy()
    moved[:2, 2] += matrix[:2, :2] @ (left, top)
    return part, moved


def letterboxed(sample: Sample, size: int) -> Sample:
    """The sample on a square grey canvas of `size` pixels, enlarged or shrunk to fit."""
    plan = Letterbox.fit((sample.image.shape[0], sample.image.shape[1]), size, rect=False)
    gain, offset = np.array(plan.gain[::-1]), np.array([plan.left, plan.top])
    polygons, keypoints = sample.polygons, sample.keypoints
    if polygons is not None:
        polygons = move_outlines(polygons, lambda points: points * gain + offset)
    if keypoints is not None:
        keypoints = keypoints.copy()
        keypoints[..., :2] = keypoints[..., :2] * gain + offset
    boxes = plan.to_input(sample.boxes).astype(np.float32)
    return Sample(plan.apply(sample.image), boxes, sample.labels, polygons, keypoints)


def random_affine(sample: Sample, rng: np.random.Generator, config: AugmentConfig, size: int) -> Sample:
    """Turn, zoom, shear, shift and tilt the sample onto a square of `size` pixels."""
    draws = draw_affine(rng, config)
    matrix = affine_matrix(draws, (sample.image.shape[0], sample.image.shape[1]), (size, size))
    return transform(sample, matrix, draws.zoom, (size, size))


def transform(sample: Sample, matrix: npt.NDArray[np.float32], zoom: float, size: tuple[int, int]) -> Sample:
    """Picture and objects moved by `matrix` onto `size` (height, width); objects that hardly show are dropped."""
    image = warp(sample.image, matrix, size)
    boxes = clip_boxes(_map_boxes(sample.boxes, matrix), size)
    least_visible = np.full(len(boxes), MIN_VISIBLE)
    polygons = sample.polygons
    if polygons is not None:
        outlined = np.array([len(points) > 0 for points in polygons], np.bool_)
        polygons, around = cut_outlines(move_outlines(polygons, lambda points: map_points(points, matrix)), size)
        boxes[outlined], least_visible[outlined] = around[outlined], MIN_VISIBLE_OUTLINED
    keep = _survives(sample.boxes, boxes, zoom, least_visible)
    if polygons is not None:
        polygons = [polygons[row] for row in np.flatnonzero(keep)]
    keypoints = sample.keypoints
    if keypoints is not None:
        keypoints = keypoints[keep]
        keypoints[..., :2] = map_points(keypoints[..., :2], matrix)
        keypoints = hide_outside(keypoints, size)
    return Sample(image, boxes[keep].astype(np.float32), sample.labels[keep], polygons, keypoints)


def _map_boxes(boxes: npt.NDArray[Any], matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """The upright extent of each moved box, (N, 4)."""
    corners = map_points(boxes[:, [0, 1, 2, 3, 0, 3, 2, 1]].reshape(-1, 4, 2), matrix)  # (N, corner, xy)
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)


def clip_boxes(boxes: npt.NDArray[Any], size: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Boxes (N, 4) cut at the edges of a picture of `size` (height, width)."""
    return np.asarray(np.clip(boxes, 0.0, (size[1], size[0], size[1], size[0])), np.float64)


def _survives(
    before: npt.NDArray[Any], after: npt.NDArray[np.float64], zoom: float, least_visible: npt.NDArray[np.float64]
) -> npt.NDArray[np.bool_]:
    """Which objects (N,) are still worth learning after a warp: not too thin, not too long, enough of them visible."""
    width, height = after[:, 2] - after[:, 0], after[:, 3] - after[:, 1]
    area_before = (before[:, 2] - before[:, 0]).astype(np.float64) * (before[:, 3] - before[:, 1]) * zoom**2
    aspect = np.maximum(width / (height + 1e-16), height / (width + 1e-16))
    visible = width * height / (area_before + 1e-16) > least_visible
    keep: npt.NDArray[np.bool_] = (width > MIN_SIDE) & (height > MIN_SIDE) & visible & (aspect < MAX_ASPECT)
    return keep


def hide_outside(keypoints: npt.NDArray[np.float32], size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Keypoints (N, K, 3) with the flag 0 where they lie outside a picture of `size` (height, width)."""
    x, y = keypoints[..., 0], keypoints[..., 1]
    hidden = keypoints.copy()
    hidden[(x < 0) | (y < 0) | (x > size[1]) | (y > size[0]), 2] = 0
    return hidden


def random_hsv(sample: Sample, rng: np.random.Generator, config: AugmentConfig) -> Sample:
    """Other colours, saturation and brightness."""
    ranges = np.array([config.hsv_h, config.hsv_s, config.hsv_v])
    if not ranges.any():
        return sample  # there and back through 8-bit HSV would lose colours for nothing
    gains = 1 + rng.uniform(-1, 1, 3) * ranges
    return dataclasses.replace(sample, image=scale_hsv(sample.image, gains.tolist()))


def scale_hsv(image: npt.NDArray[np.uint8], gains: Sequence[float]) -> npt.NDArray[np.uint8]:
    """The picture (H, W, 3) with hue, saturation and value multiplied by three `gains`, in 8-bit steps."""
    steps = np.arange(256, dtype=np.float64)
    tables = (steps * gains[0] % 180, np.clip(steps * gains[1], 0, 255), np.clip(steps * gains[2], 0, 255))
    planes = cv2.split(cv2.cvtColor(image, cv2.COLOR_BGR2HSV))
    # Plane by plane: OpenCV's lookup of one channel is twice as fast as that of three interleaved ones.
    changed = [cv2.LUT(plane, table.astype(np.uint8)) for plane, table in zip(planes, tables, strict=True)]
    return cv2.cvtColor(cv2.merge(changed), cv2.COLOR_HSV2BGR).astype(np.uint8, copy=False)


def random_flips(
    sample: Sample, rng: np.random.Generator, config: AugmentConfig, flip_idx: Sequence[int] | None = None
) -> Sample:
    """Upside down with probability `flipud`, mirrored with probability `fliplr`."""
    vertical, horizontal = (rng.random(2) < (config.flipud, config.fliplr)).tolist()
    if vertical:
        sample = flip(sample, horizontal=False)
    return flip(sample, horizontal=True, flip_idx=flip_idx) if horizontal else sample


def flip(sample: Sample, *, horizontal: bool, flip_idx: Sequence[int] | None = None) -> Sample:
    """The sample mirrored left-right, or upside down.

    `flip_idx` (K,) says which keypoint each one becomes in a mirrored picture: a left eye becomes a right one.
    Upside down it stays a left one.
    """
    axis, length = (0, sample.image.shape[1]) if horizontal else (1, sample.image.shape[0])
    boxes = sample.boxes.copy()
    boxes[:, axis], boxes[:, axis + 2] = length - sample.boxes[:, axis + 2], length - sample.boxes[:, axis]
    sign = np.array([-1, 1] if horizontal else [1, -1], np.float32)
    offset = np.array([length, 0] if horizontal else [0, length], np.float32)
    polygons, keypoints = sample.polygons, sample.keypoints
    if polygons is not None:
        polygons = move_outlines(polygons, lambda points: points * sign + offset)
    if keypoints is not None:
        if horizontal and flip_idx is None:
            raise ValueError("keypoints can only be mirrored left-right with flip_idx, which says how they pair")
        keypoints = keypoints[:, list(flip_idx)] if horizontal and flip_idx is not None else keypoints.copy()
        keypoints[..., :2] = keypoints[..., :2] * sign + offset
    image = cv2.flip(sample.image, 1 if horizontal else 0).astype(np.uint8, copy=False)
    return Sample(image, boxes, sample.labels, polygons, keypoints)
