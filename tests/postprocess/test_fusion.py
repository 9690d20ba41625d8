"""Weighted box fusion: the paper's formula, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from yolov12.postprocess.fusion import fuse_boxes

A = np.array([[10, 10, 20, 20, 0.8, 0], [50, 50, 60, 60, 0.4, 1]], float)
B = np.array([[11, 10, 21, 20, 0.6, 0]], float)


def test_a_cluster_is_the_average_weighted_by_scores() -> None:
    fused = fuse_boxes([A, B])
    x1 = (10 * 0.8 + 11 * 0.6) / 1.4
    np.testing.assert_allclose(fused[0], [x1, 10, x1 + 10, 20, 0.7, 0])


def test_what_one_of_two_has_seen_counts_half() -> None:
    np.testing.assert_allclose(fuse_boxes([A, B])[1], [50, 50, 60, 60, 0.2, 1])


def test_classes_do_not_mix() -> None:
    other = B.copy()
    other[:, 5] = 1
    assert len(fuse_boxes([A, other])) == 3


def test_weights_are_trust() -> None:
    fused = fuse_boxes([A, B], weights=[3, 1])
    x1 = (10 * 2.4 + 11 * 0.6) / 3.0
    np.testing.assert_allclose(fused[0, [0, 4]], [x1, (2.4 + 0.6) / 4])
    np.testing.assert_allclose(fused[1, 4], 0.4 * 3 / 4)


def test_a_single_model_keeps_its_boxes() -> None:
    np.testing.assert_allclose(fuse_boxes([A]), A)
    assert fuse_boxes([A], max_det=1).shape == (1, 6)
    assert fuse_boxes([np.empty((0, 6)), np.empty((0, 6))]).shape == (0, 6)


def test_weights_must_fit() -> None:
    with pytest.raises(ValueError, match="2 models need as many positive weights"):
        fuse_boxes([A, B], weights=[1])
