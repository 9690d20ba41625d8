"""Rotated boxes: the distances of a detection head, measured along axes that are turned by a predicted angle."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from yolov12.config.heads import ObbHeadConfig
from yolov12.models.heads.detect import DetectHead, DetectOutputs, branch, cells, distances, flatten_levels
from yolov12.models.registry import HEADS, Decoded, FeatureSpec, Head
from yolov12.ops.rotated import distances_to_rotated, logits_to_angles


class ObbOutputs(NamedTuple):
    """Raw outputs; maps of all levels, finest first.

    detect  distances and classes
    angles  (B, 1, H_l, W_l): z of the angle (sigmoid(z) - 1/4) * pi
    """

    detect: DetectOutputs
    angles: tuple[Tensor, ...]


@HEADS.register(ObbHeadConfig)
class ObbHead(Head):
    """Feature maps of any number of levels -> ObbOutputs."""

    def __init__(self, config: ObbHeadConfig, features: FeatureSpec) -> None:
        super().__init__()
        self.config, self.strides = config, features.strides
        self.detect = DetectHead(config, features)
        self.angle_branches = nn.ModuleList(
            branch(channels, config.angle_channels, 1) for channels in features.channels
        )

    def forward(self, features: tuple[Tensor, ...]) -> ObbOutputs:
        """Detections and angles on every level."""
        angles = tuple(layer(level) for layer, level in zip(self.angle_branches, features, strict=True))
        return ObbOutputs(self.detect(features), angles)

    def decode(self, outputs: ObbOutputs) -> Decoded:
        """Rotated boxes and scores (B, 4 + C + 1, A): centre and size in input pixels, scores, angle in radians."""
        points, steps = cells(outputs.angles, self.strides)
        angles = logits_to_angles(flatten_levels(outputs.angles))  # (B, A, 1)
        boxes = distances_to_rotated(distances(outputs.detect), points, angles[..., 0])  # (B, A, 5)
        scores = flatten_levels(outputs.detect.class_logits).sigmoid()
        return Decoded(torch.cat((boxes[..., :4] * steps, scores, angles), 2).transpose(1, 2))
