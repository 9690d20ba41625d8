"""Masks: stored small, given whole, as outlines, and as COCO's run lengths."""

from __future__ import annotations

import pickle
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from faster_coco_eval.core.mask import decode
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco

from yolov12.results import Array, Masks

SHAPE = (8, 10)
Bits = npt.NDArray[np.bool_]


def filled(rows: slice, columns: slice) -> Bits:
    mask = np.zeros(SHAPE, bool)
    mask[rows, columns] = True
    return mask


WHOLE = np.stack([filled(slice(2, 5), slice(1, 4)), np.zeros(SHAPE, bool), np.ones(SHAPE, bool)])


@st.composite
def pictures(draw: st.DrawFn) -> Bits:
    """Up to three masks of any shape: noise, blobs, or full rows and columns."""
    height, width = draw(st.integers(1, 14)), draw(st.integers(1, 14))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["noise", "blobs", "lines"]))
    shape = (draw(st.integers(0, 3)), height, width)
    if kind == "lines":
        return (random.random((shape[0], height, 1)) < 0.5) | (random.random((shape[0], 1, width)) < 0.3)
    found: Bits = random.random(shape) < draw(st.floats(0, 1))
    if kind == "blobs":
        kernel = np.ones((3, 3), np.uint8)
        return np.array([cv2.dilate(mask.astype(np.uint8), kernel) for mask in found], bool).reshape(shape)
    return found


def test_what_goes_in_comes_out() -> None:
    masks = Masks.from_data(WHOLE)
    np.testing.assert_array_equal(masks.data, WHOLE)
    assert (masks.shape, len(masks), masks.orig_shape) == ((3, 8, 10), 3, SHAPE)
    assert isinstance(masks.data.cpu(), Array)
    assert masks.data.dtype == bool
    assert masks.corners.tolist() == [[1, 2], [0, 0], [0, 0]]
    np.testing.assert_array_equal(masks.crop(0), np.ones((3, 3), bool))
    again = pickle.loads(pickle.dumps(masks))
    np.testing.assert_array_equal(again.cpu().numpy().data, WHOLE)
    assert repr(masks) == "Masks(3 in 10x8)"


def test_they_are_small() -> None:
    """A mask of a tenth of a large image takes an eightieth of it."""
    whole = np.zeros((1, 1000, 1000), bool)
    whole[0, 100:200, :] = True
    assert len(pickle.dumps(Masks.from_data(whole))) < 1000 * 1000 / 80 + 1000


@pytest.mark.parametrize(
    ("which", "expected"),
    [(0, [9]), (-1, [80]), (slice(1, None), [0, 80]), ([True, False, True], [9, 80]), ([2, 0], [80, 9]), ([], [])],
)
def test_indexing_gives_masks(which: Any, expected: list[int]) -> None:
    chosen = Masks.from_data(WHOLE)[which]
    assert isinstance(chosen, Masks)
    assert chosen.data.sum(axis=(1, 2)).tolist() == expected
    assert chosen.orig_shape == SHAPE
    assert len(list(chosen)) == len(expected)


@pytest.mark.parametrize(
    ("crops", "corners", "message"),
    [
        ([np.ones((2, 2), bool)], np.zeros((2, 2), int), "1 masks need corners"),
        ([np.ones((2, 2), np.uint8)], np.zeros((1, 2), int), "booleans, got uint8"),
        ([np.ones((2, 2, 2), bool)], np.zeros((1, 2), int), r"booleans, got bool \(2, 2, 2\)"),
        ([np.ones((2, 2), bool)], np.array([[9, 0]]), "leaves its image"),
        ([np.ones((2, 2), bool)], np.array([[0, -1]]), "leaves its image"),
    ],
)
def test_wrong_shapes_are_named(crops: Any, corners: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Masks(crops, corners, SHAPE)


@settings(deadline=None)
@given(pictures())
def test_run_lengths_are_cocos(whole: Bits) -> None:
    found = Masks.from_data(whole).to_rle()
    assert len(found) == len(whole)
    for rle, mask in zip(found, whole, strict=True):
        assert rle == coco.encode(np.asfortranarray(mask.astype(np.uint8)))
        np.testing.assert_array_equal(decode(rle), mask)


def test_run_lengths_of_crops_wider_than_their_masks() -> None:
    crop = np.zeros((4, 5), bool)
    crop[:, 2] = True
    (rle,) = Masks([crop], np.array([[3, 4]]), SHAPE).to_rle()
    np.testing.assert_array_equal(decode(rle), filled(slice(4, 8), slice(5, 6)))


def test_outlines() -> None:
    masks = Masks.from_data(WHOLE)
    first, none, all_of_it = masks.xy
    assert sorted(map(tuple, first.tolist())) == [(1, 2), (1, 4), (3, 2), (3, 4)]
    assert none.shape == (0, 2)
    assert all_of_it.max(axis=0).tolist() == [9, 7]
    assert first.dtype == np.float32
    np.testing.assert_allclose(masks.xyn[0], first / [10, 8])


def test_an_outline_is_that_of_the_largest_piece_without_holes() -> None:
    ring = filled(slice(0, 6), slice(0, 6))
    ring[2:4, 2:4] = False
    ring[7, 8:10] = True
    (outline,) = Masks.from_data(ring[None]).xy
    assert sorted(map(tuple, outline.tolist())) == [(0, 0), (0, 5), (5, 0), (5, 5)]


def test_the_largest_piece_has_the_largest_area_not_the_longest_edge() -> None:
    mask = filled(slice(0, 4), slice(0, 4))
    mask[5:8, ::2] = True  # a comb, of many points
    mask[5] = True
    (outline,) = Masks.from_data(mask[None]).xy
    assert outline.max(axis=0).tolist() == [3, 3]


@settings(deadline=None, max_examples=300)
@given(pictures())
def test_an_outline_filled_again_keeps_its_outline(whole: Bits) -> None:
    """What is left out of an outline is left out once: written and read again, it stays as it is."""
    masks = Masks.from_data(whole)
    again = Masks.from_outlines(masks.xy, masks.orig_shape)
    for first, second in zip(masks.xy, again.xy, strict=True):
        np.testing.assert_array_equal(first, second)
    for outline, before, after in zip(masks.xy, whole, again.data, strict=True):
        if not len(outline):
            assert not after.any()
            continue
        _, pieces = cv2.connectedComponents(before.astype(np.uint8), connectivity=8)
        column, row = outline[0].astype(int)
        piece = pieces == pieces[row, column]
        assert after[piece].all()  # the piece, and the holes that it encloses
        contours, _ = cv2.findContours(piece.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        expected = cv2.drawContours(np.zeros(before.shape, np.uint8), contours, -1, 1, cv2.FILLED)
        np.testing.assert_array_equal(after, expected)


def test_outlines_beyond_the_image_are_cut() -> None:
    masks = Masks.from_outlines([np.array([[-5, -5], [30, -5], [30, 3], [-5, 3]])], SHAPE)
    np.testing.assert_array_equal(masks.data[0], filled(slice(0, 4), slice(0, 10)))


def test_none() -> None:
    masks = Masks.from_data(np.zeros((0, 8, 10), bool))
    assert (len(masks), masks.xy, masks.to_rle(), masks.data.shape) == (0, [], [], (0, 8, 10))
