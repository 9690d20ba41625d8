"""What a classifier sees of a picture: its middle, with the shorter side resized to the canvas.

The rule (bilinear with antialiasing as Pillow does it, where the rounding goes) is that of the published classifiers'
validation. Stands where `Letterbox` stands for the other tasks. Needs NumPy and Pillow only: deployed models use the
same file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from yolov12.config.parse import STRIDE
from yolov12.config.run import ImageSize
from yolov12.data.letterbox import canvas_sides

PREPROCESS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "resize": "shorter side",
        "interpolation": "bilinear, antialiased",
        "scale_up": True,
        "position": "center",
        "stride": STRIDE,
        "color": "RGB",
        "layout": "NCHW",
        "divide_by": 255,
    }
)
"""What happens between an upright 8-bit image and a classifier's input, for whoever has to repeat it elsewhere."""


@dataclass(frozen=True)
class CenterCrop:
    """Which part of one image of a given shape fills the canvas. All pairs are (height, width) in pixels."""

    source: tuple[int, int]
    resized: tuple[int, int]
    """The whole image at the size at which it covers the canvas."""
    canvas: tuple[int, int]
    top: int
    """Rows of the resized image above the canvas."""
    left: int

    @classmethod
    def fit(cls, shape: tuple[int, int], imgsz: ImageSize) -> CenterCrop:
        """Plan for an image of `shape` (height, width) on a canvas of `imgsz`, each side rounded up to the stride."""
        height, width = shape
        if height < 1 or width < 1:
            raise ValueError(f"an image of {height}x{width} pixels cannot be cropped: both sides must be positive")
        canvas = canvas_height, canvas_width = canvas_sides(imgsz)
        # One side fits exactly, the other sticks out; its fraction of a pixel is cut off.
        if canvas_height * width >= canvas_width * height:
            resized = canvas_height, canvas_height * width // height
        else:
            resized = canvas_width * height // width, canvas_width
        top, left = round((resized[0] - canvas_height) / 2), round((resized[1] - canvas_width) / 2)
        return cls((height, width), resized, canvas, top, left)

    def apply(self, image: npt.NDArray[np.uint8], out: npt.NDArray[np.uint8] | None = None) -> npt.NDArray[np.uint8]:
        """The canvas (height, width, 3) filled from `image` (height, width, 3); `out`, if given, is overwritten."""
        if image.shape[:2] != self.source:
            raise ValueError(f"this crop is for images of {self.source}, got one of {image.shape[:2]}")
        if out is not None and out.shape != (*self.canvas, 3):
            raise ValueError(f"out must have the shape {(*self.canvas, 3)}, got {out.shape}")
        height, width = self.canvas
        # Source pixels per canvas pixel. Only what shows is computed: a thin strip would become huge as a whole.
        step_y, step_x = self.source[0] / self.resized[0], self.source[1] / self.resized[1]
        box = (
            self.left * step_x,
            self.top * step_y,
            min((self.left + width) * step_x, self.source[1]),
            min((self.top + height) * step_y, self.source[0]),
        )
        picture = Image.fromarray(np.ascontiguousarray(image))
        cropped = np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR, box))
        if out is None:
            return cropped.copy()  # Pillow's own memory is read-only
        out[:] = cropped
        return out
