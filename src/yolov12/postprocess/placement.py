"""What postprocessing must know of how an image lies on the network's canvas."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Placement(Protocol):
    """One image on its canvas, and the way back; `data.letterbox.Letterbox` is one. Shapes are (height, width)."""

    @property
    def shape(self) -> tuple[int, int]:
        """The original image in pixels."""

    @property
    def window(self) -> tuple[int, int, int, int]:
        """Where the image lies on the canvas, in its pixels: top, left, height, width."""

    def to_original(self, boxes_input: NDArray[Any], *, clip: bool = True) -> NDArray[np.float64]:
        """Boxes (N, 4) x1 y1 x2 y2 of the canvas in original pixels, cut at the image's edges unless `clip` is off."""

    def points_to_original(self, points_input: NDArray[Any], *, clip: bool = True) -> NDArray[np.float64]:
        """Points (..., 2) x y of the canvas in original pixels, moved to the image's edges unless `clip` is off."""
