"""Where area attention looks from a detection, and whether that is what the detection rests on.

A map is the last area attention's weights from the cell at the middle of a box to all cells that it can see, averaged
over the heads. Whether it is faithful is measured by deletion and insertion (Petsiuk et al. 2018, arXiv:1806.07421):
cells are blurred, or brought back into a blurred picture, in the order of the map, and the score of the detection is
watched. A faithful map's deletion curve falls early and its insertion curve rises early; the areas under both are shown
beside those of random orders.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from yolov12.config.backbones import HEAD_DIM
from yolov12.errors import ConfigError
from yolov12.models.attention import AreaAttention
from yolov12.models.detector import Detector
from yolov12.ops.similarity import box_iou

STEPS = 16
"""Points of a curve after the first."""
RANDOM_ORDERS = 4
SAME = 0.5
"""Least IoU with the box of the detection that counts as the same object."""
BLUR_SHARE = 0.1
"""Standard deviation of the blur over the longer side of the picture."""


class Faithfulness(NamedTuple):
    """Areas under the curves of the score over the share of cells, relative to the score in the whole picture."""

    deletion: float
    insertion: float
    random_deletion: float
    random_insertion: float


UNKNOWN = Faithfulness(math.nan, math.nan, math.nan, math.nan)
"""Of a detection that the network does not find again."""


class Explained(NamedTuple):
    """One detection: its box on the canvas, class, score, map (H / s, W / s) that sums to 1, and its faithfulness."""

    box_input: tuple[float, float, float, float]
    label: int
    score: float
    weights: NDArray[np.float32]
    faithfulness: Faithfulness


def explain(model: Detector, canvas: Tensor, boxes: Tensor, labels: Tensor) -> list[Explained]:
    """Maps of detections with `boxes` (N, 4) corners on `canvas` (1, 3, H, W), RGB in 0..1, and `labels` (N,)."""
    weights, size = attention_weights(model, canvas)
    stride = canvas.shape[2] // size[0]
    found = []
    for box, label in zip(boxes, labels.tolist(), strict=True):
        x, y = ((box[:2] + box[2:]) / 2 / stride).long().tolist()
        cell = min(max(y, 0), size[0] - 1) * size[1] + min(max(x, 0), size[1] - 1)
        view = weights[cell].view(size)
        score = float(scores(model, canvas, box, label)[0])
        curves = (
            faithfulness(model, canvas, box, label, view, score) if score > 0 else Faithfulness(*[float("nan")] * 4)
        )
        corners = tuple(box.tolist())
        found.append(Explained(corners, label, score, view.float().cpu().numpy(), curves))
    return found


@torch.inference_mode()
def attention_weights(model: Detector, canvas: Tensor) -> tuple[Tensor, tuple[int, int]]:
    """Weights (P, P) from each cell of the last area attention's map to each, and the map's height and width.

    Cells of other areas have the weight 0. Raises ConfigError for a network without area attention.
    """
    layers = [module for module in model.modules() if isinstance(module, AreaAttention)]
    if not layers:
        raise ConfigError("attention maps need a backbone with area attention, such as yolov12")
    seen: list[Tensor] = []

    def keep(module: nn.Module, inputs: tuple[Tensor]) -> None:
        seen.append(inputs[0])

    handle = layers[-1].register_forward_pre_hook(keep)
    try:
        model(canvas)
    finally:
        handle.remove()
    layer, features = layers[-1], seen[0]
    height, width = features.shape[2:]
    tokens = layer.qkv(features).float().flatten(2).transpose(1, 2)[0]  # (P, 3C)
    query, key, _ = (
        # (P, C) -> (areas, P / areas, heads, 32) -> (areas, heads, P / areas, 32)
        part.reshape(layer.areas, -1, layer.heads, HEAD_DIM).transpose(1, 2)
        for part in tokens.split(layer.channels, 1)
    )
    inside = (query @ key.mT * HEAD_DIM**-0.5).softmax(-1).mean(1)  # (areas, P / areas, P / areas)
    joined: Tensor = torch.block_diag(*inside)  # type: ignore[no-untyped-call]
    return joined, (height, width)


def faithfulness(
    model: Detector, canvas: Tensor, box: Tensor, label: int, weights: Tensor, base: float
) -> Faithfulness:
    """Of a map `weights` (h, w), beside random orders of its cells (from a seed of their own).

    `base` is the score of the detection in the whole picture.
    """
    order = weights.flatten().argsort(descending=True, stable=True)
    blurred = blur(canvas)
    generator = torch.Generator().manual_seed(0)
    orders = [torch.randperm(len(order), generator=generator).to(order.device) for _ in range(RANDOM_ORDERS)]

    def area(first: Tensor, second: Tensor, ranked: Tensor) -> float:
        """Under the curve of the score while `second` takes the place of `first`, cell by cell."""
        masks = [cells(ranked[: round(len(ranked) * step / STEPS)], weights, canvas) for step in range(STEPS + 1)]
        pictures = torch.cat([first + (second - first) * mask for mask in masks])
        curve = scores(model, pictures, box, label) / base
        return float((curve[1:] + curve[:-1]).mean() / 2)

    return Faithfulness(
        area(canvas, blurred, order),
        area(blurred, canvas, order),
        float(np.mean([area(canvas, blurred, ranked) for ranked in orders])),
        float(np.mean([area(blurred, canvas, ranked) for ranked in orders])),
    )


def cells(chosen: Tensor, weights: Tensor, canvas: Tensor) -> Tensor:
    """A mask (1, 1, H, W) of the pixels that the `chosen` cells of a map cover."""
    mask = torch.zeros(weights.numel(), device=canvas.device)
    mask[chosen] = 1
    return functional.interpolate(mask.view(1, 1, *weights.shape), canvas.shape[2:], mode="nearest")


def blur(canvas: Tensor) -> Tensor:
    """`canvas` (1, 3, H, W) with no detail left."""
    sigma = BLUR_SHARE * max(canvas.shape[2:])
    picture = cv2.GaussianBlur(canvas[0].permute(1, 2, 0).cpu().numpy(), (0, 0), sigma)  # (H, W, 3)
    return torch.from_numpy(picture).permute(2, 0, 1)[None].to(canvas)


@torch.inference_mode()
def scores(model: Detector, images: Tensor, box: Tensor, label: int) -> Tensor:
    """(B,) best score of class `label` among the boxes that are the same as `box` (4,); 0 where there is none."""
    found = []
    for image in images[:, None]:
        dense = model.head.decode(model(image)[model.config.task]).dense[0]  # (4 + C + E, A)
        center, half = dense[:2], dense[2:4] / 2
        same = box_iou(torch.cat((center - half, center + half)).T, box[None].to(dense))[:, 0] >= SAME  # (A,)
        found.append((dense[4 + label] * same).amax())
    return torch.stack(found)


def overlay(picture: NDArray[np.uint8], weights: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A picture (H, W, 3) BGR under the colours of a map (h, w)."""
    height, width = picture.shape[:2]
    heat = cv2.resize(weights / max(float(weights.max()), 1e-12), (width, height), interpolation=cv2.INTER_CUBIC)
    colours = cv2.applyColorMap((heat.clip(0, 1) * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
    return np.asarray(cv2.addWeighted(picture, 0.5, colours, 0.5, 0), np.uint8)
