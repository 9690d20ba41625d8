"""Widths of the heads as published: functions of classes, keypoints and the width of the stride-8 map. No torch."""

from __future__ import annotations

import dataclasses
from typing import Any

from yolov12.config.model import (
    ClassifyHeadConfig,
    DetectHeadConfig,
    HeadConfig,
    ObbHeadConfig,
    PoseHeadConfig,
    SegmentHeadConfig,
)
from yolov12.config.tasks import TASKS

MASKS = 32


def detect_head_config(
    num_classes: int, p3_channels: int, bins: int = 16, class_branch: str = "depthwise"
) -> DetectHeadConfig:
    """The detection head's widths for `num_classes` classes on a stride-8 map of `p3_channels` channels."""
    return DetectHeadConfig(
        num_classes=num_classes,
        box_channels=max(16, p3_channels // 4, 4 * bins),
        class_channels=class_width(num_classes, p3_channels),
        bins=bins,
        class_branch=class_branch,
    )


def head_config(
    task: str, num_classes: int, p3_channels: int, *, keypoints: tuple[int, int], class_branch: str
) -> HeadConfig:
    """The head of a task; what its task does not need is ignored."""
    if not TASKS[task].boxes:
        return ClassifyHeadConfig(num_classes)
    detect = detect_head_config(num_classes, p3_channels, class_branch=class_branch)
    shared: dict[str, Any] = dataclasses.asdict(detect)
    if TASKS[task].masks:
        # Prototypes are nominally as wide as the stride-8 map, 256, and scale with it.
        return SegmentHeadConfig(**shared, mask_channels=max(p3_channels // 4, MASKS), prototype_channels=p3_channels)
    if TASKS[task].keypoints:
        return PoseHeadConfig(**shared, keypoints=keypoints, keypoint_channels=keypoint_width(keypoints, p3_channels))
    if TASKS[task].rotated:
        return ObbHeadConfig(**shared, angle_channels=max(p3_channels // 4, 1))
    return detect


def class_width(num_classes: int, p3_channels: int) -> int:
    """Hidden width of the class branches."""
    return max(p3_channels, min(num_classes, 100))


def keypoint_width(keypoints: tuple[int, int], p3_channels: int) -> int:
    """Hidden width of the keypoint branches."""
    return max(p3_channels // 4, keypoints[0] * keypoints[1])
