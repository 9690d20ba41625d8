"""Boxes, masks and keypoints of the same objects in one pass: one detection head with the branches of two others."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from yolov12.config.heads import MultiHeadConfig
from yolov12.models.dynamic import DynamicConv
from yolov12.models.heads.detect import DetectHead, DetectOutputs, branch, cells, decode, flatten_levels
from yolov12.models.heads.heatmap_pose import drawn_to_peaks
from yolov12.models.heads.pose import keypoint_values
from yolov12.models.heads.segment import Prototypes, plain_conv
from yolov12.models.registry import HEADS, Decoded, FeatureSpec, Head

PARTS = ("boxes", "masks", "keypoints")
"""What has an uncertainty of its own."""


class MultiOutputs(NamedTuple):
    """Raw outputs; maps of all levels, finest first.

    detect          boxes and classes
    coefficients    (B, M, H_l, W_l) of the M prototypes
    prototypes      (B, M, H / 4, W / 4)
    keypoints       (B, K * D, H_l, W_l), as of the pose head
    heatmaps        (B, K, H_0, W_0), as of the heatmap pose head; K is 0 without them
    log_variances   (3,) of boxes, masks and keypoints where they are learned, else (0,)
    """

    detect: DetectOutputs
    coefficients: tuple[Tensor, ...]
    prototypes: Tensor
    keypoints: tuple[Tensor, ...]
    heatmaps: Tensor
    log_variances: Tensor


@HEADS.register(MultiHeadConfig)
class MultiHead(Head):
    """Feature maps of any number of levels -> MultiOutputs; the first has stride 8."""

    def __init__(self, config: MultiHeadConfig, features: FeatureSpec) -> None:
        super().__init__()
        self.config, self.strides = config, features.strides
        count, values = config.keypoints
        self.detect = DetectHead(config, features)
        finest = features.channels[0]
        conv = partial(DynamicConv, kernels=config.kernels) if config.kernels else plain_conv
        self.prototypes = Prototypes(finest, config.prototype_channels, config.masks, conv)
        self.coefficient_branches = nn.ModuleList(
            branch(channels, config.mask_channels, config.masks) for channels in features.channels
        )
        self.keypoint_branches = nn.ModuleList(
            branch(channels, config.keypoint_channels, count * values) for channels in features.channels
        )
        self.heatmap_branch = branch(finest, config.heatmap_channels, count) if config.heatmap_channels else None
        # In float32 whatever the network computes in: a parameter, not an activation.
        self.log_variances = nn.Parameter(torch.zeros(len(PARTS) if config.uncertainty else 0))

    def forward(self, features: tuple[Tensor, ...]) -> MultiOutputs:
        """All branches on every level, prototypes and heatmaps on the finest."""
        return MultiOutputs(
            self.detect(features),
            tuple(layer(level) for layer, level in zip(self.coefficient_branches, features, strict=True)),
            self.prototypes(features[0]),
            tuple(layer(level) for layer, level in zip(self.keypoint_branches, features, strict=True)),
            features[0][:, :0] if self.heatmap_branch is None else self.heatmap_branch(features[0]),
            self.log_variances,
        )

    def decode(self, outputs: MultiOutputs) -> Decoded:
        """Boxes, scores, M coefficients and keypoints (B, 4 + C + M + K * D, A), and the prototypes."""
        points, steps = cells(outputs.keypoints, self.strides)
        values = keypoint_values(flatten_levels(outputs.keypoints), points, steps, self.config.keypoints)
        values = values.transpose(1, 2)  # (B, K * D, A)
        if outputs.heatmaps.shape[1]:
            values = drawn_to_peaks(values, outputs.heatmaps, self.config.keypoints, self.strides[0])
        coefficients = flatten_levels(outputs.coefficients).transpose(1, 2)  # (B, M, A)
        dense = torch.cat((decode(outputs.detect, self.strides), coefficients, values), 1)
        return Decoded(dense, outputs.prototypes.float())
