"""The letterbox: its shapes, and that boxes come back to where they were. Golden pictures are in tests/parity."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolov12.data.letterbox import PAD_VALUE, Letterbox, canvas_sides

SIDES = st.integers(1, 5000)
SHAPES = st.tuples(SIDES, SIDES)
CANVASES = st.one_of(st.integers(1, 1400), st.tuples(st.integers(1, 1400), st.integers(1, 1400)))
UNIT_BOXES = st.lists(st.tuples(*[st.floats(0, 1)] * 4), min_size=1, max_size=5)


@pytest.mark.parametrize(
    ("shape", "imgsz", "rect", "resized", "canvas", "top_left"),
    [
        ((480, 640), 640, True, (480, 640), (480, 640), (0, 0)),
        ((480, 640), 640, False, (480, 640), (640, 640), (80, 0)),
        ((427, 640), 640, True, (427, 640), (448, 640), (10, 0)),  # 21 rows of padding: the odd one goes below
        ((640, 427), 640, True, (640, 427), (640, 448), (0, 10)),
        ((100, 200), 320, True, (160, 320), (160, 320), (0, 0)),
        ((1000, 1000), (320, 640), True, (320, 320), (320, 320), (0, 0)),
        ((1000, 1000), (320, 640), False, (320, 320), (320, 640), (0, 160)),
        ((1, 4000), 640, True, (1, 640), (32, 640), (15, 0)),  # a hair, which would round to nothing
        ((640, 640), 600, True, (608, 608), (608, 608), (0, 0)),
    ],
)
def test_plan(
    shape: tuple[int, int],
    imgsz: int | tuple[int, int],
    rect: bool,
    resized: tuple[int, int],
    canvas: tuple[int, int],
    top_left: tuple[int, int],
) -> None:
    plan = Letterbox.fit(shape, imgsz, rect=rect)
    assert (plan.resized, plan.canvas, (plan.top, plan.left)) == (resized, canvas, top_left)


@given(SHAPES, CANVASES, st.booleans(), st.booleans(), UNIT_BOXES)
def test_boxes_come_back(
    shape: tuple[int, int],
    imgsz: int | tuple[int, int],
    rect: bool,
    scale_up: bool,
    unit: list[tuple[float, float, float, float]],
) -> None:
    plan = Letterbox.fit(shape, imgsz, rect=rect, scale_up=scale_up)
    scale = np.array([shape[1], shape[0], shape[1], shape[0]])
    boxes = np.array(unit) * scale
    back = plan.to_original(plan.to_input(boxes))
    assert np.abs((back - boxes) / scale).max() <= 1e-6
    np.testing.assert_allclose(plan.to_original(plan.to_input(boxes), clip=False), boxes, atol=1e-6 * scale.max())


@given(SHAPES, CANVASES, st.booleans(), st.booleans())
def test_canvas_is_the_smallest_that_fits(
    shape: tuple[int, int], imgsz: int | tuple[int, int], rect: bool, scale_up: bool
) -> None:
    plan = Letterbox.fit(shape, imgsz, rect=rect, scale_up=scale_up)
    limit = canvas_sides(imgsz)
    for axis, offset in enumerate((plan.top, plan.left)):
        assert plan.canvas[axis] % 32 == 0
        assert 0 <= offset <= plan.canvas[axis] - plan.resized[axis]
        assert plan.canvas[axis] == (canvas_sides(plan.resized)[axis] if rect else limit[axis])
        assert plan.canvas[axis] <= limit[axis]
    if scale_up:  # one side is used up
        assert any(plan.resized[axis] == limit[axis] for axis in range(2))
    else:
        assert all(plan.resized[axis] <= shape[axis] for axis in range(2))


def test_apply_fills_everything_outside_the_image() -> None:
    plan = Letterbox.fit((10, 40), 64, rect=False)
    out = np.full((64, 64, 3), 7, np.uint8)
    canvas = plan.apply(np.full((10, 40, 3), 200, np.uint8), out)
    assert canvas is out
    assert (canvas[plan.top : plan.top + 16] == 200).all()
    assert (np.delete(canvas, slice(plan.top, plan.top + 16), axis=0) == PAD_VALUE).all()


def test_original_boxes_are_cut_at_the_image() -> None:
    plan = Letterbox.fit((100, 200), 320, rect=False)
    np.testing.assert_array_equal(plan.to_original(np.array([[-5, -5, 999, 999]])), [[0, 0, 200, 100]])
    assert plan.to_original(np.zeros((0, 4))).shape == (0, 4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Letterbox.fit((0, 10), 64, rect=True), "0x10"),
        (lambda: Letterbox.fit((9, 10), 64, rect=True).apply(np.zeros((10, 9, 3), np.uint8)), r"\(9, 10\)"),
        (
            lambda: Letterbox.fit((9, 10), 64, rect=True).apply(
                np.zeros((9, 10, 3), np.uint8), np.zeros((32, 32, 3), np.uint8)
            ),
            "out must have the shape",
        ),
    ],
)
def test_wrong_use(call: object, message: str) -> None:
    assert callable(call)
    with pytest.raises(ValueError, match=message):
        call()
