"""Whatever moves a picture moves its labels alike: draw, move, and look where the drawing is.

Flips, letterbox and mosaic count like labels do: pixel i covers i to i + 1. Warps take the centre of pixel i to be at
i, as the published training does. So here what is to be warped is drawn half a pixel further (`Motion.shift`), and
looked for there.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from yolov12.data.augment import AffineDraws, affine_matrix, flip, letterboxed, transform
from yolov12.data.letterbox import PAD_VALUE
from yolov12.data.mosaic import mosaic
from yolov12.data.outlines import extents
from yolov12.data.sample import Sample
from yolov12.data.targets import index_map, rotated_boxes

SIZE = 192


class Motion(NamedTuple):
    """Something that moves samples, and how far from its labels a drawing belongs."""

    move: Callable[[Sample], Sample]
    shift: float = 0.0


affine = st.builds(
    AffineDraws,
    st.just(0.0),
    st.just(0.0),
    st.floats(-180, 180),
    st.floats(0.5, 1.6),
    st.floats(-15, 15),
    st.floats(-15, 15),
    st.floats(0.3, 0.7),
    st.floats(0.3, 0.7),
)
tilt = st.floats(-0.001, 0.001)
perspective = st.builds(lambda x, y, draws: draws._replace(perspective_x=x, perspective_y=y), tilt, tilt, affine)


def warped(draws: AffineDraws) -> Motion:
    matrix = affine_matrix(draws, (SIZE, SIZE), (SIZE, SIZE))
    return Motion(lambda sample: transform(sample, matrix, draws.zoom, (SIZE, SIZE)), 0.5)


def flipped(across: bool) -> Motion:
    return Motion(lambda sample: flip(sample, horizontal=across, flip_idx=(0, 1, 2)))


def boxed(side: int, more: int) -> Motion:
    """Letterboxed after the picture has been widened by `more` black columns on its right."""

    def move(sample: Sample) -> Sample:
        return letterboxed(dataclasses.replace(sample, image=np.pad(sample.image, ((0, 0), (0, more), (0, 0)))), side)

    return Motion(move)


def tiled(center: tuple[int, int], place: int) -> Motion:
    """A mosaic of the sample, at `place`, and of three black pictures."""
    black = np.zeros((SIZE, SIZE, 3), np.uint8)

    def move(sample: Sample) -> Sample:
        none = sample.keypoints if sample.keypoints is None else np.zeros((0, 3, 3), np.float32)
        tiles = [Sample(black, np.zeros((0, 4), np.float32), np.zeros(0, np.int64), [], none) for _ in range(4)]
        tiles[place] = sample
        return mosaic(tiles, center, SIZE)

    return Motion(move)


MOTIONS = st.one_of(
    affine.map(warped),
    perspective.map(warped),
    st.booleans().map(flipped),
    st.builds(boxed, st.sampled_from([96, 224, 320]), st.integers(0, 100)),
    st.builds(tiled, st.tuples(st.integers(96, 287), st.integers(96, 287)), st.integers(0, 3)),
)
CASES = settings(max_examples=80, deadline=None)


def star(seed: int) -> npt.NDArray[np.float32]:
    """A ragged, not convex outline somewhere in the picture, some 40 to 100 pixels across."""
    rng = np.random.default_rng(seed)
    angles, radius = np.linspace(0, 2 * np.pi, 14, endpoint=False), rng.uniform(20, 50, 14)
    center = rng.uniform(52, SIZE - 52, 2)
    return (center + np.stack([np.cos(angles), np.sin(angles)], axis=1) * radius[:, None]).astype(np.float32)


def drawing(
    outline: npt.NDArray[np.float32], shift: float, size: tuple[int, int] = (SIZE, SIZE)
) -> npt.NDArray[np.uint8]:
    """A black picture of `size` with the inside of an outline in white, grey where it covers a part of a pixel."""
    height, width = size
    fine = np.zeros((height * 8, width * 8), np.uint8)
    cv2.fillPoly(fine, [((outline + shift) * 8 - 0.5).round().astype(np.int32)], 255)
    grey = cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA)
    return np.repeat(grey[..., None], 3, axis=2)


def drawn(outline: npt.NDArray[np.float32], shift: float) -> Sample:
    """The drawing of an outline with its labels."""
    return Sample(drawing(outline, shift), extents([outline]), np.array([0]), [outline])


def white(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Where more than half of a pixel is white."""
    return image[..., 0] > 127


