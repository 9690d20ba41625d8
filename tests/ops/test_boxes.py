from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from yolov12.ops.boxes import (
    anchor_points,
    cxcywh_to_xyxy,
    distances_to_xyxy,
    expected_distances,
    xyxy_to_cxcywh,
    xyxy_to_distances,
)

numbers = st.floats(-1000, 1000, width=32)
boxes = st.lists(st.tuples(numbers, numbers, numbers, numbers), max_size=5)


def rows(values: list[tuple[float, ...]], columns: int = 4) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).reshape(-1, columns)


def test_anchor_points_run_level_by_level_and_row_by_row() -> None:
    points, strides = anchor_points([(1, 2), (2, 1)], (8, 16))
    assert points.tolist() == [[0.5, 0.5], [1.5, 0.5], [0.5, 0.5], [0.5, 1.5]]
    assert strides.tolist() == [[8], [8], [16], [16]]
    assert points.dtype == strides.dtype == torch.float32


def test_anchor_points_need_a_stride_per_level() -> None:
    with pytest.raises(ValueError, match="zip"):
        anchor_points([(1, 2), (2, 1)], (8,))


@pytest.mark.parametrize(
    ("xyxy", "cxcywh"),
    [
        ((0, 0, 4, 2), (2, 1, 4, 2)),
        ((-3, 5, -1, 5), (-2, 5, 2, 0)),
        ((7, 7, 7, 7), (7, 7, 0, 0)),
    ],
)
def test_corners_and_centres(xyxy: tuple[float, ...], cxcywh: tuple[float, ...]) -> None:
    assert torch.equal(xyxy_to_cxcywh(rows([xyxy])), rows([cxcywh]))
    assert torch.equal(cxcywh_to_xyxy(rows([cxcywh])), rows([xyxy]))


@settings(deadline=None)
@given(boxes)
def test_corners_and_centres_are_inverse(values: list[tuple[float, ...]]) -> None:
    xyxy = rows(values)
    torch.testing.assert_close(cxcywh_to_xyxy(xyxy_to_cxcywh(xyxy)), xyxy)
    torch.testing.assert_close(xyxy_to_cxcywh(cxcywh_to_xyxy(xyxy)), xyxy)


@settings(deadline=None)
@given(boxes, numbers, numbers)
def test_distances_and_corners_are_inverse(values: list[tuple[float, ...]], x: float, y: float) -> None:
    distances, point = rows(values), rows([(x, y)], 2)
    corners = distances_to_xyxy(distances, point)
    torch.testing.assert_close(xyxy_to_distances(corners, point), distances)
    assert torch.equal(corners[:, :2], point - distances[:, :2])


@settings(deadline=None)
@given(boxes)
def test_a_point_is_inside_exactly_when_its_distances_are_positive(values: list[tuple[float, ...]]) -> None:
    xyxy, point = rows(values), rows([(0.5, 0.5)], 2)
    inside = (xyxy[:, :2] < point).all(1) & (point < xyxy[:, 2:]).all(1)
    assert torch.equal((xyxy_to_distances(xyxy, point) > 0).all(1), inside)


@pytest.mark.parametrize(
    ("logits", "distance"),
    [
        ([0, 0, 0, 0], 1.5),
        ([100, 0, 0, 0], 0.0),
        ([0, 0, 0, 100], 3.0),
        ([-1e4, 1e4, 1e4, -1e4], 1.5),
    ],
)
def test_expected_distance(logits: list[float], distance: float) -> None:
    box_logits = torch.tensor(logits, dtype=torch.float32).expand(2, 4, 4)
    torch.testing.assert_close(expected_distances(box_logits), torch.full((2, 4), distance))
