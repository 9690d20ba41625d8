"""Outlines: cutting them at an edge cuts the area that they enclose, nothing more and nothing less."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yolov12.data.outlines import cut_outline, cut_outlines, extents, join_rings, move_outlines

SIZE = (80, 100)
MARGIN = 100
NONE = np.zeros((0, 2), np.float32)


def polygon(*points: tuple[float, float]) -> npt.NDArray[np.float32]:
    return np.array(points, np.float32)


C_AROUND_A_CORNER = polygon((10, 30), (10, 50), (-20, 50), (-20, -20), (50, -20), (50, -10), (-10, -10), (-10, 30))


def area(points: npt.NDArray[np.float32]) -> float:
    """Of a polygon without crossings, by the shoelace formula."""
    x, y = points.astype(np.float64).T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        (polygon((10, 10), (50, 10), (50, 40), (10, 40)), [10, 10, 50, 40]),
        (polygon((-50, 20), (50, 20), (50, 60), (-50, 60)), [0, 20, 50, 60]),  # leaves on one side
        (polygon((-50, -50), (500, -50), (500, 500), (-50, 500)), [0, 0, 100, 80]),  # covers the picture
        (polygon((200, 20), (250, 20), (250, 60)), [0, 0, 0, 0]),  # outside
        (polygon((90, -40), (140, 30), (190, -40)), [0, 0, 0, 0]),  # its box meets the picture, it does not
        (polygon((60, 40), (160, 40), (160, 140)), [60, 40, 100, 80]),
        (C_AROUND_A_CORNER, [0, 30, 10, 50]),  # joined to its arm above the picture only outside
        (NONE, [0, 0, 0, 0]),
    ],
)
def test_box_around_what_is_left(points: npt.NDArray[np.float32], expected: list[float]) -> None:
    cut, boxes = cut_outlines([points], SIZE)
    np.testing.assert_allclose(boxes, [expected], atol=1e-4)
    assert (len(cut[0]) > 0) == any(expected)


SQUARE = polygon((40, 40), (60, 40), (60, 60), (40, 60))


def test_a_part_that_is_cut_off_leaves_no_trace() -> None:
    """Parts are strung on a path; what leads to one outside must not lengthen what is inside."""
    for rings in ([SQUARE, SQUARE + 100], [SQUARE + 100, SQUARE], [SQUARE - 100, SQUARE, SQUARE + 100]):
        cut, boxes = cut_outlines([join_rings(rings)], SIZE)
        np.testing.assert_allclose(boxes, [[40, 40, 60, 60]], atol=1e-3)
        assert area(cut[0]) == pytest.approx(400, abs=0.1)


def test_parts_stay_apart_when_cut_again() -> None:
    (first,), _ = cut_outlines([C_AROUND_A_CORNER + np.float32([0, 25])], SIZE)  # two arms, joined by a path
    np.testing.assert_allclose(cut_outlines([first - (0, 20)], SIZE)[1], [[0, 35, 10, 55]], atol=1e-3)
    both = join_rings([SQUARE - (30, 0), SQUARE])
    (kept,), boxes = cut_outlines([both - (20, 0)], SIZE)
    np.testing.assert_allclose(boxes, [[0, 40, 40, 60]], atol=1e-3)
    assert area(kept) == pytest.approx(600, abs=0.1)


def test_outlines_inside_are_kept_as_they_are() -> None:
    points = polygon((10, 10), (50, 10), (100, 80), (0, 80))
    assert cut_outlines([points, NONE], SIZE)[0][0] is points
    assert cut_outline(points, SIZE) is points


def test_no_spike_is_left_where_a_rotated_rectangle_leaves() -> None:
    """A long box that sinks to the right: what is beyond the edge must not lengthen what is before it."""
    cut = cut_outline(polygon((60, 10), (180, 70), (177, 76), (57, 16)), SIZE)
    assert cut[:, 0].max() == 100
    assert cut[:, 1].max() == pytest.approx(16 + 43 * 0.5, abs=0.01)  # where its lower side crosses x = 100
    (x, y), sides, _ = cv2.minAreaRect(cut)
    assert max(sides) < 52
    assert (x, y) == pytest.approx((79, 24), abs=2)


@given(st.integers(0, 2**32 - 1), st.integers(3, 12))
@settings(max_examples=60, deadline=None)
def test_area_of_the_cut_is_that_of_the_drawing(seed: int, count: int) -> None:
    """Star-shaped polygons anywhere around the picture, against the same ones drawn on a larger canvas."""
    rng = np.random.default_rng(seed)
    center, angles = (
        rng.uniform((-30, -30), (130, 110)),
        (np.arange(count) + rng.uniform(0, 0.4, count)) * 2 * np.pi / count,
    )
    radius = rng.uniform(20, 70, count)
    points = (center + np.stack([np.cos(angles), np.sin(angles)], axis=1) * radius[:, None]).astype(np.float32)
    fine = 4  # drawn enlarged, so that counting pixels measures area
    canvas = np.zeros(((SIZE[0] + 2 * MARGIN) * fine, (SIZE[1] + 2 * MARGIN) * fine), np.uint8)
    cv2.fillPoly(canvas, [((points + MARGIN) * fine).round().astype(np.int32)], 1)
    first = MARGIN * fine
    drawn = canvas[first : first + SIZE[0] * fine, first : first + SIZE[1] * fine].sum() / fine**2
    cut = cut_outline(points, SIZE)
    around = np.linalg.norm(points - np.roll(points, 1, axis=0), axis=1).sum()
    assert abs((area(cut) if len(cut) else 0) - drawn) <= around / fine  # half a fine pixel on either side, at most
    if len(cut):
        assert cut.min() >= 0
        assert (cut <= SIZE[::-1]).all()


def test_move_takes_all_outlines_in_one_call() -> None:
    calls = []

    def double(points: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        calls.append(len(points))
        return points * np.float64(2)

    outlines = [polygon((1, 2), (3, 4), (5, 6)), NONE, polygon((7, 8))]
    moved = move_outlines(outlines, double)
    assert calls == [4]
    assert [points.tolist() for points in moved] == [[[2, 4], [6, 8], [10, 12]], [], [[14, 16]]]
    assert all(points.dtype == np.float32 for points in moved)
    assert move_outlines([], double) == []


def test_extents() -> None:
    outlines = [NONE, polygon((1, 2), (3, -4)), NONE, polygon((7, 8)), NONE]
    expected = [[0, 0, 0, 0], [1, -4, 3, 2], [0, 0, 0, 0], [7, 8, 7, 8], [0, 0, 0, 0]]
    np.testing.assert_array_equal(extents(outlines), expected)
    assert extents([]).shape == (0, 4)
    np.testing.assert_array_equal(extents([NONE]), [[0, 0, 0, 0]])


def test_joined_rings_enclose_what_the_rings_do() -> None:
    rings = [
        polygon((4, 4), (20, 4), (20, 20), (4, 20)),
        polygon((40, 8), (60, 8), (50, 30)),
        polygon((5, 40), (30, 70), (9, 70)),
    ]
    assert len(join_rings([])) == 0
    assert join_rings(rings[:1]) is rings[0]
    assert area(join_rings(rings[:2])) == pytest.approx(area(rings[0]) + area(rings[1]))
    drawn, apart = np.zeros(SIZE, np.uint8), np.zeros(SIZE, np.uint8)
    cv2.fillPoly(drawn, [join_rings(rings).astype(np.int32)], 1)
    cv2.fillPoly(apart, [ring.astype(np.int32) for ring in rings], 1)
    assert (drawn >= apart).all()
    assert cv2.morphologyEx(drawn, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)).sum() <= apart.sum()  # but for thin lines
