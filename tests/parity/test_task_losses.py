"""Losses of masks, keypoints and rotated boxes against golden numbers of the published models' training code."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

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
from yolov12.config.heads import PoseHeadConfig
from yolov12.data.sample import Targets
from yolov12.losses.assigner import ROTATED, TaskAlignedAssigner
from yolov12.losses.base import DEFAULT_GAINS, LossTerms
from yolov12.losses.detect import flatten_outputs
from yolov12.losses.obb import RotatedLoss
from yolov12.losses.pose import PoseLoss
from yolov12.losses.segment import SegmentationLoss
from yolov12.models.heads.detect import DetectOutputs, flatten_levels
from yolov12.models.heads.obb import ObbOutputs
from yolov12.models.heads.pose import PoseOutputs
from yolov12.models.heads.segment import SegmentOutputs
from yolov12.ops.boxes import distances_to_xyxy, expected_distances
from yolov12.ops.rotated import distances_to_rotated, logits_to_angles

WIDTH, HEIGHT = 160, 128
ALWAYS_ZERO = "sem"
"""A component that the later rules report for masks, and that these models do not have."""
POSE_HEAD = PoseHeadConfig(1, 64, 64, keypoints=(17, 3), keypoint_channels=51)
CASES = (
    "turbo_n_seg__r8363",
    "v1_n_seg__r84190",
    "v1_n_pose__r8363",
    "v1_n_pose__r84190",
    "v1_n_obb__r8363",
    "v1_n_obb__r84190",
)

Outputs = SegmentOutputs | PoseOutputs | ObbOutputs
Loss = SegmentationLoss | PoseLoss | RotatedLoss


class Case(NamedTuple):
    """One fixture by its name `<model>_<task>__<rules>`."""

    task: str
    rules: str

    @property
    def loss(self) -> Loss:
        """As the reference computed it."""
        kinds: dict[str, type[Loss]] = {"seg": SegmentationLoss, "pose": PoseLoss, "obb": RotatedLoss}
        return kinds[self.task](STRIDES, DEFAULT_GAINS, self.rules, POSE_HEAD)

    def outputs(self, want: Mapping[str, Tensor]) -> Outputs:
        """The stored raw outputs of the head."""
        maps = [want[name] for name in ("p3", "p4", "p5")]
        detect = DetectOutputs(tuple(m[:, :64] for m in maps), tuple(m[:, 64:] for m in maps))
        if self.task == "seg":
            return SegmentOutputs(detect, levels(want["mask_coeff"]), want["proto"])
        if self.task == "pose":
            return PoseOutputs(detect, levels(want["kpt_raw"]))
        # Stored as the angle itself, which is (sigmoid(z) - 1/4) * pi.
        return ObbOutputs(detect, levels((want["angle"].double() / math.pi + 0.25).logit().float()))

    def targets(self, want: Mapping[str, Tensor]) -> Targets:
        """The stored objects in input pixels, rounded in the reference's order."""
        if self.task == "obb":
            rotated = want["target:bboxes"] * torch.tensor([WIDTH, HEIGHT, WIDTH, HEIGHT, 1.0])
            image, labels = want["target:batch_idx"].long(), want["target:cls"].long().flatten()
            return Targets(image, labels, torch.zeros(len(rotated), 4), rotated_input=rotated)
        targets = golden_targets(want, "target:")
        if self.task == "seg":
            return targets._replace(masks=want["target:masks"].to(torch.int16))
        return targets._replace(keypoints_input=want["target:keypoints"] * torch.tensor([WIDTH, HEIGHT, 1.0]))


def named(name: str) -> Case:
    model, rules = name.split("__")
    return Case(model.split("_")[2], rules)


def levels(joined: Tensor) -> tuple[Tensor, ...]:
    """(B, K, A) -> maps (B, K, H_l, W_l)."""
    parts = joined.split([height * width for height, width in SIZES], 2)
    return tuple(part.unflatten(2, size) for part, size in zip(parts, SIZES, strict=True))


def predictions(outputs: Outputs) -> tuple[Tensor, Tensor]:
    """Class logits (B, A, C) and predicted boxes (B, A, 4 or 5) in input pixels."""
    flat = flatten_outputs(outputs.detect, STRIDES)
    distances = expected_distances(flat.box_logits)
    if isinstance(outputs, ObbOutputs):
        angles = logits_to_angles(flatten_levels(outputs.angles))[..., 0]
        boxes = distances_to_rotated(distances, flat.points, angles)
        boxes = torch.cat((boxes[..., :4] * flat.steps, boxes[..., 4:]), 2)
    else:
        boxes = distances_to_xyxy(distances, flat.points) * flat.steps
    return flat.class_logits.detach(), boxes.detach()


