"""Geometry, assignment and detection loss against golden numbers of the published models' training code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from filled import filled_model, golden_images, golden_targets, load_arrays, official_gradients, official_state
from golden_losses import (
    RULES,
    SIZES,
    STRIDES,
    assert_near,
    check_assignment,
    check_gradients,
    check_statistics,
    dense,
    dense_metric,
)
from yolov12.data.sample import Targets
from yolov12.losses.assigner import TaskAlignedAssigner
from yolov12.losses.detect import DetectionLoss, distribution_focal_loss, flatten_outputs
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
    foreground, gt, score = dense(assignment, targets, *want["out_fg_mask"].shape)
    assert torch.equal(foreground, want["out_fg_mask"])
    assert torch.equal(gt[foreground], want["out_target_gt_idx"][foreground])
    scores = torch.zeros_like(want["out_target_scores"])
    scores[foreground] = torch.nn.functional.one_hot(want["out_target_labels"][foreground], 5).float()
    assert_near(scores * score[..., None], want["out_target_scores"])
    assert torch.equal(targets.labels[assignment.target], want["out_target_labels"].flatten()[assignment.anchor])
    assert torch.equal(
        targets.boxes_input[assignment.target], want["out_target_bboxes"].flatten(0, 1)[assignment.anchor]
    )


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
    check_assignment(loss.assigner, *predictions(outputs), targets, want, case, tolerance=1e-5)


def predictions(outputs: DetectOutputs) -> tuple[Tensor, Tensor]:
    """Class logits (B, A, C) and predicted corners (B, A, 4) in input pixels."""
    flat = flatten_outputs(outputs, STRIDES)
    boxes = distances_to_xyxy(expected_distances(flat.box_logits), flat.points) * flat.steps
    return flat.class_logits.detach(), boxes.detach()


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
    check_assignment(loss.assigner, *predictions(outputs), targets, want, "assign:", tolerance=1e-4)
    check_statistics(want, official_state(model))