def overlap(a: npt.NDArray[np.bool_], b: npt.NDArray[np.bool_]) -> float:
    return float((a & b).sum() / max((a | b).sum(), 1))


@given(st.integers(0, 10**6), MOTIONS)
@CASES
def test_outline_encloses_the_moved_drawing(seed: int, motion: Motion) -> None:
    moved = motion.move(drawn(star(seed), motion.shift))
    seen = white(moved.image)
    if not len(moved.labels):  # dropped because it hardly shows
        assert seen.sum() < 0.03 * SIZE * SIZE
        return
    assert moved.polygons is not None
    outline = white(drawing(moved.polygons[0], motion.shift, seen.shape))
    bytes_ = outline.astype(np.uint8)
    rim = cv2.dilate(bytes_, np.ones((3, 3))) - cv2.erode(bytes_, np.ones((3, 3)))
    assert not ((seen != outline) & (rim == 0)).any()
    assert (seen != outline).sum() <= 0.12 * rim.sum() + 3
    if seen.sum() > 1500:
        assert overlap(seen, outline) > 0.97


def beyond(moved: Sample, seen: npt.NDArray[np.bool_], motion: Motion) -> npt.NDArray[np.float64]:
    """Pixels by which each side of the box reaches further than what is seen."""
    rows, columns = np.nonzero(seen)
    extent = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]) - motion.shift
    return (extent - moved.boxes[0]) * (1, 1, -1, -1)


@given(st.integers(0, 10**6), MOTIONS)
@CASES
def test_box_is_the_extent_of_the_moved_drawing(seed: int, motion: Motion) -> None:
    outline = star(seed)
    moved = motion.move(drawn(outline, motion.shift))
    assume(len(moved.labels))
    empty = motion.move(dataclasses.replace(drawn(outline, motion.shift), image=np.zeros((SIZE, SIZE, 3), np.uint8)))
    assert beyond(moved, white(moved.image), motion).min() > -0.75  # the box has all that is more than half white
    touched = (moved.image != empty.image).any(2)
    assert beyond(moved, touched, motion).max() < 1.0  # and nothing that no tip, however thin, reaches


@given(st.integers(0, 10**6), MOTIONS)
@CASES
def test_index_map_shows_the_moved_drawing(seed: int, motion: Motion) -> None:
    moved = motion.move(drawn(star(seed), motion.shift))
    seen = white(moved.image)
    assume(len(moved.labels) and seen.sum() > 1500)
    quarter = cv2.resize(seen.astype(np.float32), None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA) > 0.5
    assert overlap(index_map(moved) > 0, quarter) > 0.8


def dotted(points: npt.NDArray[np.float32], shift: float) -> Sample:
    """A grey picture with a soft dot in a channel of its own at each of three keypoints, in an object that fills it."""
    y, x = np.mgrid[:SIZE, :SIZE] + 0.5 - shift
    dots = [140 * np.exp(-((x - px) ** 2 + (y - py) ** 2) / 18) for px, py in points]
    image = (PAD_VALUE + np.stack(dots, axis=2)).round().astype(np.uint8)
    keypoints = np.concatenate([points, np.full((3, 1), 2, np.float32)], axis=1)[None]
    whole = np.array([[0, 0, SIZE, SIZE]], np.float32)
    return Sample(image, whole, np.array([0]), keypoints=keypoints.astype(np.float32))


def center_of_light(light: npt.NDArray[np.float64]) -> tuple[float, float]:
    """x, y of what shines (H, W)."""
    rows, columns = np.mgrid[: light.shape[0], : light.shape[1]] + 0.5
    return float((light * columns).sum() / light.sum()), float((light * rows).sum() / light.sum())


def light_of(image: npt.NDArray[np.uint8], channel: int) -> npt.NDArray[np.float64]:
    light = np.clip(image[..., channel].astype(float) - PAD_VALUE, 0, None)
    light[light < 4] = 0  # half a grey level on each of thousands of pixels would weigh more than the dot
    return light


