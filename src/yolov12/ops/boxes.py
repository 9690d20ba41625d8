"""Boxes and the grid they are predicted on: conversions between corners, centres and distances.

Free-anchor decoding as in FCOS (Tian et al. 2019, arXiv:1904.01355); a distance is the expectation of a distribution
over bins as in generalized focal loss (Li et al. 2020, arXiv:2006.04388). A box is `(..., 4)`: `xyxy` two corners,
`cxcywh` centre and size, `ltrb` distances from an anchor point to the four sides. Every function keeps the unit of
its input (grid cells or pixels) and works on any leading shape.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def anchor_points(
    sizes: Sequence[tuple[int, int]],
    strides: Sequence[int],
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, Tensor]:
    """Centres of all cells of all levels, level by level and row by row.

    sizes    height and width of each level's map, in cells
    strides  input pixels per cell of each level
    Returns the points (A, 2), x y in cells of their own level, and their strides (A, 1).
    """
    points, steps = [], []
    for (height, width), stride in zip(sizes, strides, strict=True):
        y = torch.arange(height, device=device, dtype=dtype) + 0.5
        x = torch.arange(width, device=device, dtype=dtype) + 0.5
        points.append(torch.stack((x.expand(height, width), y[:, None].expand(height, width)), 2).flatten(0, 1))
        steps.append(torch.full((height * width, 1), stride, device=device, dtype=dtype))
    return torch.cat(points), torch.cat(steps)


def cxcywh_to_xyxy(boxes: Tensor) -> Tensor:
    """Centre and size to corners."""
    centre, half = boxes[..., :2], boxes[..., 2:] / 2
    return torch.cat((centre - half, centre + half), -1)


def xyxy_to_cxcywh(boxes: Tensor) -> Tensor:
    """Corners to centre and size."""
    low, high = boxes[..., :2], boxes[..., 2:]
    return torch.cat(((low + high) / 2, high - low), -1)


def distances_to_xyxy(distances: Tensor, points: Tensor) -> Tensor:
    """Corners of the boxes whose sides lie at `distances` (..., 4) left, top, right, bottom from `points` (..., 2)."""
    return torch.cat((points - distances[..., :2], points + distances[..., 2:]), -1)


def xyxy_to_distances(boxes: Tensor, points: Tensor) -> Tensor:
    """Distances (..., 4) left, top, right, bottom from `points` (..., 2) to the sides; negative for a point outside."""
    return torch.cat((points - boxes[..., :2], boxes[..., 2:] - points), -1)


def expected_distances(box_logits: Tensor) -> Tensor:
    """Mean of each side's distribution over the bins 0, 1, ... R - 1: logits (..., 4, R) -> distances (..., 4).

    Not under autocast: it would round the bins' shares to half precision.
    """
    bins = torch.arange(box_logits.shape[-1], device=box_logits.device, dtype=box_logits.dtype)
    return (box_logits.softmax(-1) @ bins.unsqueeze(1)).squeeze(-1)  # a column: not all exports take a vector
