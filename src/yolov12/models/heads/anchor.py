"""Anchor-based detection: several predictions per cell, each of which measures distances in parts of its anchor box.

Anchors as in Faster R-CNN and YOLOv2 (Ren et al. 2015, arXiv:1506.01497; Redmon and Farhadi 2017, arXiv:1612.08242).
The rest is that of the anchor-free head: a side's distance is a distribution over bins, only that a bin is not a cell
wide but a part of the anchor's own width or height. The predictions of one anchor are laid out like a level.
"""

from __future__ import annotations

import torch
from torch import Tensor

from yolov12.config.heads import AnchorHeadConfig
from yolov12.errors import ConfigError
from yolov12.models.heads.detect import (
    SIDES,
    DetectHead,
    DetectOutputs,
    cells,
    distances,
    flatten_levels,
)
from yolov12.models.registry import HEADS, Decoded, FeatureSpec
from yolov12.ops.boxes import distances_to_xyxy, xyxy_to_cxcywh

REACH = 2
"""The farthest bin lies so many anchor widths from the anchor point: boxes up to twice that wide can be said."""


@HEADS.register(AnchorHeadConfig)
class AnchorHead(DetectHead):
    """Feature maps of any number of levels -> DetectOutputs with one level for each anchor of each."""

    config: AnchorHeadConfig

    def __init__(self, config: AnchorHeadConfig, features: FeatureSpec) -> None:
        levels, numbers = len(features.strides), len(config.anchors)
        if numbers % (2 * levels):
            raise ConfigError(
                f"anchor.anchors: {numbers // 2} anchors cannot be shared out evenly among {levels} levels"
            )
        self.per_level = numbers // (2 * levels)
        super().__init__(config, features, self.per_level)
        self.anchor_strides = tuple(stride for stride in features.strides for _ in range(self.per_level))

    def forward(self, features: tuple[Tensor, ...]) -> DetectOutputs:
        """Both branches on every level, taken apart by anchor."""
        box_logits, class_logits = super().forward(features)
        return DetectOutputs(
            tuple(part for level in box_logits for part in level.chunk(self.per_level, 1)),
            tuple(part for level in class_logits for part in level.chunk(self.per_level, 1)),
        )

    def decode(self, outputs: DetectOutputs) -> Decoded:
        """Boxes and scores (B, 4 + C, A); A counts the anchors of all cells."""
        points, steps = anchor_cells(outputs, self.anchor_strides, self.config)
        boxes = xyxy_to_cxcywh(distances_to_xyxy(distances(outputs), points)) * steps  # (B, A, 4)
        return Decoded(torch.cat((boxes, flatten_levels(outputs.class_logits).sigmoid()), 2).transpose(1, 2))


def bin_sizes(config: AnchorHeadConfig) -> list[tuple[float, float]]:
    """Width and height of a bin in pixels, for each anchor."""
    scale = REACH / (config.bins - 1)
    sides = [side * scale for side in config.anchors]
    return list(zip(sides[::2], sides[1::2], strict=True))


def anchor_cells(outputs: DetectOutputs, strides: tuple[int, ...], config: AnchorHeadConfig) -> tuple[Tensor, Tensor]:
    """Anchor points (A, 2) in bins and the size of a bin in pixels (A, 4): x, y, x, y; `strides` by anchor."""
    points, steps = cells(outputs.box_logits, strides)
    bins = torch.cat(
        [
            torch.stack([points.new_full((level.shape[2] * level.shape[3],), side) for side in size], 1)
            for size, level in zip(bin_sizes(config), outputs.box_logits, strict=True)
        ]
    )  # (A, 2); filled and not repeated: exporters have no operator for that
    return points * steps / bins, bins.repeat(1, SIDES // 2)
