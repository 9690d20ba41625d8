"""Boxes only where something was found: the box branch of a detection head, evaluated at a few cells.

The class branch says which cells can become detections, usually a few dozen of thousands. Their boxes need the branch's
second 3x3 convolution at those cells, and its first one at the cells around them; everywhere else both are left out,
which saves a fifth of the arithmetic of YOLOv12n. The sums are those of the convolutions, in another order. Branches
for mask coefficients, keypoints and angles are built like that of the boxes, and are wanted at the same cells.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, TypeGuard

import torch
from torch import Tensor, nn
from torch.nn import functional

from yolov12.inference import cpu_convolution
from yolov12.models.heads.detect import SIDES, DetectHead
from yolov12.models.heads.dynamic_mask import DynamicMaskHead
from yolov12.models.heads.obb import ObbHead
from yolov12.models.heads.pose import PoseHead, keypoint_values
from yolov12.models.heads.segment import SegmentHead
from yolov12.models.layers import ConvNormAct
from yolov12.models.registry import Decoded
from yolov12.ops.boxes import anchor_points, distances_to_xyxy, expected_distances, xyxy_to_cxcywh
from yolov12.ops.rotated import distances_to_rotated, logits_to_angles

LocatingHead = DetectHead | SegmentHead | PoseHead | ObbHead
KNOWN = (DetectHead, SegmentHead, DynamicMaskHead, PoseHead, ObbHead)
"""Heads that are evaluated in this way; one that is derived from them may decode otherwise."""

DENSE_SHARE: Final = 0.1
"""Where more of a level's cells are wanted, the convolutions themselves are faster."""


class Matrix(NamedTuple):
    """A convolution, and a SiLU if it has one, as a product: patches (n, kernel * kernel * in) -> (n, out)."""

    weight: Tensor
    bias: Tensor
    activation: bool

    def __call__(self, patches: Tensor) -> Tensor:
        """The outputs at the patches' places, from oneDNN, as those of the convolutions themselves."""
        if patches.dtype is torch.float32 and cpu_convolution.available():
            operator = torch.ops.mkldnn._linear_pointwise.default
            product: Tensor = operator(patches, self.weight, self.bias, "swish" if self.activation else "none", [], "")
            return product
        product = functional.linear(patches, self.weight, self.bias)
        return functional.silu(product) if self.activation else product


def suits(head: nn.Module) -> TypeGuard[LocatingHead]:
    """Whether a head is evaluated in this way: it is one of `KNOWN`, and looks at neighbouring cells alone."""
    return isinstance(head, KNOWN) and type(head) in KNOWN and not head.config.is_dilated


