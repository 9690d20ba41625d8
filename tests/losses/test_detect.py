from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from loss_factory import NO_OBJECTS, OBJECTS, STRIDES, random_outputs, total
from yolov12.data.sample import Targets
from yolov12.losses.assigner import Assignment
from yolov12.losses.base import Gains
from yolov12.losses.detect import DetectionLoss, class_term, distribution_focal_loss
from yolov12.models.heads.detect import DetectOutputs

# ---- distribution focal loss ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("distance", "lower", "share_of_upper"),
    [
        pytest.param(0.0, 0, 0.0, id="first bin"),
        pytest.param(2.0, 2, 0.0, id="on a bin"),
        pytest.param(2.25, 2, 0.25, id="between two bins"),
        pytest.param(14.99, 14, 0.99, id="the limit"),
        pytest.param(99.0, 14, 0.99, id="beyond the last bin"),
        pytest.param(-3.0, 0, 0.0, id="anchor outside of the box"),
    ],
)
def test_dfl_by_hand(distance: float, lower: int, share_of_upper: float) -> None:
    logits = torch.arange(16.0)
    log_sum = math.log(sum(math.exp(value) for value in range(16)))
    expected = (1 - share_of_upper) * (log_sum - lower) + share_of_upper * (log_sum - lower - 1)
    value = distribution_focal_loss(logits.expand(1, 16), torch.tensor([distance]))
    assert value.item() == pytest.approx(expected, rel=1e-5)


def test_dfl_is_least_where_the_mass_is_on_the_two_bins() -> None:
    right = torch.full((1, 16), -50.0)
    right[0, 3:5] = torch.tensor([0.6, 0.4]).log()
    assert distribution_focal_loss(right, torch.tensor([3.4])).item() == pytest.approx(
        -(0.6 * math.log(0.6) + 0.4 * math.log(0.4)), rel=1e-5
    )


# ---- class term -----------------------------------------------------------------------------------------------------


def test_class_term_is_the_binary_cross_entropy_with_dense_targets() -> None:
    logits = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(1)) * 10
    logits[0, 0, 0], logits[1, 4, 2] = 90, -90
    labels = torch.tensor([2, 0])
    foreground = Assignment(torch.tensor([1, 7, 9]), torch.tensor([0, 1, 0]), torch.tensor([0.5, 1.0, 0.25]))
    dense = torch.zeros(10, 3)
    dense[foreground.anchor, labels[foreground.target]] = foreground.score
    expected = functional.binary_cross_entropy_with_logits(logits, dense.view(2, 5, 3), reduction="sum")
    torch.testing.assert_close(class_term(logits, labels, foreground), expected)


# ---- the whole loss -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [0, 1, 2])
def test_one_anchor_by_hand(level: int) -> None:
    """One cell per level, and an object of 6 px around the middle of one of them, which predicts it exactly."""
    stride = STRIDES[level]
    outputs = DetectOutputs(
        tuple(torch.zeros(1, 64, 1, 1) for _ in STRIDES), tuple(torch.zeros(1, 1, 1, 1) for _ in STRIDES)
    )
    share = 3 / stride  # every side lies 3 px away: that share of the mass in bin 1, the rest in bin 0
    box_logits = outputs.box_logits[level].view(4, 16)
    box_logits[:] = -100
    box_logits[:, 0], box_logits[:, 1] = math.log(1 - share), math.log(share)
    box = torch.tensor([[-3.0, -3, 3, 3]]) + stride / 2
    targets = Targets(torch.tensor([0]), torch.tensor([0]), box)

    terms = DetectionLoss(STRIDES, Gains(1, 1, 1))(outputs, targets)
    # The overlap is 1, so the target score is 1: each term is divided by 1.
    assert terms["box"].item() == pytest.approx(0, abs=1e-4)
    assert terms["dfl"].item() == pytest.approx(-share * math.log(share) - (1 - share) * math.log(1 - share), rel=1e-4)
    assert terms["cls"].item() == pytest.approx(3 * math.log(2), rel=1e-4)


def test_gains_scale_the_terms() -> None:
    outputs, _ = random_outputs()
    plain = DetectionLoss(STRIDES, Gains(1, 1, 1))(outputs, OBJECTS)
    gained = DetectionLoss(STRIDES, Gains(7.5, 0.5, 0))(outputs, OBJECTS)
    for name, gain in {"box": 7.5, "cls": 0.5, "dfl": 0}.items():
        torch.testing.assert_close(gained[name], plain[name] * gain)


