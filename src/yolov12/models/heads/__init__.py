"""Heads: feature maps -> raw outputs. Importing this package registers them all."""

from yolov12.models.heads.anchor import AnchorHead
from yolov12.models.heads.classify import ClassifyHead
from yolov12.models.heads.detect import DetectHead
from yolov12.models.heads.dynamic_mask import DynamicMaskHead
from yolov12.models.heads.heatmap_pose import HeatmapPoseHead
from yolov12.models.heads.multi import MultiHead
from yolov12.models.heads.obb import ObbHead
from yolov12.models.heads.pose import PoseHead
from yolov12.models.heads.segment import SegmentHead

__all__ = [
    "AnchorHead",
    "ClassifyHead",
    "DetectHead",
    "DynamicMaskHead",
    "HeatmapPoseHead",
    "MultiHead",
    "ObbHead",
    "PoseHead",
    "SegmentHead",
]