class LazyBoxes:
    """The branches of one head whose batch norms are folded; needs maps of one image on the CPU."""

    def __init__(self, head: LocatingHead) -> None:
        self._head = head
        self._detect = head if isinstance(head, DetectHead) else head.detect
        self._branches = [branches for branches in (self._detect.box_branches, _extra_branches(head)) if branches]
        self._matrices = [
            [[_matrix(unit) for unit in branch.children()] for branch in branches] for branches in self._branches
        ]

    def decode(self, features: Sequence[Tensor], min_score: float) -> Decoded:
        """Like the head and its `decode`, with zeros for everything but the scores in cells that score too little.

        `features` are maps (1, K_l, H_l, W_l), channels_last.
        """
        levels = [branch(level) for branch, level in zip(self._detect.class_branches, features, strict=True)]
        scores = torch.cat([level[0].flatten(1).t().float() for level in levels]).sigmoid_()  # (A, C)
        wanted = ~(scores.amax(1) <= min_score)  # (A,); written so that NaN is wanted
        sizes = [(level.shape[2], level.shape[3]) for level in features]
        masks = torch.split(wanted, [height * width for height, width in sizes])
        raw = [self._outputs(i, features[i], mask.nonzero()[:, 0]) for i, mask in enumerate(masks)]
        logits, *extras = (torch.cat(parts).float() for parts in zip(*raw, strict=True))  # (n, 4 * R), (n, E)
        points, steps = anchor_points(sizes, self._detect.strides)
        distances = expected_distances(logits.view(-1, SIDES, self._detect.config.bins))  # (n, 4)
        boxes, values = _decode(self._head, distances, extras, points[wanted], steps[wanted])
        end = SIDES + scores.shape[1]
        decoded = torch.zeros(len(scores), end + values.shape[1])
        decoded[:, SIDES:end] = scores
        decoded[wanted, :SIDES] = boxes
        decoded[wanted, end:] = values
        prototypes = self._head.prototypes(features[0]).float() if isinstance(self._head, SegmentHead) else None
        return Decoded(decoded.t()[None], prototypes)

    def _outputs(self, level: int, features: Tensor, cells: Tensor) -> list[Tensor]:
        """Raw outputs (n, K) of each branch at the `cells` (n,) of one map (1, K, H, W), numbered row by row."""
        height, width = features.shape[2:]
        if len(cells) > DENSE_SHARE * height * width:
            return [branches[level](features)[0].flatten(1).t()[cells] for branches in self._branches]
        # Maps get a border of one cell, as the convolutions' padding does; rows of a bordered map are width + 2 long.
        around = _around(width + 2)
        inner = cells + 2 * (cells // width) + width + 3  # the same cells in a bordered map
        needed = torch.zeros((height + 2, width + 2), dtype=torch.bool)
        needed.view(-1)[inner[:, None] + around] = True
        needed[[0, -1]] = needed[:, [0, -1]] = False  # hidden values outside the map are the padding's zeros
        places = needed.view(-1).nonzero()[:, 0]  # (m,)
        bordered = functional.pad(features[0].permute(1, 2, 0), (0, 0, 1, 1, 1, 1)).flatten(0, 1)  # ((H+2)(W+2), K)
        patches = _patches(bordered, places, around)
        outputs = []
        for first, second, last in (matrices[level] for matrices in self._matrices):
            hidden = bordered.new_zeros(len(bordered), len(first.bias))
            hidden[places] = first(patches)
            outputs.append(last(second(_patches(hidden, inner, around))))
        return outputs


def _extra_branches(head: LocatingHead) -> nn.ModuleList | None:
    """What the head predicts of each cell besides box and classes."""
    if isinstance(head, SegmentHead):
        return head.coefficient_branches
    if isinstance(head, PoseHead):
        return head.keypoint_branches
    return head.angle_branches if isinstance(head, ObbHead) else None


def _decode(
    head: LocatingHead, distances: Tensor, extras: list[Tensor], points: Tensor, steps: Tensor
) -> tuple[Tensor, Tensor]:
    """Boxes (n, 4) cx cy w h in input pixels and what follows the scores, (n, E)."""
    if isinstance(head, ObbHead):
        angles = logits_to_angles(extras[0])  # (n, 1)
        return distances_to_rotated(distances, points, angles[:, 0])[:, :SIDES] * steps, angles
    boxes = xyxy_to_cxcywh(distances_to_xyxy(distances, points)) * steps
    if isinstance(head, PoseHead):
        return boxes, keypoint_values(extras[0], points, steps, head.config.keypoints)
    return boxes, extras[0] if extras else boxes.new_empty(len(boxes), 0)


def _matrix(unit: nn.Module) -> Matrix:
    conv, activation = (unit.conv, unit.activation) if isinstance(unit, ConvNormAct) else (unit, False)
    if not isinstance(conv, nn.Conv2d) or conv.bias is None:
        raise TypeError("a folded box branch is made of convolutions with a bias")
    # (out, in, k, k) -> (out, k * k * in): patches hold the channels of one cell after those of another
    return Matrix(conv.weight.permute(0, 2, 3, 1).flatten(1).contiguous(), conv.bias, activation)


def _around(row: int) -> Tensor:
    """Steps (9,) from a cell to itself and its neighbours in a map with rows of `row` cells."""
    sides: Iterable[int] = (-1, 0, 1)
    return torch.tensor([dy * row + dx for dy in sides for dx in sides])


def _patches(cells: Tensor, places: Tensor, around: Tensor) -> Tensor:
    """The 3x3 surroundings of `places` (n,) in `cells` (N, K): (n, 9 * K)."""
    return cells.index_select(0, (places[:, None] + around).flatten()).view(len(places), len(around) * cells.shape[1])
