"""Which pixels of a mask lie inside a box."""

from __future__ import annotations

import torch
from torch import Tensor


def pixel_windows(boxes: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """First pixels (N, 2) x y, and one past the last, inside boxes (N, 4) whose corners are in pixels of the mask.

    Column c is inside when x1 <= c < x2, and row r when y1 <= r < y2; edges need not be whole numbers.
    """
    limit = torch.tensor([width, height], device=boxes.device)
    start, stop = (edge.ceil().long().clamp(torch.zeros_like(limit), limit) for edge in (boxes[:, :2], boxes[:, 2:]))
    return start, torch.maximum(start, stop)
