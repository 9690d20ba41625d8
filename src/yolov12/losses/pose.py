"""The loss of keypoints: one minus object keypoint similarity as training loss (YOLO-Pose, arXiv:2204.06806).

Which anchors answer for which object is decided by the boxes alone.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from yolov12.config.heads import PoseHeadConfig
from yolov12.data.sample import Targets
from yolov12.errors import ConfigError
from yolov12.keypoints import keypoint_sigmas
from yolov12.losses.base import Loss, LossTerms
from yolov12.losses.detect import DetectionLoss, Foreground
from yolov12.models.heads.detect import flatten_levels
from yolov12.models.heads.pose import PoseOutputs
from yolov12.ops.keypoints import keypoint_errors

LABELLED_EPS = 1e-9
"""Keeps objects without any labelled keypoint from dividing by 0."""


class PoseLoss(Loss):
    """Loss of a keypoint head on one batch."""

    def prepare(self) -> None:
        """`head` is the PoseHeadConfig that says how many keypoints there are."""
        if not isinstance(self.head, PoseHeadConfig):
            raise ConfigError(f"the loss of keypoints needs the config of a pose head, not {self.head!r}")
        self.detection = DetectionLoss(*self.settings)
        self.keypoints = self.head.keypoints
        self.sigmas = torch.tensor(keypoint_sigmas(self.keypoints[0]))

    def __call__(self, outputs: PoseOutputs, targets: Targets) -> LossTerms:
        """Gained terms `box`, `pose`, `kobj` (where visibility is predicted), `cls`, `dfl`.

        `pose` and `kobj` are 0 without objects and for targets without keypoints.
        """
        terms, foreground = self.detection.with_foreground(outputs.detect, targets)
        points = self.points(outputs.keypoints, targets, foreground)
        return {"box": terms["box"], **points, "cls": terms["cls"], "dfl": terms["dfl"]}

    def points(self, keypoints: tuple[Tensor, ...], targets: Targets, foreground: Foreground) -> LossTerms:
        """The gained terms of the keypoints alone, at the anchors of the foreground."""
        count, values = self.keypoints
        with torch.autocast(keypoints[0].device.type, enabled=False):
            flat = flatten_levels(keypoints).flatten(0, 1)  # (B * A, K * D)
            if targets.keypoints_input is None or not len(foreground.anchor):
                pose = kobj = flat[:0].sum()  # 0, and reaches the output
            else:
                raw = flat.index_select(0, foreground.anchor).view(-1, count, values)
                predicted = raw[..., :2] * 2 + (foreground.points - 0.5)[:, None]  # (F, K, 2) cells
                found = targets.keypoints_input.index_select(0, foreground.target)
                wanted, labelled = found[..., :2] / foreground.steps[:, None], found[..., 2] != 0
                self.sigmas = self.sigmas.to(predicted.device)  # copied once
                pose = keypoint_term(predicted, wanted, labelled, box_areas(foreground), self.sigmas)
                if values == 3:
                    kobj = functional.binary_cross_entropy_with_logits(raw[..., 2], labelled.float())
        visibility = {"kobj": kobj * self.gains.kobj} if values == 3 else {}
        return {"pose": pose * self.gains.pose, **visibility}


def box_areas(foreground: Foreground) -> Tensor:
    """Areas (F,) of the objects' boxes, in cells."""
    return (foreground.boxes[:, 2:] - foreground.boxes[:, :2]).prod(1)


def keypoint_term(predicted: Tensor, wanted: Tensor, labelled: Tensor, area: Tensor, sigmas: Tensor) -> Tensor:
    """Mean of 1 - similarity over anchors and keypoints, where the labelled ones stand for all of their object.

    predicted, wanted (F, K, 2), labelled (F, K) bool, area (F,), sigmas (K,)
    """
    unlike = 1 - (-keypoint_errors(predicted, wanted, area, sigmas)).exp()
    share = labelled.shape[1] / (labelled.sum(1, keepdim=True) + LABELLED_EPS)
    return (share * unlike * labelled).mean()
