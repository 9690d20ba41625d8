"""A runtime whose detections follow from the picture, without a network."""

from __future__ import annotations

import threading

import numpy as np
import numpy.typing as npt

CLASSES = 3


class StubRuntime:
    """Finds one box for each class, whose place and score are functions of the canvas' pixels; records its batches."""

    name, precision = "stub", "fp32"

    def __init__(self) -> None:
        self.batches: list[tuple[int, ...]] = []
        self._lock = threading.Lock()

    def __call__(self, images: npt.NDArray[np.uint8], min_score: float = 0.0) -> npt.NDArray[np.float32]:
        with self._lock:
            self.batches.append(images.shape)
        decoded = np.zeros((len(images), 4 + CLASSES, CLASSES), np.float32)
        for image, found in zip(images, decoded, strict=True):
            height, width = image.shape[:2]
            means = image.reshape(-1, 3).mean(axis=0)
            found[0], found[1] = width / 2 + means / 16, height / 2 - means / 16
            found[2], found[3] = 20 + means / 8, 30
            found[4:] = np.diag(0.4 + means / 512)
        return decoded