@given(st.integers(0, 10**6), MOTIONS)
@CASES
def test_keypoints_lie_on_their_moved_dots(seed: int, motion: Motion) -> None:
    points = np.random.default_rng(seed).uniform(8, SIZE - 8, (3, 2)).astype(np.float32)
    moved = motion.move(dotted(points, motion.shift))
    assume(len(moved.labels))
    assert moved.keypoints is not None
    height, width = moved.image.shape[:2]
    for channel, (x, y, flag) in enumerate(moved.keypoints[0].tolist()):
        assert flag == (2 if 0 <= x <= width and 0 <= y <= height else 0)
        light = light_of(moved.image, channel)
        if min(x, y, width - x, height - y) > 20:  # nearer to an edge a part of the dot is cut off
            assert math.dist(center_of_light(light), (x + motion.shift, y + motion.shift)) < 0.3
        elif max(-x, -y, x - width, y - height) > 20:
            assert light.max() < 12


def test_mirrored_keypoints_lie_on_the_dots_of_their_partners() -> None:
    points = np.array([[40, 50], [120, 60], [90, 150]], np.float32)
    mirrored = flip(dotted(points, 0), horizontal=True, flip_idx=(1, 0, 2))
    assert mirrored.keypoints is not None
    for channel, (x, y, _) in zip((1, 0, 2), mirrored.keypoints[0].tolist(), strict=True):
        assert math.dist(center_of_light(light_of(mirrored.image, channel)), (x, y)) < 0.1


def corners_of(box: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """The corners (4, 2) of centre x, y, width, height, angle."""
    x, y, width, height, angle = box.astype(np.float64)
    along = np.array([math.cos(angle), math.sin(angle)]) * width / 2
    across = np.array([-math.sin(angle), math.cos(angle)]) * height / 2
    center = np.array([x, y])
    return np.array([center + s * along + t * across for s, t in ((1, 1), (1, -1), (-1, -1), (-1, 1))])


def turned_rectangle(seed: int) -> npt.NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    center, sides, angle = rng.uniform(60, SIZE - 60, 2), rng.uniform(20, 80, 2), rng.uniform(-4, 4)
    return corners_of(np.array([*center, *sides, angle])).astype(np.float32)


RIGID = st.one_of(  # what leaves a rectangle one
    affine.map(lambda draws: warped(draws._replace(shear_x=0.0, shear_y=0.0))),
    st.booleans().map(flipped),
    st.builds(boxed, st.sampled_from([96, 224, 320]), st.just(0)),
    st.builds(tiled, st.tuples(st.integers(96, 287), st.integers(96, 287)), st.integers(0, 3)),
)


@given(st.integers(0, 10**6), RIGID)
@CASES
def test_rotated_box_lies_on_the_moved_rectangle(seed: int, motion: Motion) -> None:
    moved = motion.move(drawn(turned_rectangle(seed), motion.shift))
    seen = white(moved.image)
    assume(len(moved.labels) and seen.sum() > 300)
    assert moved.polygons is not None
    box = corners_of(rotated_boxes(moved)[0])
    outline = moved.polygons[0]
    whole = (outline > 0).all() and (outline < seen.shape[::-1]).all()
    inside = white(drawing(box.astype(np.float32), motion.shift, seen.shape))
    if whole:  # exact: the corners are those of the outline
        distances = np.linalg.norm(outline[:, None] - box[None], axis=2)
        assert distances.min(axis=1).max() < 0.02
        assert overlap(seen, inside) > 0.95
    else:  # cut at an edge: the smallest rectangle around what is left holds all of that
        assert (seen & ~inside).sum() <= 0.05 * seen.sum()


@pytest.mark.parametrize("center", [(130, 170), (96, 287), (287, 96)])
@pytest.mark.parametrize("place", range(4))
def test_rotated_box_at_the_edge_of_a_mosaic_fits_what_is_left(center: tuple[int, int], place: int) -> None:
    """No longer than the part of the rectangle that shows: nothing of what was cut off counts."""
    stick = corners_of(np.array([96, 96, 150, 24, 0.5])).astype(np.float32)
    moved = tiled(center, place).move(drawn(stick, 0))
    seen = white(moved.image)
    if seen.sum() < 200:
        return
    (_, _), sides, _ = cv2.minAreaRect(np.argwhere(seen).astype(np.float32))
    assert sorted(rotated_boxes(moved)[0, 2:4]) == pytest.approx(sorted(side + 1 for side in sides), abs=2)
