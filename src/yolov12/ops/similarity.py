"""How much two boxes agree: intersection over union, and complete IoU (Zheng et al. 2020, arXiv:1911.08287).

Boxes are corners `xyxy` in any one unit. The small constants sit where the published YOLOv12 models were trained
with them; they decide the value for boxes without area.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

EPS = 1e-7


def box_iou(a: Tensor, b: Tensor) -> Tensor:
    """IoU of every box of `a` (N, 4) with every box of `b` (M, 4): (N, M)."""
    low = torch.maximum(a[:, None, :2], b[:, :2])  # (N, M, 2)
    high = torch.minimum(a[:, None, 2:], b[:, 2:])
    intersection = (high - low).clamp(min=0).prod(2)
    area_a, area_b = ((boxes[:, 2:] - boxes[:, :2]).prod(1) for boxes in (a, b))
    return intersection / (area_a[:, None] + area_b - intersection + EPS)


def diou(a: Tensor, b: Tensor) -> Tensor:
    """Distance IoU of corresponding boxes, (..., 4) and (..., 4) -> (...): IoU minus the centres' distance.

    That is squared, over the squared diagonal of the enclosing box (Zheng et al. 2020, arXiv:1911.08287).
    """
    iou, _, enclosing = _overlap(a, b)
    diagonal = enclosing.square().sum(-1) + EPS
    distance = (a[..., :2] + a[..., 2:] - b[..., :2] - b[..., 2:]).square().sum(-1) / 4
    return iou - distance / diagonal


def giou(a: Tensor, b: Tensor) -> Tensor:
    """Generalised IoU of corresponding boxes, (..., 4) and (..., 4) -> (...), in -1..1.

    IoU minus the share of the enclosing box that neither covers (Rezatofighi et al. 2019, arXiv:1902.09630).
    """
    iou, union, enclosing = _overlap(a, b)
    hull = enclosing.prod(-1) + EPS
    return iou - (hull - union) / hull


def _overlap(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """IoU and union (...) of corresponding boxes (..., 4), and width and height (..., 2) of the box around both."""
    overlap = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0)
    intersection = overlap.prod(-1)
    area_a, area_b = ((boxes[..., 2:] - boxes[..., :2]).prod(-1) for boxes in (a, b))
    union = area_a + area_b - intersection + EPS
    return intersection / union, union, torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])


def ciou(a: Tensor, b: Tensor) -> Tensor:
    """Complete IoU of corresponding boxes, (..., 4) and (..., 4) -> (...), at most 1.

    IoU minus the squared centre distance over the squared diagonal of the enclosing box, minus a term for unlike
    aspect ratios whose weight is a constant for the gradient.
    """
    ax1, ay1, ax2, ay2 = a.unbind(-1)
    bx1, by1, bx2, by2 = b.unbind(-1)
    a_width, a_height = ax2 - ax1, ay2 - ay1 + EPS
    b_width, b_height = bx2 - bx1, by2 - by1 + EPS
    overlap_width = (torch.minimum(ax2, bx2) - torch.maximum(ax1, bx1)).clamp(min=0)
    overlap_height = (torch.minimum(ay2, by2) - torch.maximum(ay1, by1)).clamp(min=0)
    intersection = overlap_width * overlap_height
    iou = intersection / (a_width * a_height + b_width * b_height - intersection + EPS)

    enclosing_width = torch.maximum(ax2, bx2) - torch.minimum(ax1, bx1)
    enclosing_height = torch.maximum(ay2, by2) - torch.minimum(ay1, by1)
    diagonal = enclosing_width.square() + enclosing_height.square() + EPS
    distance = ((bx1 + bx2 - ax1 - ax2).square() + (by1 + by2 - ay1 - ay2).square()) / 4

    aspect = (4 / math.pi**2) * (torch.atan(b_width / b_height) - torch.atan(a_width / a_height)).square()
    with torch.no_grad():
        weight = aspect / (aspect - iou + (1 + EPS))
    return iou - (distance / diagonal + weight * aspect)
