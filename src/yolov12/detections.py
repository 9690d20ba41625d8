"""What was found in one image: the meeting point of postprocessing, results and metrics. Needs no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from yolov12.results import Masks


class Decoded(NamedTuple):
    """What a runtime says of a batch, float32; the same as `models.registry.Decoded`, in NumPy.

    dense           (B, 4 + C + E, A), or (B, C) scores of whole pictures
    prototypes      (B, M, H / 4, W / 4), None without masks
    keypoint_shape  (K, D) with K * D = E where the extras are keypoints, and the runtime says so

    What is said of one image alone (see `images`) has the same fields without the batch axis.
    """

    dense: npt.NDArray[np.float32]
    prototypes: npt.NDArray[np.float32] | None = None
    keypoint_shape: tuple[int, int] | None = None

    def images(self) -> list[Decoded]:
        """One by one, without the batch axis; views, no copies."""
        if self.prototypes is None:
            return [Decoded(dense, None, self.keypoint_shape) for dense in self.dense]
        return [Decoded(*both, self.keypoint_shape) for both in zip(self.dense, self.prototypes, strict=True)]


class Detections(NamedTuple):
    """The detections of one image, best first, in pixels of the original image; N rows in every array.

    rows       (N, 6) float64: x1, y1, x2, y2, score, class; the upright extent where boxes are rotated
    masks      one mask for each row
    keypoints  (N, K, 3) float32: x, y, and how sure the network is that the point can be seen, 0..1; (N, K, 2) where
               it says nothing of that
    rotated    (N, 5) float64: centre x, y, width, height, angle in radians; width >= height, 0 <= angle < pi
    scores     (C,) float32 of the whole picture, where it is classified; `rows` is empty then
    """

    rows: npt.NDArray[np.float64]
    masks: Masks | None = None
    keypoints: npt.NDArray[np.float32] | None = None
    rotated: npt.NDArray[np.float64] | None = None
    scores: npt.NDArray[np.float32] | None = None
