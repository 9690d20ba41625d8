from __future__ import annotations

import math

import pytest
import torch

from loss_factory import NO_OBJECTS, STRIDES, check_half, check_nan
from yolov12.data.sample import Targets
from yolov12.losses.base import Gains, LossChoices
from yolov12.losses.classify import ClassificationLoss
from yolov12.losses.detect import DetectionLoss
from yolov12.models.heads.classify import ClassifyOutputs


def pictures(*labels: int) -> Targets:
    """One object for each picture: the picture."""
    return Targets(torch.arange(len(labels)), torch.tensor(labels), torch.zeros(len(labels), 4))


def test_by_hand() -> None:
    logits = torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
    terms = ClassificationLoss()(ClassifyOutputs(logits), pictures(2, 0))
    first = math.log(sum(math.exp(value) for value in (1, 2, 3))) - 3
    assert {name: term.item() for name, term in terms.items()} == {"cls": pytest.approx((first + math.log(3)) / 2)}


def test_smoothing_spreads_a_share_over_all_classes() -> None:
    logits = torch.tensor([[1.0, 2.0, 3.0]])
    loss = ClassificationLoss(choices=LossChoices(smoothing=0.3))(ClassifyOutputs(logits), pictures(2))["cls"].item()
    log_p = logits[0].log_softmax(0).tolist()
    assert loss == pytest.approx(-(0.1 * log_p[0] + 0.1 * log_p[1] + 0.8 * log_p[2]))


def test_gains_of_other_tasks_do_not_count_nor_does_the_batch() -> None:
    outputs = ClassifyOutputs(torch.randn(4, 3, generator=torch.Generator().manual_seed(0)))
    terms = ClassificationLoss(STRIDES, Gains(cls=9), "r84190")(outputs, pictures(0, 1, 2, 0))
    assert torch.equal(terms["cls"], ClassificationLoss()(outputs, pictures(0, 1, 2, 0))["cls"])
    assert not ClassificationLoss.scales_with_batch
    assert DetectionLoss.scales_with_batch


def test_labels_belong_to_their_pictures() -> None:
    logits = torch.tensor([[9.0, 0.0], [0.0, 9.0], [50.0, -50.0]])
    swapped = Targets(torch.tensor([1, 0]), torch.tensor([1, 0]), torch.zeros(2, 4))
    assert ClassificationLoss()(ClassifyOutputs(logits), swapped)["cls"].item() == pytest.approx(
        math.log1p(math.exp(-9)), rel=1e-3
    )


def test_no_pictures() -> None:
    logits = torch.ones(2, 3, requires_grad=True)
    terms = ClassificationLoss()(ClassifyOutputs(logits), NO_OBJECTS)
    terms["cls"].backward()
    assert terms["cls"].item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_half_outputs_are_computed_in_float32() -> None:
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    check_half(ClassificationLoss(), ClassifyOutputs(logits), pictures(0, 1, 2, 0))


def test_nan() -> None:
    check_nan(ClassificationLoss(), ClassifyOutputs(torch.ones(2, 3)), pictures(0, 1))
