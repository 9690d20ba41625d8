"""Which images run together in an evaluation, and how each gets onto its canvas.

Two protocols decide the canvas; scores depend on it, so every claim says which one it used:

* "predict": each image on the canvas that `predict` would give it; images with equal canvases share a batch;
* "reference": the published models' own validation: images sorted by aspect ratio, one canvas for each batch, half a
  stride larger than needed, and an image is never enlarged by the letterbox (only by the loading that precedes it).

Pictures to classify have one rule for both: their middle, on one canvas.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from yolov12.config.parse import STRIDE
from yolov12.config.run import ImageSize, ValConfig
from yolov12.config.tasks import TASKS
from yolov12.data.center_crop import CenterCrop
from yolov12.data.index import ImageIndex
from yolov12.data.letterbox import Letterbox
from yolov12.errors import ConfigError

T = TypeVar("T")
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class LoadedLetterbox:
    """The reference's way onto the canvas: resized to the letterbox' source first, then letterboxed.

    `shape` is the original image's (height, width).
    """

    shape: tuple[int, int]
    letterbox: Letterbox

    @property
    def canvas(self) -> tuple[int, int]:
        """(height, width)."""
        return self.letterbox.canvas

    @property
    def window(self) -> tuple[int, int, int, int]:
        """Where the image lies on the canvas: top, left, height, width."""
        return self.letterbox.window

    def apply(self, image: Pixels, out: Pixels) -> Pixels:
        """Draw `image` (height, width, 3) on the canvas `out`."""
        height, width = self.letterbox.source
        if (height, width) != self.shape:
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)
        return self.letterbox.apply(image, out)

    def to_original(self, boxes_input: npt.NDArray[Any], *, clip: bool = True) -> npt.NDArray[np.float64]:
        """Boxes (N, 4) of the canvas in original pixels, cut at the image's edges unless `clip` is off."""
        boxes = np.asarray(boxes_input)
        return self.points_to_original(boxes.reshape(-1, 2), clip=clip).reshape(boxes.shape)

    def points_to_original(self, points_input: npt.NDArray[Any], *, clip: bool = True) -> npt.NDArray[np.float64]:
        """Points (..., 2) x y of the canvas in original pixels, moved to the image's edges unless `clip` is off."""
        points = self.letterbox.points_to_original(points_input, clip=False)
        points = points / (self.letterbox.source[0] / self.shape[0])  # both axes by the height's gain
        return np.clip(points, 0.0, self.shape[::-1]) if clip else points


View = Letterbox | LoadedLetterbox | CenterCrop


@dataclass(frozen=True)
class Placed:
    """Image number `index` of a data set and its way onto the canvas."""

    index: int
    view: View


def plan(index: ImageIndex, config: ValConfig, task: str = "detect") -> list[list[Placed]]:
    """The batches of an evaluation: every image once, all images of a batch on canvases of one size."""
    shapes = [(int(height), int(width)) for height, width in index.sizes]
    if not TASKS[task].boxes:
        return list(_chunks([Placed(i, CenterCrop.fit(shape, config.imgsz)) for i, shape in enumerate(shapes)], config))
    if config.protocol == "reference":
        return _plan_reference(shapes, config)
    by_canvas: dict[tuple[int, int], list[Placed]] = {}
    for i, shape in enumerate(shapes):
        letterbox = Letterbox.fit(shape, config.imgsz, rect=config.rect)
        by_canvas.setdefault(letterbox.canvas, []).append(Placed(i, letterbox))
    return [batch for group in by_canvas.values() for batch in _chunks(group, config)]


def _plan_reference(shapes: Sequence[tuple[int, int]], config: ValConfig) -> list[list[Placed]]:
    """Sorted by height / width; the canvas of a batch follows from its extreme aspect ratios."""
    imgsz: ImageSize = config.imgsz
    if not isinstance(imgsz, int):
        raise ConfigError(f"--imgsz {imgsz}: --protocol reference needs one number, as it derives the canvas from it")
    aspects = [height / width for height, width in shapes]
    batches = []
    for chunk in _chunks(sorted(range(len(shapes)), key=aspects.__getitem__), config):
        lowest, highest = aspects[chunk[0]], aspects[chunk[-1]]
        factors = (highest, 1.0) if highest < 1 else (1.0, 1 / lowest) if lowest > 1 else (1.0, 1.0)
        height, width = (math.ceil(factor * imgsz / STRIDE + 0.5) * STRIDE for factor in factors)
        batches.append([Placed(i, _reference_view(shapes[i], imgsz, (height, width))) for i in chunk])
    return batches


def _reference_view(shape: tuple[int, int], imgsz: int, canvas: tuple[int, int]) -> LoadedLetterbox:
    ratio = imgsz / max(shape)
    height, width = (min(math.ceil(side * ratio), imgsz) for side in shape)
    return LoadedLetterbox(shape, Letterbox.fit((height, width), canvas, rect=False, scale_up=False))


def _chunks(items: list[T], config: ValConfig) -> Iterator[list[T]]:
    for start in range(0, len(items), config.batch):
        yield items[start : start + config.batch]
