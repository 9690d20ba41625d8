"""Which canvases an evaluation uses, and the way back from them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from index_factory import make_index
from yolov12.config.run import ValConfig
from yolov12.data.center_crop import CenterCrop
from yolov12.errors import ConfigError
from yolov12.evaluation.plan import LoadedLetterbox, plan

CONFIG = ValConfig(imgsz=128, batch=3, verbose=False)


@pytest.mark.parametrize(
    ("shapes", "imgsz", "canvases"),
    [
        pytest.param([(640, 640)], 640, [(672, 672)], id="square"),
        pytest.param([(480, 640)], 320, [(256, 352)], id="landscape"),
        pytest.param([(640, 480)], 320, [(352, 256)], id="portrait"),
        pytest.param([(480, 640), (640, 480)], 320, [(352, 352)], id="mixed"),
        pytest.param([(640, 480), (480, 640), (481, 640)], 320, [(288, 352), (352, 256)], id="sorted, two batches"),
    ],
)
def test_reference_canvases(shapes: list[tuple[int, int]], imgsz: int, canvases: list[tuple[int, int]]) -> None:
    batches = plan(
        make_index([[]] * len(shapes), sizes=shapes), replace(CONFIG, imgsz=imgsz, batch=2, protocol="reference")
    )
    assert [batch[0].view.canvas for batch in batches] == canvases
    assert all(len({placement.view.canvas for placement in batch}) == 1 for batch in batches)
    assert sorted(placement.index for batch in batches for placement in batch) == list(range(len(shapes)))


def test_reference_needs_one_side() -> None:
    with pytest.raises(ConfigError, match="--protocol reference"):
        plan(make_index([[]]), replace(CONFIG, imgsz=(64, 96), protocol="reference"))


@pytest.mark.parametrize("protocol", ["predict", "reference"])
@pytest.mark.parametrize("shape", [(60, 80), (333, 101), (128, 128)])
def test_points_and_boxes_find_their_way_back(protocol: str, shape: tuple[int, int]) -> None:
    ((placed,),) = plan(make_index([[]], sizes=[shape]), replace(CONFIG, protocol=protocol))
    height, width = shape
    top, left, shown_height, shown_width = placed.view.window
    corners = np.array([[left, top], [left + shown_width, top + shown_height]], float)
    points = placed.view.points_to_original(corners, clip=False)
    np.testing.assert_allclose(points, [[0, 0], [width, height]], atol=1.5)
    np.testing.assert_allclose(placed.view.to_original(corners.reshape(1, 4), clip=False), points.reshape(1, 4))
    assert placed.view.points_to_original(corners + np.array([[-9, -9], [9, 9]])).tolist() == [[0, 0], [width, height]]
    assert placed.view.to_original(np.array([[-900.0, 0, 900, 900]]))[0, [0, 2, 3]].tolist() == [0, width, height]
    assert placed.view.shape == shape


def test_the_reference_divides_by_the_gain_of_the_height() -> None:
    """Loaded at 128 x 39 (rounded up from 38.8), so its widths come back a little too large."""
    ((placed,),) = plan(make_index([[]], sizes=[(333, 101)]), replace(CONFIG, protocol="reference"))
    assert isinstance(placed.view, LoadedLetterbox)
    assert placed.view.letterbox.source == (128, 39)
    _, left, _, width = placed.view.window
    right = placed.view.points_to_original(np.array([left + width, 0.0]), clip=False)[0]
    assert right == pytest.approx(39 * 333 / 128)


def test_a_picture_to_classify_is_cropped_whatever_its_shape() -> None:
    shapes = [(60, 80), (333, 101), (128, 128), (20, 500)]
    batches = plan(make_index([[]] * 4, sizes=shapes), CONFIG, "classify")
    assert [[placed.index for placed in batch] for batch in batches] == [[0, 1, 2], [3]]
    views = [placed.view for batch in batches for placed in batch]
    assert all(isinstance(view, CenterCrop) and view.canvas == (128, 128) for view in views)
