"""Drawing: inside the image, readable, and without touching its input."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yolov12.drawing import (
    PERSON_LIMBS,
    PERSON_SIDES,
    SIDE_COLORS,
    add_keypoints,
    add_list,
    add_masks,
    add_rotated,
    color_of,
    draw_boxes,
)

Pixels = npt.NDArray[np.uint8]


def test_the_input_stays_as_it_is() -> None:
    image = np.zeros((60, 80, 3), np.uint8)
    drawn = draw_boxes(image, np.array([[10, 20, 40, 50]], np.float32), [0], ["cell 0.90"])
    assert not image.any()
    assert drawn.any()


@pytest.mark.parametrize("label", [0, 7, 19, 20, 999])
def test_a_box_has_the_colour_of_its_class(label: int) -> None:
    drawn = draw_boxes(np.zeros((60, 80, 3), np.uint8), np.array([[10, 20, 40, 50]], np.float32), [label], [""])
    assert tuple(drawn[50, 25].tolist()) == color_of(label)
    assert color_of(label) == color_of(label + 20)


def test_text_is_drawn_for_names_in_any_script() -> None:
    box, image = np.array([[10, 40, 40, 50]], np.float32), np.zeros((60, 200, 3), np.uint8)
    pictures = [draw_boxes(image, box, [0], [text]) for text in ("", "cell", "적혈구 0.90")]
    assert (pictures[0] != pictures[1]).any()
    assert (pictures[1] != pictures[2]).any()


def test_a_label_above_the_image_moves_inside() -> None:
    """The tag of a box at the top edge is drawn below that edge, whole."""
    image = np.zeros((100, 200, 3), np.uint8)
    drawn = draw_boxes(image, np.array([[150, 0, 199, 90]], np.float32), [0], ["a long class name 0.99"])
    tag = (drawn == color_of(0)).all(axis=2)
    assert tag[1, :150].sum() > 50  # reaches left of its box, as it would not fit to the right


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.lists(st.floats(-50, 150, width=32), min_size=4, max_size=4))
def test_any_box_on_any_image(height: int, width: int, box: list[float]) -> None:
    image = np.zeros((height, width, 3), np.uint8)
    assert draw_boxes(image, np.array([box], np.float32), [3], ["name 0.50"]).shape == image.shape


def grey(height: int = 120, width: int = 160) -> Pixels:
    return np.full((height, width, 3), 100, np.uint8)


def has(canvas: Pixels, color: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = (canvas == color).all(axis=2)
    return found


def test_a_mask_is_a_tint_with_an_outline_and_holes() -> None:
    canvas, crop = grey(), np.ones((40, 50), bool)
    crop[15:25, 20:30] = False
    add_masks(canvas, [crop], np.array([[30, 20]], np.int32), [3])
    outline = has(canvas, color_of(3))
    assert outline[20, 30:80].all()
    assert outline[20:60, 30].all()
    assert outline[20:60, 79].all()
    assert outline[34, 51:59].all()  # above the hole
    tint = np.rint(0.6 * 100 + 0.4 * np.array(color_of(3)))
    assert np.abs(canvas[25, 40].astype(int) - tint).max() <= 1
    assert not (canvas[37:43, 52:58] != 100).any()  # the hole, but for its outline
    outside = canvas.copy()
    outside[20:60, 30:80] = 100
    assert not (outside != 100).any()


def test_the_best_mask_lies_on_top() -> None:
    canvas, whole = grey(), np.ones((30, 30), bool)
    add_masks(canvas, [whole, whole, np.zeros((0, 0), bool)], np.array([[10, 10]] * 3, np.int32), [1, 2, 3])
    assert has(canvas, color_of(1))[10, 10:40].all()
    assert not has(canvas, color_of(2)).any()


def test_a_rotated_box_is_drawn_along_its_sides() -> None:
    canvas = grey()
    corners = np.array([[[60, 20], [100, 60], [60, 100], [20, 60]], [[150, 110], [900, 110], [900, 9e9], [150, 9e9]]])
    add_rotated(canvas, corners.astype(np.float32), [4, 5])
    ink = has(canvas, color_of(4))
    for x, y in ((60, 20), (80, 40), (100, 60), (40, 80)):
        assert ink[y - 1 : y + 2, x - 1 : x + 2].any(), (x, y)
    assert not ink[60, 40:80].any()
    assert has(canvas, color_of(5))[110, 151:160].all()  # as far as it is inside


@pytest.mark.parametrize("size", [(120, 160), (60, 60), (1080, 1920)])
def test_keypoints_are_dots_in_different_colours(size: tuple[int, int]) -> None:
    canvas = grey(*size)
    add_keypoints(canvas, np.array([[[20, 30, 0.9], [40, 50, 0.2], [30, 15, 0.5]]], np.float32))
    assert tuple(canvas[30, 20].tolist()) == color_of(0)
    assert tuple(canvas[15, 30].tolist()) == color_of(2)
    assert canvas[50, 40].tolist() == [100] * 3  # rather not to be seen
    without = grey(*size)
    add_keypoints(without, np.array([[[40, 50]]], np.float32))
    assert tuple(without[50, 40].tolist()) == color_of(0)


def test_a_person_has_limbs() -> None:
    canvas = grey(400, 400)
    points = np.zeros((1, 17, 3), np.float32)
    points[0, :, 2] = 0.9
    points[0, 5:11, :2] = [[100, 100], [300, 100], [100, 200], [300, 200], [100, 300], [300, 300]]
    points[0, 10, 2] = 0.1  # the right wrist is not seen
    points[0, :5, 2] = points[0, 11:, 2] = 0
    add_keypoints(canvas, points)
    middle, left, right = ((code & 255, code >> 8 & 255, code >> 16) for code in SIDE_COLORS)
    limbs = {(100, 200): middle, (150, 100): left, (250, 100): left, (150, 300): right}
    for place, color in limbs.items():
        assert np.abs(canvas[place].astype(int) - color).max() < 30, place  # smooth lines let some ground through
    assert canvas[250, 300].tolist() == [100] * 3


def test_the_skeleton_joins_all_joints_of_a_person() -> None:
    assert {joint for limb in PERSON_LIMBS for joint in limb} == set(range(len(PERSON_SIDES))) == set(range(17))


def test_classes_of_a_picture_are_listed() -> None:
    canvas = grey()
    add_list(canvas, [1, 2, 3], ["cell 0.90", "dog 0.05", "cat 0.05"])
    rows = [int(np.flatnonzero(has(canvas, color_of(label)).any(axis=1))[0]) for label in (1, 2, 3)]
    assert rows == sorted(rows)
    assert rows[1] - rows[0] == rows[2] - rows[1] > 8
    small = grey(30, 100)
    add_list(small, [1, 2, 3], ["cell 0.90", "dog 0.05", "cat 0.05"])
    assert has(small, color_of(1)).any()
    assert not has(small, color_of(3)).any()  # no room


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.lists(st.floats(-1e9, 1e9, width=32), min_size=34, max_size=34))
def test_any_keypoints_and_corners_on_any_image(height: int, width: int, values: list[float]) -> None:
    canvas = grey(height, width)
    add_keypoints(canvas, np.array(values, np.float32).reshape(1, 17, 2))
    add_rotated(canvas, np.array(values[:8], np.float32).reshape(1, 4, 2), [3])
    add_list(canvas, [1], ["name 0.50"])
    assert canvas.shape == (height, width, 3)
