"""Backbones: images -> feature maps. Importing this package registers them all."""

from yolov12.models.backbones.yolov12 import Yolov12Backbone

__all__ = ["Yolov12Backbone"]
