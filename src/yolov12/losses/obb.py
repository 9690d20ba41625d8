"""The loss of rotated boxes: as for upright ones, with the overlap of rotated boxes (ProbIoU, arXiv:2106.06072).

The two rule sets differ more than elsewhere. `r8363` measures the wanted distances along the upright axes and learns
the angle through the overlap alone; `r84190` measures them in the frame of the object, keeps the overlap of tiny boxes
smooth, and has a term for the angle (the less an object is elongated, the more it counts, as the overlap then says
little about it).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from yolov12.data.sample import Targets
from yolov12.losses.assigner import ROTATED, TaskAlignedAssigner, rotated_input
from yolov12.losses.base import CLASS_OPTIONS, Loss, LossTerms
from yolov12.losses.detect import class_term, distribution_focal_loss, flatten_outputs
from yolov12.models.heads.detect import flatten_levels
from yolov12.models.heads.obb import ObbOutputs
from yolov12.ops.boxes import cxcywh_to_xyxy, expected_distances, xyxy_to_distances
from yolov12.ops.rotated import distances_to_rotated, logits_to_angles, probiou, rotated_to_distances

SMALLEST_TARGET = 2.0
"""Objects with a side below this many pixels are not learned."""
VARIANCE_FLOOR = {"r8363": 0.0, "r84190": 0.01}
"""Per rule set: added to the variances of boxes, in cells, when predictions are compared with objects."""
ASPECT_SPREAD = 9.0
ASPECT_EPS = 1e-9


class RotatedLoss(Loss):
    """Loss of a head of rotated boxes on one batch."""

    options = CLASS_OPTIONS

    def prepare(self) -> None:
        """See the base."""
        self.assigner = TaskAlignedAssigner(rules=self.rules, geometry=ROTATED)

    def __call__(self, outputs: ObbOutputs, targets: Targets) -> LossTerms:
        """Gained terms `box`, `cls`, `dfl`, and `angle` by the rules `r84190`; without objects all but `cls` are 0."""
        with torch.autocast(outputs.angles[0].device.type, enabled=False):
            flat = flatten_outputs(outputs.detect, self.strides)
            angles = logits_to_angles(flatten_levels(outputs.angles)).squeeze(2)  # (B, A)
            targets = large_enough(targets, self.canvas(flat.sizes), self.rules)
            with torch.no_grad():
                boxes = distances_to_rotated(expected_distances(flat.box_logits), flat.points, angles)  # (B, A, 5)
                boxes_input = scaled(boxes, flat.steps)
            assigned = self.assigner(flat.class_logits, boxes_input, targets, flat.sizes, self.strides)
            scale = 1 / assigned.score.sum().clamp(min=1)

            position = assigned.anchor % len(flat.points)
            points, weight = flat.points[position], assigned.score
            wanted = scaled(rotated_input(targets)[assigned.target], 1 / flat.steps[position])  # (F, 5) cells
            logits = flat.box_logits.flatten(0, 1).index_select(0, assigned.anchor)  # (F, 4, R)
            angle = angles.flatten().index_select(0, assigned.anchor)
            predicted = distances_to_rotated(expected_distances(logits), points, angle)
            overlap = probiou(predicted, wanted, VARIANCE_FLOOR[self.rules])
            dfl = distribution_focal_loss(logits, self.distances(wanted, points)).mean(1)
            terms = {
                "box": (weight * (1 - overlap)).sum() * scale * self.gains.box,
                "cls": class_term(flat.class_logits, targets.labels, assigned, self.choices) * scale * self.gains.cls,
                "dfl": (weight * dfl).sum() * scale * self.gains.dfl,
            }
            if self.rules == "r84190":
                terms["angle"] = (weight * angle_errors(angle, wanted)).sum() * scale * self.gains.angle
        return terms

    def canvas(self, sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
        """Height and width of the network's input whose finest map has the first of `sizes`."""
        return sizes[0][0] * self.strides[0], sizes[0][1] * self.strides[0]

    def distances(self, boxes: Tensor, points: Tensor) -> Tensor:
        """What the distances (F, 4) of anchor points (F, 2) to the sides of rotated boxes (F, 5) are to be."""
        if self.rules == "r8363":
            return xyxy_to_distances(cxcywh_to_xyxy(boxes[:, :4]), points)
        return rotated_to_distances(boxes, points)


def scaled(boxes: Tensor, factor: Tensor) -> Tensor:
    """Rotated boxes (..., 5) with everything but the angle multiplied by `factor` (..., 1)."""
    return torch.cat((boxes[..., :4] * factor, boxes[..., 4:]), -1)


def large_enough(targets: Targets, canvas: tuple[int, int], rules: str) -> Targets:
    """The targets without objects that are too small to be learned.

    canvas  height and width of the network's input. By the rules `r8363` the published models were trained with, the
            share of the width is taken of the height, and the other way round.
    """
    boxes = rotated_input(targets)
    sides = boxes[:, 2:4]
    if rules == "r8363":
        ratio = canvas[0] / canvas[1]
        sides = sides * sides.new_tensor([ratio, 1 / ratio])
    keep = (sides >= SMALLEST_TARGET).all(1)
    return targets._replace(
        image_index=targets.image_index[keep],
        labels=targets.labels[keep],
        boxes_input=targets.boxes_input[keep],
        rotated_input=boxes[keep],
    )


def angle_errors(angles: Tensor, wanted: Tensor) -> Tensor:
    """What wrong angles (F,) cost against boxes (F, 5): nothing at right angles, and less the longer the box is."""
    elongation = ((wanted[:, 2] + ASPECT_EPS) / (wanted[:, 3] + ASPECT_EPS)).log().square()
    return (-elongation / ASPECT_SPREAD).exp() * (2 * (angles - wanted[:, 4])).sin().square()
