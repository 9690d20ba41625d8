from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from loss_factory import (
    NO_OBJECTS,
    OBJECTS,
    STRIDES,
    changed,
    check_gradients_are_finite,
    check_half,
    check_nan,
    check_without_objects,
    random_maps,
    random_outputs,
    total,
)
from yolov12.config.heads import PoseHeadConfig
from yolov12.data.sample import Targets
from yolov12.errors import ConfigError
from yolov12.losses.base import Gains
from yolov12.losses.detect import DetectionLoss
from yolov12.losses.pose import PoseLoss, keypoint_term
from yolov12.models.heads.pose import PoseOutputs

POINTS = 4


def head(values: int) -> PoseHeadConfig:
    return PoseHeadConfig(3, 64, 64, keypoints=(POINTS, values), keypoint_channels=64)


def random_pose(values: int = 3) -> tuple[PoseOutputs, list[Tensor]]:
    """Raw outputs for a 64 px input and the leaves they consist of."""
    detect, leaves = random_outputs()
    keypoints = random_maps(POINTS * values, torch.Generator().manual_seed(1))
    return PoseOutputs(detect, tuple(keypoints)), leaves + keypoints


def random_keypoints(objects: int = 3) -> Tensor:
    """Inside the input, half of them labelled."""
    generator = torch.Generator().manual_seed(2)
    keypoints = torch.rand(objects, POINTS, 3, generator=generator) * 64
    keypoints[..., 2] = torch.tensor([0.0, 1, 2, 0])
    return keypoints


TARGETS = OBJECTS._replace(keypoints_input=random_keypoints())


def test_term_by_hand() -> None:
    """Two labelled keypoints of four, one exact, one 3 cells off on an object of 50 cells^2."""
    predicted = torch.zeros(1, 4, 2)
    wanted = torch.tensor([[[0.0, 0], [3, 0], [100, 100], [-7, 2]]])
    labelled = torch.tensor([[True, True, False, False]])
    value = keypoint_term(predicted, wanted, labelled, torch.tensor([50.0]), torch.full((4,), 0.25))
    assert value.item() == pytest.approx((1 - math.exp(-9 / (0.5**2 * 50 * 2))) * (4 / 2) / 4)


@pytest.mark.parametrize("stride", STRIDES)
def test_one_anchor_by_hand(stride: int) -> None:
    """An object with one anchor, and keypoints at what that anchor predicts: u = 1.5, v = -1, so 2.5 cells right."""
    outputs = changed(random_pose()[0], lambda tensor: torch.zeros_like(tensor))
    for level in outputs.keypoints:
        level.view(2, POINTS, 3, *level.shape[2:])[:] = torch.tensor([1.5, -1.0, 4.0])[:, None, None]
    cell = 64 // stride - 1  # the last of the diagonal
    middle = (cell + 0.5) * stride
    box = torch.tensor([[middle - 3, middle - 3, middle + 3, middle + 3]])
    x, y = (cell + 3.0) * stride, (cell - 2.0) * stride
    keypoints = torch.tensor([[[x, y, 2.0]] * POINTS])
    targets = Targets(torch.tensor([1]), torch.tensor([0]), box, keypoints_input=keypoints)
    terms = PoseLoss(STRIDES, Gains(), "r8363", head(3))(outputs, targets)
    assert terms["pose"].item() == pytest.approx(0, abs=1e-6)
    assert terms["kobj"].item() == pytest.approx(math.log1p(math.exp(-4.0)), rel=1e-5)

    away = PoseLoss(STRIDES, Gains(), "r8363", head(3))(
        outputs, targets._replace(keypoints_input=keypoints + torch.tensor([2.0, 0, 0]))
    )
    error = 4 / ((2 / POINTS) ** 2 * 36 * 2)  # in pixels as in cells
    assert away["pose"].item() == pytest.approx(12 * (1 - math.exp(-error)), rel=1e-4)


def test_terms_and_gains() -> None:
    outputs, _ = random_pose()
    plain = PoseLoss(STRIDES, Gains(1, 1, 1, 1, 1), "r84190", head(3))(outputs, TARGETS)
    gained = PoseLoss(STRIDES, Gains(2, 3, 4, pose=5, kobj=6), "r84190", head(3))(outputs, TARGETS)
    assert list(plain) == ["box", "pose", "kobj", "cls", "dfl"]
    for name, gain in {"box": 2, "cls": 3, "dfl": 4, "pose": 5, "kobj": 6}.items():
        torch.testing.assert_close(gained[name], plain[name] * gain)
    detection = DetectionLoss(STRIDES, Gains(1, 1, 1), "r84190")(outputs.detect, TARGETS)
    assert all(torch.equal(plain[name], term) for name, term in detection.items())


