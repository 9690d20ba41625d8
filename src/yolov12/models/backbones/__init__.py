"""Backbones: images -> feature maps. Importing this package registers them all."""

from yolov12.models.backbones.csp import Yolo11Backbone, Yolov8Backbone
from yolov12.models.backbones.yolov12 import Yolov12Backbone

__all__ = ["Yolo11Backbone", "Yolov8Backbone", "Yolov12Backbone"]
