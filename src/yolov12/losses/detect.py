"""The detection loss: class scores, box overlap (complete IoU) and the distribution of each side's distance.

Class scores are trained towards the task-aligned targets of `losses.assigner` (TOOD, arXiv:2108.07755) with binary
cross-entropy, boxes with 1 - CIoU (arXiv:1911.08287), the distributions with distribution focal loss
(arXiv:2006.04388). The two box terms weigh each anchor by its target score; all terms are divided by the sum of the
target scores. Everything is computed in float32, whatever the network computed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from yolov12.data.sample import Targets
from yolov12.losses.assigner import Assignment, TaskAlignedAssigner
from yolov12.losses.base import DEFAULT_CHOICES, Loss, LossChoices, LossTerms
from yolov12.losses.box_terms import OVERLAPS, harmonised_sides
from yolov12.losses.class_terms import BY_NUMBER, CLASS_TERMS, Scores, hardest
from yolov12.models.heads.detect import DetectOutputs, cells, flatten_levels
from yolov12.ops.boxes import distances_to_xyxy, expected_distances, xyxy_to_distances


class FlatOutputs(NamedTuple):
    """Raw outputs of a detection head with all levels in one row of A anchors, float32."""

    box_logits: Tensor  # (B, A, 4, R)
    class_logits: Tensor  # (B, A, C)
    points: Tensor  # (A, 2) anchor points in cells
    steps: Tensor  # (A, 1) input pixels per cell; (A, 4) by side where cells are not square
    sizes: list[tuple[int, int]]  # height and width of each level, in cells


class Foreground(NamedTuple):
    """The anchors that answer for objects, by object, with what the further terms of a task need to know of them."""

    anchor: Tensor  # (F,) int64, flat: image * A + position
    target: Tensor  # (F,) int64, row of the targets, ascending
    points: Tensor  # (F, 2) in cells
    steps: Tensor  # (F, 1) input pixels per cell; (F, 4) by side where cells are not square
    boxes: Tensor  # (F, 4) corners of the object in cells


class DetectionLoss(Loss):
    """Loss of a detection head on one batch."""

    def prepare(self) -> None:
        """See the base."""
        self.assigner = TaskAlignedAssigner(rules=self.rules)

    def __call__(self, outputs: DetectOutputs, targets: Targets) -> LossTerms:
        """Gained terms `box`, `cls`, `dfl`, each a scalar; their sum times the number of images is the total.

        A batch without objects has box and dfl terms of 0 and still reaches every output with a (zero) gradient.
        Non-finite outputs give a non-finite term, not an exception.
        """
        return self.with_foreground(outputs, targets)[0]

    def with_foreground(self, outputs: DetectOutputs, targets: Targets) -> tuple[LossTerms, Foreground]:
        """The terms, and the anchors on which the same objects' masks or keypoints are to be judged."""
        with torch.autocast(outputs.box_logits[0].device.type, enabled=False):
            flat = self.flatten(outputs)
            with torch.no_grad():
                distances = expected_distances(flat.box_logits)  # (B, A, 4)
                boxes_input = distances_to_xyxy(distances, flat.points) * flat.steps
            assigned = self.assigner(flat.class_logits, boxes_input, targets, flat.sizes, self.strides)
            scale = 1 / assigned.score.sum().clamp(min=1)

            position = assigned.anchor % len(flat.points)
            points, steps = flat.points[position], flat.steps[position]
            wanted = targets.boxes_input[assigned.target] / steps  # (F, 4) cells
            logits = flat.box_logits.flatten(0, 1).index_select(0, assigned.anchor)  # (F, 4, R)
            box, dfl = box_terms(logits, points, wanted, assigned.score, self.choices.iou, steps)
            terms = {
                "box": box * scale * self.gains.box,
                "cls": class_term(flat.class_logits, targets.labels, assigned, self.choices) * scale * self.gains.cls,
                "dfl": dfl * scale * self.gains.dfl,
            }
        return terms, Foreground(assigned.anchor, assigned.target, points, steps, wanted)

    def flatten(self, outputs: DetectOutputs) -> FlatOutputs:
        """All levels in one row."""
        return flatten_outputs(outputs, self.strides)


