"""Keypoints of every detection, regressed from its anchor point."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from yolov12.models.heads.detect import DetectOutputs


class PoseOutputs(NamedTuple):
    """Raw outputs; maps of all levels, finest first.

    detect     boxes and classes
    keypoints  (B, K * D, H_l, W_l): channel D * k + j is value j of keypoint k: x, y, and visibility where D = 3
    """

    detect: DetectOutputs
    keypoints: tuple[Tensor, ...]