def check_terms(path: Path, terms: LossTerms, total: Tensor, tolerance: float) -> None:
    """Names, order and values of the gained terms, and the total."""
    with np.load(path) as file:
        want = dict(zip(file["component_names"].tolist(), file["components"].tolist(), strict=True))
        expected_total = float(file["total"])
    assert want.pop(ALWAYS_ZERO, 0.0) == 0.0
    assert list(terms) == list(want)
    np.testing.assert_allclose([float(term.detach()) for term in terms.values()], list(want.values()), rtol=tolerance)
    np.testing.assert_allclose(float(total.detach()), expected_total, rtol=tolerance)


def assigner_of(loss: Loss) -> TaskAlignedAssigner:
    return loss.assigner if isinstance(loss, RotatedLoss) else loss.detection.assigner


@pytest.mark.parametrize("name", CASES)
def test_loss_of_stored_outputs(golden: Path, name: str) -> None:
    path = golden / "loss" / f"{name}.npz"
    want, case = load_arrays(path), named(name)
    outputs, targets, loss = case.outputs(want), case.targets(want), case.loss
    terms = loss(outputs, targets)
    check_terms(path, terms, torch.stack(list(terms.values())).sum() * 2, 1e-5)
    check_assignment(assigner_of(loss), *predictions(outputs), targets, want, "assign:", tolerance=1e-5)


def test_the_tie_of_a_mask_box_decides_a_column(golden: Path) -> None:
    """An object's box begins exactly at column 2 of its mask; rounded in another order it begins just behind."""
    path = golden / "loss" / "turbo_n_seg__r8363.npz"
    want, case = load_arrays(path), named(path.stem)
    targets = case.targets(want)
    edges = targets.boxes_input[2, [0, 2]] / 4
    assert edges.tolist() == [2.0, 22.0]
    boxes = want["target:bboxes"]
    other = torch.cat((boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2), 1)
    other = other * torch.tensor([WIDTH, HEIGHT, WIDTH, HEIGHT])
    torch.testing.assert_close(other, targets.boxes_input)
    seg, shifted = (
        case.loss(case.outputs(want), targets._replace(boxes_input=each))["seg"]
        for each in (targets.boxes_input, other)
    )
    assert 0.002 < abs(float(shifted / seg) - 1) < 0.006


@pytest.mark.parametrize("name", CASES)
def test_model_in_training(golden: Path, name: str) -> None:
    """Train-mode outputs, loss, every gradient and the moved batch-norm statistics of a whole model."""
    path = golden / "loss" / f"{name}.npz"
    want, case = load_arrays(path), named(name)
    model = filled_model(golden, name.split("__")[0])
    (outputs,) = model(golden_images(golden)).values()
    terms = case.loss(outputs, case.targets(want))
    total = torch.stack(list(terms.values())).sum() * 2
    total.backward()
    check_terms(path, terms, total, 1e-4)
    check_gradients(path, want, official_gradients(model))
    check_assignment(assigner_of(case.loss), *predictions(outputs), case.targets(want), want, "assign:", 1e-4)
    check_statistics(want, official_state(model))
    stored = case.outputs(want)
    for actual, wanted in zip(tensors(outputs), tensors(stored), strict=True):
        torch.testing.assert_close(actual.detach(), wanted, rtol=0, atol=1e-3)


def tensors(outputs: object) -> list[Tensor]:
    """All tensors of nested tuples, in order."""
    if isinstance(outputs, Tensor):
        return [outputs]
    assert isinstance(outputs, tuple)
    return [tensor for part in outputs for tensor in tensors(part)]


@pytest.mark.parametrize("rules", RULES)
def test_rotated_assigner(golden: Path, rules: str) -> None:
    want = load_arrays(golden / "ops" / f"assigner_rotated__{rules}.npz")
    image, number = (want["mask_gt"][..., 0] > 0).nonzero().unbind(1)
    rotated = want["gt_rboxes"][image, number]
    labels = want["gt_labels"][image, number, 0].long()
    targets = Targets(image, labels, torch.zeros(len(rotated), 4), rotated_input=rotated)
    logits = want["pd_scores"].double().logit().float()
    assigner = TaskAlignedAssigner(rules=rules, geometry=ROTATED)

    metric = dense_metric(assigner, logits, want["pd_rboxes"], targets, want["gt_labels"].shape[1])
    assert_near(metric, want["metric"])
    assignment = assigner(logits, want["pd_rboxes"], targets, SIZES, STRIDES)
    foreground, gt, score = dense(assignment, targets, *want["out_fg_mask"].shape)
    assert torch.equal(foreground, want["out_fg_mask"])
    assert torch.equal(gt[foreground], want["out_target_gt_idx"][foreground])
    scores = torch.zeros_like(want["out_target_scores"])
    scores[foreground] = torch.nn.functional.one_hot(want["out_target_labels"][foreground], 5).float()
    assert_near(scores * score[..., None], want["out_target_scores"])
    assert torch.equal(rotated[assignment.target], want["out_target_rboxes"].flatten(0, 1)[assignment.anchor])
