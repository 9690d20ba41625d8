"""Instance masks: prototypes for the whole picture and coefficients per detection (YOLACT, Bolya et al. 2019)."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from yolov12.models.heads.detect import DetectOutputs


class SegmentOutputs(NamedTuple):
    """Raw outputs; maps of all levels, finest first.

    detect        boxes and classes
    coefficients  (B, M, H_l, W_l) of the M prototypes
    prototypes    (B, M, H / 4, W / 4)
    """

    detect: DetectOutputs
    coefficients: tuple[Tensor, ...]
    prototypes: Tensor