def test_every_output_gets_a_gradient() -> None:
    outputs, leaves = random_outputs()
    total(DetectionLoss(STRIDES)(outputs, OBJECTS)).backward()
    for leaf in leaves:
        assert leaf.grad is not None
        assert torch.isfinite(leaf.grad).all()


def test_without_objects_only_the_class_term_counts() -> None:
    outputs, leaves = random_outputs()
    terms = DetectionLoss(STRIDES)(outputs, NO_OBJECTS)
    total(terms).backward()
    assert terms["box"].item() == terms["dfl"].item() == 0
    expected = sum(functional.softplus(level).sum().item() for level in outputs.class_logits) * 0.5
    assert terms["cls"].item() == pytest.approx(expected, rel=1e-5)
    for leaf in leaves:
        assert leaf.grad is not None
        assert bool(leaf.grad.any()) == (leaf.shape[1] == 3)


def test_an_image_without_objects_among_others() -> None:
    outputs, _ = random_outputs(images=3)
    first = DetectOutputs(*(tuple(level[:2] for level in levels) for levels in outputs))
    three, two = (DetectionLoss(STRIDES)(each, OBJECTS) for each in (outputs, first))
    torch.testing.assert_close(three["box"], two["box"])
    torch.testing.assert_close(three["dfl"], two["dfl"])
    assert three["cls"] > two["cls"]


def test_order_of_the_objects_does_not_matter() -> None:
    outputs, _ = random_outputs()
    shuffled = Targets(*(tensor[[2, 0, 1]] for tensor in OBJECTS[:3]))
    for a, b in zip(*(DetectionLoss(STRIDES)(outputs, each).values() for each in (OBJECTS, shuffled)), strict=True):
        torch.testing.assert_close(a, b)


def test_channels_last_outputs_give_the_same_loss() -> None:
    outputs, _ = random_outputs()
    strided = DetectOutputs(
        *(tuple(level.to(memory_format=torch.channels_last) for level in levels) for levels in outputs)
    )
    for a, b in zip(*(DetectionLoss(STRIDES)(each, OBJECTS).values() for each in (outputs, strided)), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_outputs_under_autocast_are_computed_in_float32(dtype: torch.dtype) -> None:
    outputs, leaves = random_outputs(dtype=dtype)
    exact = DetectOutputs(*(tuple(level.detach().float() for level in levels) for levels in outputs))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        terms = DetectionLoss(STRIDES)(outputs, OBJECTS)
    for name, expected in DetectionLoss(STRIDES)(exact, OBJECTS).items():
        assert terms[name].dtype == torch.float32
        assert torch.equal(terms[name], expected)
    total(terms).backward()
    assert all(leaf.grad is not None and leaf.grad.dtype == dtype for leaf in leaves)


@pytest.mark.parametrize("magnitude", [1e-30, 30.0, 1e4, 1e30])
def test_extreme_but_finite_outputs_stay_finite(magnitude: float) -> None:
    outputs, leaves = random_outputs()
    large = DetectOutputs(*(tuple(level * magnitude for level in levels) for levels in outputs))
    value = total(DetectionLoss(STRIDES)(large, OBJECTS))
    value.backward()
    assert torch.isfinite(value)
    assert all(leaf.grad is not None and torch.isfinite(leaf.grad / magnitude).all() for leaf in leaves)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("kind", [0, 1])
def test_non_finite_outputs_give_a_non_finite_loss(bad: float, kind: int) -> None:
    outputs, _ = random_outputs()
    broken = DetectOutputs(
        *(tuple(level * (bad if part == kind else 1) for level in levels) for part, levels in enumerate(outputs))
    )
    assert not torch.isfinite(total(DetectionLoss(STRIDES)(broken, OBJECTS)))


def test_the_loss_can_be_learned() -> None:
    """Plain gradient descent on the raw outputs brings the best boxes onto the objects."""
    outputs, leaves = random_outputs()
    optimizer = torch.optim.Adam(leaves, lr=0.3)
    loss = DetectionLoss(STRIDES)
    history = []
    for _ in range(60):
        terms = loss(outputs, OBJECTS)
        optimizer.zero_grad()
        total(terms).backward()
        optimizer.step()
        history.append({name: term.item() for name, term in terms.items()})
    assert history[-1]["box"] < 0.3 * history[0]["box"]
    assert history[-1]["cls"] < 0.3 * history[0]["cls"]
    assert history[-1]["dfl"] < 0.5 * history[0]["dfl"]
