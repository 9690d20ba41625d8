from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from yolov12.ops.rotated import (
    distances_to_rotated,
    logits_to_angles,
    probiou,
    rotated_corners,
    rotated_to_distances,
)

coordinates = st.floats(-50, 50)
sides = st.floats(1, 60)
angles = st.floats(-4, 4)
boxes = st.tuples(coordinates, coordinates, sides, sides, angles)
RIGHT = math.pi / 2
SELF = 1 - math.sqrt(1 - math.exp(-1e-7) + 1e-7)
"""What the formula's constants leave of a perfect overlap: 0.99955."""


def rows(*values: tuple[float, ...]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def turned(box: Tensor, angle: float) -> Tensor:
    """Boxes (N, 5) turned about the origin."""
    cos, sin = math.cos(angle), math.sin(angle)
    x, y = box[:, 0] * cos - box[:, 1] * sin, box[:, 0] * sin + box[:, 1] * cos
    return torch.stack((x, y, box[:, 2], box[:, 3], box[:, 4] + angle), 1)


# ---- overlap --------------------------------------------------------------------------------------------------------


def test_probiou_by_hand() -> None:
    """Two unturned boxes 12 x 6 (variances 12 and 3), 3 apart in x: distance 3^2 / (8 * 12), equal shapes."""
    value = probiou(rows((0, 0, 12, 6, 0)), rows((3, 0, 12, 6, 0))).item()
    assert value == pytest.approx(1 - math.sqrt(1 - math.exp(-9 / 96)), abs=1e-6)
    # The same 12 x 6 box upright and lying: det of the sum is 15^2, each has sqrt(det) 6, no offset.
    value = probiou(rows((0, 0, 12, 6, 0)), rows((0, 0, 12, 6, RIGHT))).item()
    assert value == pytest.approx(1 - math.sqrt(1 - math.exp(-math.log(225 / 144) / 2)), abs=1e-6)


def test_floor_is_added_to_the_variances() -> None:
    side = math.sqrt(12 * 0.99)  # a variance of 0.99
    value = probiou(rows((0, 0, side, side, 0.3)), rows((1, 0, side, side, 0.3)), floor=0.01).item()
    assert value == pytest.approx(1 - math.sqrt(1 - math.exp(-1 / 8)), abs=1e-6)


@settings(deadline=None)
@given(boxes, boxes)
def test_probiou_is_symmetric_and_bounded(first: tuple[float, ...], second: tuple[float, ...]) -> None:
    a, b = rows(first), rows(second)
    value = probiou(a, b).item()
    assert -1e-6 <= value <= SELF + 1e-6
    assert probiou(b, a).item() == pytest.approx(value, abs=1e-6)


@settings(deadline=None)
@given(boxes)
def test_probiou_of_a_box_with_itself_is_about_one(box: tuple[float, ...]) -> None:
    assert probiou(rows(box), rows(box)).item() == pytest.approx(SELF, abs=1e-4)


@settings(deadline=None)
@given(boxes, boxes, angles)
def test_turning_both_boxes_changes_nothing(first: tuple[float, ...], second: tuple[float, ...], angle: float) -> None:
    a, b = rows(first), rows(second)
    assert probiou(turned(a, angle), turned(b, angle)).item() == pytest.approx(probiou(a, b).item(), abs=1e-5)


@settings(deadline=None)
@given(boxes, boxes)
def test_how_a_box_is_written_down_does_not_matter(first: tuple[float, ...], second: tuple[float, ...]) -> None:
    a, (x, y, width, height, angle) = rows(first), second
    expected = pytest.approx(probiou(a, rows(second)).item(), abs=1e-5)
    assert probiou(a, rows((x, y, width, height, angle + math.pi))).item() == expected
    assert probiou(a, rows((x, y, height, width, angle + RIGHT))).item() == expected


def test_moving_away_turning_and_growing_lower_the_overlap() -> None:
    box = rows((0, 0, 20, 8, 0.5))
    for step in (rows((1.5, 0, 0, 0, 0)), rows((0, 0, 4, 0, 0)), rows((0, 0, 0, 0, 0.2))):
        values = [probiou(box, box + step * i).item() for i in range(6)]
        assert values == sorted(values, reverse=True)
        assert values[0] - values[-1] > 0.2


@pytest.mark.parametrize("sides", [(0, 0), (0, 5), (5, 0), (1e-20, 1e-20), (1e4, 1e-4)])
@pytest.mark.parametrize("floor", [0.0, 0.01])
def test_degenerate_boxes_stay_finite(sides: tuple[float, float], floor: float) -> None:
    box = torch.tensor([[1.0, 2, *sides, 0.4]], requires_grad=True)
    for other in (torch.tensor([[0.0, 0, 10, 4, 1]]), torch.tensor([[500.0, 0, 10, 4, 1]]), box.detach()):
        value = probiou(box, other, floor)
        (gradient,) = torch.autograd.grad(value.sum(), box)
        assert torch.isfinite(value).all()
        assert torch.isfinite(gradient).all()


def test_gradient_is_that_of_small_steps() -> None:
    generator = torch.Generator().manual_seed(0)
    a = torch.rand(6, 5, generator=generator, dtype=torch.float64) * torch.tensor([3, 3, 8, 8, 3.0]) + 1
    b = torch.rand(6, 5, generator=generator, dtype=torch.float64) * torch.tensor([3, 3, 8, 8, 3.0]) + 1
    assert torch.autograd.gradcheck(probiou, (a.requires_grad_(), b.requires_grad_()))


# ---- coordinates ----------------------------------------------------------------------------------------------------


def test_corners_by_hand() -> None:
    assert rotated_corners(rows((10, 20, 4, 2, 0)))[0].tolist() == [[12, 21], [12, 19], [8, 19], [8, 21]]
    expected = rows((9, 22), (11, 22), (11, 18), (9, 18))
    torch.testing.assert_close(rotated_corners(rows((10, 20, 4, 2, RIGHT)))[0], expected)


def test_decoding_by_hand() -> None:
    """Turned by a right angle, `right` points down and `bottom` to the left."""
    box = distances_to_rotated(rows((1, 2, 3, 6)), rows((10, 20)), torch.tensor([RIGHT], dtype=torch.float64))
    torch.testing.assert_close(box, rows((10 - 2, 20 + 1, 4, 8, RIGHT)))


@settings(deadline=None)
@given(boxes, coordinates, coordinates)
def test_distances_are_the_inverse_of_decoding(box: tuple[float, ...], x: float, y: float) -> None:
    point = rows((x, y))
    distances = rotated_to_distances(rows(box), point)
    torch.testing.assert_close(distances_to_rotated(distances, point, rows(box)[:, 4]), rows(box), rtol=1e-6, atol=1e-6)


def test_angles_lie_between_minus_a_quarter_and_three_quarters_of_a_half_turn() -> None:
    logits = torch.tensor([-100.0, -math.log(3), 0.0, 100.0])
    expected = torch.tensor([-math.pi / 4, 0.0, math.pi / 4, 3 * math.pi / 4])
    torch.testing.assert_close(logits_to_angles(logits), expected, rtol=1e-6, atol=1e-6)
