"""Augmentation of one picture: objects stay on what they mark."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from yolov12.config.run import AugmentConfig
from yolov12.data.augment import (
    AffineDraws,
    affine_matrix,
    flip,
    hide_outside,
    letterboxed,
    random_affine,
    random_flips,
    random_hsv,
    scale_hsv,
    transform,
    warp,
)
from yolov12.data.letterbox import PAD_VALUE
from yolov12.data.sample import Sample

STRONG = AugmentConfig(degrees=30, translate=0.2, scale=0.4, shear=10, perspective=0.0005)
NOTHING = AugmentConfig(hsv_h=0, hsv_s=0, hsv_v=0, translate=0, scale=0, fliplr=0, mosaic=0)


def painted(box: tuple[int, int, int, int], size: tuple[int, int] = (160, 200), *, outline: bool = False) -> Sample:
    """A black picture with one white rectangle, or with the ellipse that fills it and has a polygon."""
    image = np.zeros((*size, 3), np.uint8)
    x1, y1, x2, y2 = box
    polygons: list[npt.NDArray[np.float32]] | None = None
    if outline:
        angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        center, radius = np.array([x1 + x2, y1 + y2]) / 2, np.array([x2 - x1, y2 - y1]) / 2
        points = (center + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)).astype(np.float32)
        cv2.fillPoly(image, [points.round().astype(np.int32)], (255, 255, 255))
        polygons = [points]
    else:
        image[y1:y2, x1:x2] = 255
    return Sample(image, np.array([box], np.float32), np.array([3]), polygons)


def white_extent(image: npt.NDArray[np.uint8]) -> tuple[float, float, float, float]:
    """The box around the white pixels."""
    rows, columns = np.nonzero(image[..., 0] > 127 + PAD_VALUE // 2)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


@pytest.mark.parametrize("outline", [False, True])
@pytest.mark.parametrize("box", [(60, 50, 120, 110), (5, 5, 80, 40), (150, 100, 200, 160)])
@pytest.mark.parametrize("seed", range(6))
def test_warped_box_marks_the_warped_object(box: tuple[int, int, int, int], seed: int, outline: bool) -> None:
    sample = painted(box, outline=outline)
    moved = random_affine(sample, np.random.default_rng(seed), STRONG, 192)
    assert moved.image.shape == (192, 192, 3)
    if not len(moved.boxes):  # dropped because it hardly shows
        assert (moved.image[..., 0] > 170).sum() < 0.2 * 192 * 192
        return
    difference = (moved.boxes[0] - white_extent(moved.image)) * (1, 1, -1, -1)  # positive: the box is too small
    assert difference.max() <= 2.5
    # Where an edge cuts the rectangle, the extent of its corners is larger than what is left of it.
    if outline or (moved.boxes.min() > 0 and moved.boxes.max() < 192):
        assert difference.min() >= -2.5


def test_picture_and_objects_are_not_changed_in_place() -> None:
    sample = painted((60, 50, 120, 110), outline=True)
    before = dataclasses.replace(sample, image=sample.image.copy(), boxes=sample.boxes.copy())
    rng = np.random.default_rng(0)
    config = dataclasses.replace(STRONG, flipud=1.0, fliplr=1.0)
    random_flips(random_hsv(random_affine(sample, rng, config, 96), rng, config), rng, config)
    np.testing.assert_array_equal(sample.image, before.image)
    np.testing.assert_array_equal(sample.boxes, before.boxes)


@pytest.mark.parametrize(
    ("box", "matrix", "kept"),
    [
        ((10, 10, 50, 50), (1, 0, 0, 0, 1, 0), True),
        ((10, 10, 50, 50), (1, 0, -49, 0, 1, 0), False),  # 1 px wide
        ((10, 10, 50, 50), (1, 0, -47, 0, 1, 0), False),  # 3 of 40 columns: less than a tenth
        ((10, 10, 50, 50), (1, 0, -45, 0, 1, 0), True),  # 5 of 40 columns
        ((0, 10, 160, 11.5), (1, 0, 0, 0, 1, 0), False),  # 1.5 px high
        ((10, 10, 50, 50), (1, 0, 500, 0, 1, 0), False),  # outside
        ((10, 10, 10, 10), (1, 0, 0, 0, 1, 0), False),  # nothing to begin with
    ],
)
def test_which_boxes_survive(box: tuple[float, ...], matrix: tuple[float, ...], kept: bool) -> None:
    sample = Sample(np.zeros((100, 400, 3), np.uint8), np.array([box], np.float32), np.array([0]))
    full = np.array([*matrix, 0, 0, 1], np.float32).reshape(3, 3)
    zoom = float(np.sqrt(matrix[0] * matrix[4]))
    assert len(transform(sample, full, zoom, (100, 400)).boxes) == kept


def test_too_long_boxes_are_dropped() -> None:
    boxes = np.array([[0, 10, 300, 13.1], [0, 10, 390, 13.1]], np.float32)
    sample = Sample(np.zeros((100, 400, 3), np.uint8), boxes, np.array([0, 1]))
    moved = transform(sample, np.eye(3, dtype=np.float32), 1.0, (100, 400))
    assert moved.labels.tolist() == [0]


def test_polygon_makes_a_tighter_box_than_corners_do() -> None:
    config = dataclasses.replace(NOTHING, degrees=45)
    boxes = []
    for polygons in (True, False):
        sample = painted((60, 40, 140, 120), outline=True)
        sample = sample if polygons else dataclasses.replace(sample, polygons=None)
        moved = random_affine(sample, np.random.default_rng(3), config, 200)
        boxes.append(moved.boxes[0])
    tight, loose = ((box[2:] - box[:2]).prod() for box in boxes)
    assert tight < 0.95 * loose


def test_objects_with_and_without_polygon_in_one_picture() -> None:
    sample = painted((60, 50, 120, 110), outline=True)
    assert sample.polygons is not None
    sample = Sample(
        sample.image,
        np.concatenate([sample.boxes, [[10, 10, 50, 40]]]).astype(np.float32),
        np.array([0, 1]),
        [*sample.polygons, np.zeros((0, 2), np.float32)],
    )
    moved = flip(random_affine(sample, np.random.default_rng(0), NOTHING, 200), horizontal=True)
    np.testing.assert_allclose(moved.boxes, [[80, 70, 140, 130], [150, 30, 190, 60]], atol=0.1)
    assert moved.polygons is not None
    assert [len(points) for points in moved.polygons] == [40, 0]


@pytest.mark.parametrize("horizontal", [True, False])
def test_flip_is_exact_and_its_own_inverse(horizontal: bool) -> None:
    rng = np.random.default_rng(0)
    points = np.array([[3.5, 4], [10, 20.25], [8, 2]], np.float32)
    image = rng.integers(0, 256, (30, 40, 3), np.uint8)
    sample = Sample(image, np.array([[3.5, 2, 10, 20.25]], np.float32), np.array([1]), [points])
    once = flip(sample, horizontal=horizontal)
    np.testing.assert_array_equal(once.image, sample.image[:, ::-1] if horizontal else sample.image[::-1])
    np.testing.assert_array_equal(once.boxes, [[30, 2, 36.5, 20.25]] if horizontal else [[3.5, 9.75, 10, 28]])
    twice = flip(once, horizontal=horizontal)
    np.testing.assert_array_equal(twice.image, sample.image)
    np.testing.assert_array_equal(twice.boxes, sample.boxes)
    assert twice.polygons is not None
    np.testing.assert_array_equal(twice.polygons[0], points)


def with_keypoints() -> Sample:
    """A nose, a left and a right eye of two objects in a picture 40 wide and 30 high."""
    keypoints = [[[20, 10, 2], [24, 8, 2], [16, 8, 1]], [[5, 20.5, 2], [0, 0, 0], [3, 19, 2]]]
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    boxes = np.array([[10, 5, 30, 15], [1, 15, 9, 25]], np.float32)
    return Sample(image, boxes, np.array([0, 0]), keypoints=np.array(keypoints, np.float32))


def test_a_left_eye_is_a_right_one_in_the_mirror() -> None:
    mirrored = flip(with_keypoints(), horizontal=True, flip_idx=(0, 2, 1)).keypoints
    expected = [[[20, 10, 2], [24, 8, 1], [16, 8, 2]], [[35, 20.5, 2], [37, 19, 2], [40, 0, 0]]]
    np.testing.assert_array_equal(mirrored, expected)


def test_upside_down_a_left_eye_stays_one() -> None:
    for flip_idx in (None, (0, 2, 1)):
        flipped = flip(with_keypoints(), horizontal=False, flip_idx=flip_idx).keypoints
        expected = [[[20, 20, 2], [24, 22, 2], [16, 22, 1]], [[5, 9.5, 2], [0, 30, 0], [3, 11, 2]]]
        np.testing.assert_array_equal(flipped, expected)


@pytest.mark.parametrize("horizontal", [True, False])
def test_flipping_keypoints_twice_changes_nothing(horizontal: bool) -> None:
    sample = with_keypoints()
    before = sample.keypoints
    assert before is not None
    kept = before.copy()
    once = flip(sample, horizontal=horizontal, flip_idx=(0, 2, 1))
    np.testing.assert_array_equal(flip(once, horizontal=horizontal, flip_idx=(0, 2, 1)).keypoints, kept)
    np.testing.assert_array_equal(before, kept)  # not changed in place


def test_keypoints_are_not_mirrored_without_knowing_how_they_pair() -> None:
    with pytest.raises(ValueError, match="flip_idx"):
        flip(with_keypoints(), horizontal=True)


def test_flips_hand_the_pairs_on() -> None:
    config = dataclasses.replace(NOTHING, fliplr=1.0)
    mirrored = random_flips(with_keypoints(), np.random.default_rng(0), config, (0, 2, 1)).keypoints
    np.testing.assert_array_equal(mirrored, flip(with_keypoints(), horizontal=True, flip_idx=(0, 2, 1)).keypoints)


@pytest.mark.parametrize(
    ("x", "y", "flag"),
    [(0, 0, 2), (100, 80, 2), (50, 40, 1), (-0.1, 40, 0), (50, -0.1, 0), (100.1, 40, 0), (50, 80.1, 0), (np.inf, 3, 0)],
)
def test_keypoints_outside_are_hidden(x: float, y: float, flag: int) -> None:
    keypoints = np.array([[[x, y, flag or 2]]], np.float32)
    hidden = hide_outside(keypoints, (80, 100))
    assert hidden[0, 0, 2] == flag
    np.testing.assert_array_equal(hidden[..., :2], keypoints[..., :2])
    assert keypoints[0, 0, 2] > 0


def test_keypoints_of_dropped_objects_are_dropped() -> None:
    moved = transform(with_keypoints(), np.array([[1, 0, 32], [0, 1, 0], [0, 0, 1]], np.float32), 1.0, (30, 40))
    assert moved.boxes.tolist() == [[33, 15, 40, 25]]
    np.testing.assert_array_equal(moved.keypoints, [[[37, 20.5, 2], [32, 0, 0], [35, 19, 2]]])


def test_colours_change_no_keypoint() -> None:
    sample = with_keypoints()
    assert random_hsv(sample, np.random.default_rng(0), AugmentConfig()).keypoints is sample.keypoints


@pytest.mark.parametrize(("flipud", "fliplr"), [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_flip_probabilities(flipud: float, fliplr: float) -> None:
    image = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    sample = Sample(image, np.zeros((0, 4), np.float32), np.zeros(0, np.int64))
    config = dataclasses.replace(NOTHING, flipud=flipud, fliplr=fliplr)
    flipped = random_flips(sample, np.random.default_rng(0), config).image
    expected = image[:: -1 if flipud else 1, :: -1 if fliplr else 1]
    np.testing.assert_array_equal(flipped, expected)


def test_hsv_gains_of_one_change_grey_levels_only_by_rounding() -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8)
    through = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2HSV), cv2.COLOR_HSV2BGR)
    np.testing.assert_array_equal(scale_hsv(image, (1, 1, 1)), through)


def test_hsv_value_gain_darkens() -> None:
    image = np.full((4, 4, 3), 200, np.uint8)
    np.testing.assert_array_equal(scale_hsv(image, (1, 1, 0.5)), np.full((4, 4, 3), 100))


def test_hsv_switched_off_leaves_the_picture_alone() -> None:
    sample = painted((60, 50, 120, 110))
    assert random_hsv(sample, np.random.default_rng(0), NOTHING) is sample


def test_empty_picture() -> None:
    empty = Sample(np.zeros((50, 80, 3), np.uint8), np.zeros((0, 4), np.float32), np.zeros(0, np.int64))
    moved = random_affine(letterboxed(empty, 96), np.random.default_rng(0), STRONG, 96)
    assert moved.image.shape == (96, 96, 3)
    assert moved.boxes.shape == (0, 4)
    assert moved.boxes.dtype == np.float32


@pytest.mark.parametrize("zoom", [0.0, 1e-8, 0.3, 1.0, 2.5])
@pytest.mark.parametrize("shift", [-3.0, 0.0, 0.5, 3.0])
def test_warp_equals_that_of_the_whole_picture(zoom: float, shift: float) -> None:
    """The warp reads only the part of the picture that shows; within one grey level nobody can tell."""
    image = cv2.resize(np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8), (120, 90))
    draws = AffineDraws(0, 0, 20, zoom, 5, 5, shift, 0.5)
    matrix = affine_matrix(draws, (90, 120), (64, 80))
    expected = cv2.warpAffine(image, matrix[:2], (80, 64), borderValue=(PAD_VALUE,) * 3)
    assert np.abs(warp(image, matrix, (64, 80)).astype(int) - expected).max() <= 1


def test_letterboxed_moves_everything_alike() -> None:
    boxed = letterboxed(painted((60, 50, 120, 110), (160, 200), outline=True), 640)
    np.testing.assert_allclose(boxed.boxes, [[192, 224, 384, 416]], rtol=1e-6)
    assert boxed.polygons is not None
    np.testing.assert_allclose(boxed.polygons[0].max(axis=0), [384, 416], atol=0.5)
