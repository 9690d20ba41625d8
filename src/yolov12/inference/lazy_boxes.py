"""Boxes only where something was found: the box branch of a detection head, evaluated at a few cells.

The class branch says which cells can become detections, usually a few dozen of thousands. Their boxes need the branch's
second 3x3 convolution at those cells, and its first one at the cells around them; everywhere else both are left out,
which saves a fifth of the arithmetic of YOLOv12n. The sums are those of the convolutions, in another order. Branches
for mask coefficients, keypoints and angles are built like that of the boxes, and are wanted at the same cells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
KNOWN: Final[Mapping[str, type[LocatingHead]]] = {
    "detect": DetectHead, "segment": SegmentHead, "dynamic_mask": DynamicMaskHead, "pose": PoseHead, "obb": ObbHead,
}  # fmt: skip
"""Heads that are evaluated in this way, by kind; one that is derived from them may decode otherwise."""

DENSE_SHARE: Final = 0.1
"""Where more of a level's cells are wanted, the convolutions themselves are faster."""


class Matrix(NamedTuple):
    """A convolution, and a SiLU if it has one, as a product: patches (n, kernel * kernel * in) -> (n, out).

    `plain`: by operators that every library has.
    """

    weight: Tensor
    bias: Tensor
    activation: bool
    plain: bool

    def __call__(self, patches: Tensor) -> Tensor:
        """The outputs at the patches' places; unless `plain`, from oneDNN, as those of the convolutions."""
        if not self.plain and patches.dtype is torch.float32 and cpu_convolution.available():
            operator = torch.ops.mkldnn._linear_pointwise.default
            product: Tensor = operator(patches, self.weight, self.bias, "swish" if self.activation else "none", [], "")
            return product
        product = functional.linear(patches, self.weight, self.bias)
        return functional.silu(product) if self.activation else product


def suits(head: nn.Module) -> TypeGuard[LocatingHead]:
    """Whether a head is evaluated in this way: it is one of `KNOWN`, and looks at neighbouring cells alone."""
    return isinstance(head, LocatingHead) and type(head) in KNOWN.values() and not head.config.is_dilated


class LazyBoxes:
    """The branches of one head whose batch norms are folded, on the CPU.

    `traced`: only what a tracer can follow, for a graph: operators that other libraries have, no choice by counts.
    """

    def __init__(self, head: LocatingHead, *, traced: bool = False) -> None:
        self._head, self._traced = head, traced
        self._detect = head if isinstance(head, DetectHead) else head.detect
        self._branches = [branches for branches in (self._detect.box_branches, _extra_branches(head)) if branches]
        self._matrices = [
            [[_matrix(unit, plain=traced) for unit in branch.children()] for branch in branches]
            for branches in self._branches
        ]

    def decode(self, features: Sequence[Tensor], min_score: float | Tensor) -> Decoded:
        """Like the head and its `decode`, with zeros for everything but the scores in cells that score too little.

        `features` are maps (B, K_l, H_l, W_l), channels_last.
        """
        levels = [self._level(number, level, min_score) for number, level in enumerate(features)]
        prototypes = self._head.prototypes(features[0]).float() if isinstance(self._head, SegmentHead) else None
        return Decoded(torch.cat(levels, 1).transpose(1, 2), prototypes)

    def _level(self, level: int, features: Tensor, min_score: float | Tensor) -> Tensor:
        """Decoded cells (B, H * W, 4 + C + E) of one map (B, K, H, W)."""
        logits = self._detect.class_branches[level](features).flatten(2).transpose(1, 2)  # (B, H * W, C)
        scores = logits.float().sigmoid()
        wanted = ~(scores.amax(-1) <= min_score)  # (B, H * W); written so that NaN is wanted
        cells = wanted.flatten().nonzero()[:, 0]  # (n,)
        raw, *extras = (one.float() for one in self._outputs(level, features, wanted, cells))
        distances = expected_distances(raw.view(-1, SIDES, self._detect.config.bins))  # (n, 4)
        size = features.shape[2], features.shape[3]
        anchors = anchor_points([size], self._detect.strides[level : level + 1])
        # (H * W, 2) and (H * W, 1), the same for all pictures -> (n, 2) and (n, 1)
        points, steps = (one.expand(features.shape[0], -1, -1).flatten(0, 1)[cells] for one in anchors)
        found = torch.cat(_decode(self._head, distances, extras, points, steps), 1)  # (n, 4 + E)
        values = found.new_zeros(features.shape[0] * size[0] * size[1], found.shape[1])
        values[cells] = found
        values = values.view(features.shape[0], -1, found.shape[1])
        return torch.cat((values[..., :SIDES], scores, values[..., SIDES:]), -1)

    def _outputs(self, level: int, features: Tensor, wanted: Tensor, cells: Tensor) -> list[Tensor]:
        """Raw outputs (n, K) of each branch in one map (B, K, H, W).

        `wanted` (B, H * W) are the cells, `cells` (n,) their numbers, picture by picture and row by row.
        """
        if not self._traced and len(cells) > DENSE_SHARE * wanted.numel():
            maps = [branches[level](features) for branches in self._branches]  # (B, K, H, W) each
            return [one.permute(0, 2, 3, 1).flatten(0, 2)[cells] for one in maps]
        height, width = features.shape[2], features.shape[3]
        around = wanted.view(-1, 1, height, width).float()
        around = functional.max_pool2d(around, 3, 1, 1)  # second convolutions look at the neighbours, too
        needed = _bordered_places(around.flatten().nonzero()[:, 0], height, width)  # (m,)
        chosen = _bordered_places(cells, height, width)
        # Maps get a border of one cell, as the convolutions' padding does; hidden values there stay its zeros.
        bordered = functional.pad(features.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1)).flatten(0, 2)
        patches = _patches(bordered, needed, width + 2)
        outputs = []
        for first, second, last in (matrices[level] for matrices in self._matrices):
            hidden = bordered.new_zeros(bordered.shape[0], first.bias.shape[0])
            hidden[needed] = first(patches)
            outputs.append(last(second(_patches(hidden, chosen, width + 2))))
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
    return boxes, extras[0] if extras else boxes[:, :0]


def _matrix(unit: nn.Module, *, plain: bool) -> Matrix:
    conv, activation = (unit.conv, unit.activation) if isinstance(unit, ConvNormAct) else (unit, False)
    if not isinstance(conv, nn.Conv2d) or conv.bias is None:
        raise TypeError("a folded box branch is made of convolutions with a bias")
    # (out, in, k, k) -> (out, k * k * in): patches hold the channels of one cell after those of another
    weight = conv.weight.detach().permute(0, 2, 3, 1).flatten(1).contiguous()
    return Matrix(weight, conv.bias.detach(), activation, plain)


def _bordered_places(cells: Tensor, height: int, width: int) -> Tensor:
    """Where cells (n,) of maps (B, H, W) are in the maps with a border of one cell, (B, H + 2, W + 2)."""
    rows = torch.div(cells, width, rounding_mode="floor")  # of all pictures, one below the other
    return cells + 2 * rows + torch.div(rows, height, rounding_mode="floor") * 2 * (width + 2) + width + 3


def _patches(cells: Tensor, places: Tensor, row: int) -> Tensor:
    """The 3x3 surroundings of `places` (n,) in `cells` (N, K), a map with rows of `row` cells: (n, 9 * K)."""
    sides = torch.arange(-1, 2)
    around = (sides[:, None] * row + sides).flatten()  # (9,)
    return cells.index_select(0, (places[:, None] + around).flatten()).view(-1, 9 * cells.shape[1])
