"""Letterboxing: one resize with kept aspect ratio onto a grey canvas, and its exact inverse for boxes.

The rule (ratio, rounding, where the padding goes, value 114) is that of the YOLO family since YOLOv5, so that models
trained elsewhere see the pixels they were trained on. Needs NumPy and OpenCV only: deployed models use the same file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from yolov12.config.parse import STRIDE, round_up_to_stride
from yolov12.config.run import ImageSize

PAD_VALUE: Final = 114

PREPROCESS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "resize": "letterbox",
        "interpolation": "bilinear",
        "scale_up": True,
        "position": "center",
        "pad_value": PAD_VALUE,
        "stride": STRIDE,
        "color": "RGB",
        "layout": "NCHW",
        "divide_by": 255,
    }
)
"""What happens between an upright 8-bit image and the network's input, for whoever has to repeat it elsewhere."""


def canvas_sides(imgsz: ImageSize) -> tuple[int, int]:
    """(height, width) of the canvas that `imgsz`, one side or (height, width), asks for: multiples of the stride."""
    rounded = round_up_to_stride(imgsz)
    return (rounded, rounded) if isinstance(rounded, int) else rounded


@dataclass(frozen=True)
class Letterbox:
    """Where one image of a given shape lands on the network's canvas. All pairs are (height, width) in pixels."""

    source: tuple[int, int]
    resized: tuple[int, int]
    canvas: tuple[int, int]
    top: int
    left: int

    @classmethod
    def fit(
        cls,
        shape: tuple[int, int],
        imgsz: ImageSize,
        *,
        rect: bool,
        scale_up: bool = True,
        center: bool = True,
    ) -> Letterbox:
        """Plan for an image of `shape` (height, width) on a canvas of `imgsz`, each side rounded up to the stride.

        `rect` cuts the canvas down to the smallest multiples of the stride that hold the resized image;
        `scale_up=False` leaves small images at their size; `center=False` puts the image into the top left corner.
        """
        height, width = shape
        if height < 1 or width < 1:
            raise ValueError(f"an image of {height}x{width} pixels cannot be letterboxed: both sides must be positive")
        canvas_height, canvas_width = canvas_sides(imgsz)
        ratio = min(canvas_height / height, canvas_width / width)
        if not scale_up:
            ratio = min(ratio, 1.0)
        # A strip thinner than half a pixel would round to nothing.
        resized = max(round(height * ratio), 1), max(round(width * ratio), 1)
        if rect:
            canvas_height, canvas_width = canvas_sides(resized)
        # The 0.1 sends the odd pixel of an uneven padding to the bottom and to the right.
        top = round((canvas_height - resized[0]) / 2 - 0.1) if center else 0
        left = round((canvas_width - resized[1]) / 2 - 0.1) if center else 0
        return cls((height, width), resized, (canvas_height, canvas_width), top, left)

    @property
    def shape(self) -> tuple[int, int]:
        """The source image."""
        return self.source

    @property
    def window(self) -> tuple[int, int, int, int]:
        """Where the image lies on the canvas: top, left, height, width."""
        return self.top, self.left, *self.resized

    @property
    def gain(self) -> tuple[float, float]:
        """Canvas pixels per source pixel along (height, width); the two differ by the rounding of the resize."""
        return self.resized[0] / self.source[0], self.resized[1] / self.source[1]

    def apply(self, image: npt.NDArray[np.uint8], out: npt.NDArray[np.uint8] | None = None) -> npt.NDArray[np.uint8]:
        """Draw `image` (height, width, 3) on the canvas; `out`, where given, is the canvas to overwrite."""
        if image.shape[:2] != self.source:
            raise ValueError(f"this letterbox is for images of {self.source}, got one of {image.shape[:2]}")
        canvas = np.empty((*self.canvas, 3), np.uint8) if out is None else out
        if canvas.shape != (*self.canvas, 3):
            raise ValueError(f"out must have the shape {(*self.canvas, 3)}, got {canvas.shape}")
        (height, width), top, left = self.resized, self.top, self.left
        canvas[:top] = PAD_VALUE
        canvas[top + height :] = PAD_VALUE
        canvas[top : top + height, :left] = PAD_VALUE
        canvas[top : top + height, left + width :] = PAD_VALUE
        inside = canvas[top : top + height, left : left + width]
        if self.resized == self.source:
            inside[:] = image
        else:
            inside[:] = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
        return canvas

    def to_input(self, boxes_xyxy: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Boxes (N, 4) of the source image in canvas pixels."""
        gain_y, gain_x = self.gain
        boxes = np.asarray(boxes_xyxy, np.float64)
        return boxes * (gain_x, gain_y, gain_x, gain_y) + (self.left, self.top, self.left, self.top)

    def to_original(self, boxes_input: npt.NDArray[Any], *, clip: bool = True) -> npt.NDArray[np.float64]:
        """Boxes (N, 4) of the canvas in source pixels, cut at the image's edges unless `clip` is off."""
        gain_y, gain_x = self.gain
        boxes = np.asarray(boxes_input, np.float64) - (self.left, self.top, self.left, self.top)
        boxes = boxes / (gain_x, gain_y, gain_x, gain_y)
        if not clip:
            return boxes
        height, width = self.source
        return np.clip(boxes, 0.0, (width, height, width, height))

    def points_to_original(self, points_input: npt.NDArray[Any], *, clip: bool = True) -> npt.NDArray[np.float64]:
        """Points (..., 2) x y of the canvas in source pixels, moved to the image's edges unless `clip` is off."""
        gain_y, gain_x = self.gain
        points = (np.asarray(points_input, np.float64) - (self.left, self.top)) / (gain_x, gain_y)
        return np.clip(points, 0.0, self.source[::-1]) if clip else points
