"""Backbones: images -> feature maps. Importing this package registers them all."""

from yolov12.models.backbones.csp import Yolo11Backbone, Yolov8Backbone
from yolov12.models.backbones.hybrid import HybridBackbone
from yolov12.models.backbones.timm import TimmBackbone
from yolov12.models.backbones.transformer import TransformerBackbone
from yolov12.models.backbones.yolov12 import Yolov12Backbone

__all__ = [
    "HybridBackbone",
    "TimmBackbone",
    "TransformerBackbone",
    "Yolo11Backbone",
    "Yolov8Backbone",
    "Yolov12Backbone",
]
