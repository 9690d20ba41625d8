"""Box losses by name."""

from __future__ import annotations

import torch

from yolov12.losses.box_terms import SMOOTH, harmonised_sides
from yolov12.losses.class_terms import GHM_BINS
from yolov12.losses.detect import box_terms
from yolov12.ops.similarity import ciou, diou, giou

POINTS = torch.tensor([[4.0, 4.0], [8.0, 3.0]])
BOXES = torch.tensor([[1.0, 2, 7, 9], [5, 1, 9, 6]])
WEIGHT = torch.tensor([0.5, 2.0])
LOGITS = torch.randn(2, 4, 16, generator=torch.Generator().manual_seed(0))


def predicted() -> torch.Tensor:
    distances = (LOGITS.softmax(2) * torch.arange(16)).sum(2)
    return torch.cat((POINTS - distances[:, :2], POINTS + distances[:, 2:]), 1)


def test_the_overlap_is_chosen_by_name() -> None:
    for name, overlap in (("ciou", ciou), ("diou", diou), ("giou", giou)):
        box, _ = box_terms(LOGITS, POINTS, BOXES, WEIGHT, name)
        torch.testing.assert_close(box, (WEIGHT * (1 - overlap(predicted(), BOXES))).sum())


def test_gradient_harmonised_sides() -> None:
    """GHM-R, eq. 11 to 13 of arXiv:1811.05181, side by side."""
    found, total = predicted(), 0.0
    extents = [(6.0, 7.0, 6.0, 7.0), (4.0, 5.0, 4.0, 5.0)]
    apart = [[float(found[i, s] - BOXES[i, s]) / extents[i][s] for s in range(4)] for i in range(2)]
    bins = [[min(int(abs(d) / (d * d + SMOOTH**2) ** 0.5 * GHM_BINS), GHM_BINS - 1) for d in row] for row in apart]
    flat = [place for row in bins for place in row]
    for i in range(2):
        for s in range(4):
            density = len(set(flat)) * flat.count(bins[i][s]) / 8
            total += float(WEIGHT[i]) * ((apart[i][s] ** 2 + SMOOTH**2) ** 0.5 - SMOOTH) / density / 4
    torch.testing.assert_close(harmonised_sides(found, BOXES, WEIGHT), torch.tensor(total))
    torch.testing.assert_close(box_terms(LOGITS, POINTS, BOXES, WEIGHT, "ghm")[0], torch.tensor(total))


def test_bins_that_are_not_square_are_compared_in_pixels() -> None:
    steps = torch.tensor([[2.0, 4, 2, 4], [3, 1, 3, 1]])
    box, _ = box_terms(LOGITS, POINTS, BOXES, WEIGHT, "ciou", steps)
    torch.testing.assert_close(box, (WEIGHT * (1 - ciou(predicted() * steps, BOXES * steps))).sum())
    square, _ = box_terms(LOGITS, POINTS, BOXES, WEIGHT, "ciou", torch.full((2, 1), 8.0))
    torch.testing.assert_close(square, (WEIGHT * (1 - ciou(predicted(), BOXES))).sum())
