"""Samples made of several pictures: what shows is what is marked."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from yolov12.config.run import AugmentConfig
from yolov12.data.letterbox import PAD_VALUE
from yolov12.data.mosaic import copy_paste, mixup, mosaic, mosaic_center, training_sample
from yolov12.data.sample import Sample

SIZE = 96
PLAIN = AugmentConfig(hsv_h=0, hsv_s=0, hsv_v=0, translate=0, scale=0, fliplr=0, mosaic=0)


def tile(label: int, height: int = 72, width: int = SIZE) -> Sample:
    """A black picture with one rectangle whose grey level tells its label."""
    image = np.zeros((height, width, 3), np.uint8)
    image[20:50, 24:72] = 200 + label
    outline = np.array([[24, 20], [72, 20], [72, 50], [24, 50]], np.float32)
    return Sample(image, np.array([[24, 20, 72, 50]], np.float32), np.array([label]), [outline])


@pytest.mark.parametrize("center", [(48, 48), (96, 96), (143, 143), (48, 143), (70, 111)])
def test_mosaic_boxes_lie_on_their_rectangles(center: tuple[int, int]) -> None:
    result = mosaic([tile(label) for label in range(4)], center, SIZE)
    assert result.image.shape == (2 * SIZE, 2 * SIZE, 3)
    for label in range(4):
        rows, columns = np.nonzero(result.image[..., 0] == 200 + label)
        kept = result.boxes[result.labels == label]
        assert len(kept) == bool(len(rows))
        if len(rows):
            np.testing.assert_array_equal(kept[0], [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    assert result.polygons is not None
    for box, polygon in zip(result.boxes, result.polygons, strict=True):
        np.testing.assert_allclose(np.concatenate([polygon.min(axis=0), polygon.max(axis=0)]), box, atol=0.5)


def test_tiles_meet_at_the_center() -> None:
    pictures = [np.full((SIZE, SIZE, 3), grey, np.uint8) for grey in (10, 20, 30, 40)]
    tiles = [Sample(image, np.zeros((0, 4), np.float32), np.zeros(0, np.int64)) for image in pictures]
    canvas = mosaic(tiles, (100, 90), SIZE).image[..., 0]
    assert [canvas[99, 89], canvas[99, 90], canvas[100, 89], canvas[100, 90]] == [10, 20, 30, 40]
    assert canvas[3, 89] == PAD_VALUE  # the upper tiles are 96 pixels high
    assert canvas[4, 89] == 10


def test_center_is_in_the_middle_half() -> None:
    rng = np.random.default_rng(0)
    centers = np.array([mosaic_center(rng, SIZE) for _ in range(300)])
    assert centers.min() >= SIZE // 2
    assert centers.max() < 3 * SIZE // 2
    assert np.ptp(centers) > 0.9 * SIZE


def test_mixup_keeps_all_objects_unweighted() -> None:
    blended = mixup(tile(0), tile(50), 0.25)
    assert blended.labels.tolist() == [0, 50]
    assert blended.image[30, 30].tolist() == [237, 237, 237]  # 0.25 * 200 + 0.75 * 250 = 237.5, truncated
    assert blended.image[0, 0].tolist() == [0, 0, 0]


@pytest.mark.parametrize("grey", [0, 1, 2, 127, 254, 255])
def test_mixup_of_a_picture_with_itself(grey: int) -> None:
    image = np.full((8, 8, 3), grey, np.uint8)
    sample = Sample(image, np.zeros((0, 4), np.float32), np.zeros(0, np.int64))
    np.testing.assert_array_equal(mixup(sample, sample, 0.5).image, image)


@pytest.mark.parametrize(
    ("sample", "fraction"),
    [
        (tile(0), 0.0),
        (dataclasses.replace(tile(0), polygons=None), 1.0),
        (tile(0), 1.0),  # symmetric: the mirrored object would hide the original
    ],
)
def test_copy_paste_leaves_alone(sample: Sample, fraction: float) -> None:
    assert copy_paste(sample, fraction) is sample


def test_copy_paste_pastes_the_mirror_image() -> None:
    image = np.zeros((40, 100, 3), np.uint8)
    image[10:30, 10:30] = 250
    outline = np.array([[10, 10], [29, 10], [29, 29], [10, 29]], np.float32)
    sample = Sample(image, np.array([[10, 10, 30, 30]], np.float32), np.array([7]), [outline])
    pasted = copy_paste(sample, 1.0)
    assert pasted.labels.tolist() == [7, 7]
    np.testing.assert_array_equal(pasted.boxes[1], [70, 10, 90, 30])
    assert (pasted.image[11:29, 72:89] == 250).all()
    assert (image[:, 50:] == 0).all()  # the original is not painted on
    assert pasted.polygons is not None
    assert len(pasted.polygons) == 2


def test_an_object_whose_outline_is_cut_off_is_dropped() -> None:
    """Its box reaches into the canvas, it does not."""
    first = tile(1)
    first.boxes = np.array([[-8, 0, 60, 60]], np.float32)
    first.polygons = [np.array([[-8, 30], [-8, 60], [-1, 60]], np.float32)]
    others = [tile(2), tile(3), dataclasses.replace(tile(4), polygons=None)]
    result = mosaic([first, *others], (72, SIZE), SIZE)  # the first tile lies in the corner of the canvas
    assert result.labels.tolist() == [2, 3, 4]
    assert result.polygons is not None
    assert [len(points) for points in result.polygons] == [4, 4, 0]


def posed(label: int) -> Sample:
    """A tile whose object has keypoints: two at the ends of its rectangle, one that is not labelled."""
    sample = tile(label)
    return dataclasses.replace(sample, keypoints=np.array([[[24, 35, 2], [72, 35, 1], [0, 0, 0]]], np.float32))


def test_keypoints_move_with_their_tile_and_are_hidden_beyond_the_canvas() -> None:
    result = mosaic([posed(label) for label in range(4)], (100, 143), SIZE)
    assert result.keypoints is not None
    tops_lefts = [(28, 47), (28, 143), (100, 47), (100, 143)]
    for keypoints, (top, left) in zip(result.keypoints, tops_lefts, strict=True):
        np.testing.assert_array_equal(keypoints[:2, 0], [left + 24, left + 72])
        np.testing.assert_array_equal(keypoints[:2, 1], [top + 35] * 2)
    # The right ends of the right tiles lie at x = 215 on a canvas of 192 pixels.
    assert result.keypoints[..., 2].tolist() == [[2, 1, 0], [2, 0, 0], [2, 1, 0], [2, 0, 0]]


def test_keypoints_of_tiles_without_objects() -> None:
    empty = Sample(tile(0).image, np.zeros((0, 4), np.float32), np.zeros(0, np.int64))
    empty.keypoints = np.zeros((0, 3, 3), np.float32)
    result = mosaic([empty, posed(1), empty, empty], (96, 96), SIZE)
    assert result.keypoints is not None
    assert result.keypoints.shape == (1, 3, 3)
    nothing = mosaic([empty] * 4, (96, 96), SIZE)
    assert nothing.keypoints is not None
    assert nothing.keypoints.shape == (0, 3, 3)


def test_mixup_and_copy_paste_keep_keypoints_with_their_objects() -> None:
    blended = mixup(posed(0), posed(50), 0.5)
    assert blended.keypoints is not None
    np.testing.assert_array_equal(blended.keypoints, np.repeat(posed(0).keypoints, 2, axis=0))
    outline = np.array([[4, 20], [30, 20], [30, 50], [4, 50]], np.float32)
    narrow = dataclasses.replace(posed(3), boxes=np.array([[4, 20, 30, 50]], np.float32), polygons=[outline])
    pasted = copy_paste(narrow, 1.0, (1, 0, 2))
    assert pasted.labels.tolist() == [3, 3]
    assert pasted.keypoints is not None
    np.testing.assert_array_equal(pasted.keypoints[1], [[24, 35, 1], [72, 35, 2], [96, 0, 0]])
    np.testing.assert_array_equal(pasted.keypoints[0], posed(3).keypoints[0])


@pytest.mark.parametrize("index", range(12))
def test_boxes_of_a_whole_sample_lie_on_their_objects(index: int) -> None:
    """Mosaic, zoom, shift and flips together; rectangles never touch the edge of their tile."""
    config = dataclasses.replace(PLAIN, mosaic=1, translate=0.1, scale=0.5, fliplr=0.5, flipud=0.5)
    sample = training_sample(lambda i: tile(i), 12, index, np.random.default_rng(index), config, SIZE)
    assert sample.image.shape == (SIZE, SIZE, 3)
    for box, label in zip(sample.boxes, sample.labels, strict=True):
        x1, y1, x2, y2 = box.round().astype(int)
        inside = sample.image[y1:y2, x1:x2, 0]
        assert np.median(inside) == 200 + label
        assert (inside > 190).mean() > 0.6  # the rest: half-grey pixels at the rim of small ones


def test_options_switched_off_give_the_letterboxed_picture() -> None:
    sample = training_sample(lambda i: tile(i), 5, 3, np.random.default_rng(0), PLAIN, SIZE)
    np.testing.assert_array_equal(sample.image[12:84], tile(3).image)
    np.testing.assert_allclose(sample.boxes, [[24, 32, 72, 62]], atol=1e-4)


CLASSIFY_ONLY = {"erasing", "auto_augment"}


@pytest.mark.parametrize("name", sorted({field.name for field in dataclasses.fields(AugmentConfig)} - CLASSIFY_ONLY))
def test_every_option_acts(name: str) -> None:
    strength = {"perspective": 0.001, "degrees": 30, "shear": 20}.get(name, 0.9)
    config = dataclasses.replace(PLAIN, **{name: strength})

    def load(position: int) -> Sample:
        """Colourful, with an object that has room for its mirror image."""
        sample = tile(position)
        sample.image[:, :20] = (30 + position, 90, 200)
        sample.boxes[:] = [[4, 20, 30, 50]]
        sample.polygons = [np.array([[4, 20], [30, 20], [30, 50], [4, 50]], np.float32)]
        return sample

    changed = [
        not np.array_equal(
            training_sample(load, 9, index, np.random.default_rng(index), config, SIZE).image,
            training_sample(load, 9, index, np.random.default_rng(index), PLAIN, SIZE).image,
        )
        for index in range(6)
    ]
    assert any(changed)


def test_single_picture_and_no_objects() -> None:
    empty = Sample(np.full((SIZE, 40, 3), 9, np.uint8), np.zeros((0, 4), np.float32), np.zeros(0, np.int64))
    config = dataclasses.replace(AugmentConfig(), mixup=1.0, copy_paste=1.0)
    sample = training_sample(lambda i: empty, 1, 0, np.random.default_rng(0), config, SIZE)
    assert sample.image.shape == (SIZE, SIZE, 3)
    assert sample.boxes.shape == (0, 4)
    assert sample.labels.dtype == np.int64
