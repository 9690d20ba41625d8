"""Where area attention looks from a detection, and whether that is what the detection rests on.

A map is the last area attention's weights from the cell at the middle of a box to all cells that it can see, averaged
over the heads. Whether it is faithful is measured by deletion and insertion (Petsiuk et al. 2018, arXiv:1806.07421):
cells are blurred, or brought back into a blurred picture, in the order of the map, and the score of the detection is
watched. A faithful map's deletion curve falls early and its insertion curve rises early; the areas under both are shown
beside those of random orders.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

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

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the map; None for what is not known."""
        faith = {name: None if math.isnan(area) else area for name, area in self.faithfulness._asdict().items()}
        return {"box_input": self.box_input, "label": self.label, "score": self.score, **faith}


def explain(model: Detector, canvas: Tensor, boxes: Tensor, labels: Tensor) -> Iterator[Explained]:
    """Maps of detections with `boxes` (N, 4) corners on `canvas` (1, 3, H, W), RGB in 0..1, and `labels` (N,).

    They come one by one: each takes some 34 passes, and the first 136 more, whose random pictures serve all.
    """
    weights, size = attention_weights(model, canvas)
    return _explained(Watched(model, canvas, blur(canvas), boxes, labels), weights, size) if len(boxes) else iter(())


def _explained(watched: Watched, weights: Tensor, size: tuple[int, int]) -> Iterator[Explained]:
    boxes, labels = watched.boxes, watched.labels.tolist()
    stride = watched.canvas.shape[2] // size[0]
    bases = scores(watched.model, watched.canvas, boxes, watched.labels)[0]  # (N,)
    random = random_areas(watched, size) / bases[:, None]  # (N, 2)
    for number, (box, label) in enumerate(zip(boxes, labels, strict=True)):
        x, y = ((box[:2] + box[2:]) / 2 / stride).long().tolist()
        cell = min(max(y, 0), size[0] - 1) * size[1] + min(max(x, 0), size[1] - 1)
        view, score = weights[cell].view(size), float(bases[number])
        curves = UNKNOWN
        if score > 0:
            order = view.flatten().argsort(descending=True, stable=True)
            own = areas(watched.only(number), order, size)[0] / score
            curves = Faithfulness(*own.tolist(), *random[number].tolist())
        yield Explained(tuple(box.tolist()), label, score, view.float().cpu().numpy(), curves)


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


class Watched(NamedTuple):
    """Detections, with boxes (N, 4) and labels (N,), whose scores are watched while their canvas is blurred."""

    model: Detector
    canvas: Tensor
    blurred: Tensor
    boxes: Tensor
    labels: Tensor

    def only(self, number: int) -> Watched:
        """One of them."""
        one = slice(number, number + 1)
        return self._replace(boxes=self.boxes[one], labels=self.labels[one])


def areas(watched: Watched, order: Tensor, size: tuple[int, int]) -> Tensor:
    """Areas under the curves of deletion and insertion (N, 2) for an `order` (h * w,) of a map's cells."""
    pairs = (watched.canvas, watched.blurred), (watched.blurred, watched.canvas)
    return torch.stack([_area(watched, first, second, order, size) for first, second in pairs], 1)


def _area(watched: Watched, first: Tensor, second: Tensor, order: Tensor, size: tuple[int, int]) -> Tensor:
    """Areas (N,) under the curves of the scores while `second` takes the place of `first`, cell by cell."""
    points = []
    for step in range(STEPS + 1):
        mask = cells(order[: round(len(order) * step / STEPS)], size, watched.canvas)
        points.append(scores(watched.model, first + (second - first) * mask, watched.boxes, watched.labels)[0])
    curves = torch.stack(points)  # (STEPS + 1, N)
    return (curves[1:] + curves[:-1]).mean(0) / 2


def random_areas(watched: Watched, size: tuple[int, int]) -> Tensor:
    """Those of random orders (N, 2), averaged; the orders come from a seed of their own."""
    generator = torch.Generator().manual_seed(0)
    orders = [torch.randperm(size[0] * size[1], generator=generator) for _ in range(RANDOM_ORDERS)]
    return torch.stack([areas(watched, order.to(watched.canvas.device), size) for order in orders]).mean(0)


def cells(chosen: Tensor, size: tuple[int, int], canvas: Tensor) -> Tensor:
    """A mask (1, 1, H, W) of the pixels that the `chosen` cells of a map of `size` (h, w) cover."""
    mask = torch.zeros(size[0] * size[1], device=canvas.device)
    mask[chosen] = 1
    return functional.interpolate(mask.view(1, 1, *size), canvas.shape[2:], mode="nearest")


def blur(canvas: Tensor) -> Tensor:
    """`canvas` (1, 3, H, W) with no detail left."""
    sigma = BLUR_SHARE * max(canvas.shape[2:])
    picture = cv2.GaussianBlur(canvas[0].permute(1, 2, 0).cpu().numpy(), (0, 0), sigma)  # (H, W, 3)
    return torch.from_numpy(picture).permute(2, 0, 1)[None].to(canvas)


@torch.inference_mode()
def scores(model: Detector, images: Tensor, boxes: Tensor, labels: Tensor) -> Tensor:
    """(B, N) best scores of the classes `labels` (N,) among what is the same as `boxes` (N, 4); 0 where nothing is."""
    found = []
    for image in images[:, None]:
        dense = model.head.decode(model(image)[model.config.task]).dense[0]  # (4 + C + E, A)
        center, half = dense[:2], dense[2:4] / 2
        same = box_iou(torch.cat((center - half, center + half)).T, boxes.to(dense)) >= SAME  # (A, N)
        found.append((dense[4 + labels.to(dense.device)].T * same).amax(0))
    return torch.stack(found)


def overlay(picture: NDArray[np.uint8], weights: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A picture (H, W, 3) BGR under the colours of a map (h, w)."""
    height, width = picture.shape[:2]
    heat = cv2.resize(weights / max(float(weights.max()), 1e-12), (width, height), interpolation=cv2.INTER_CUBIC)
    colours = cv2.applyColorMap((heat.clip(0, 1) * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
    return np.asarray(cv2.addWeighted(picture, 0.5, colours, 0.5, 0), np.uint8)
