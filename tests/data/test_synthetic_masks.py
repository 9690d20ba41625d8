"""Coverage of pixels and outlines of masks: what is traced is, filled again, the mask."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask

from yolov12.data.synthetic_masks import Region, box_of, coverage, is_one_part, outline, region_around


def filled(ring: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The pixels whose centres are inside of `ring`, tested one by one."""
    contour = ring.astype(np.float32)[:, None]
    height, width = shape
    inside = [
        [cv2.pointPolygonTest(contour, (c + 0.5, r + 0.5), False) > 0 for c in range(width)] for r in range(height)
    ]
    return np.array(inside)


def some_mask(seed: int) -> np.ndarray:
    """The largest part of a random blotch, its holes filled: every corner and saddle that there can be."""
    random = np.random.default_rng(seed)
    rough = random.random((22, 31)) < 0.62
    _, labels, stats, _ = cv2.connectedComponentsWithStats(rough.astype(np.uint8), connectivity=4)
    largest = np.pad(labels == 1 + stats[1:, cv2.CC_STAT_AREA].argmax(), 1)
    _, outside = cv2.connectedComponents((~largest).astype(np.uint8), connectivity=8)
    return (outside != outside[0, 0])[1:-1, 1:-1]


@pytest.mark.parametrize("seed", range(6))
def test_the_outline_encloses_the_pixels_of_the_mask_and_no_others(seed: int) -> None:
    mask = some_mask(seed)
    assert is_one_part(mask)
    assert np.array_equal(filled(outline(mask), mask.shape), mask)


@pytest.mark.parametrize("seed", range(6))
def test_the_outline_has_the_extent_of_the_mask(seed: int) -> None:
    ring = outline(some_mask(seed))
    assert (*ring.min(axis=0), *ring.max(axis=0)) == box_of(some_mask(seed))


def test_the_outline_of_one_pixel_and_of_a_square() -> None:
    mask = np.zeros((5, 6), np.bool_)
    mask[2, 3] = True
    assert sorted(outline(mask).tolist()) == [[3, 2.5], [3.5, 2], [3.5, 3], [4, 2.5]]
    mask[1:4, 2:5] = True
    assert len(outline(mask)) == 8  # straight sides have no corners in between
    assert box_of(mask) == (2, 1, 5, 4)


def test_what_is_one_part() -> None:
    mask = np.zeros((7, 7), np.bool_)
    assert not is_one_part(mask)
    mask[1:3, 1:3] = True
    assert is_one_part(mask)
    mask[3, 3] = True  # it touches by a corner only
    assert not is_one_part(mask)
    mask[1:6, 1:6] = True
    mask[3, 3] = False  # a hole
    assert not is_one_part(mask)
    mask[:] = True  # the whole picture
    assert is_one_part(mask)


def test_coverage_counts_parts_of_pixels() -> None:
    square = np.array([[2.5, 1.0], [5.0, 1.0], [5.0, 3.25], [2.5, 3.25]])
    region = region_around([square], 1)
    assert region == Region(1, 0, 6, 5)
    cover = coverage([square], region)
    assert cover.shape == (5, 5)
    expected = np.zeros((5, 5))
    expected[1:4, 1:4] = np.outer([1, 1, 0.25], [0.5, 1, 1])
    assert np.abs(cover - expected).max() < 0.3  # an edge may lie up to a quarter of a pixel further out
    assert 2.5 * 2.25 - 0.3 < cover.sum() < 2.75 * 2.5 + 0.3


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # in pycocotools
def test_coverage_agrees_with_coco_on_a_star() -> None:
    angles = np.linspace(0, 2 * np.pi, 10, endpoint=False)
    star = np.stack([np.cos(angles), np.sin(angles)], axis=1) * np.where(np.arange(10) % 2, 16, 38)[:, None] + 45.3
    ours = coverage([star], Region(0, 0, 90, 90)) >= 0.5
    theirs = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects([star.ravel().tolist()], 90, 90))).astype(bool)
    assert (ours & theirs).sum() / (ours | theirs).sum() > 0.96


def test_rings_are_a_union() -> None:
    left, right = (np.array([[x, 1.0], [x + 3, 1], [x + 3, 4], [x, 4]]) for x in (1.0, 3.0))
    cover = coverage([left, right], Region(0, 0, 8, 6))
    assert cover.max() == 1
    assert np.array_equal(cover[2] >= 0.5, [False, True, True, True, True, True, False, False])


def test_a_region_is_cut_at_the_picture() -> None:
    assert Region(-4, 3, 20, 30).within(16) == Region(0, 3, 16, 16)
    outside = Region(20, 20, 30, 30).within(16)
    assert outside.x1 == outside.x2
