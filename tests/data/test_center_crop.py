"""What a classifier sees: the middle of the picture, as Pillow resizes it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from yolov12.data.center_crop import CenterCrop

SIDES = st.integers(1, 3000)


@pytest.mark.parametrize(
    ("shape", "imgsz", "resized", "canvas", "top_left"),
    [
        ((480, 640), 224, (224, 298), (224, 224), (0, 37)),
        ((640, 480), 224, (298, 224), (224, 224), (37, 0)),
        ((224, 224), 224, (224, 224), (224, 224), (0, 0)),
        ((224, 227), 224, (224, 227), (224, 224), (0, 2)),  # half of 3 pixels rounds to the even number
        ((224, 225), 224, (224, 225), (224, 224), (0, 0)),
        ((10, 20), 32, (32, 64), (32, 32), (0, 16)),  # enlarged
        ((100, 100), 200, (224, 224), (224, 224), (0, 0)),  # rounded up to the stride
        ((100, 100), (32, 64), (64, 64), (32, 64), (16, 0)),
        ((100, 400), (32, 64), (32, 128), (32, 64), (0, 32)),
    ],
)
def test_plan(
    shape: tuple[int, int],
    imgsz: int | tuple[int, int],
    resized: tuple[int, int],
    canvas: tuple[int, int],
    top_left: tuple[int, int],
) -> None:
    plan = CenterCrop.fit(shape, imgsz)
    assert (plan.resized, plan.canvas, (plan.top, plan.left)) == (resized, canvas, top_left)


@given(SIDES, SIDES, st.integers(1, 300))
def test_the_canvas_is_covered_and_touched_on_one_axis(height: int, width: int, imgsz: int) -> None:
    plan = CenterCrop.fit((height, width), imgsz)
    spare = plan.resized[0] - plan.canvas[0], plan.resized[1] - plan.canvas[1]
    assert min(spare) == 0
    for offset, room in zip((plan.top, plan.left), spare, strict=True):
        assert abs(offset - room / 2) <= 0.5
    aspect = height / width
    assert abs(plan.resized[0] - plan.resized[1] * aspect) < max(1, aspect)  # less than a pixel was cut off


@pytest.mark.parametrize("shape", [(97, 101), (150, 90), (33, 260), (20, 14), (64, 64)])
def test_pixels_are_those_of_resize_and_crop(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    plan = CenterCrop.fit(shape, 64)
    whole = np.asarray(Image.fromarray(image).resize(plan.resized[::-1], Image.Resampling.BILINEAR))
    expected = whole[plan.top : plan.top + 64, plan.left : plan.left + 64]
    cropped = plan.apply(image)
    assert cropped.dtype == np.uint8
    assert np.abs(cropped.astype(int) - expected).max() <= 1


def test_a_thin_strip_costs_no_more_than_its_middle() -> None:
    image = np.zeros((1, 4000, 3), np.uint8)
    image[:, 1900:2100] = 200
    assert (CenterCrop.fit((1, 4000), 224).apply(image) == 200).all()  # as a whole it would be 224 x 896000


def test_out_is_filled_and_a_view_is_fine() -> None:
    image = np.random.default_rng(0).integers(0, 256, (80, 100, 3), np.uint8)
    plan = CenterCrop.fit((80, 100), 32)
    out = np.zeros((32, 32, 3), np.uint8)
    assert plan.apply(image, out) is out
    np.testing.assert_array_equal(out, plan.apply(image))
    mirrored = plan.apply(image[:, ::-1])
    mirrored[:] = 0  # ours to write to
    assert plan.apply(image).any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: CenterCrop.fit((0, 10), 64), "0x10"),
        (lambda: CenterCrop.fit((9, 10), 64).apply(np.zeros((10, 9, 3), np.uint8)), r"\(9, 10\)"),
        (
            lambda: CenterCrop.fit((9, 10), 64).apply(np.zeros((9, 10, 3), np.uint8), np.zeros((9, 10, 3), np.uint8)),
            "out must have the shape",
        ),
    ],
)
def test_wrong_use(call: object, message: str) -> None:
    assert callable(call)
    with pytest.raises(ValueError, match=message):
        call()


def test_needs_no_torch() -> None:
    code = "import sys, yolov12.data.center_crop; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
