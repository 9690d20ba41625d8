"""What a prediction is: one `Result` per image or frame, and its parts. Everything downstream meets here; no torch.

Shapes: N detections; boxes are in pixels of the original image, best score first. Arrays are NumPy arrays that also
answer `.cpu()` and `.numpy()`, so that programs written for tensors run unchanged.
"""

from yolov12.results.array import Array
from yolov12.results.boxes import OBB, Boxes, rotated_corners, rotated_extents
from yolov12.results.masks import Masks
from yolov12.results.points import Keypoints, Probs
from yolov12.results.result import Pixels, Result

__all__ = [
    "OBB",
    "Array",
    "Boxes",
    "Keypoints",
    "Masks",
    "Pixels",
    "Probs",
    "Result",
    "rotated_corners",
    "rotated_extents",
]
