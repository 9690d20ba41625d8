"""Masks decoded around their boxes equal those of whole pictures, whatever the image, the canvas and the box."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import dense_masks
from yolov12.data.letterbox import Letterbox
from yolov12.postprocess.masks import axes, decode_masks

Floats = npt.NDArray[np.float32]
COUNT = 5


def scene(letterbox: Letterbox, seed: int) -> tuple[Floats, Floats, npt.NDArray[np.float64]]:
    """Coefficients (5, 4), smooth prototypes (4, h, w), boxes (5, 4) in original pixels; the first is the image."""
    random = np.random.default_rng(seed)
    noise = random.standard_normal((4, *(side // 4 for side in letterbox.canvas))).astype(np.float32)
    prototypes = np.stack([cv2.GaussianBlur(plane, (0, 0), 1.5) for plane in noise])
    corners = np.sort(random.uniform(0, 1, (COUNT, 2, 2)), axis=1)
    corners[0] = [[0, 0], [1, 1]]
    boxes = (corners * np.array(letterbox.source[::-1])).reshape(COUNT, 4)
    return random.standard_normal((COUNT, 4)).astype(np.float32), prototypes, boxes


def assert_equal(letterbox: Letterbox, seed: int) -> None:
    """At most one pixel of the five masks lies so near the threshold that the order of a sum decides it."""
    coefficients, prototypes, boxes = scene(letterbox, seed)
    found = decode_masks(coefficients, prototypes, boxes, letterbox).data
    wanted = dense_masks.native(coefficients, prototypes, boxes, letterbox.source, "r84190")
    assert found.shape == wanted.shape
    assert (found != wanted).sum() <= 1


@pytest.mark.parametrize(
    ("shape", "factor"),
    [
        ((480, 640), 1),
        ((375, 500), 1),
        ((640, 640), 1),
        ((96, 1080), 4),
        ((427, 640), 4),
        ((333, 500), 4),
        ((628, 640), 2),
    ],
)
def test_common_shapes(shape: tuple[int, int], factor: int) -> None:
    letterbox = Letterbox.fit(shape, 640, rect=True)
    assert [axis.factor for axis in axes(letterbox)] == [factor] * 2
    assert_equal(letterbox, 0)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 260), st.integers(1, 260), st.sampled_from([32, 96, (64, 160)]), st.booleans(), st.integers(0, 99)
)
def test_any_shape(height: int, width: int, imgsz: int | tuple[int, int], rect: bool, seed: int) -> None:
    letterbox = Letterbox.fit((height, width), imgsz, rect=rect)
    # The published code works out the padding again from the shapes. Where the sides were rounded it can be wrong by a
    # row (152x77 became 64x32 on 64x32: it takes 63 rows); we go by what was done to the image.
    assume(dense_masks.size_without_padding(letterbox.canvas, letterbox.source) == letterbox.resized)
    assert_equal(letterbox, seed)


def test_an_image_in_the_corner_of_its_canvas() -> None:
    """Where the padding is on one side only, the mask of the image's half still is its half."""
    letterbox = Letterbox.fit((100, 61), 96, rect=False, scale_up=False, center=False)
    plane = np.full((1, 24, 24), -1, np.float32)
    plane[:, :12] = 1  # the upper half of the canvas, 48 rows of 96: half of the image's
    found = decode_masks(np.ones((1, 1), np.float32), plane, np.array([[0, 0, 61, 100]]), letterbox).data[0]
    assert found[:49].all()
    assert not found[51:].any()


@pytest.mark.parametrize(
    ("box", "rows", "columns"),
    [
        ((2, 3, 5, 7), (3, 7), (2, 5)),
        ((2.1, 3.1, 5.1, 7.1), (4, 8), (3, 6)),  # a pixel's own number must lie inside
        ((1.9, 2.9, 4.9, 6.9), (3, 7), (2, 5)),
        ((-5, -5, 100, 100), (0, 20), (0, 30)),
        ((4, 4, 4, 9), (0, 0), (0, 0)),
        ((40, 4, 50, 9), (0, 0), (0, 0)),
    ],
)
def test_a_mask_ends_at_its_box(box: tuple[float, ...], rows: tuple[int, int], columns: tuple[int, int]) -> None:
    letterbox = Letterbox.fit((20, 30), 32, rect=True)
    ones = np.ones((1, 1), np.float32)
    (found,) = decode_masks(ones, np.ones((1, 8, 8), np.float32), np.array([box]), letterbox).data
    expected = np.zeros((20, 30), bool)
    expected[slice(*rows), slice(*columns)] = True
    np.testing.assert_array_equal(found, expected)


def test_numbers_that_are_none_are_outside_of_a_mask() -> None:
    letterbox = Letterbox.fit((32, 32), 32, rect=True)
    coefficients = np.array([[np.nan, 1], [np.inf, 0], [0, 1]], np.float32)
    planes = np.zeros((2, 8, 8), np.float32)
    planes[1] = 1
    masks = decode_masks(coefficients, planes, np.array([[0, 0, 32, 32]] * 3), letterbox)
    assert masks.data.reshape(3, -1).any(axis=1).tolist() == [False, False, True]


def test_none() -> None:
    letterbox = Letterbox.fit((20, 30), 32, rect=True)
    masks = decode_masks(np.zeros((0, 3), np.float32), np.zeros((3, 8, 8), np.float32), np.zeros((0, 4)), letterbox)
    assert masks.shape == (0, 20, 30)
