"""The loss of keypoints with heatmaps: that of the keypoint head, and the squared error of the heatmaps."""

from __future__ import annotations

import torch
from torch import Tensor

from yolov12.data.sample import Targets
from yolov12.losses.base import LossTerms
from yolov12.losses.pose import PoseLoss
from yolov12.models.heads.heatmap_pose import HeatmapPoseOutputs
from yolov12.models.heads.pose import PoseOutputs

SPREAD = 1.5
"""Standard deviation of a keypoint's Gaussian, in cells of the heatmaps."""
REACH = 5
"""Farther than so many cells the Gaussian counts as 0."""


class HeatmapPoseLoss(PoseLoss):
    """Loss of a keypoint head with heatmaps on one batch."""

    def __call__(self, outputs: HeatmapPoseOutputs, targets: Targets) -> LossTerms:  # type: ignore[override]
        """The terms of the keypoint head, and `heatmap`: squared errors over the number of labelled keypoints."""
        terms = super().__call__(PoseOutputs(outputs.detect, outputs.keypoints), targets)
        return {**terms, "heatmap": heatmap_term(outputs.heatmaps, targets, self.strides[0]) * self.gains.heatmap}


def heatmap_term(heatmaps: Tensor, targets: Targets, stride: int, *, partial: bool = False) -> Tensor:
    """Squared errors of heatmaps (B, K, H, W) over the number of labelled keypoints.

    partial  objects may not be labelled for keypoints: inside their boxes nothing says where there is none
    """
    with torch.autocast(heatmaps.device.type, enabled=False):
        heatmaps = heatmaps.float()
        if targets.keypoints_input is None:
            return heatmaps[:0].sum()  # 0, and reaches the output
        wanted, count = gaussians(targets, (heatmaps.shape[2], heatmaps.shape[3]), len(heatmaps), stride)
        errors = (heatmaps - wanted).square()
        if partial:
            errors = errors * ((wanted > 0) | ~covered(targets, wanted, stride)[:, None])
        return errors.sum() / max(count, 1)


def covered(targets: Targets, maps: Tensor, stride: int) -> Tensor:
    """(B, H, W) bool: which cells of maps (B, K, H, W) lie in the box of an object without labelled keypoints."""
    if targets.keypoints_input is None:
        raise ValueError("targets without keypoints have none to be labelled")
    without = (targets.keypoints_input[..., 2] == 0).all(1).nonzero()[:, 0]  # (n,)
    boxes = targets.boxes_input.index_select(0, without) / stride  # (n, 4) cells
    rows, columns = (torch.arange(side, device=maps.device) + 0.5 for side in maps.shape[2:])
    across = (columns >= boxes[:, :1]) & (columns <= boxes[:, 2:3])  # (n, W)
    down = (rows >= boxes[:, 1:2]) & (rows <= boxes[:, 3:])  # (n, H)
    inside = (down[:, :, None] & across[:, None]).float()  # (n, H, W)
    found = maps.new_zeros(len(maps), *maps.shape[2:])
    return found.index_add(0, targets.image_index.index_select(0, without), inside) > 0


def gaussians(targets: Targets, size: tuple[int, int], images: int, stride: int) -> tuple[Tensor, int]:
    """Heatmaps (B, K, H, W) of a batch, where Gaussians meet the larger one, and the number of labelled keypoints."""
    points = targets.keypoints_input
    if points is None:
        raise ValueError("targets without keypoints have no heatmaps")
    maps = points.new_zeros(images, points.shape[1], *size)
    rows, kinds = (points[..., 2] != 0).nonzero(as_tuple=True)  # (n,) each
    # In cells, whose centres lie at 0.5, 1.5, ...
    places = points[rows, kinds, :2] / stride - 0.5  # (n, 2)
    around = torch.arange(-REACH, REACH + 1, device=points.device)
    cells = places.round().long()[:, None] + torch.stack((around, around), 1)  # (n, R, 2) x and y
    factors = (-(cells - places[:, None]).square() / (2 * SPREAD**2)).exp()  # (n, R, 2)
    limit = torch.tensor((size[1], size[0]), device=points.device)
    factors = factors * ((cells >= 0) & (cells < limit))
    cells = cells.clamp(min=torch.zeros_like(limit), max=limit - 1)
    values = factors[:, :, None, 1] * factors[:, None, :, 0]  # (n, R, R) rows by columns
    image = targets.image_index[rows]
    plane = (image * points.shape[1] + kinds)[:, None, None] * (size[0] * size[1])
    index = plane + cells[:, :, None, 1] * size[1] + cells[:, None, :, 0]  # (n, R, R)
    maps.view(-1).scatter_reduce_(0, index.flatten(), values.flatten(), "amax")
    return maps, len(rows)
