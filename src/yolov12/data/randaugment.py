"""RandAugment (Cubuk et al. 2019, arXiv:1909.13719): a few operations drawn from a fixed list, all equally strong.

List, ranges and defaults are those that torchvision documents; `docs/augmentation.md` has them as a table. The pixels
are Pillow's. Written down here because no library may be assumed where a model is trained.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance, ImageOps

OPERATIONS_DRAWN: Final = 2
MAGNITUDE: Final = 9
STRONGEST: Final = 30  # the magnitude at which an operation has the value in the list below

Picture = Image.Image


class Operation(NamedTuple):
    """One entry of the list. `apply(picture, value)` gives a new picture of the same size."""

    apply: Callable[[Picture, float], Picture]
    limit: float = 0.0
    """`value` at the strongest magnitude; it grows from 0 in equal steps."""
    signed: bool = False
    """Whether `value` is negated every other time."""


def _moved(picture: Picture, matrix: tuple[float, float, float, float, float, float]) -> Picture:
    """`matrix` (a, b, c, d, e, f) says where a pixel comes from: (a x + b y + c, d x + e y + f). New area is black."""
    return picture.transform(picture.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)


def _posterize(picture: Picture, bits_lost: float) -> Picture:
    return ImageOps.posterize(picture, 8 - round(bits_lost))


OPERATIONS: Final[dict[str, Operation]] = {
    "identity": Operation(lambda picture, _: picture),
    "shear_x": Operation(lambda picture, v: _moved(picture, (1, v, 0, 0, 1, 0)), 0.3, signed=True),
    "shear_y": Operation(lambda picture, v: _moved(picture, (1, 0, 0, v, 1, 0)), 0.3, signed=True),
    # As fractions of the width and the height, in whole pixels.
    "translate_x": Operation(
        lambda picture, v: _moved(picture, (1, 0, int(v * picture.width), 0, 1, 0)), 150 / 331, signed=True
    ),
    "translate_y": Operation(
        lambda picture, v: _moved(picture, (1, 0, 0, 0, 1, int(v * picture.height))), 150 / 331, signed=True
    ),
    "rotate": Operation(lambda picture, v: picture.rotate(v, Image.Resampling.BILINEAR), 30, signed=True),
    # Blends: 0 gives black, the grey of the mean, a grey picture, a blurred one; 1 the picture; more is beyond it.
    "brightness": Operation(lambda picture, v: ImageEnhance.Brightness(picture).enhance(1 + v), 0.9, signed=True),
    "color": Operation(lambda picture, v: ImageEnhance.Color(picture).enhance(1 + v), 0.9, signed=True),
    "contrast": Operation(lambda picture, v: ImageEnhance.Contrast(picture).enhance(1 + v), 0.9, signed=True),
    "sharpness": Operation(lambda picture, v: ImageEnhance.Sharpness(picture).enhance(1 + v), 0.9, signed=True),
    "posterize": Operation(_posterize, 4),
    "solarize": Operation(lambda picture, v: ImageOps.solarize(picture, math.ceil(255 - v)), 255),
    "autocontrast": Operation(lambda picture, _: ImageOps.autocontrast(picture)),
    "equalize": Operation(lambda picture, _: ImageOps.equalize(picture)),
}


def randaugment(image: npt.NDArray[np.uint8], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """`image` (H, W, 3) BGR after `OPERATIONS_DRAWN` operations of `MAGNITUDE`, drawn with replacement."""
    picture = Image.fromarray(np.ascontiguousarray(image[..., ::-1]))  # how bright a colour is depends on its channel
    operations = list(OPERATIONS.values())
    for number, negative in zip(
        rng.integers(len(operations), size=OPERATIONS_DRAWN), rng.random(OPERATIONS_DRAWN) < 0.5, strict=True
    ):
        operation = operations[number]
        value = operation.limit * MAGNITUDE / STRONGEST
        picture = operation.apply(picture, -value if operation.signed and negative else value)
    return np.ascontiguousarray(np.asarray(picture)[..., ::-1])
