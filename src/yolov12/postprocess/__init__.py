"""From what a network says of one image to detections in the original image's pixels; one function for each task.

All have the signature of `find_boxes`. Nothing here needs torch: any runtime that yields the arrays can use it.
"""

from collections.abc import Callable

from yolov12.detections import Decoded, Detections
from yolov12.postprocess.nms import NmsOptions, select
from yolov12.postprocess.placement import Placement
from yolov12.postprocess.tasks import find_all, find_boxes, find_keypoints, find_masks, find_rotated, find_scores

POSTPROCESS: dict[str, Callable[[Decoded, Placement, int, NmsOptions], Detections]] = {
    "detect": find_boxes,
    "segment": find_masks,
    "classify": find_scores,
    "pose": find_keypoints,
    "obb": find_rotated,
    "multi": find_all,
}
"""By task: (what the network says of one image, where the image lies, number of classes, options) -> detections."""

__all__ = [
    "POSTPROCESS",
    "NmsOptions",
    "Placement",
    "find_all",
    "find_boxes",
    "find_keypoints",
    "find_masks",
    "find_rotated",
    "find_scores",
    "select",
]
