"""What class scores cost: cross-entropy as published, and formulas for when few logits have an object.

All work on logits x with targets t in 0..1 that are 0 but at the foreground: `Scores` holds all logits, and where the
foreground's are. Each gives a loss for each logit; the caller sums them and divides by the sum of the targets.

| name | formula per logit, p = sigmoid(x) | helps when |
|---|---|---|
| bce | -t log p - (1 - t) log(1 - p) | the default |
| focal | alpha_t (1 - p_t)^2 x cross-entropy, t = 1 or 0 (Lin et al. 2017, arXiv:1708.02002) | easy background swamps |
| qfl | abs(t - p)^2 x cross-entropy (quality focal, Li et al. 2020, arXiv:2006.04388) | as focal, targets are soft |
| varifocal | t x cross-entropy; background 0.75 p^2 x (Zhang et al. 2021, arXiv:2008.13367) | precise boxes count |
| ghm | cross-entropy / density of abs(t - p) (GHM-C, Li et al. 2019, arXiv:1811.05181) | labels are noisy |
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

FOCAL_ALPHA, FOCAL_GAMMA = 0.25, 2.0
VARIFOCAL_ALPHA = 0.75
GHM_BINS = 30


class Scores(NamedTuple):
    """All class logits of a batch and the few that have a target."""

    logits: Tensor  # (N,) float32, N = B * A * C
    place: Tensor  # (F,) int64, each once
    target: Tensor  # (F,) float32 in 0..1

    def dense_target(self) -> Tensor:
        """(N,), 0 without an object."""
        return torch.zeros_like(self.logits).index_copy(0, self.place, self.target)


def binary_cross_entropy(scores: Scores) -> Tensor:
    """Each of the N losses; with target t it is softplus(x) - t x."""
    losses = functional.softplus(scores.logits)
    hit = scores.logits.index_select(0, scores.place)
    return losses.index_add(0, scores.place, -scores.target * hit)


def focal(scores: Scores) -> Tensor:
    """With soft labels the factors are those of the nearest hard one."""
    target, probability = scores.dense_target(), scores.logits.sigmoid()
    weight = (target - probability).abs().pow(FOCAL_GAMMA)
    return weight * torch.where(target >= 0.5, FOCAL_ALPHA, 1 - FOCAL_ALPHA) * binary_cross_entropy(scores)


def quality_focal(scores: Scores) -> Tensor:
    """The factor vanishes where the score is as it should be."""
    weight = (scores.dense_target() - scores.logits.sigmoid()).abs().pow(FOCAL_GAMMA)
    return weight * binary_cross_entropy(scores)


def varifocal(scores: Scores) -> Tensor:
    """Foreground by its target, background by its own score."""
    background = VARIFOCAL_ALPHA * scores.logits.sigmoid().pow(FOCAL_GAMMA)
    weight = background.index_copy(0, scores.place, scores.target)
    return weight * binary_cross_entropy(scores)


def gradient_harmonised(scores: Scores) -> Tensor:
    """Each loss over the number of logits whose gradient is about as long, scaled to keep the sum's size.

    The gradient's length is abs(t - p). With M of the bins occupied by N_j logits each, a weight is N / (M N_j), so
    that all lengths together count the same. The weights are constants for the gradient.
    """
    with torch.no_grad():
        length = (scores.dense_target() - scores.logits.sigmoid()).abs()
        weight = density_weights(length)
        # The mean weight is 1, but the sum is taken relative to the foreground: the paper's is a mean over all N.
        weight = weight * scores.target.sum().clamp(min=1) / len(weight)
    return weight * binary_cross_entropy(scores)


def density_weights(length: Tensor) -> Tensor:
    """(N,) factors N / (M N_j) for gradients of `length` (N,) in 0..1, N_j of which lie in the same of M used bins."""
    bins = (length.nan_to_num(1.0) * GHM_BINS).long().clamp(0, GHM_BINS - 1)  # NaN must be seen, not raised here
    counts = torch.bincount(bins, minlength=GHM_BINS)
    used = (counts > 0).sum().clamp(min=1)
    return len(length) / (used * counts.clamp(min=1)[bins])


CLASS_TERMS: dict[str, Callable[[Scores], Tensor]] = {
    "bce": binary_cross_entropy,
    "focal": focal,
    "qfl": quality_focal,
    "varifocal": varifocal,
    "ghm": gradient_harmonised,
}
BY_NUMBER = ("focal",)
"""Formulas for targets of 1, whose sum is divided by the number of foreground anchors."""


def hardest(losses: Tensor, scores: Scores, ratio: float, anchors: int) -> Tensor:
    """(N,) `losses` with only the foreground's and the largest `ratio` times `anchors` others; the rest is 0.

    Hard negative mining (SSD, Liu et al. 2016, arXiv:1512.02325). Without a foreground as many as for one remain.
    """
    with torch.no_grad():
        rank = losses.index_fill(0, scores.place, -torch.inf)
        count = min(round(ratio * max(anchors, 1)), len(losses) - len(scores.place))
        keep = torch.zeros_like(losses, dtype=torch.bool)
        keep[rank.topk(count).indices] = True
        keep[scores.place] = True
    return losses.where(keep, 0)
