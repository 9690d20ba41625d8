"""What runs a network, whatever it is built on."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from yolov12.detections import Decoded


class Runtime(Protocol):
    """Runs a network for its task; may be called from many threads.

    Called with uint8 BGR canvases (B, H, W, 3), sides multiples of 32, it returns `Decoded` of the batch: boxes cx, cy,
    w, h in canvas pixels, scores in 0..1, and what the task adds. Who needs nothing of an anchor whose scores are all
    at most `min_score` says so: the runtime may leave everything but its scores at zero.
    """

    @property
    def name(self) -> str:
        """What runs the network, e.g. 'torch'."""

    @property
    def precision(self) -> str:
        """The arithmetic in use: 'fp32', 'bf16', 'fp16' or 'int8'."""

    def __call__(self, images: NDArray[np.uint8], min_score: float = 0.0) -> Decoded:
        """Decoded output of a batch."""
