"""Class losses against the formulas of their papers, and what mining and smoothing leave."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from yolov12.losses.assigner import Assignment
from yolov12.losses.base import LossChoices
from yolov12.losses.class_terms import CLASS_TERMS, GHM_BINS, Scores, density_weights, hardest
from yolov12.losses.detect import class_term, smoothed

LOGITS = torch.randn(60, generator=torch.Generator().manual_seed(0)) * 2 - 1
PLACE = torch.tensor([3, 17, 40, 41])
TARGET = torch.tensor([0.9, 0.25, 0.6, 1.0])
SCORES = Scores(LOGITS, PLACE, TARGET)


def dense() -> Tensor:
    target = torch.zeros(60)
    target[PLACE] = TARGET
    return target


def cross_entropy(target: Tensor) -> Tensor:
    p = LOGITS.sigmoid()
    return -(target * p.log() + (1 - target) * (1 - p).log())


def paper(name: str) -> Tensor:
    """Each loss as its paper writes it, place by place."""
    target, p = dense(), LOGITS.sigmoid()
    if name == "bce":
        return cross_entropy(target)
    if name == "qfl":  # eq. 5 of arXiv:2006.04388
        return (target - p).abs() ** 2 * cross_entropy(target)
    if name == "varifocal":  # eq. 2 of arXiv:2008.13367
        return torch.where(target > 0, target * cross_entropy(target), -0.75 * p**2 * (1 - p).log())
    hard = (target > 0).float()
    pt = torch.where(hard > 0, p, 1 - p)
    alpha = torch.where(hard > 0, 0.25, 0.75)
    return -alpha * (1 - pt) ** 2 * pt.log()  # focal: eq. 5 of arXiv:1708.02002


@pytest.mark.parametrize("name", ["bce", "focal", "qfl", "varifocal"])
def test_formula(name: str) -> None:
    scores = SCORES._replace(target=torch.ones(4)) if name == "focal" else SCORES
    torch.testing.assert_close(CLASS_TERMS[name](scores), paper(name), rtol=1e-4, atol=1e-6)


def test_gradient_harmonising() -> None:
    """GHM-C, eq. 8 and 9 of arXiv:1811.05181 with unit regions: N / GD(g), GD the number per bin times used bins."""
    length = (dense() - LOGITS.sigmoid()).abs()
    bins = [min(int(g * GHM_BINS), GHM_BINS - 1) for g in length.tolist()]
    used = len(set(bins))
    weights = torch.tensor([60 / (used * bins.count(place)) for place in bins])
    torch.testing.assert_close(density_weights(length), weights)
    assert abs(float(weights.mean()) - 1) < 1e-5
    share = weights * TARGET.sum() / 60
    torch.testing.assert_close(CLASS_TERMS["ghm"](SCORES), share * cross_entropy(dense()), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", CLASS_TERMS)
def test_right_scores_cost_less_than_wrong_ones(name: str) -> None:
    right, wrong = (torch.full((60,), -6.0) for _ in range(2))
    right[PLACE] = 6.0
    wrong[:20] = 6.0
    target = torch.ones(4)
    costs = [float(CLASS_TERMS[name](Scores(logits, PLACE, target)).sum()) for logits in (right, wrong)]
    assert costs[0] < 0.5 * costs[1]


def test_hard_negatives_remain() -> None:
    losses = torch.arange(60.0)
    kept = hardest(losses, SCORES, 2, 4).nonzero().squeeze(1).tolist()
    assert kept == [3, 17, 40, 41, *range(52, 60)]
    empty = Scores(LOGITS, PLACE[:0], TARGET[:0])
    assert hardest(losses, empty, 3, 0).nonzero().squeeze(1).tolist() == [57, 58, 59]
    assert hardest(losses, SCORES, 1000, 4).count_nonzero() == 59  # all but the loss that is 0


def test_smoothing_keeps_the_sum() -> None:
    """Three classes: anchors 1, 5, 13; a tenth of each target is shared out among the classes."""
    scores = Scores(LOGITS, torch.tensor([3, 17, 40]), torch.tensor([0.9, 0.3, 0.6]))
    soft = smoothed(scores, torch.tensor([1, 5, 13]), 3, 0.1)
    assert soft.place.tolist() == [3, 4, 5, 15, 16, 17, 39, 40, 41]
    expected = [0.84, 0.03, 0.03, 0.01, 0.01, 0.28, 0.02, 0.56, 0.02]
    torch.testing.assert_close(soft.target, torch.tensor(expected))
    torch.testing.assert_close(soft.target.sum(), scores.target.sum())


FOREGROUND = Assignment(torch.tensor([1, 5, 13]), torch.tensor([0, 0, 1]), torch.tensor([0.9, 0.3, 0.6]))
LABELS = torch.tensor([2, 0])


def term(choices: LossChoices) -> float:
    """Of logits (1, 20, 3)."""
    return float(class_term(LOGITS.view(1, 20, 3), LABELS, FOREGROUND, choices))


def test_general_and_short_form_agree() -> None:
    """`negatives` beyond all logits leaves all of them: the same sum by the general way."""
    assert term(LossChoices()) == pytest.approx(term(LossChoices(negatives=1e6)), rel=1e-5)


def test_without_iou_awareness_each_anchor_counts_as_one() -> None:
    hard = FOREGROUND._replace(score=torch.ones(3))
    by_hand = float(class_term(LOGITS.view(1, 20, 3), LABELS, hard, LossChoices())) / 3
    assert term(LossChoices(iou_aware=False)) / 1.8 == pytest.approx(by_hand, rel=1e-5)


def test_focal_is_divided_by_the_number_of_anchors() -> None:
    target = torch.zeros(60)
    target[[1 * 3 + 2, 5 * 3 + 2, 13 * 3]] = 1
    p = LOGITS.sigmoid()
    pt, alpha = torch.where(target > 0, p, 1 - p), torch.where(target > 0, 0.25, 0.75)
    expected = float((-alpha * (1 - pt) ** 2 * pt.log()).sum()) / 3
    assert term(LossChoices(cls="focal")) / 1.8 == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", CLASS_TERMS)
def test_extreme_logits_stay_finite(name: str) -> None:
    logits = torch.tensor([1e4, -1e4, 60.0, -60.0], requires_grad=True)
    loss = CLASS_TERMS[name](Scores(logits, torch.tensor([1]), torch.tensor([0.5]))).sum()
    loss.backward()
    assert loss.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_focal_with_soft_labels_still_teaches_one_class() -> None:
    logits = torch.zeros(1, 20, 3, requires_grad=True)
    class_term(logits, LABELS, FOREGROUND, LossChoices(cls="focal", smoothing=0.1, negatives=1)).backward()
    assert logits.grad is not None
    for anchor, label in ((1, 2), (5, 2), (13, 0)):
        falling = (logits.grad[0, anchor] < 0).nonzero().flatten().tolist()
        assert falling == [label]


@pytest.mark.parametrize("name", CLASS_TERMS)
def test_what_is_not_finite_is_not_hidden(name: str) -> None:
    logits = torch.tensor([0.0, float("nan"), 1.0])
    assert not CLASS_TERMS[name](Scores(logits, torch.tensor([0]), torch.tensor([0.5]))).sum().isfinite()


def test_cross_entropy_is_that_of_torch() -> None:
    expected = functional.binary_cross_entropy_with_logits(LOGITS, dense(), reduction="none")
    torch.testing.assert_close(CLASS_TERMS["bce"](SCORES), expected)
