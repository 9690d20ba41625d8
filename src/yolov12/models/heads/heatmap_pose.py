"""Keypoints by regression and heatmaps: each regressed point moves to the peak that its kind of keypoint has nearby.

Heatmaps and snapping as in CenterNet (Zhou et al. 2019, arXiv:1904.07850), where the nearest peak is searched for. Here
the point moves to the heatmap's centre of gravity in a window around it, which costs two box filters for all anchors.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from yolov12.config.heads import HeatmapPoseHeadConfig
from yolov12.models.heads.detect import DetectOutputs, branch
from yolov12.models.heads.pose import PoseHead, PoseOutputs
from yolov12.models.registry import HEADS, Decoded, FeatureSpec

WINDOW = 5
"""Side of the window, in cells of the finest map."""
INERTIA = 0.5
"""Weight of the regressed point in the centre of gravity; a peak of a well-learnt heatmap weighs about 7."""


class HeatmapPoseOutputs(NamedTuple):
    """Raw outputs; maps of all levels, finest first, and one map of keypoints.

    detect     boxes and classes
    keypoints  (B, K * D, H_l, W_l), as of the pose head
    heatmaps   (B, K, H_0, W_0): 1 where keypoint k of any object is, falling off as a Gaussian
    """

    detect: DetectOutputs
    keypoints: tuple[Tensor, ...]
    heatmaps: Tensor


@HEADS.register(HeatmapPoseHeadConfig)
class HeatmapPoseHead(PoseHead):
    """Feature maps of any number of levels -> HeatmapPoseOutputs."""

    config: HeatmapPoseHeadConfig

    def __init__(self, config: HeatmapPoseHeadConfig, features: FeatureSpec) -> None:
        super().__init__(config, features)
        self.heatmap_branch = branch(features.channels[0], config.heatmap_channels, config.keypoints[0])

    def forward(self, features: tuple[Tensor, ...]) -> HeatmapPoseOutputs:  # type: ignore[override]
        """Detections and keypoints on every level, heatmaps on the finest."""
        detect, keypoints = super().forward(features)
        return HeatmapPoseOutputs(detect, keypoints, self.heatmap_branch(features[0]))

    def decode(self, outputs: HeatmapPoseOutputs) -> Decoded:  # type: ignore[override]
        """As of the pose head, with every point moved to the peak nearby."""
        decoded = super().decode(PoseOutputs(outputs.detect, outputs.keypoints)).dense
        count, values = self.config.keypoints
        end = decoded.shape[1] - count * values
        refined = drawn_to_peaks(decoded[:, end:], outputs.heatmaps, (count, values), self.strides[0])
        return Decoded(torch.cat((decoded[:, :end], refined), 1))


def drawn_to_peaks(values: Tensor, heatmaps: Tensor, shape: tuple[int, int], stride: int) -> Tensor:
    """Keypoints (B, K * D, A), x and y in input pixels, each moved to the peak nearby; `shape` is (K, D)."""
    points = values.view(len(values), *shape, -1)  # (B, K, D, A)
    moved = attracted(points[:, :, :2], heatmaps.float(), stride)
    return torch.cat((moved, points[:, :, 2:]), 2).flatten(1, 2)


def attracted(points: Tensor, heatmaps: Tensor, stride: int) -> Tensor:
    """Points (B, K, 2, A) in input pixels, moved to where the heatmaps (B, K, H, W) have their weight around them.

    The weight of a cell is the square of its value, so that a peak counts and its foot hardly does. Points outside the
    map are drawn to the border's cells.
    """
    height, width = heatmaps.shape[2:]
    weight = heatmaps.clamp(min=0).square()
    columns = (torch.arange(width, device=points.device) + 0.5) * stride  # (W,) input pixels
    rows = ((torch.arange(height, device=points.device) + 0.5) * stride)[:, None]  # (H, 1)
    moments = torch.stack((weight, weight * columns, weight * rows), 2).flatten(1, 2)  # (B, K * 3, H, W)
    sums = functional.avg_pool2d(moments, WINDOW, stride=1, padding=WINDOW // 2) * WINDOW**2
    sums = sums.view(*heatmaps.shape[:2], 3, height * width)  # (B, K, 3, H * W)
    x, y = ((points[:, :, axis] / stride).long().clamp(0, side - 1) for axis, side in ((0, width), (1, height)))
    place = (y * width + x)[:, :, None].expand(-1, -1, 3, -1)  # (B, K, 3, A)
    found = sums.gather(3, place)  # (B, K, 3, A): weight, weight times x, weight times y
    return (found[:, :, 1:] + INERTIA * points) / (found[:, :, :1] + INERTIA)
