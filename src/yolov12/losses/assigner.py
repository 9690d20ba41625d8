"""Task-aligned assignment (TOOD, Feng et al. 2021, arXiv:2108.07755): which anchors answer for which object.

Only anchors inside an object's box can answer for it, and on each level these form a rectangle of cells (of a rotated
box they lie in such a rectangle). So the pairs (object, anchor inside) are listed directly, a few per cent of all
combinations; nothing here is padded to the largest object count of a batch and no image is looped over. All indices
are flat: an anchor is `image * A + anchor`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from yolov12.data.sample import Targets
from yolov12.errors import ConfigError, did_you_mean
from yolov12.ops.boxes import anchor_points
from yolov12.ops.rotated import probiou, rotated_corners
from yolov12.ops.similarity import ciou

SMALLEST_SIDE = {"r8363": 0.0, "r84190": 16.0}
"""Per rule set: a shorter side of an object grows to this many input pixels for the test which anchors are inside."""

EPS = 1e-9


class Pairs(NamedTuple):
    """Every (object, anchor inside it), by object, then by anchor."""

    target: Tensor  # (P,) int64, row of the targets
    anchor: Tensor  # (P,) int64, flat anchor
    counts: Tensor  # (N,) int64, pairs per object


class Assignment(NamedTuple):
    """The foreground: every anchor that answers for an object, each once; by object, then by anchor."""

    anchor: Tensor  # (F,) int64, flat anchor
    target: Tensor  # (F,) int64, row of the targets that it answers for
    score: Tensor  # (F,) float32, what its score for that object's class should be


def pairs_inside(targets: Targets, sizes: Sequence[tuple[int, int]], strides: Sequence[int], smallest: float) -> Pairs:
    """List the anchors strictly inside each object, level by level; an object without coordinates has none.

    sizes     height and width of each level's map, in cells
    smallest  sides shorter than this many pixels are enlarged to it about their middle
    """
    boxes = targets.boxes_input
    low, high = boxes[:, :2], boxes[:, 2:]
    grow = (smallest - (high - low)).clamp(min=0) / 2
    return pairs_between(low - grow, high + grow, boxes.sum(1) > 0, targets.image_index, sizes, strides)


def pairs_inside_rotated(
    targets: Targets, sizes: Sequence[tuple[int, int]], strides: Sequence[int], smallest: float
) -> Pairs:
    """List the anchors inside each rotated object or on its edge; arguments as of `pairs_inside`."""
    boxes = rotated_input(targets)
    grown = torch.cat((boxes[:, :2], boxes[:, 2:4].clamp(min=smallest), boxes[:, 4:]), 1)
    corners = rotated_corners(grown)  # (N, 4, 2)
    valid = boxes[:, :4].sum(1) > 0
    # One pixel of slack, so that what rounds onto an edge is decided below.
    low, high = corners.amin(1) - 1, corners.amax(1) + 1
    pairs = pairs_between(low, high, valid, targets.image_index, sizes, strides)

    points, steps = anchor_points(sizes, strides, device=boxes.device)
    position = pairs.anchor % len(points)
    corner = corners[:, 0].index_select(0, pairs.target)  # (P, 2)
    offset = points[position] * steps[position] - corner
    inside = torch.ones_like(pairs.anchor, dtype=torch.bool)
    for neighbour in (1, 3):
        edge = corners[:, neighbour].index_select(0, pairs.target) - corner
        along = (offset * edge).sum(1)
        inside &= (along >= 0) & (along <= edge.square().sum(1))
    target = pairs.target[inside]
    return Pairs(target, pairs.anchor[inside], torch.bincount(target, minlength=len(boxes)))


def pairs_between(
    low: Tensor,
    high: Tensor,
    valid: Tensor,
    image_index: Tensor,
    sizes: Sequence[tuple[int, int]],
    strides: Sequence[int],
) -> Pairs:
    """List the anchors strictly between `low` and `high` (N, 2) x y, in input pixels, of each `valid` object (N,)."""
    device = low.device
    step = torch.tensor(strides, device=device, dtype=torch.float32)[:, None]  # (L, 1)
    cells = torch.tensor([(width, height) for height, width in sizes], device=device)  # (L, 2) x y
    areas = cells.prod(1)
    first_anchor = areas.cumsum(0) - areas  # (L,)

    zero = cells.new_zeros(())
    # Cell c has its centre at (c + 0.5) * stride: the first one above `low`, and one past the last one below `high`.
    start = ((low[:, None] / step - 0.5).floor() + 1).long().clamp(zero, cells)  # (N, L, 2)
    stop = (high[:, None] / step - 0.5).ceil().long().clamp(zero, cells)
    extent = (stop - start).clamp(min=0) * valid[:, None, None]

    runs = extent.prod(2).flatten()  # (N * L,) cells of one object on one level
    run = torch.repeat_interleave(runs)  # (P,)
    corner = (first_anchor + start[..., 1] * cells[:, 0] + start[..., 0]).flatten()
    position = torch.arange(len(run), device=device) - (runs.cumsum(0) - runs)[run]
    row = position // extent[..., 0].flatten()[run]
    target, level = run // len(cells), run % len(cells)
    # One row down is a step of W in anchors; `position` already counts the box's own width for it.
    anchor = corner[run] + position + row * (cells[level, 0] - extent[..., 0].flatten()[run])
    return Pairs(target, anchor + image_index[target] * areas.sum(), runs.view(-1, len(cells)).sum(1))


def rotated_input(targets: Targets) -> Tensor:
    """The rotated boxes (N, 5) of a batch; without objects there need not be any."""
    if targets.rotated_input is not None:
        return targets.rotated_input
    if len(targets.labels):
        raise ValueError("objects without rotated boxes: Targets.rotated_input is None")
    return targets.boxes_input.new_zeros(0, 5)


class Geometry(NamedTuple):
    """How objects of one kind of box meet anchors and predictions."""

    boxes: Callable[[Targets], Tensor]  # (N, 4) or (N, 5), input pixels
    pairs: Callable[[Targets, Sequence[tuple[int, int]], Sequence[int], float], Pairs]
    overlap: Callable[[Tensor, Tensor], Tensor]  # of objects with predicted boxes of the same kind, row by row


UPRIGHT = Geometry(lambda targets: targets.boxes_input, pairs_inside, ciou)
ROTATED = Geometry(rotated_input, pairs_inside_rotated, probiou)


@dataclass(frozen=True)
class TaskAlignedAssigner:
    """Gives each object the `top_k` anchors inside it that rank highest by `score ** alpha * overlap ** beta`."""

    top_k: int = 10
    alpha: float = 0.5
    beta: float = 6.0
    rules: str = "r8363"
    geometry: Geometry = UPRIGHT

    def __post_init__(self) -> None:
        if self.rules not in SMALLEST_SIDE:
            hint = did_you_mean(self.rules, SMALLEST_SIDE)
            raise ConfigError(f"rules {self.rules!r} is not one of {', '.join(SMALLEST_SIDE)}.{hint}")

    @torch.no_grad()
    def __call__(
        self,
        class_logits: Tensor,
        boxes_input: Tensor,
        targets: Targets,
        sizes: Sequence[tuple[int, int]],
        strides: Sequence[int],
    ) -> Assignment:
        """Assign for a whole batch.

        class_logits  (B, A, C) float32
        boxes_input   (B, A, 4) float32, predicted boxes in input pixels: corners, or (B, A, 5) rotated boxes
        sizes         height and width of each level's map, in cells; their areas sum to A
        """
        pairs = self.geometry.pairs(targets, sizes, strides, SMALLEST_SIDE[self.rules])
        overlap, metric = self.rate(pairs, class_logits, boxes_input, targets)
        candidate = self.best_of_each_target(pairs, metric)
        anchors = boxes_input.shape[0] * boxes_input.shape[1]
        chosen = resolve_conflicts(pairs, candidate, overlap, anchors)
        target, overlap, metric = pairs.target[chosen], overlap[chosen], metric[chosen]

        # An object's best metric maps to its best overlap, the others in proportion.
        best_metric, best_overlap = (
            value.new_zeros(len(targets.labels)).scatter_reduce_(0, target, value, "amax")[target]
            for value in (metric, overlap)
        )
        return Assignment(pairs.anchor[chosen], target, metric * best_overlap / (best_metric + EPS))

    def rate(self, pairs: Pairs, class_logits: Tensor, boxes_input: Tensor, targets: Targets) -> tuple[Tensor, Tensor]:
        """Overlap (P,) of each pair's predicted box with the object, and the metric (P,) that ranks its anchors."""
        score = class_logits.flatten(0, 1)[pairs.anchor, targets.labels[pairs.target]].sigmoid()
        boxes = boxes_input.flatten(0, 1).index_select(0, pairs.anchor)
        wanted = self.geometry.boxes(targets).index_select(0, pairs.target)
        overlap = self.geometry.overlap(wanted, boxes).clamp_(min=0)
        return overlap, score.pow(self.alpha) * overlap.pow(self.beta)

    def best_of_each_target(self, pairs: Pairs, metric: Tensor) -> Tensor:
        """Which pairs (P,) are among the `top_k` of their object; a metric of 0 never is, NaN is (it must be seen)."""
        # The bits of a float >= 0 sort like the number itself, so one integer sort ranks all objects' pairs at once.
        descending = ~metric.view(torch.int32) & torch.iinfo(torch.int32).max
        order = ((pairs.target << 32) | descending.long()).argsort(stable=True)
        first = pairs.counts.cumsum(0) - pairs.counts  # (N,)
        rank = torch.arange(len(order), device=order.device) - first[pairs.target]
        candidate = torch.zeros_like(order, dtype=torch.bool)
        candidate[order] = rank < self.top_k
        return candidate & ~(metric <= 0)


def resolve_conflicts(pairs: Pairs, candidate: Tensor, overlap: Tensor, anchors: int) -> Tensor:
    """Indices (F,) of the pairs that stand: one for every anchor that is a candidate of any object.

    An anchor that several objects want goes to the object of the image that it overlaps most, even one that did not
    want it; of equal overlaps the first object wins.
    """
    wanted = torch.bincount(pairs.anchor[candidate], minlength=anchors)  # (B * A,)
    rival = (candidate | (wanted[pairs.anchor] > 1)).nonzero().squeeze(1)  # (R,)
    anchor, target, overlap = pairs.anchor[rival], pairs.target[rival], overlap[rival]
    most = overlap.new_zeros(anchors).scatter_reduce_(0, anchor, overlap, "amax")[anchor]
    winning = ~(overlap < most)
    last = torch.iinfo(torch.int64).max
    winner = torch.full_like(wanted, last).scatter_reduce_(0, anchor[winning], target[winning], "amin")[anchor]
    return rival[winning & (target == winner)]
