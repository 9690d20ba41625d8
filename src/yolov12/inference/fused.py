"""Several runtimes as one: what each finds, fused box by box (see `postprocess.fusion`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from yolov12.detections import Decoded
from yolov12.inference.exported import dense_of_rows
from yolov12.inference.runtime import Runtime
from yolov12.postprocess import NmsOptions, select
from yolov12.postprocess.fusion import Rows, fuse_boxes

LOWEST: Final = 0.001
"""Score below which a model's boxes take no part."""
SAME: Final = 0.55
"""IoU from which on boxes are of one object."""
MOST: Final = 1000
"""Boxes of a model that take part, and of all together that remain."""


class FusedRuntime:
    """Boxes of several runtimes of the same classes; `weights` say how far each is trusted, None: all alike."""

    def __init__(self, runtimes: Sequence[Runtime], num_classes: int, weights: Sequence[float] | None = None) -> None:
        self._runtimes, self._classes, self._weights = list(runtimes), num_classes, weights
        self.name = "+".join(dict.fromkeys(runtime.name for runtime in runtimes))

    @property
    def precision(self) -> str:
        """The arithmetic in use."""
        return "+".join(dict.fromkeys(runtime.precision for runtime in self._runtimes))

    def __call__(self, images: NDArray[np.uint8], min_score: float = 0.0) -> Decoded:
        """Dense output (B, 4 + C, M) whose anchors are the fused boxes; those that fill up a batch score 0."""
        # Weak boxes may carry a cluster over the score asked for; two of one model in a cluster would dilute it.
        options = NmsOptions(conf=LOWEST, iou=SAME, max_det=MOST)
        found = [runtime(images, options.conf).images() for runtime in self._runtimes]
        fused = [
            self._fuse([select(one.dense, self._classes, options).astype(float) for one in same])
            for same in zip(*found, strict=True)
        ]
        rows = np.zeros((len(images), max(map(len, fused)), 6), np.float32)
        for into, boxes in zip(rows, fused, strict=True):
            into[: len(boxes)] = boxes
        return Decoded(dense_of_rows(rows, self._classes))

    def _fuse(self, found: Sequence[Rows]) -> Rows:
        return fuse_boxes(found, iou=SAME, weights=self._weights, max_det=MOST)
