"""Rotated boxes: the distances of a detection head, measured along axes that are turned by a predicted angle."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from yolov12.models.heads.detect import DetectOutputs


class ObbOutputs(NamedTuple):
    """Raw outputs; maps of all levels, finest first.

    detect  distances and classes
    angles  (B, 1, H_l, W_l): z of the angle (sigmoid(z) - 1/4) * pi
    """

    detect: DetectOutputs
    angles: tuple[Tensor, ...]
