"""From one image's output to detections in its own pixels, for every task."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yolov12.config.tasks import TASKS
from yolov12.data.letterbox import Letterbox
from yolov12.detections import Decoded
from yolov12.postprocess import POSTPROCESS, NmsOptions
from yolov12.results import rotated_corners

LETTERBOX = Letterbox.fit((240, 320), 160, rect=True)  # half the size, four rows above
OPTIONS = NmsOptions()


def dense(*anchors: tuple[float, ...]) -> npt.NDArray[np.float32]:
    return np.array(anchors, np.float32).T


def test_every_task_is_there() -> None:
    assert set(POSTPROCESS) == set(TASKS)


def test_detect() -> None:
    found = POSTPROCESS["detect"](Decoded(dense((80, 64, 20, 10, 0.1, 0.9))), LETTERBOX, 2, OPTIONS)
    np.testing.assert_allclose(found.rows, [[140, 110, 180, 130, 0.9, 1]], rtol=1e-6)
    assert found.rows.dtype == np.float64
    assert found[1:] == (None, None, None, None)


def test_segment() -> None:
    planes = np.zeros((2, 32, 40), np.float32)
    planes[0], planes[1] = 1, -1
    decoded = Decoded(dense((80, 64, 20, 10, 0.9, 1, 0), (20, 20, 10, 10, 0.8, 0, 1)), planes)
    found = POSTPROCESS["segment"](decoded, LETTERBOX, 1, OPTIONS)
    assert found.masks is not None
    assert len(found.rows) == len(found.masks) == 2
    expected = np.zeros((240, 320), bool)
    expected[110:130, 140:180] = True
    np.testing.assert_array_equal(found.masks.data[0], expected)
    assert not found.masks.data[1].any()
    with pytest.raises(ValueError, match="prototypes"):
        POSTPROCESS["segment"](decoded._replace(prototypes=None), LETTERBOX, 1, OPTIONS)


@pytest.mark.parametrize(
    ("shape", "values", "expected"),
    [
        ((2, 3), (80, 64, 0.5, 0, 0, 0.9), [[160, 120, 0.5], [0, 0, 0.9]]),  # outside: moved to the edge
        (None, (80, 64, 0.5, 200, 500, 0.9), [[160, 120, 0.5], [320, 240, 0.9]]),
        ((3, 2), (80, 64, 10, 14, 5, 4), [[160, 120], [20, 20], [10, 0]]),
        (None, (80, 64, 10, 14), [[160, 120], [20, 20]]),
    ],
)
def test_pose(shape: tuple[int, int] | None, values: tuple[float, ...], expected: list[list[float]]) -> None:
    decoded = Decoded(dense((80, 64, 20, 10, 0.9, *values)), None, shape)
    found = POSTPROCESS["pose"](decoded, LETTERBOX, 1, OPTIONS)
    assert found.keypoints is not None
    assert found.keypoints.dtype == np.float32
    np.testing.assert_allclose(found.keypoints, [expected], rtol=1e-6)
    broken = Decoded(dense((80, 64, 20, 10, 0.9, *values[:-1], math.nan)), None, shape)
    assert len(POSTPROCESS["pose"](broken, LETTERBOX, 1, OPTIONS).rows) == 0


def test_classify() -> None:
    scores = np.array([0.1, 0.7, 0.2], np.float32)
    found = POSTPROCESS["classify"](Decoded(scores), LETTERBOX, 3, OPTIONS)
    assert found.rows.shape == (0, 6)
    np.testing.assert_array_equal(found.scores, scores)


def test_obb() -> None:
    found = POSTPROCESS["obb"](Decoded(dense((80, 64, 10, 30, 0.9, 0.2))), LETTERBOX, 1, OPTIONS)
    assert found.rotated is not None
    np.testing.assert_allclose(found.rotated, [[160, 120, 60, 20, 0.2 + math.pi / 2]], rtol=1e-6)
    corners = rotated_corners(found.rotated)[0]
    np.testing.assert_allclose(found.rows[0, :4], [*corners.min(axis=0), *corners.max(axis=0)])
    np.testing.assert_allclose(found.rows[0, 4:], [0.9, 0], rtol=1e-6)


def test_an_obb_may_leave_the_image_but_its_upright_box_may_not() -> None:
    found = POSTPROCESS["obb"](Decoded(dense((2, 20, 30, 10, 0.9, 0.0))), LETTERBOX, 1, OPTIONS)
    assert found.rotated is not None
    np.testing.assert_allclose(found.rotated[0, :4], [4, 32, 60, 20], rtol=1e-6)
    np.testing.assert_allclose(found.rows[0, :4], [0, 22, 34, 42], rtol=1e-6)


def test_an_obb_turns_where_the_axes_are_stretched_differently() -> None:
    """A strip of 3 pixels becomes 2 on the canvas: down there, a pixel is more than across."""
    letterbox = Letterbox.fit((3, 300), 160, rect=True)
    gain_y, gain_x = letterbox.gain
    assert gain_y / gain_x > 1.2
    found = POSTPROCESS["obb"](Decoded(dense((80, 16, 20, 4, 0.9, 0.7))), letterbox, 1, OPTIONS)
    assert found.rotated is not None
    along = 20 * math.cos(0.7) / gain_x, 20 * math.sin(0.7) / gain_y
    assert found.rotated[0, 2] == pytest.approx(math.hypot(*along), rel=1e-5)
    assert found.rotated[0, 4] == pytest.approx(math.atan2(along[1], along[0]), rel=1e-5)


@settings(max_examples=80, deadline=None)
@given(st.integers(40, 400), st.integers(40, 400), st.floats(-0.7, 2.3), st.floats(2, 40), st.floats(2, 40))
def test_an_obb_covers_what_it_covered_on_the_canvas(
    height: int, width: int, angle: float, long: float, wide: float
) -> None:
    """The corners come back where the letterbox takes them from, up to the slant that unequal axes cause."""
    letterbox = Letterbox.fit((height, width), 160, rect=True)
    box = np.array([[80, 80, long, wide, angle]], np.float32)
    decoded = Decoded(np.concatenate((box[:, :4], [[0.9]], box[:, 4:]), axis=1).T.astype(np.float32))
    found = POSTPROCESS["obb"](decoded, letterbox, 1, OPTIONS)
    assert found.rotated is not None
    wanted = letterbox.points_to_original(rotated_corners(box.astype(np.float64))[0], clip=False)
    (got,) = rotated_corners(found.rotated)
    distance = np.linalg.norm(wanted[:, None] - got[None], axis=2).min(axis=1)
    gain_y, gain_x = letterbox.gain
    assert distance.max() <= 1e-3 + abs(gain_y / gain_x - 1) * math.hypot(long, wide) / min(gain_x, gain_y)
    inside = cv2.contourArea(got.astype(np.float32))
    assert inside == pytest.approx(long * wide / gain_x / gain_y, rel=1e-3 + 2 * abs(gain_y / gain_x - 1))


@pytest.mark.parametrize("task", ["detect", "segment", "pose", "obb"])
def test_nothing_found_keeps_the_shapes(task: str) -> None:
    extras = {"detect": 0, "segment": 2, "pose": 6, "obb": 1}[task]
    decoded = Decoded(np.zeros((4 + 3 + extras, 7), np.float32), np.zeros((2, 32, 40), np.float32))
    found = POSTPROCESS[task](decoded, LETTERBOX, 3, OPTIONS)
    assert found.rows.shape == (0, 6)
    if task == "segment":
        assert found.masks is not None
        assert found.masks.shape == (0, 240, 320)
    if task == "pose":
        assert found.keypoints is not None
        assert found.keypoints.shape == (0, 2, 3)
    if task == "obb":
        assert found.rotated is not None
        assert found.rotated.shape == (0, 5)


def test_a_batch_falls_into_images() -> None:
    batch = Decoded(np.zeros((3, 7, 9), np.float32), np.arange(3, dtype=np.float32).reshape(3, 1, 1, 1), (5, 2))
    singles = batch.images()
    assert [single.dense.shape for single in singles] == [(7, 9)] * 3
    assert [float(single.prototypes[0, 0, 0]) for single in singles if single.prototypes is not None] == [0, 1, 2]
    assert all(single.keypoint_shape == (5, 2) for single in singles)
    assert [one.dense.shape for one in Decoded(np.zeros((2, 4), np.float32)).images()] == [(4,)] * 2
