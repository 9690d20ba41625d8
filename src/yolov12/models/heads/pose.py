"""Keypoints of every detection, regressed from its anchor point."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from yolov12.config.heads import PoseHeadConfig
from yolov12.models.heads.detect import DetectHead, DetectOutputs, branch, cells, decode, flatten_levels
from yolov12.models.registry import HEADS, Decoded, FeatureSpec, Head


class PoseOutputs(NamedTuple):
    """Raw outputs; maps of all levels, finest first.

    detect     boxes and classes
    keypoints  (B, K * D, H_l, W_l): channel D * k + j is value j of keypoint k: x, y, and visibility where D = 3
    """

    detect: DetectOutputs
    keypoints: tuple[Tensor, ...]


@HEADS.register(PoseHeadConfig)
class PoseHead(Head):
    """Feature maps of any number of levels -> PoseOutputs."""

    def __init__(self, config: PoseHeadConfig, features: FeatureSpec) -> None:
        super().__init__()
        self.config, self.strides = config, features.strides
        self.detect = DetectHead(config, features)
        count, values = config.keypoints
        self.keypoint_branches = nn.ModuleList(
            branch(channels, config.keypoint_channels, count * values) for channels in features.channels
        )

    def forward(self, features: tuple[Tensor, ...]) -> PoseOutputs:
        """Detections and keypoints on every level."""
        keypoints = tuple(layer(level) for layer, level in zip(self.keypoint_branches, features, strict=True))
        return PoseOutputs(self.detect(features), keypoints)

    def decode(self, outputs: PoseOutputs) -> Decoded:
        """Boxes, scores and keypoints (B, 4 + C + K * D, A): x and y in input pixels, visibility in 0..1."""
        points, steps = cells(outputs.keypoints, self.strides)
        values = keypoint_values(flatten_levels(outputs.keypoints), points, steps, self.config.keypoints)  # (B, A, K*D)
        return Decoded(torch.cat((decode(outputs.detect, self.strides), values.transpose(1, 2)), 1))


def keypoint_values(raw: Tensor, points: Tensor, steps: Tensor, shape: tuple[int, int]) -> Tensor:
    """Raw outputs (..., A, K * D) of cells with anchor points (A, 2) and strides (A, 1) -> what they mean, same shape.

    x and y in input pixels, visibility in 0..1; `shape` is (K, D).
    """
    values = raw.view(*raw.shape[:-1], *shape)  # (..., A, K, D)
    # Two cells a unit, from the corner of the anchor's cell: (A, 2) -> (A, 1, 2) for all keypoints
    positions = (2 * values[..., :2] + (points - 0.5)[:, None]) * steps[:, None]
    return torch.cat((positions, values[..., 2:].sigmoid()), -1).flatten(-2)
