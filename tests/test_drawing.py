"""Drawing: inside the image, readable, and without touching its input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yolov12.drawing import color_of, draw_boxes


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
