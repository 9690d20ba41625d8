"""The same architecture for another data set: its classes and its keypoints. No torch."""

from __future__ import annotations

import dataclasses

from yolov12.config.heads import HeadConfig, PoseHeadConfig
from yolov12.config.model import ModelConfig


def with_num_classes(config: ModelConfig, num_classes: int) -> ModelConfig:
    """The same architecture for another number of classes; a class branch of the published width stays one."""
    head = config.heads[config.task]
    if head.num_classes == num_classes:
        return config
    finest = config.neck.finest_channels if config.neck is not None else 0
    return _with_head(config, head.with_classes(num_classes, finest))


def fit_to_data(config: ModelConfig, num_classes: int, keypoint_shape: tuple[int, int] | None = None) -> ModelConfig:
    """The same architecture for a data set's classes and, where the head is one for poses, its K keypoints of D values.

    A keypoint branch of the published width stays one. Without `keypoint_shape` the keypoints stay as they are.
    """
    config = with_num_classes(config, num_classes)
    head = config.heads[config.task]
    if not isinstance(head, PoseHeadConfig) or config.neck is None or keypoint_shape in (None, head.keypoints):
        return config
    keypoints = (int(keypoint_shape[0]), int(keypoint_shape[1]))
    return _with_head(config, head.with_keypoints(keypoints, config.neck.finest_channels))


def _with_head(config: ModelConfig, head: HeadConfig) -> ModelConfig:
    return dataclasses.replace(config, heads={**config.heads, config.task: head})
