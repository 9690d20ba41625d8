"""How losses are compared with the golden fixtures: their grid, their dense assignments, their gradients."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from yolov12.data.sample import Targets
from yolov12.losses.assigner import SMALLEST_SIDE, Assignment, TaskAlignedAssigner

STRIDES = (8, 16, 32)
SIZES = ((16, 20), (8, 10), (4, 5))  # cells of a 128 x 160 input
RULES = ("r8363", "r84190")


def assert_near(actual: Tensor, expected: Tensor, tolerance: float = 1e-5) -> None:
    """Within `tolerance` of the expected array's largest magnitude, or of 1 where that is smaller."""
    assert actual.shape == expected.shape
    limit = tolerance * max(1.0, float(expected.abs().max()) if expected.numel() else 0.0)
    torch.testing.assert_close(actual.to(expected.dtype), expected, rtol=0, atol=limit)


def first_rows(targets: Targets, images: int) -> Tensor:
    """Row of each image's first object: golden object numbers count within their image."""
    counts = torch.bincount(targets.image_index, minlength=images)
    return counts.cumsum(0) - counts


def dense(assignment: Assignment, targets: Targets, images: int, anchors: int) -> tuple[Tensor, Tensor, Tensor]:
    """Foreground, object number within the image and target score of every anchor, each (B, A)."""
    foreground = torch.zeros(images * anchors, dtype=torch.bool)
    number = torch.zeros(images * anchors, dtype=torch.int64)
    score = torch.zeros(images * anchors)
    foreground[assignment.anchor] = True
    number[assignment.anchor] = assignment.target - first_rows(targets, images)[assignment.anchor // anchors]
    score[assignment.anchor] = assignment.score
    return foreground.view(images, anchors), number.view(images, anchors), score.view(images, anchors)


def dense_metric(
    assigner: TaskAlignedAssigner, class_logits: Tensor, boxes: Tensor, targets: Targets, objects: int
) -> Tensor:
    """The metric of every (image, object, anchor), 0 for anchors outside."""
    images, anchors = boxes.shape[:2]
    pairs = assigner.geometry.pairs(targets, SIZES, STRIDES, SMALLEST_SIDE[assigner.rules])
    _, metric = assigner.rate(pairs, class_logits, boxes, targets)
    image = pairs.anchor // anchors
    result = torch.zeros(images, objects, anchors)
    result[image, pairs.target - first_rows(targets, images)[image], pairs.anchor % anchors] = metric
    return result


def check_assignment(
    assigner: TaskAlignedAssigner,
    class_logits: Tensor,
    boxes_input: Tensor,
    targets: Targets,
    want: Mapping[str, Tensor],
    prefix: str,
    tolerance: float,
) -> None:
    """Foreground and object numbers exactly, target scores and, where given, the metric within `tolerance`."""
    assignment = assigner(class_logits, boxes_input, targets, SIZES, STRIDES)
    images, anchors = want[f"{prefix}fg"].shape
    foreground, gt, score = dense(assignment, targets, images, anchors)
    assert torch.equal(foreground, want[f"{prefix}fg"])
    assert torch.equal(gt[foreground], want[f"{prefix}gt_idx"].long()[foreground])
    assert_near(score, want[f"{prefix}score_max"], tolerance)
    np.testing.assert_allclose(float(score.sum()), float(want[f"{prefix}score_sum"]), rtol=tolerance, atol=1e-12)
    if f"{prefix}metric" in want:
        objects = want[f"{prefix}metric"].shape[1]
        metric = dense_metric(assigner, class_logits, boxes_input, targets, objects)
        assert_near(metric, want[f"{prefix}metric"], tolerance)
    if f"{prefix}fg_per_level" in want:
        levels = torch.split(foreground, [height * width for height, width in SIZES], 1)
        assert [int(level.sum()) for level in levels] == want[f"{prefix}fg_per_level"].tolist()


def check_gradients(path: Path, want: Mapping[str, Tensor], gradients: Mapping[str, Tensor]) -> None:
    """Norms of all gradients, and the few that are stored whole."""
    with np.load(path) as file:
        names = [str(name) for name in file["grad_names"]]
    norms = torch.tensor([float(gradients[name].double().norm()) for name in names], dtype=torch.float64)
    limit = 1e-3 * want["grad_norms"] + 1e-7 * want["grad_norms"].max()
    too_far = (norms - want["grad_norms"]).abs() > limit
    assert not too_far.any(), [name for name, far in zip(names, too_far, strict=True) if far]
    stored = [name for name in want if name.startswith("grad:")]
    assert stored
    for name in stored:
        difference = float((gradients[name.removeprefix("grad:")] - want[name]).abs().max())
        assert difference <= 1e-3 * float(want[name].abs().max()), name


def check_statistics(want: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
    """The batch-norm statistics that the forward pass has moved, by published key."""
    moved = [name for name in want if name.startswith("after:")]
    assert moved
    for name in moved:
        torch.testing.assert_close(state[name.removeprefix("after:")], want[name], rtol=0, atol=1e-5)
