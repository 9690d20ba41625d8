"""Masks decoded over whole pictures, step by step as the specification says it, in torch: what fast code must equal."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

Floats = npt.NDArray[np.float32]
Bits = npt.NDArray[np.bool_]


def logits(coefficients: Floats, prototypes: Floats) -> Tensor:
    """(N, M) and (M, h, w) -> (N, h, w)."""
    product = torch.from_numpy(coefficients) @ torch.from_numpy(prototypes).flatten(1)
    return product.view(-1, *prototypes.shape[1:])


def crop(maps: Tensor, boxes: npt.NDArray[np.floating]) -> Tensor:
    """Zero outside of boxes (N, 4) x1 y1 x2 y2 in the maps' (N, h, w) own pixels."""
    x1, y1, x2, y2 = torch.from_numpy(boxes)[:, :, None, None].unbind(1)
    rows, columns = torch.arange(maps.shape[1])[None, :, None], torch.arange(maps.shape[2])[None, None]
    return maps * ((columns >= x1) & (columns < x2) & (rows >= y1) & (rows < y2))


def resize(maps: Tensor, height: int, width: int) -> Tensor:
    return functional.interpolate(maps[None], (height, width), mode="bilinear", align_corners=False)[0]


def lowres(coefficients: Floats, prototypes: Floats, boxes_input: npt.NDArray[np.floating]) -> Bits:
    """At the size of the prototypes, cut to boxes in input pixels; both rule sets."""
    found: Bits = (crop(logits(coefficients, prototypes), boxes_input / 4) > 0).numpy()
    return found


def upsampled(coefficients: Floats, prototypes: Floats, boxes_input: npt.NDArray[np.floating], rules: str) -> Bits:
    """At the size of the input: r8363 cuts before it enlarges, r84190 afterwards."""
    height, width = (4 * side for side in prototypes.shape[1:])
    maps = logits(coefficients, prototypes)
    if rules == "r8363":
        maps = resize(crop(maps, boxes_input / 4), height, width)
    else:
        maps = crop(resize(maps, height, width), boxes_input)
    found: Bits = (maps > 0).numpy()
    return found


def native(
    coefficients: Floats, prototypes: Floats, boxes: npt.NDArray[np.floating], shape: tuple[int, int], rules: str
) -> Bits:
    """At the size of an original image of `shape`, letterboxed in the middle; boxes in its pixels."""
    maps = logits(coefficients, prototypes)
    maps = _without_padding_8363(maps, shape) if rules == "r8363" else _without_padding_84190(maps, shape)
    found: Bits = (crop(resize(maps, *shape), boxes) > 0).numpy()
    return found


def _without_padding_8363(maps: Tensor, shape: tuple[int, int]) -> Tensor:
    height, width = maps.shape[1:]
    gain = min(height / shape[0], width / shape[1])
    left, top = (width - shape[1] * gain) / 2, (height - shape[0] * gain) / 2
    return maps[:, int(top) : int(height - top), int(left) : int(width - left)]


def _without_padding_84190(maps: Tensor, shape: tuple[int, int]) -> Tensor:
    height, width = maps.shape[1:]
    resized = size_without_padding((4 * height, 4 * width), shape)
    padding = [4 * side - inner for side, inner in zip(maps.shape[1:], resized, strict=True)]
    factor = next(f for f, multiple in ((1, 8), (2, 4), (4, 1)) if not any(pad % multiple for pad in padding))
    if factor > 1:
        maps = resize(maps, height * factor, width * factor)
    height, width = maps.shape[1:]
    rows, columns = size_without_padding((height, width), shape)
    top, left = round((height - rows) / 2 - 0.1), round((width - columns) / 2 - 0.1)
    return maps[:, top : top + rows, left : left + columns]


def size_without_padding(canvas: tuple[int, int], shape: tuple[int, int]) -> tuple[int, int]:
    """Height and width that an image of `shape` seems to have on its canvas."""
    gain = min(canvas[0] / shape[0], canvas[1] / shape[1])
    return max(round(shape[0] * gain), 1), max(round(shape[1] * gain), 1)