def test_unlabelled_keypoints_count_for_visibility_alone() -> None:
    outputs, _ = random_pose()
    moved = random_keypoints()
    moved[:, [0, 3], :2] += 20
    loss = PoseLoss(STRIDES, head=head(3))
    terms, same = loss(outputs, TARGETS), loss(outputs, OBJECTS._replace(keypoints_input=moved))
    assert all(torch.equal(terms[name], same[name]) for name in terms)
    moved[:, 1, :2] += 20
    assert loss(outputs, OBJECTS._replace(keypoints_input=moved))["pose"] != terms["pose"]
    moved[:, 0, 2] = 1
    assert loss(outputs, OBJECTS._replace(keypoints_input=moved))["kobj"] != terms["kobj"]


def test_objects_without_any_labelled_keypoint_are_harmless() -> None:
    outputs, leaves = random_pose()
    keypoints = random_keypoints()
    keypoints[..., 2] = 0
    terms = PoseLoss(STRIDES, head=head(3))(outputs, OBJECTS._replace(keypoints_input=keypoints))
    assert terms["pose"] == 0
    check_gradients_are_finite(terms, leaves)


def test_keypoints_without_visibility() -> None:
    outputs, leaves = random_pose(values=2)
    terms = PoseLoss(STRIDES, head=head(2))(outputs, TARGETS)
    assert list(terms) == ["box", "pose", "cls", "dfl"]
    three, _ = random_pose(values=3)
    for level, small in zip(three.keypoints, outputs.keypoints, strict=True):
        with torch.no_grad():
            level.view(2, POINTS, 3, *level.shape[2:])[:, :, :2] = small.view(2, POINTS, 2, *level.shape[2:])
    torch.testing.assert_close(terms["pose"], PoseLoss(STRIDES, head=head(3))(three, TARGETS)["pose"])
    check_gradients_are_finite(terms, leaves)


@pytest.mark.parametrize("values", [2, 3])
@pytest.mark.parametrize("targets", [NO_OBJECTS, NO_OBJECTS._replace(keypoints_input=random_keypoints(0))])
def test_without_objects(targets: Targets, values: int) -> None:
    outputs, leaves = random_pose(values)
    check_without_objects(PoseLoss(STRIDES, head=head(values))(outputs, targets), leaves, outputs.detect.class_logits)


def test_objects_without_keypoints() -> None:
    outputs, leaves = random_pose()
    terms = PoseLoss(STRIDES, head=head(3))(outputs, OBJECTS)
    assert terms["pose"] == terms["kobj"] == 0
    assert terms["box"] > 0
    total(terms).backward()
    assert all(leaf.grad is not None for leaf in leaves)


def test_every_output_gets_a_gradient() -> None:
    outputs, leaves = random_pose()
    check_gradients_are_finite(PoseLoss(STRIDES, head=head(3))(outputs, TARGETS), leaves)


def test_half_outputs_are_computed_in_float32() -> None:
    check_half(PoseLoss(STRIDES, head=head(3)), random_pose()[0], TARGETS)


def test_nan() -> None:
    check_nan(PoseLoss(STRIDES, head=head(3)), random_pose()[0], TARGETS)


def test_the_shape_of_the_keypoints_has_to_be_known() -> None:
    with pytest.raises(ConfigError, match="config of a pose head, not None"):
        PoseLoss(STRIDES)


def test_keypoints_can_be_learned() -> None:
    outputs, leaves = random_pose()
    optimizer, loss = torch.optim.Adam(leaves, lr=0.3), PoseLoss(STRIDES, head=head(3))
    history = []
    for _ in range(60):
        terms = loss(outputs, TARGETS)
        optimizer.zero_grad()
        total(terms).backward()
        optimizer.step()
        history.append(terms)
    assert history[-1]["pose"] < 0.1 * history[0]["pose"]
    assert history[-1]["kobj"] < 0.1 * history[0]["kobj"]
