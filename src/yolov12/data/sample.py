"""What travels through the training pipeline: one sample, the targets of a batch, and the batch itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


@dataclass(slots=True)
class Sample:
    """One picture with its objects, in the picture's own pixels.

    image     (height, width, 3) uint8, BGR
    boxes     (N, 4) float32, x1 y1 x2 y2
    labels    (N,) int64
    polygons  None when no object has an outline, else N arrays (P, 2) float32 of x y; P = 0: this object has none
    keypoints None without keypoints, else (N, K, 3) float32: x, y and 0 not labelled, 1 hidden, 2 visible;
              where the flag is 0, x and y mean nothing
    """

    image: npt.NDArray[np.uint8]
    boxes: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    polygons: list[npt.NDArray[np.float32]] | None = None
    keypoints: npt.NDArray[np.float32] | None = None


class Targets(NamedTuple):
    """The objects of a batch, one row each; whole pictures that have a class are one object each.

    What only some tasks need is None for the others. All coordinates are network-input pixels.
    """

    image_index: Tensor  # (N,) int64, position of the image in the batch
    labels: Tensor  # (N,) int64
    boxes_input: Tensor  # (N, 4) float32, x1 y1 x2 y2
    masks: Tensor | None = None  # (B, H / 4, W / 4) int16: 0 background, j + 1 the j-th object of that image
    keypoints_input: Tensor | None = None  # (N, K, 3) float32: x, y, flag (0: not labelled)
    rotated_input: Tensor | None = None  # (N, 5) float32: centre x, y, width, height, angle in radians
    outlined: Tensor | None = None  # (N,) bool: which objects have a mask; None: all

    def to(self, device: torch.device | str) -> Targets:
        """The same targets on `device`."""
        return Targets._make(None if tensor is None else tensor.to(device, non_blocking=True) for tensor in self)


class Batch(NamedTuple):
    """What the model is fed with. Pixels stay 8-bit until they are on the device: a quarter of the traffic."""

    images: Tensor  # (B, 3, H, W) uint8, RGB
    targets: Targets
    indices: Tensor  # (B,) int64, which images of the data set these samples were made for

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on `device`; `indices` stay where they are."""
        return Batch(self.images.to(device, non_blocking=True), self.targets.to(device), self.indices)


def write_planes(image: npt.NDArray[np.uint8], out: npt.NDArray[np.uint8]) -> None:
    """Copy a BGR picture (H, W, 3) into contiguous RGB planes `out` (3, H, W)."""
    cv2.split(image, [out[2], out[1], out[0]])  # in place, and three times as fast as a transposing copy
