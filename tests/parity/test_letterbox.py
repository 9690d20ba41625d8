"""Letterbox and augmentation against golden numbers of the published models' training code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from yolov12.data.augment import AffineDraws, affine_matrix, map_points, scale_hsv, transform
from yolov12.data.letterbox import Letterbox
from yolov12.data.mosaic import copy_paste, mixup, mosaic
from yolov12.data.outlines import extents
from yolov12.data.sample import Sample

OPTIONS: list[dict[str, Any]] = [{}, {"rect": True}, {"scale_up": False}, {"center": False}]
COORDINATE = 1e-3  # pixels


def assert_same_picture(ours: np.ndarray, expected: np.ndarray) -> None:
    """Within one grey level: implementations of bilinear resizing round differently."""
    assert ours.shape == expected.shape
    assert ours.dtype == expected.dtype
    assert np.abs(ours.astype(int) - expected).max() <= 1


@pytest.fixture(scope="module")
def letterbox_arrays(golden: Path) -> dict[str, np.ndarray]:
    with np.load(golden / "ops" / "letterbox.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def augment_arrays(golden: Path) -> dict[str, np.ndarray]:
    with np.load(golden / "ops" / "augment.npz") as file:
        return dict(file)


@pytest.mark.parametrize("option", range(4))
@pytest.mark.parametrize("image", range(5))
def test_letterbox(letterbox_arrays: dict[str, np.ndarray], image: int, option: int) -> None:
    pixels = letterbox_arrays[f"in{image}"]
    plan = Letterbox.fit(pixels.shape[:2], 96, **{"rect": False, **OPTIONS[option]})
    assert_same_picture(plan.apply(pixels), letterbox_arrays[f"out{image}_{option}"])


@pytest.mark.parametrize("case", range(2))
def test_hsv_with_given_gains(augment_arrays: dict[str, np.ndarray], case: int) -> None:
    ours = scale_hsv(augment_arrays[f"hsv{case}_in"], augment_arrays[f"hsv{case}_gain"].tolist())
    assert_same_picture(ours, augment_arrays[f"hsv{case}_out"])


@pytest.mark.parametrize("case", range(3))
def test_affine_with_given_draws(augment_arrays: dict[str, np.ndarray], case: int) -> None:
    image, boxes = augment_arrays[f"affine{case}_img_in"], augment_arrays[f"affine{case}_boxes_in"]
    draws, size = AffineDraws(*augment_arrays[f"affine{case}_box_draws"]), image.shape[:2]
    matrix = affine_matrix(draws, size, size)
    np.testing.assert_allclose(matrix, augment_arrays[f"affine{case}_M"], atol=1e-5)
    moved = transform(Sample(image, boxes, np.arange(4)), augment_arrays[f"affine{case}_M"], draws.zoom, size)
    assert_same_picture(moved.image, augment_arrays[f"affine{case}_img_out"])
    np.testing.assert_allclose(moved.boxes, augment_arrays[f"affine{case}_box_boxes_out"], atol=COORDINATE)
    np.testing.assert_array_equal(moved.labels, augment_arrays[f"affine{case}_box_cls_out"][:, 0])


@pytest.mark.parametrize("case", range(3))
def test_affine_of_polygons(augment_arrays: dict[str, np.ndarray], case: int) -> None:
    """The golden boxes hold the points of a polygon that lie in the picture, ours what lies there of the polygon.

    So they are equal inside; at an edge ours reach up to one side of the polygon, of which there are 24, further.
    """
    image, matrix = augment_arrays[f"affine{case}_img_in"], augment_arrays[f"affine{case}_M"]
    polygons, size = list(augment_arrays[f"affine{case}_seg_segments_in"]), image.shape[:2]
    zoom = AffineDraws(*augment_arrays[f"affine{case}_seg_draws"]).zoom
    moved = transform(Sample(image, extents(polygons), np.arange(4), polygons), matrix, zoom, size)
    kept = augment_arrays[f"affine{case}_seg_cls_out"][:, 0].astype(int)
    np.testing.assert_array_equal(moved.labels, kept)
    for row, expected in enumerate(augment_arrays[f"affine{case}_seg_boxes_out"]):
        points = map_points(polygons[kept[row]], matrix)
        further = (expected - moved.boxes[row]) * (1, 1, -1, -1)
        assert further.min() >= -COORDINATE
        inside = points.min() >= 0 and (points <= size[::-1]).all()
        side = np.linalg.norm(points - np.roll(points, 1, axis=0), axis=1).max()
        assert further.max() <= (COORDINATE if inside else side)


def test_mosaic_with_given_center_and_warp(augment_arrays: dict[str, np.ndarray]) -> None:
    tiles = []
    for position in range(4):
        boxes = augment_arrays[f"mosaic_boxes{position}"]
        tiles.append(Sample(augment_arrays[f"mosaic_in{position}"], boxes, np.full(len(boxes), position)))
    center_y, center_x = augment_arrays["mosaic_yc_xc"].tolist()
    canvas = mosaic(tiles, (center_y, center_x), 64)
    np.testing.assert_array_equal(canvas.image, augment_arrays["mosaic_out"])
    np.testing.assert_allclose(canvas.boxes, augment_arrays["mosaic_boxes_out"], atol=COORDINATE)
    np.testing.assert_array_equal(canvas.labels, augment_arrays["mosaic_cls_out"][:, 0])
    draws = AffineDraws(*augment_arrays["mosaic_affine_draws"])
    warped = transform(canvas, affine_matrix(draws, (128, 128), (64, 64)), draws.zoom, (64, 64))
    assert_same_picture(warped.image, augment_arrays["mosaic_affine_out"])
    np.testing.assert_allclose(warped.boxes, augment_arrays["mosaic_affine_boxes_out"], atol=COORDINATE)


def test_mixup_with_given_ratio(augment_arrays: dict[str, np.ndarray]) -> None:
    empty = np.zeros((0, 4), np.float32), np.zeros(0, np.int64)
    first, second = (Sample(augment_arrays[f"mixup_{name}"], *empty) for name in "ab")
    blended = mixup(first, second, float(augment_arrays["mixup_r"]))
    assert_same_picture(blended.image, augment_arrays["mixup_out"])


@pytest.mark.parametrize("fraction", [0.5, 1.0])
def test_copy_paste(augment_arrays: dict[str, np.ndarray], fraction: float) -> None:
    image, boxes = augment_arrays["copypaste_img_in"], augment_arrays["copypaste_boxes_in"]
    polygons = list(augment_arrays["copypaste_segments_in"])
    pasted = copy_paste(Sample(image, boxes, np.arange(4), polygons), fraction)
    np.testing.assert_array_equal(pasted.image, augment_arrays[f"copypaste_p{fraction}_img_out"])
    np.testing.assert_allclose(pasted.boxes, augment_arrays[f"copypaste_p{fraction}_boxes_out"], atol=COORDINATE)
    np.testing.assert_array_equal(pasted.labels, augment_arrays[f"copypaste_p{fraction}_cls_out"][:, 0])
