"""Metrics of every task: COCO-exact average precision of boxes, masks, keypoints and rotated boxes, and accuracy."""

from collections.abc import Sequence
from typing import Any

from yolov12.config.tasks import TASKS
from yolov12.data.index import ImageIndex
from yolov12.detections import Detections
from yolov12.metrics.base import Metrics, main_name, result_columns
from yolov12.metrics.classification import ClassificationMetrics, evaluate_classification, guess, score_guesses
from yolov12.metrics.detection import DetectionMetrics, compare, evaluate_detections, score_images
from yolov12.metrics.scores import ApMetrics, KeypointMetrics, RegionMetrics

__all__ = [
    "ApMetrics",
    "ClassificationMetrics",
    "DetectionMetrics",
    "KeypointMetrics",
    "Metrics",
    "RegionMetrics",
    "compare_image",
    "evaluate_classification",
    "evaluate_detections",
    "main_name",
    "result_columns",
    "score",
]


def compare_image(index: ImageIndex, i: int, found: Detections, task: str) -> Any:
    """What `score` needs to know of image `i`: small, and the costly part of the work, which threads may share."""
    return compare(index, i, found, task) if TASKS[task].boxes else guess(index, i, found)


def score(index: ImageIndex, compared: Sequence[Any], task: str) -> Metrics:
    """Metrics of all images of `index` from what `compare_image` says of each, None for those that cannot be read."""
    return score_images(index, compared, task) if TASKS[task].boxes else score_guesses(index, compared)
