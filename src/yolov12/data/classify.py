"""Training samples for classifiers: a random part of the picture at the canvas's size, mirrored, recoloured, erased.

The order and the numbers are those of the published recipe: crops as in Szegedy et al. 2014 (arXiv:1409.4842), then
flips, RandAugment (see `randaugment`), random erasing (Zhong et al. 2017, arXiv:1708.04896). Validation sees
`center_crop.CenterCrop` instead. Pure functions: all randomness comes from the generator that is handed in.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from yolov12.config.run import AugmentConfig
from yolov12.data.augment import random_flips, random_hsv
from yolov12.data.randaugment import randaugment
from yolov12.data.sample import Sample

CROP_MARGIN: Final = 1.5
"""Shorter side of the images that crops are taken from, in canvases: by default hardly a crop has to be enlarged."""
CROP_ASPECT: Final = 4 / 3  # a crop's width / height lies between this and its inverse
ERASED_AREA: Final = (0.02, 0.33)  # part of the canvas
ERASED_ASPECT: Final = (0.3, 3.3)  # height / width
ATTEMPTS: Final = 10


def training_sample(sample: Sample, rng: np.random.Generator, config: AugmentConfig, size: int) -> Sample:
    """`size` x `size` pixels of a picture; its first object says which class the whole picture has."""
    top, left, height, width = draw_crop(rng, (sample.image.shape[0], sample.image.shape[1]), 1 - config.scale)
    image = resized_crop(sample.image[top : top + height, left : left + width], size)
    changed = random_flips(whole_picture(image, sample.labels), rng, config)
    if config.auto_augment == "randaugment":
        changed = dataclasses.replace(changed, image=randaugment(changed.image, rng))
    else:
        changed = random_hsv(changed, rng, config)
    if rng.random() < config.erasing:
        changed = dataclasses.replace(changed, image=erased(changed.image, draw_erased(rng, size)))
    return changed


def whole_picture(image: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64]) -> Sample:
    """A sample whose one object is the picture (H, W, 3) itself, of the first class of `labels`."""
    height, width = image.shape[:2]
    return Sample(image, np.array([[0, 0, width, height]], np.float32), labels[:1])


def draw_crop(rng: np.random.Generator, shape: tuple[int, int], least_area: float) -> tuple[int, int, int, int]:
    """Top, left, height and width of a part of a picture of `shape` (height, width).

    Its area is at least `least_area` of the picture's. A picture that is too long for any attempt gives its middle.
    """
    height, width = shape
    for _ in range(ATTEMPTS):
        area = height * width * rng.uniform(least_area, 1)
        aspect = CROP_ASPECT ** rng.uniform(-1, 1)
        rows, columns = round(math.sqrt(area / aspect)), round(math.sqrt(area * aspect))
        if 0 < rows <= height and 0 < columns <= width:
            top, left = rng.integers((height - rows + 1, width - columns + 1)).tolist()
            return top, left, rows, columns
    rows, columns = min(height, round(width * CROP_ASPECT)), min(width, round(height * CROP_ASPECT))
    return (height - rows) // 2, (width - columns) // 2, rows, columns


def resized_crop(part: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.uint8]:
    """`part` (h, w, 3) stretched onto `size` x `size` pixels, smoothed where it shrinks."""
    picture = Image.fromarray(np.ascontiguousarray(part))
    return np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR))


def draw_erased(rng: np.random.Generator, size: int) -> tuple[int, int, int, int]:
    """Top, left, height and width of the rectangle to erase from a square of `size` pixels."""
    low, high = np.log(ERASED_ASPECT).tolist()
    for _ in range(ATTEMPTS):
        area, aspect = size * size * rng.uniform(*ERASED_AREA), math.exp(rng.uniform(low, high))
        rows, columns = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if rows < size and columns < size:
            top, left = rng.integers((size - rows + 1, size - columns + 1)).tolist()
            return top, left, rows, columns
    return 0, 0, 0, 0


def erased(image: npt.NDArray[np.uint8], rectangle: tuple[int, int, int, int]) -> npt.NDArray[np.uint8]:
    """The picture with a `rectangle` (top, left, height, width) of black."""
    top, left, height, width = rectangle
    blank = image.copy()
    blank[top : top + height, left : left + width] = 0
    return blank