def flatten_outputs(outputs: DetectOutputs, strides: Sequence[int]) -> FlatOutputs:
    """Join the levels and say where their anchors are."""
    box_logits = flatten_levels(outputs.box_logits)  # (B, A, 4 * R)
    box_logits = box_logits.view(*box_logits.shape[:2], 4, -1)
    sizes = [(level.shape[2], level.shape[3]) for level in outputs.box_logits]
    return FlatOutputs(box_logits, flatten_levels(outputs.class_logits), *cells(outputs.box_logits, strides), sizes)


def class_term(
    class_logits: Tensor, labels: Tensor, foreground: Assignment, choices: LossChoices = DEFAULT_CHOICES
) -> Tensor:
    """Sum over all logits (B, A, C) of what they cost, with targets that are 0 but for the foreground's.

    By default the binary cross-entropy; with target t it is softplus(x) - t x: one pass over all logits, and the few
    targets need no dense tensor.
    """
    wanted = foreground.anchor * class_logits.shape[2] + labels[foreground.target]
    hard = not choices.iou_aware or choices.cls in BY_NUMBER
    score = torch.ones_like(foreground.score) if hard else foreground.score
    if choices.cls == "bce" and not choices.negatives and not choices.smoothing:
        hit = class_logits.flatten().index_select(0, wanted)
        total = functional.softplus(class_logits).sum() - (score * hit).sum()
    else:
        scores = Scores(class_logits.flatten(), wanted, score)
        if choices.smoothing:
            scores = smoothed(scores, foreground.anchor, class_logits.shape[2], choices.smoothing)
        losses = CLASS_TERMS[choices.cls](scores)
        total = (hardest(losses, scores, choices.negatives, len(score)) if choices.negatives else losses).sum()
    if not hard:
        return total
    # The caller divides by the sum of the aligned targets; here every anchor of the foreground counts as one.
    return total * foreground.score.sum().clamp(min=1) / max(len(score), 1)


def smoothed(scores: Scores, anchor: Tensor, classes: int, share: float) -> Scores:
    """Soft labels (Szegedy et al. 2015, arXiv:1512.00567): a `share` of a target (F,) goes to all classes alike.

    The other classes of the foreground's anchors (F,) then have targets, too: (F,) -> (F * C,).
    """
    place = anchor[:, None] * classes + torch.arange(classes, device=anchor.device)  # (F, C)
    spread = (scores.target * (share / classes))[:, None].expand(-1, classes)
    target = spread + (place == scores.place[:, None]) * (scores.target * (1 - share))[:, None]
    return Scores(scores.logits, place.flatten(), target.flatten())


def box_terms(
    box_logits: Tensor,
    points: Tensor,
    boxes: Tensor,
    weight: Tensor,
    formula: str = "ciou",
    steps: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Weighted sums over the foreground of what boxes cost and of the distribution focal loss.

    box_logits  (F, 4, R)
    points      (F, 2), boxes (F, 4) corners: anchor points and wanted boxes, in cells
    weight      (F,) target scores
    formula     'ciou', 'diou' or 'giou': one minus that; 'ghm': see `box_terms.harmonised_sides`
    steps       (F, 4) pixels by side where cells are not square: shapes are compared as they are in the picture
    """
    distances = expected_distances(box_logits)
    predicted, wanted = distances_to_xyxy(distances, points), boxes
    if steps is not None and steps.shape[1] != 1:
        predicted, wanted = predicted * steps, wanted * steps
    if formula == "ghm":
        box = harmonised_sides(predicted, wanted, weight)
    else:
        box = (weight * (1 - OVERLAPS[formula](predicted, wanted))).sum()
    dfl = (weight * distribution_focal_loss(box_logits, xyxy_to_distances(boxes, points)).mean(1)).sum()
    return box, dfl


def distribution_focal_loss(logits: Tensor, distances: Tensor) -> Tensor:
    """Cross-entropy (...) of logits (..., R) with the two bins around each of `distances` (...), weighted linearly.

    Distances are clamped to [0, R - 1.01], so that both bins exist.
    """
    distances = distances.clamp(0, logits.shape[-1] - 1.01)
    lower = distances.floor()
    log_probabilities = logits.log_softmax(-1)
    index = lower.long()[..., None]
    at_lower = log_probabilities.gather(-1, index).squeeze(-1)
    at_upper = log_probabilities.gather(-1, index + 1).squeeze(-1)
    return -((lower + 1 - distances) * at_lower + (distances - lower) * at_upper)
