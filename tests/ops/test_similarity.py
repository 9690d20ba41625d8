from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from yolov12.ops.similarity import box_iou, ciou, diou, giou

coordinates = st.floats(0, 500, width=32)
sides = st.floats(1, 500, width=32)
xywh = st.tuples(coordinates, coordinates, sides, sides)


def corners(values: tuple[float, float, float, float]) -> Tensor:
    x, y, width, height = values
    return torch.tensor([[x, y, x + width, y + height]], dtype=torch.float64)


# Boxes 2 x 2 unless said; the enclosing box and the distance of centres give the penalty.
CIOU_CASES = [
    pytest.param((0, 0, 2, 2), (0, 0, 2, 2), 1.0, id="same"),
    pytest.param((0, 0, 2, 2), (1, 0, 3, 2), 1 / 3 - 1 / 13, id="half beside: IoU 2/6, distance 1, diagonal 3^2 + 2^2"),
    pytest.param((0, 0, 2, 2), (2, 0, 4, 2), 0 - 4 / 20, id="touching: distance 2, diagonal 4^2 + 2^2"),
    pytest.param((0, 0, 2, 2), (4, 0, 6, 2), 0 - 16 / 40, id="apart: distance 4, diagonal 6^2 + 2^2"),
    pytest.param((0, 0, 4, 4), (1, 1, 3, 3), 4 / 16, id="concentric, same shape: no penalty"),
]


@pytest.mark.parametrize(("a", "b", "expected"), CIOU_CASES)
def test_ciou_by_hand(a: tuple[float, ...], b: tuple[float, ...], expected: float) -> None:
    value = ciou(torch.tensor([a], dtype=torch.float64), torch.tensor([b], dtype=torch.float64))
    assert value.item() == pytest.approx(expected, abs=1e-6)


def test_ciou_of_unlike_shapes_by_hand() -> None:
    """4 x 2 against 2 x 4 about one centre: IoU 4/12, and the aspect term v weighted by v / (v - IoU + 1)."""
    value = ciou(torch.tensor([[0.0, 1, 4, 3]]), torch.tensor([[1.0, 0, 3, 4]]))
    v = 4 / math.pi**2 * (math.atan(2) - math.atan(0.5)) ** 2
    assert value.item() == pytest.approx(1 / 3 - v * v / (v - 1 / 3 + 1), abs=1e-6)


def test_ciou_gradient_takes_the_aspect_weight_as_constant() -> None:
    a = torch.tensor([[0.0, 1, 4, 3]], dtype=torch.float64, requires_grad=True)
    b = torch.tensor([[1.0, 0, 3, 4]], dtype=torch.float64)
    (gradient,) = torch.autograd.grad(ciou(a, b).sum(), a)

    v = 4 / math.pi**2 * (math.atan(2) - math.atan(0.5)) ** 2
    weight = v / (v - 1 / 3 + 1)
    # x2 grows by d: union + 2 d, enclosing width 4 + d, centre distance d / 2, a's width / height 2 + d / 2
    slope = 8 / math.pi**2 * (math.atan(2) - math.atan(0.5)) / (1 + 2**2) / 2
    assert gradient[0, 2].item() == pytest.approx(-4 / 12**2 * 2 - weight * slope, abs=1e-6)


@pytest.mark.parametrize("box", [(0, 0, 0, 0), (5, 5, 5, 9), (5, 5, 9, 5), (0, 0, 1e5, 1e5)])
def test_degenerate_boxes_stay_finite(box: tuple[float, ...]) -> None:
    a = torch.tensor([box], dtype=torch.float32, requires_grad=True)
    for b in (a.detach(), torch.tensor([[1.0, 2, 30, 40]])):
        value = ciou(a, b)
        (gradient,) = torch.autograd.grad(value.sum(), a)
        assert torch.isfinite(value).all()
        assert torch.isfinite(gradient).all()


@settings(deadline=None)
@given(xywh, xywh)
def test_overlap_is_bounded_symmetric_and_at_most_iou(
    first: tuple[float, float, float, float], second: tuple[float, float, float, float]
) -> None:
    a, b = corners(first), corners(second)
    iou = box_iou(a, b)[0, 0].item()
    assert 0 <= iou <= 1
    assert box_iou(b, a)[0, 0].item() == pytest.approx(iou)
    assert ciou(a, b).item() == pytest.approx(ciou(b, a).item(), abs=1e-6)
    assert -2 < ciou(a, b).item() <= iou + 1e-6


@settings(deadline=None)
@given(xywh, st.floats(0.1, 50))
def test_ciou_of_a_box_with_itself_is_one_at_any_scale(box: tuple[float, float, float, float], scale: float) -> None:
    a = corners(box) * scale
    assert ciou(a, a).item() == pytest.approx(1, abs=1e-4)


def test_iou_matrix_shape() -> None:
    assert box_iou(torch.zeros(0, 4), torch.zeros(3, 4)).shape == (0, 3)
    assert box_iou(torch.zeros(2, 4), torch.zeros(3, 4)).tolist() == [[0.0] * 3] * 2


GIOU_CASES = [
    pytest.param((0, 0, 2, 2), (0, 0, 2, 2), 1.0, id="same"),
    pytest.param((0, 0, 2, 2), (1, 0, 3, 2), 1 / 3, id="half beside: the enclosing box is the union"),
    pytest.param((0, 0, 2, 2), (4, 0, 6, 2), -4 / 12, id="apart: a third of the enclosing box is empty"),
    pytest.param((0, 0, 2, 2), (1, 1, 3, 3), 1 / 7 - 2 / 9, id="corner: two of nine empty"),
]


@pytest.mark.parametrize(("a", "b", "expected"), GIOU_CASES)
def test_giou_by_hand(a: tuple[float, ...], b: tuple[float, ...], expected: float) -> None:
    assert float(giou(torch.tensor([a]).float(), torch.tensor([b]).float())) == pytest.approx(expected, abs=1e-6)


@given(xywh, xywh)
def test_the_overlaps_are_ordered(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> None:
    """Each penalty only lowers the IoU; for boxes of one shape complete and distance IoU are the same."""
    first, second = corners(a), corners(b)
    iou = float(box_iou(first, second))
    values = {name: float(f(first, second)) for name, f in (("ciou", ciou), ("diou", diou), ("giou", giou))}
    assert values["ciou"] <= values["diou"] + 1e-6
    assert values["diou"] <= iou + 1e-6
    assert -1 - 1e-6 <= values["giou"] <= iou + 1e-6
    same = corners((b[0], b[1], a[2], a[3]))
    assert float(diou(first, same)) == pytest.approx(float(ciou(first, same)), abs=1e-5)
