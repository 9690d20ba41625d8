"""Exact overlap of rotated boxes, against clipping by hand, known shapes and a fine grid of points."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from index_factory import make_index
from yolov12.metrics.rotated import intersection, object_corners, polygon_area, rotated_overlaps
from yolov12.results import rotated_corners

Point = tuple[float, float]


def random_boxes(seed: int, count: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.column_stack(
        [rng.uniform(0, 60, (count, 2)), rng.uniform(0.5, 50, (count, 2)), rng.uniform(-7, 7, count)]
    )


def clipped_area(polygon: np.ndarray, convex: np.ndarray) -> float:
    """Sutherland and Hodgman's way: cut the polygon at one side of the convex one after the other."""
    points: list[Point] = [tuple(point) for point in polygon]
    turn = np.sign(np.cross(np.append(convex[1] - convex[0], 0), np.append(convex[2] - convex[1], 0))[2])
    for a, b in zip(convex, np.roll(convex, -1, axis=0), strict=True):
        sides = [turn * ((b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0])) for x, y in points]
        kept: list[Point] = []
        for k, (p, s) in enumerate(zip(points, sides, strict=True)):
            q, t = points[(k + 1) % len(points)], sides[(k + 1) % len(points)]
            if s >= 0:
                kept.append(p)
            if (s >= 0) != (t >= 0):
                part = s / (s - t)
                kept.append((p[0] + part * (q[0] - p[0]), p[1] + part * (q[1] - p[1])))
        points = kept
        if not points:
            return 0.0
    return float(polygon_area(np.array(points)[None])[0])


def test_random_pairs_agree_with_clipping() -> None:
    boxes, others = random_boxes(0, 400), random_boxes(1, 400)
    others[:50] = boxes[:50]  # the same box
    others[50:80, :4] = boxes[50:80, :4]  # turned about its centre
    others[80:100] = boxes[80:100]
    others[80:100, 4] += np.pi / 2
    corners = rotated_corners(others)
    expected = [clipped_area(corner, box) for corner, box in zip(corners, rotated_corners(boxes), strict=True)]
    np.testing.assert_allclose(intersection(boxes, corners), expected, atol=1e-9)
    assert np.count_nonzero(expected) > 200


def test_a_fine_grid_of_points_agrees() -> None:
    boxes, others = random_boxes(2, 12), random_boxes(3, 12)
    step = 0.25
    x, y = np.meshgrid(np.arange(-60, 120, step) + step / 2, np.arange(-60, 120, step) + step / 2)

    def inside(box: np.ndarray) -> np.ndarray:
        cos, sin = np.cos(box[4]), np.sin(box[4])
        along, across = (x - box[0]) * cos + (y - box[1]) * sin, (y - box[1]) * cos - (x - box[0]) * sin
        return (np.abs(along) <= box[2] / 2) & (np.abs(across) <= box[3] / 2)

    ratios = rotated_overlaps(boxes, rotated_corners(others), np.zeros(12, bool))
    crowd = rotated_overlaps(boxes, rotated_corners(others), np.ones(12, bool))
    for i, j in zip(*np.nonzero(ratios > 0.02), strict=True):
        first, second = inside(boxes[i]), inside(others[j])
        both = np.count_nonzero(first & second)
        assert ratios[i, j] == pytest.approx(both / np.count_nonzero(first | second), abs=0.02)
        assert crowd[i, j] == pytest.approx(both / np.count_nonzero(first), abs=0.03)
    assert np.count_nonzero(ratios > 0.02) > 10


@pytest.mark.parametrize("angle", [0.0, 0.3, np.pi / 4, np.pi / 2, 2.0, 100.0])
def test_a_box_is_itself(angle: float) -> None:
    box = np.array([[1e4, -3e3, 40.0, 0.5, angle]])
    ratio = rotated_overlaps(box, rotated_corners(box), np.zeros(1, bool))[0, 0]
    assert ratio == pytest.approx(1.0, abs=1e-7)
    assert ratio <= 1.0


@pytest.mark.parametrize(
    ("corners", "area"),
    [
        pytest.param([(-5, -5), (5, -5), (5, 5), (-5, 5)], 16.0, id="around it"),
        pytest.param([(-1, -1), (1, -1), (1, 1), (-1, 1)], 4.0, id="inside"),
        pytest.param([(-1, 1), (1, 1), (1, -1), (-1, -1)], 4.0, id="the other way round"),
        pytest.param([(2, -2), (6, -2), (6, 2), (2, 2)], 0.0, id="side by side"),
        pytest.param([(3, 3), (5, 3), (5, 5), (3, 5)], 0.0, id="beyond the corner"),
        pytest.param([(0, -3), (3, 0), (0, 3), (-3, 0)], 14.0, id="a diamond cuts the corners"),
    ],
)
def test_known_areas(corners: list[Point], area: float) -> None:
    box = np.array([[0.0, 0.0, 4.0, 4.0, 0.0]])
    assert intersection(box, np.array([corners], float))[0] == pytest.approx(area, abs=1e-12)


def test_an_outline_need_not_be_convex() -> None:
    arrow = np.array([(0, -9), (9, 9), (0, 2), (-9, 9)], float)
    box = np.array([[0.0, 0.0, 4.0, 4.0, 0.4]])
    expected = clipped_area(arrow, rotated_corners(box)[0])
    assert intersection(box, arrow[None])[0] == pytest.approx(expected)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
def test_nothing_to_compare(shape: tuple[int, int]) -> None:
    ratios = rotated_overlaps(
        random_boxes(0, shape[0]), rotated_corners(random_boxes(1, shape[1])), np.zeros(shape[1], bool)
    )
    assert ratios.shape == shape


def test_a_box_without_area_overlaps_nothing() -> None:
    box = np.array([[5.0, 5.0, 0.0, 0.0, 0.2]])
    whole = rotated_corners(np.array([[5.0, 5.0, 9.0, 9.0, 0.0]]))
    assert rotated_overlaps(box, whole, np.array([False])).tolist() == [[0.0]]
    assert rotated_overlaps(box, whole, np.array([True])).tolist() == [[0.0]]


def test_the_corners_of_a_label() -> None:
    """Four convex points as they are, other outlines by the smallest rectangle, a box without outline by its own."""
    rings = [
        np.array([(0, 0), (10, 2), (9, 8), (1, 7)], np.float32),
        np.array([(0, 0), (10, 0), (10, 10), (5, 5), (0, 10)], np.float32),
        np.array([(0, 0), (10, 0), (2, 2), (0, 10)], np.float32),
    ]
    index = replace(
        make_index([[(0, 0, 10, 8, 0), (0, 0, 10, 10, 0), (0, 0, 10, 10, 0), (3, 4, 5, 9, 0)]]),
        polygon_offsets=np.array([0, 1, 2, 3, 3]),
        ring_offsets=np.array([0, 4, 9, 13]),
        polygon_points=np.concatenate(rings),
    )
    corners = object_corners(index, index.objects(0))
    assert corners[0].tolist() == rings[0].tolist()
    np.testing.assert_allclose(polygon_area(corners)[1], 100.0, rtol=1e-6)
    assert polygon_area(corners)[2] == pytest.approx(100.0, rel=1e-5)
    assert corners[3].tolist() == [[3, 4], [5, 4], [5, 9], [3, 9]]
    assert polygon_area(corners)[3] == 10.0
