"""The loss of boxes, masks and keypoints together: one assignment for all, and what is not labelled teaches nothing.

With learned uncertainties the loss L of a part counts as exp(-s) L + s / 2, where s is the logarithm of a variance that
is trained along (Kendall et al. 2018, arXiv:1705.07115).
"""

from __future__ import annotations

from torch import Tensor

from yolov12.data.sample import Targets
from yolov12.losses.base import OPTIONS, Loss, LossTerms
from yolov12.losses.detect import Foreground
from yolov12.losses.heatmap_pose import heatmap_term
from yolov12.losses.pose import PoseLoss
from yolov12.losses.segment import SegmentationLoss
from yolov12.models.heads.multi import MultiOutputs

PART_OF = {"box": 0, "cls": 0, "dfl": 0, "seg": 1, "pose": 2, "kobj": 2, "heatmap": 2}
"""Whose uncertainty weighs each term; numbers of `models.heads.multi.PARTS`."""


class MultiLoss(Loss):
    """Loss of a head for boxes, masks and keypoints on one batch."""

    options = OPTIONS

    def prepare(self) -> None:
        """See the base."""
        self.segment, self.pose = SegmentationLoss(*self.settings), PoseLoss(*self.settings)

    def __call__(self, outputs: MultiOutputs, targets: Targets) -> LossTerms:
        """Gained terms `box`, `seg`, `pose`, `kobj`, `cls`, `dfl`, and `heatmap` and `uncertainty` where they are."""
        terms, foreground = self.segment.detection.with_foreground(outputs.detect, targets)
        terms["seg"] = self.segment.masks(outputs, targets, only(foreground, targets.outlined))
        labelled = None if targets.keypoints_input is None else (targets.keypoints_input[..., 2] != 0).any(1)
        terms |= self.pose.points(outputs.keypoints, targets, only(foreground, labelled))
        if outputs.heatmaps.shape[1]:
            term = heatmap_term(outputs.heatmaps, targets, self.strides[0], partial=True)
            terms["heatmap"] = term * self.gains.heatmap
        if len(outputs.log_variances):
            variances = outputs.log_variances.float()
            terms = {name: value * (-variances[PART_OF[name]]).exp() for name, value in terms.items()}
            terms["uncertainty"] = variances.sum() / 2
        return terms


def only(foreground: Foreground, labelled: Tensor | None) -> Foreground:
    """The foreground of the objects (N,) that are labelled; None: of all."""
    if labelled is None:
        return foreground
    keep = labelled.index_select(0, foreground.target)
    return Foreground._make(value[keep] for value in foreground)
