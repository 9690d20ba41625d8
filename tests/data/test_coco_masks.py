"""Masks as COCO's own tools draw them, held against pycocotools."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as reference

from index_factory import make_index
from yolov12.data.coco_masks import compress, contours, mask_area, outline_length, rasterise

# pycocotools' decoder does not know NumPy 2 yet.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
HEIGHT, WIDTH = 40, 60


def drawn(polygons: list[list[float]]) -> bytes:
    return reference.merge(reference.frPyObjects(polygons, HEIGHT, WIDTH))["counts"]


def decoded(counts: bytes) -> np.ndarray:
    return reference.decode({"size": [HEIGHT, WIDTH], "counts": counts})


def encoded(mask: np.ndarray) -> bytes:
    return reference.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"]


# Two decimals, as COCO writes them: of every ten, one lies in the middle between two of the steps that COCO draws in.
coordinate = st.tuples(st.integers(0, WIDTH * 100), st.integers(0, HEIGHT * 100)).map(
    lambda p: (p[0] / 100, p[1] / 100)
)
polygon = st.lists(coordinate, min_size=3, max_size=12).map(lambda points: [v for point in points for v in point])


@given(st.lists(polygon, min_size=1, max_size=3))
@settings(max_examples=200, deadline=None)
def test_float32_outlines_draw_what_the_decimals_of_the_file_do(polygons: list[list[float]]) -> None:
    rings = [np.array(part, np.float32).reshape(-1, 2) for part in polygons]
    assert rasterise(rings, HEIGHT, WIDTH) == drawn(polygons)
    index = make_index([[(0, 0, 1, 1, 0)], [(0, 0, 1, 1, 0)]], sizes=[(9, 9), (HEIGHT, WIDTH)], rings=[[], rings])
    assert index.run_length(1) == {"size": [HEIGHT, WIDTH], "counts": drawn(polygons)}


def test_rounding_of_float32_would_show() -> None:
    """Without the way back to decimals this outline draws other pixels: 20.3 is a little less as float32."""
    ring = np.array([[2, 2], [20.3, 20.3], [4, 30]])
    exact, cut = (
        rasterise([ring], HEIGHT, WIDTH),
        rasterise([ring.astype(np.float32).astype(np.float64)], HEIGHT, WIDTH),
    )
    assert exact == drawn([ring.ravel().tolist()])
    assert exact != cut


def test_stored_run_lengths_go_before_outlines() -> None:
    ring = [[1, 1], [9, 1], [9, 9]]
    index = make_index([[(0, 0, 1, 1, 0)]], sizes=[(HEIGHT, WIDTH)], rings=[[ring]], run_lengths={0: b"abc"})
    assert index.run_length(0) == {"size": [HEIGHT, WIDTH], "counts": b"abc"}


def test_an_object_without_a_mask() -> None:
    with pytest.raises(ValueError, match="object 0 has no mask, only a box"):
        make_index([[(0, 0, 1, 1, 0)]]).run_length(0)


@given(st.lists(st.integers(0, 300), min_size=1, max_size=40))
@settings(max_examples=100, deadline=None)
def test_compressed_run_lengths(runs: list[int]) -> None:
    total = HEIGHT * WIDTH
    cut = np.minimum(np.cumsum(runs), total)
    counts = np.diff([0, *cut, total]).tolist()
    packed = compress(counts, HEIGHT, WIDTH)
    assert packed == reference.frPyObjects({"size": [HEIGHT, WIDTH], "counts": counts}, HEIGHT, WIDTH)["counts"]
    assert mask_area(packed, HEIGHT, WIDTH) == sum(counts[1::2])


def blob(seed: int) -> np.ndarray:
    """A mask (HEIGHT, WIDTH) of several smooth parts, some of them at the edge."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    mask = np.zeros((HEIGHT, WIDTH), bool)
    for _ in range(3):
        cx, cy, a, b = random.uniform((0, 0, 4, 4), (WIDTH, HEIGHT, 14, 14))
        mask |= ((x - cx) / a) ** 2 + ((y - cy) / b) ** 2 < 1
    return mask


@pytest.mark.parametrize("seed", range(8))
def test_contours_enclose_the_mask(seed: int) -> None:
    mask = blob(seed)
    rings = contours(encoded(mask), HEIGHT, WIDTH)
    again = decoded(rasterise(rings, HEIGHT, WIDTH)).astype(bool)
    assert (again & mask).sum() / (again | mask).sum() > 0.95
    points = np.concatenate(rings)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    assert points.min(axis=0).tolist() == [columns[0], rows[0]]
    assert points.max(axis=0).tolist() == [columns[-1] + 1, rows[-1] + 1]


def test_contours_of_rectangles_are_exact() -> None:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[3:9, 5:25] = mask[20:21, 40:41] = True
    mask[5:7, 10:12] = False
    rings = sorted(ring.tolist() for ring in contours(encoded(mask), HEIGHT, WIDTH))
    assert [sorted(ring) for ring in rings] == [
        [[5, 3], [5, 9], [25, 3], [25, 9]],
        [[40, 20], [40, 21], [41, 20], [41, 21]],
    ]  # the hole is filled
    assert contours(encoded(np.zeros((HEIGHT, WIDTH))), HEIGHT, WIDTH) == []


def test_outline_length() -> None:
    square = np.array([[0.0, 0], [10, 0], [10, 10], [0, 10]])
    assert outline_length([square, square[:2]]) == 60
