"""Geometry, assignment and detection loss against golden numbers of the published models' training code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from filled import filled_model, golden_images, golden_targets, load_arrays, official_gradients, official_state
from yolov12.data.sample import Targets
from yolov12.losses.assigner import SMALLEST_SIDE, Assignment, TaskAlignedAssigner, pairs_inside
from yolov12.losses.detect import DetectionLoss, distribution_focal_loss, flatten_levels
from yolov12.models.heads.detect import DetectOutputs
from yolov12.ops.boxes import (
    anchor_points,
    cxcywh_to_xyxy,
    distances_to_xyxy,
    expected_distances,
    xyxy_to_cxcywh,
    xyxy_to_distances,
)
from yolov12.ops.similarity import box_iou, ciou

RULES = ("r8363", "r84190")
STRIDES = (8, 16, 32)
SIZES = ((16, 20), (8, 10), (4, 5))  # cells of a 128 x 160 input
MODEL_CASES = (
    "turbo_n_detect__r8363",
    "turbo_n_detect__r8363__empty",
    "turbo_n_detect_levels__r8363",
    "v1_n_detect__r8363",
    "v1_n_detect__r8363__empty",
    "v1_n_detect_levels__r8363",
    "v1_n_detect__r84190",
    "v1_n_detect__r84190__empty",
    "v1_n_detect_levels__r84190",
)


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
    return tuple(value.view(images, anchors) for value in (foreground, number, score))


def dense_metric(
    assigner: TaskAlignedAssigner, class_logits: Tensor, boxes: Tensor, targets: Targets, objects: int
) -> Tensor:
    """The metric of every (image, object, anchor), 0 for anchors outside."""
    images, anchors = boxes.shape[:2]
    pairs = pairs_inside(targets, SIZES, STRIDES, SMALLEST_SIDE[assigner.rules])
    _, metric = assigner.rate(pairs, class_logits, boxes, targets)
    image = pairs.anchor // anchors
    result = torch.zeros(images, objects, anchors)
    result[image, pairs.target - first_rows(targets, images)[image], pairs.anchor % anchors] = metric
    return result


@pytest.mark.parametrize("rules", RULES)
def test_geometry(golden: Path, rules: str) -> None:
    want = load_arrays(golden / "ops" / f"geometry__{rules}.npz")
    a, b = want["ciou_a"], want["ciou_b"]
    assert_near(ciou(a, b), want["ciou"])
    assert_near(box_iou(a[:8], b[:8]), want["iou_matrix"])
    assert_near(box_iou(a, b).diagonal(), want["iou_elementwise"])
    corners = distances_to_xyxy(want["dist_ltrb"], want["dist_anchor"])
    assert_near(corners, want["dist2bbox_xyxy"])
    assert_near(xyxy_to_cxcywh(corners), want["dist2bbox_xywh"])
    assert_near(cxcywh_to_xyxy(want["dist2bbox_xywh"]), want["dist2bbox_xyxy"])
    distances = xyxy_to_distances(want["bbox2dist_in"], want["dist_anchor"])
    assert_near(distances.clamp(0, 14.99), want["bbox2dist_regmax15"])
    losses = distribution_focal_loss(want["dfl_logits"].view(64, 4, 16), want["dfl_target"])
    assert_near(losses.mean(1), want["dfl_loss"])


@pytest.mark.parametrize("rules", RULES)
def test_assigner(golden: Path, rules: str) -> None:
    want = load_arrays(golden / "ops" / f"assigner__{rules}.npz")
    points, strides = anchor_points(SIZES, STRIDES)
    assert torch.equal(points, want["anchor_points_grid"])
    assert torch.equal(strides, want["stride"])
    image, number = (want["mask_gt"][..., 0] > 0).nonzero().unbind(1)
    targets = Targets(image, want["gt_labels"][image, number, 0].long(), want["gt_bboxes"][image, number])
    logits = want["pd_scores"].double().logit().float()
    assigner = TaskAlignedAssigner(rules=rules)

    metric = dense_metric(assigner, logits, want["pd_bboxes"], targets, want["gt_labels"].shape[1])
    assert_near(metric, want["metric"])
    assignment = assigner(logits, want["pd_bboxes"], targets, SIZES, STRIDES)
    foreground, gt, score = dense(assignment, targets, *foreground_shape(want["out_fg_mask"]))
    assert torch.equal(foreground, want["out_fg_mask"])
    assert torch.equal(gt[foreground], want["out_target_gt_idx"][foreground])
    scores = torch.zeros_like(want["out_target_scores"])
    scores[foreground] = torch.nn.functional.one_hot(want["out_target_labels"][foreground], 5).float()
    assert_near(scores * score[..., None], want["out_target_scores"])
    assert torch.equal(targets.labels[assignment.target], want["out_target_labels"].flatten()[assignment.anchor])
    assert torch.equal(
        targets.boxes_input[assignment.target], want["out_target_bboxes"].flatten(0, 1)[assignment.anchor]
    )


def foreground_shape(mask: Tensor) -> tuple[int, int]:
    """Images and anchors of a golden foreground mask."""
    return mask.shape[0], mask.shape[1]


@pytest.mark.parametrize("case", ["a:", "b:"])
@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_detection_loss(golden: Path, rules: str, case: str, memory_format: torch.memory_format) -> None:
    want = load_arrays(golden / "ops" / f"detection_loss__{rules}.npz")
    maps = [want[name].to(memory_format=memory_format).requires_grad_() for name in ("p3", "p4", "p5")]
    outputs = DetectOutputs(tuple(m[:, :64] for m in maps), tuple(m[:, 64:] for m in maps))
    targets = golden_targets(want, case)
    loss = DetectionLoss(STRIDES, rules=rules)

    terms = loss(outputs, targets)
    total = torch.stack(list(terms.values())).sum() * 2
    total.backward()
    assert list(terms) == ["box", "cls", "dfl"]
    np.testing.assert_allclose([float(term.detach()) for term in terms.values()], want[f"{case}components"], rtol=1e-5)
    np.testing.assert_allclose(float(total.detach()), want[f"{case}total"], rtol=1e-5)
    for name, level in zip(("p3", "p4", "p5"), maps, strict=True):
        expected = want[f"{case}grad_{name}"]
        assert level.grad is not None
        assert float((level.grad - expected).abs().max()) <= 1e-5 * float(expected.abs().max())
    check_assignment(loss, outputs, targets, want, case, tolerance=1e-5)


def check_assignment(
    loss: DetectionLoss,
    outputs: DetectOutputs,
    targets: Targets,
    want: Mapping[str, Tensor],
    prefix: str,
    tolerance: float,
) -> None:
    """Foreground and object numbers exactly, target scores and, where given, the metric within `tolerance`."""
    with torch.no_grad():
        points, strides = anchor_points(SIZES, STRIDES)
        box_logits, class_logits = flatten_levels(outputs.box_logits), flatten_levels(outputs.class_logits)
        boxes = distances_to_xyxy(expected_distances(box_logits.unflatten(2, (4, 16))), points) * strides
        assignment = loss.assigner(class_logits, boxes, targets, SIZES, STRIDES)
    foreground, gt, score = dense(assignment, targets, *foreground_shape(want[f"{prefix}fg"]))
    assert torch.equal(foreground, want[f"{prefix}fg"])
    assert torch.equal(gt[foreground], want[f"{prefix}gt_idx"].long()[foreground])
    assert_near(score, want[f"{prefix}score_max"], tolerance)
    np.testing.assert_allclose(float(score.sum()), float(want[f"{prefix}score_sum"]), rtol=tolerance, atol=1e-12)
    if f"{prefix}metric" in want:
        objects = want[f"{prefix}metric"].shape[1]
        metric = dense_metric(loss.assigner, class_logits, boxes, targets, objects)
        assert_near(metric, want[f"{prefix}metric"], tolerance)
    if f"{prefix}fg_per_level" in want:
        levels = torch.split(foreground, [height * width for height, width in SIZES], 1)
        assert [int(level.sum()) for level in levels] == want[f"{prefix}fg_per_level"].tolist()


@pytest.mark.parametrize("case", MODEL_CASES)
def test_model_in_training(golden: Path, case: str) -> None:
    """Train-mode outputs, loss, assignment, every gradient and the moved batch-norm statistics of a whole model."""
    path = golden / "loss" / f"{case}.npz"
    want = load_arrays(path)
    overrides = {name.removeprefix("override:"): value for name, value in want.items() if name.startswith("override:")}
    model = filled_model(golden, case.partition("_detect")[0], overrides)
    loss = DetectionLoss(STRIDES, rules=case.split("__")[1])
    targets = golden_targets(want, "target:")

    outputs = model(golden_images(golden))["detect"]
    terms = loss(outputs, targets)
    total = torch.stack(list(terms.values())).sum() * 2
    total.backward()
    np.testing.assert_allclose([float(term.detach()) for term in terms.values()], want["components"], rtol=1e-4)
    np.testing.assert_allclose(float(total.detach()), want["total"], rtol=1e-4)
    check_gradients(path, want, official_gradients(model))
    if case.endswith("empty"):  # these store nothing else: outputs and statistics do not depend on the objects
        return

    for name, level in zip(("p3", "p4", "p5"), zip(*outputs, strict=True), strict=True):
        torch.testing.assert_close(torch.cat(level, 1).detach(), want[name], rtol=0, atol=1e-3)
    check_assignment(loss, outputs, targets, want, "assign:", tolerance=1e-4)
    state = official_state(model)
    moved = [name for name in want if name.startswith("after:")]
    assert moved
    for name in moved:
        torch.testing.assert_close(state[name.removeprefix("after:")], want[name], rtol=0, atol=1e-5)


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
