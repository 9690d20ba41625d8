"""From samples to what the losses compare with: index maps, keypoints, rotated boxes."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yolov12.data.outlines import extents
from yolov12.data.sample import Sample, Targets
from yolov12.data.targets import TargetArrays, index_map, rotated_box, rotated_boxes, stack_targets

SIDE = 96
Points = npt.NDArray[np.float32]


def outlined(*polygons: Points, side: int = SIDE) -> Sample:
    image = np.zeros((side, side, 3), np.uint8)
    return Sample(image, extents(polygons), np.arange(len(polygons)), list(polygons))


def rectangle(x1: float, y1: float, x2: float, y2: float) -> Points:
    return np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], np.float32)


def blob(rng: np.random.Generator, side: int) -> Points:
    """A ragged outline, some of it cut off at the picture's edges."""
    angles, center = np.linspace(0, 2 * np.pi, 30, endpoint=False), rng.uniform(0, side, 2)
    radius = np.exp(rng.uniform(np.log(4), np.log(side / 3))) * rng.uniform(0.5, 1, 30)
    points = center + np.stack([np.cos(angles), np.sin(angles)], axis=1) * radius[:, None]
    return points.clip(0, side).astype(np.float32)


def whole_canvas_mask(points: Points, side: int) -> npt.NDArray[np.uint8]:
    """The definition: filled on the whole canvas, then reduced."""
    canvas = np.zeros((side, side), np.uint8)
    cv2.fillPoly(canvas, [points.astype(np.int32)], 1)
    return cv2.resize(canvas, (side // 4, side // 4), interpolation=cv2.INTER_LINEAR)


@pytest.mark.parametrize("seed", range(30))
def test_one_outline_gives_the_pixels_of_the_whole_canvas(seed: int) -> None:
    points = blob(np.random.default_rng(seed), SIDE)
    difference = (index_map(outlined(points)) > 0) != whole_canvas_mask(points, SIDE)
    if points.max() < SIDE:
        assert not difference.any()
    else:  # OpenCV draws a line that leaves the canvas a little differently
        assert difference[:-1, :-1].sum() + difference.sum() <= 2


@pytest.mark.parametrize("seed", range(10))
def test_small_objects_lie_on_top(seed: int) -> None:
    rng = np.random.default_rng(seed)
    polygons = [blob(rng, SIDE - 1) for _ in range(12)]
    masks = np.stack([whole_canvas_mask(points, SIDE) for points in polygons])  # (N, h, w)
    areas = masks.sum(axis=(1, 2)).astype(int)
    found = index_map(outlined(*polygons))
    assert found.dtype == np.int16
    assert found.shape == (SIDE // 4, SIDE // 4)
    for y, x in np.ndindex(*found.shape):
        here = np.flatnonzero(masks[:, y, x])
        if not len(here):
            assert found[y, x] == 0
        else:
            smallest = here[areas[here] == areas[here].min()]
            assert found[y, x] - 1 in smallest


def test_of_equal_objects_the_later_one_shows() -> None:
    assert set(index_map(outlined(rectangle(8, 8, 40, 40), rectangle(8, 8, 40, 40))).ravel()) == {0, 2}


def test_an_object_without_an_outline_is_its_box() -> None:
    sample = outlined(rectangle(8, 8, 40, 40), np.zeros((0, 2), np.float32))
    sample.boxes[1] = (60, 60, 80, 92)
    expected = index_map(outlined(rectangle(8, 8, 40, 40), rectangle(60, 60, 80, 92)))
    np.testing.assert_array_equal(index_map(sample), expected)
    sample.polygons = None
    sample.boxes[0] = (8, 8, 40, 40)
    np.testing.assert_array_equal(index_map(sample), expected)


@pytest.mark.parametrize(
    "points",
    [
        rectangle(0, 0, SIDE, SIDE),
        rectangle(50, 50, 50, 50),
        rectangle(SIDE, 10, SIDE, 40),
        rectangle(10, SIDE, 40, SIDE),
        rectangle(95.5, 95.5, SIDE, SIDE),
    ],
)
def test_outlines_at_the_edges_and_without_area(points: Points) -> None:
    found = index_map(outlined(points))
    assert found.shape == (SIDE // 4, SIDE // 4)
    assert found.all() == (points.min() == 0 and points.max() == SIDE)


@given(
    st.floats(20, 600),
    st.floats(20, 600),
    st.floats(3, 300),
    st.floats(3, 300),
    st.floats(-4, 4),
)
@settings(max_examples=200, deadline=None)
def test_rotated_box_of_a_rectangle(x: float, y: float, a: float, b: float, angle: float) -> None:
    along, across = np.array([math.cos(angle), math.sin(angle)]), np.array([-math.sin(angle), math.cos(angle)])
    signs = [(1, 1), (1, -1), (-1, -1), (-1, 1)]
    corners = np.array([(x, y) + s * along * a / 2 + t * across * b / 2 for s, t in signs], np.float32)
    cx, cy, width, height, theta = rotated_box(corners)
    assert (cx, cy) == pytest.approx((x, y), abs=0.01)
    assert (width, height) == pytest.approx((max(a, b), min(a, b)), abs=0.01)
    assert -math.pi / 4 <= theta < 3 * math.pi / 4
    if abs(a - b) > 0.5:
        expected = angle if a > b else angle + math.pi / 2
        turned = (theta - expected + math.pi / 2) % math.pi - math.pi / 2
        assert abs(turned) * max(a, b) / 2 < 0.05 + 0.02 * max(a, b) / abs(a - b)
    # Angle and sides belong together: the corners come back.
    along, across = np.array([math.cos(theta), math.sin(theta)]), np.array([-math.sin(theta), math.cos(theta)])
    back = np.array([(cx, cy) + s * along * width / 2 + t * across * height / 2 for s, t in signs])
    assert np.linalg.norm(corners[:, None] - back[None], axis=2).min(axis=1).max() < 0.02


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        (rectangle(10, 20, 50, 30), (30, 25, 40, 10, 0)),
        (rectangle(20, 10, 30, 50), (25, 30, 40, 10, math.pi / 2)),
        (rectangle(10, 10, 50, 10), (30, 10, 40, 0, 0)),  # a line
        (np.array([[0, 0], [30, 30], [60, 0]], np.float32), (30, 15, 60, 30, 0)),  # a triangle
    ],
)
def test_rotated_box_of_other_outlines(points: Points, expected: tuple[float, ...]) -> None:
    assert rotated_box(points) == pytest.approx(expected, abs=1e-3)


def test_rotated_boxes_of_a_sample() -> None:
    sample = outlined(rectangle(10, 20, 50, 30), np.zeros((0, 2), np.float32))
    sample.boxes[1] = (60, 10, 70, 90)
    boxes = rotated_boxes(sample)
    assert boxes.dtype == np.float32
    np.testing.assert_allclose(boxes, [[30, 25, 40, 10, 0], [65, 50, 80, 10, math.pi / 2]], atol=1e-4)
    assert rotated_boxes(outlined()).shape == (0, 5)


def with_keypoints(*flags: int) -> Sample:
    sample = outlined(*(rectangle(4, 4, 20, 20) for _ in flags))
    sample.keypoints = np.array([[[3, 4, flag], [-1e9, 5, 0]] for flag in flags], np.float32).reshape(-1, 2, 3)
    return sample


@pytest.mark.parametrize("task", ["detect", "segment", "pose", "obb", "classify"])
def test_targets_hold_what_the_task_needs(task: str) -> None:
    arrays = stack_targets([with_keypoints(2), with_keypoints(), with_keypoints(1, 2)], task)
    assert TargetArrays._fields[:2] == Targets._fields[:2]
    assert len(TargetArrays._fields) == len(Targets._fields)
    assert arrays.image_index.tolist() == [0, 2, 2]
    assert arrays.labels.tolist() == [0, 0, 1]
    assert arrays.boxes.shape == (3, 4)
    assert (arrays.masks is not None) == (task == "segment")
    assert (arrays.keypoints is not None) == (task == "pose")
    assert (arrays.rotated is not None) == (task == "obb")
    dtypes = [array.dtype for array in arrays if array is not None]
    assert dtypes[:3] == [np.int64, np.int64, np.float32]
    if arrays.masks is not None:
        assert arrays.masks.shape == (3, SIDE // 4, SIDE // 4)
        assert arrays.masks.dtype == np.int16
        assert [set(mask.ravel()) for mask in arrays.masks] == [{0, 1}, {0}, {0, 2}]
    if arrays.keypoints is not None:
        expected = [[[3, 4, flag], [0, 0, 0]] for flag in (2, 1, 2)]  # what is not labelled lies nowhere
        np.testing.assert_array_equal(arrays.keypoints, expected)
        assert arrays.keypoints.dtype == np.float32
    if arrays.rotated is not None:
        assert arrays.rotated.shape == (3, 5)


@pytest.mark.parametrize("task", ["detect", "segment", "pose", "obb"])
def test_no_objects_at_all(task: str) -> None:
    arrays = stack_targets([with_keypoints(), with_keypoints()], task)
    assert all(len(array) == 0 for name, array in arrays._asdict().items() if array is not None and name != "masks")
    assert arrays.keypoints is None or arrays.keypoints.shape == (0, 2, 3)
    assert arrays.rotated is None or arrays.rotated.shape == (0, 5)
    assert arrays.masks is None or not arrays.masks.any()


def test_pose_needs_keypoints() -> None:
    with pytest.raises(ValueError, match="without keypoints"):
        stack_targets([outlined()], "pose")


def test_where_labels_are_partial_an_object_without_an_outline_hides_nobody() -> None:
    """A small box in front of a large outline: the outline's pixels stay."""
    square = np.array([[0, 0], [64, 0], [64, 64], [0, 64]], np.float32)
    sample = Sample(
        np.zeros((64, 64, 3), np.uint8),
        np.array([[0, 0, 64, 64], [16, 16, 32, 32]], np.float32),
        np.zeros(2, np.int64),
        polygons=[square, np.zeros((0, 2), np.float32)],
        keypoints=np.ones((2, 3, 3), np.float32),
    )
    targets = stack_targets([sample], "multi")
    assert targets.masks is not None
    assert targets.outlined is not None
    assert (targets.masks == 1).all()
    assert targets.outlined.tolist() == [True, False]
    assert (index_map(sample) == 2).any()
