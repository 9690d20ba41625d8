"""Anchors of a data set: groups of sizes, whatever the pictures' own size."""

from __future__ import annotations

import numpy as np

from index_factory import make_index
from yolov12.data.anchors import anchor_sizes, clustered, overlaps


def test_groups_are_found_at_the_canvas_s_scale() -> None:
    """Small squares in one picture, wide boxes in another that is twice as large: 20x20 and 100x40 on the canvas."""
    small = [(10.0 * i, 5, 10.0 * i + 20, 25, 0) for i in range(5)]
    wide = [(10.0 * i, 5, 10.0 * i + 200, 85, 1) for i in range(7)]
    index = make_index([small, wide], sizes=[(300, 320), (640, 600)])
    assert anchor_sizes(index, 320, 2) == (20, 20, 100, 40)


def test_crowds_do_not_count_and_tiny_boxes_are_not_zero() -> None:
    index = make_index([[(0, 0, 300, 300, 0, True), (5, 5, 5.5, 5.5, 0)]], sizes=[(320, 320)])
    assert anchor_sizes(index, 320, 3) == (2,) * 6


def test_without_boxes_there_are_squares() -> None:
    sizes = anchor_sizes(make_index([[]], sizes=[(320, 320)]), 320, 3)
    assert sizes == (20, 20, 80, 80, 320, 320)


def test_each_box_is_with_the_mean_that_it_overlaps_most() -> None:
    sides = np.exp(np.random.default_rng(0).normal(3, 0.8, (200, 2)))
    centers = clustered(sides, 5)
    group = overlaps(sides, centers).argmax(1)
    for number in range(5):
        np.testing.assert_allclose(centers[number], sides[group == number].mean(0), rtol=1e-6)
    start = overlaps(sides, np.full((5, 2), sides.mean())).max(1).mean()
    assert overlaps(sides, centers).max(1).mean() > start
