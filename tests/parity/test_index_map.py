"""Index maps of segmentation against the one that the published models' training code makes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from yolov12.data.outlines import extents
from yolov12.data.sample import Sample
from yolov12.data.targets import index_map


def test_overlapping_outlines(golden: Path) -> None:
    with np.load(golden / "ops" / "augment.npz") as file:
        polygons, expected, order = list(file["overlap_segments"]), file["overlap_mask"], file["overlap_order"]
    image = np.zeros((expected.shape[0] * 4, expected.shape[1] * 4, 3), np.uint8)
    ours = index_map(Sample(image, extents(polygons), np.arange(len(polygons)), polygons))
    # There objects are numbered in the order in which they are painted, here in that of the sample.
    numbers = np.concatenate([[0], order + 1])
    np.testing.assert_array_equal(ours, numbers[expected])
