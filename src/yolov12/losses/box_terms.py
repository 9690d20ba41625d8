"""What boxes cost beside the complete IoU of the published models.

| name | formula | helps when |
|---|---|---|
| ciou | 1 - IoU + centre distance + unlike aspect ratio (Zheng et al. 2020, arXiv:1911.08287) | the default |
| diou | 1 - IoU + centre distance (the same paper) | shapes vary little |
| giou | 1 - IoU + empty part of the enclosing box (Rezatofighi et al. 2019, arXiv:1902.09630) | boxes miss at first |
| ghm | smooth distances of sides over the density of their gradients (GHM-R, arXiv:1811.05181) | outlying labels |
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from yolov12.losses.class_terms import density_weights
from yolov12.ops.similarity import ciou, diou, giou

OVERLAPS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"ciou": ciou, "diou": diou, "giou": giou}
SMOOTH = 0.02
"""mu of the authors' smooth absolute value."""


def harmonised_sides(predicted: Tensor, wanted: Tensor, weight: Tensor) -> Tensor:
    """Weighted sum over boxes (F, 4) of the mean of sqrt(d^2 + mu^2) - mu over the sides, by gradient density.

    d is a side's distance over the wanted box' own extent on that axis. The gradient is d / sqrt(d^2 + mu^2).
    """
    extent = (wanted[:, 2:] - wanted[:, :2]).repeat(1, 2).clamp(min=1e-6)
    apart = (predicted - wanted) / extent
    root = (apart.square() + SMOOTH**2).sqrt()
    with torch.no_grad():
        share = density_weights((apart / root).abs().flatten()).view_as(apart)
    return (weight * (share * (root - SMOOTH)).mean(1)).sum()
