"""Heads: feature maps -> raw outputs. Importing this package registers them all."""

from yolov12.models.heads.detect import DetectHead

__all__ = ["DetectHead"]
