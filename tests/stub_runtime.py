"""A runtime whose detections follow from the picture, without a network."""

from __future__ import annotations

import threading

import numpy as np
import numpy.typing as npt

from yolov12.detections import Decoded

CLASSES = 3
KEYPOINTS = (4, 3)
PROTOTYPES = 5


class StubRuntime:
    """Finds one box for each class, whose place and score are functions of the canvas' pixels; records its batches.

    What the task adds to a box depends on it too: a slanted mask, four keypoints, or an angle.
    """

    name, precision = "stub", "fp32"

    def __init__(self, task: str = "detect") -> None:
        self.task = task
        self.batches: list[tuple[int, ...]] = []
        self._lock = threading.Lock()

    def __call__(self, images: npt.NDArray[np.uint8], min_score: float = 0.0) -> Decoded:
        with self._lock:
            self.batches.append(images.shape)
        means = images.reshape(len(images), -1, 3).mean(axis=1).astype(np.float32)  # (B, 3)
        if self.task == "classify":
            return Decoded(means / np.maximum(means.sum(axis=1, keepdims=True), 1))
        height, width = images.shape[1:3]
        boxes = np.zeros((len(images), 4 + CLASSES, CLASSES), np.float32)
        boxes[:, 0], boxes[:, 1] = width / 2 + means / 16, height / 2 - means / 16
        boxes[:, 2], boxes[:, 3] = 20 + means / 8, 30
        boxes[:, 4:] = np.eye(CLASSES, dtype=np.float32) * (0.4 + means / 512)[:, None]
        return getattr(self, f"_{self.task}")(boxes, means, (height, width))  # type: ignore[no-any-return]

    def _detect(self, boxes: npt.NDArray[np.float32], means: npt.NDArray[np.float32], _: tuple[int, int]) -> Decoded:
        return Decoded(boxes)

    def _segment(
        self, boxes: npt.NDArray[np.float32], means: npt.NDArray[np.float32], canvas: tuple[int, int]
    ) -> Decoded:
        """The half of the canvas that lies on one side of a line, another one for each class."""
        y, x = np.mgrid[: canvas[0] // 4, : canvas[1] // 4].astype(np.float32)
        planes = np.stack([x - x.mean(), y - y.mean(), np.ones_like(x), np.sin(x), np.sin(y)])
        coefficients = np.stack([1 + means / 99, 1 - means / 99, means / 99 - 1, means / 200, 0 * means], axis=1)
        dense = np.concatenate((boxes, coefficients), axis=1)
        return Decoded(dense, np.repeat(planes[None], len(boxes), axis=0))

    def _pose(self, boxes: npt.NDArray[np.float32], means: npt.NDArray[np.float32], _: tuple[int, int]) -> Decoded:
        """The corners of the box, seen as clearly as the picture is bright."""
        half = boxes[:, 2:4] / 2
        points = [
            values
            for down, right in ((-1, -1), (-1, 1), (1, 1), (1, -1))
            for values in (boxes[:, 0] + right * half[:, 0], boxes[:, 1] + down * half[:, 1], means / 255)
        ]
        return Decoded(np.concatenate((boxes, np.stack(points, axis=1)), axis=1), None, KEYPOINTS)

    def _obb(self, boxes: npt.NDArray[np.float32], means: npt.NDArray[np.float32], _: tuple[int, int]) -> Decoded:
        return Decoded(np.concatenate((boxes, means[:, None] / 255 - 0.5), axis=1))
