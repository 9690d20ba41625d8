from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from yolov12.ops.masks import pixel_windows


@pytest.mark.parametrize(
    ("box", "start", "stop"),
    [
        pytest.param((1, 2, 4, 5), [1, 2], [4, 5], id="whole numbers: the last is outside"),
        pytest.param((1.1, 1.9, 3.1, 3.9), [2, 2], [4, 4], id="between pixels"),
        pytest.param((2.0000005, 0, 5, 1), [3, 0], [5, 1], id="just behind a pixel"),
        pytest.param((1.2, 1.2, 1.8, 9), [2, 2], [2, 6], id="between two columns: none"),
        pytest.param((-3, -3, 20, 20), [0, 0], [8, 6], id="larger than the mask"),
        pytest.param((9, 9, 12, 12), [8, 6], [8, 6], id="beyond it"),
        pytest.param((5, 5, 3, 3), [5, 5], [5, 5], id="corners swapped"),
    ],
)
def test_windows(box: tuple[float, ...], start: list[int], stop: list[int]) -> None:
    first, last = pixel_windows(torch.tensor([box]), 6, 8)
    assert (first[0].tolist(), last[0].tolist()) == (start, stop)


@settings(deadline=None)
@given(st.lists(st.floats(-2, 12, width=32), min_size=4, max_size=4))
def test_windows_hold_the_pixels_inside(box: list[float]) -> None:
    (start,), (stop,) = pixel_windows(torch.tensor([box]), 6, 8)
    for axis, limit in enumerate((8, 6)):
        inside = [c for c in range(limit) if box[axis] <= c < box[axis + 2]]
        assert list(range(int(start[axis]), int(stop[axis]))) == inside


def test_no_boxes() -> None:
    start, stop = pixel_windows(torch.zeros(0, 4), 6, 8)
    assert start.shape == stop.shape == (0, 2)
