"""Boxes, masks and keypoints together: the terms of the single losses, and nothing from what is not labelled."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from part_factory import HEADS
from yolov12.config.heads import MultiHeadConfig
from yolov12.data.sample import Targets
from yolov12.losses.base import Gains
from yolov12.losses.heatmap_pose import gaussians, heatmap_term
from yolov12.losses.multi import MultiLoss
from yolov12.losses.pose import PoseLoss
from yolov12.losses.segment import SegmentationLoss
from yolov12.models.dynamic import DynamicConv
from yolov12.models.heads.heatmap_pose import drawn_to_peaks
from yolov12.models.heads.multi import MultiHead, MultiOutputs
from yolov12.models.heads.pose import PoseOutputs
from yolov12.models.heads.segment import SegmentOutputs
from yolov12.models.registry import FeatureSpec

STRIDES = (8, 16, 32)
CONFIG = HEADS["multi"]
GAINS = Gains(2, 3, 4, 5, 6)
TARGETS = Targets(
    torch.tensor([0, 0, 1]),
    torch.tensor([0, 1, 2]),
    torch.tensor([[10.0, 10, 40, 50], [30, 20, 60, 60], [5, 5, 30, 60]]),
    masks=torch.arange(2 * 16 * 16).view(2, 16, 16) % 3,
    keypoints_input=torch.cat((torch.arange(24).view(3, 4, 2) * 2.5, torch.full((3, 4, 1), 2)), 2),
    outlined=torch.tensor([True, True, True]),
)


def outputs(config: MultiHeadConfig = CONFIG) -> MultiOutputs:
    torch.manual_seed(0)
    head = MultiHead(config, FeatureSpec((8, 8, 8), STRIDES))
    return head(tuple(torch.rand(2, 8, 64 // stride, 64 // stride) for stride in STRIDES))


def test_the_terms_are_those_of_the_single_losses() -> None:
    raw = outputs()
    terms = MultiLoss(STRIDES, GAINS, "r8363", CONFIG)(raw, TARGETS)
    masks = SegmentationLoss(STRIDES, GAINS)(SegmentOutputs(raw.detect, raw.coefficients, raw.prototypes), TARGETS)
    points = PoseLoss(STRIDES, GAINS, "r8363", CONFIG)(PoseOutputs(raw.detect, raw.keypoints), TARGETS)
    assert list(terms) == ["box", "cls", "dfl", "seg", "pose", "kobj"]
    for name, value in {**masks, **points}.items():
        torch.testing.assert_close(terms[name], value)


def test_heatmaps_learn_nothing_where_an_object_is_not_labelled() -> None:
    config = HEADS["multi-all"]
    raw = outputs(config)
    loss = MultiLoss(STRIDES, GAINS, "r8363", config)
    expected = heatmap_term(raw.heatmaps, TARGETS, 8)
    torch.testing.assert_close(loss(raw, TARGETS)["heatmap"], expected * GAINS.heatmap)
    points = TARGETS.keypoints_input.clone()
    points[1] = 0  # the second object of the first picture, in 30 20 60 60
    some = TARGETS._replace(keypoints_input=points)
    wanted, count = gaussians(some, (8, 8), 2, 8)
    told = torch.ones(2, 1, 8, 8)
    told[0, :, 2:8, 4:8] = 0  # the cells whose middles lie in that box
    told = torch.maximum(told, (wanted > 0).float())
    expected = (told * (raw.heatmaps - wanted).square()).sum() / count
    torch.testing.assert_close(loss(raw, some)["heatmap"], expected * GAINS.heatmap)
    assert told.min() == 0


def test_the_unified_head_decodes_like_its_parts() -> None:
    torch.manual_seed(0)
    config = HEADS["multi-all"]
    head = MultiHead(config, FeatureSpec((8, 8, 8), STRIDES))
    raw = head(tuple(torch.rand(2, 8, 64 // stride, 64 // stride) for stride in STRIDES))
    plain, drawn = (head.decode(raw._replace(heatmaps=maps)).dense for maps in (raw.heatmaps[:, :0], raw.heatmaps))
    end = 4 + 3 + 6
    torch.testing.assert_close(drawn[:, :end], plain[:, :end])
    torch.testing.assert_close(drawn[:, end:], drawn_to_peaks(plain[:, end:], raw.heatmaps, config.keypoints, 8))
    assert isinstance(head.prototypes.conv1, DynamicConv)


def test_the_head_decodes_like_the_single_heads() -> None:
    torch.manual_seed(0)
    head = MultiHead(CONFIG, FeatureSpec((8, 8, 8), STRIDES))
    raw = head(tuple(torch.rand(2, 8, 64 // stride, 64 // stride) for stride in STRIDES))
    decoded = head.decode(raw)
    assert decoded.dense.shape == (2, 4 + 3 + 6 + 4 * 3, 64 + 16 + 4)
    assert decoded.prototypes is not None
    assert decoded.prototypes.shape == (2, 6, 16, 16)


def gradients(targets: Targets, term: str) -> Tensor:
    """Of one term by all raw outputs."""
    raw = outputs()
    leaves = [*raw.coefficients, *raw.keypoints, raw.prototypes]
    value = MultiLoss(STRIDES, GAINS, "r8363", CONFIG)(raw, targets)[term]
    found = torch.autograd.grad(value, leaves, allow_unused=True)
    return torch.cat([part.flatten() for part in found if part is not None])


def test_what_is_not_labelled_teaches_nothing() -> None:
    """An object without a mask: what its pixels say does not matter; one without keypoints: nor does its visibility."""
    partial = TARGETS._replace(outlined=torch.tensor([True, True, False]))
    assert partial.masks is not None
    other = partial._replace(masks=torch.cat((partial.masks[:1], 1 - partial.masks[1:].clamp(max=1))))
    assert torch.equal(gradients(partial, "seg"), gradients(other, "seg"))
    assert not torch.equal(gradients(TARGETS, "seg"), gradients(partial, "seg"))
    nobody = TARGETS._replace(outlined=torch.zeros(3, dtype=torch.bool))
    assert not gradients(nobody, "seg").any()

    assert TARGETS.keypoints_input is not None
    hidden = TARGETS.keypoints_input.clone()
    hidden[2] = 0
    for term in ("pose", "kobj"):
        first_two = TARGETS._replace(
            image_index=TARGETS.image_index[:2], labels=TARGETS.labels[:2], boxes_input=TARGETS.boxes_input[:2],
            keypoints_input=TARGETS.keypoints_input[:2], outlined=torch.tensor([True, True]),
        )  # fmt: skip
        unlabelled = gradients(TARGETS._replace(keypoints_input=hidden), term)
        torch.testing.assert_close(unlabelled, gradients(first_two, term))


def test_learned_uncertainties() -> None:
    """Kendall et al., eq. 10: exp(-s) L + s / 2, part by part."""
    raw = outputs(dataclasses.replace(CONFIG, uncertainty=True))
    s = torch.tensor([0.5, -1.0, 2.0], requires_grad=True)
    loss = MultiLoss(STRIDES, GAINS, "r8363", CONFIG)
    plain = loss(raw._replace(log_variances=torch.zeros(0)), TARGETS)
    weighed = loss(raw._replace(log_variances=s), TARGETS)
    for name, part in (("box", 0), ("cls", 0), ("dfl", 0), ("seg", 1), ("pose", 2), ("kobj", 2)):
        torch.testing.assert_close(weighed[name], plain[name] * (-s[part]).exp())
    assert float(weighed["uncertainty"].detach()) == pytest.approx(0.75)
    torch.stack(list(weighed.values())).sum().backward()
    assert s.grad is not None
    torch.testing.assert_close(s.grad[1], 0.5 - plain["seg"] * torch.tensor(1.0).exp())


def test_nothing_at_all_is_no_error() -> None:
    empty = Targets(
        torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64), torch.zeros(0, 4),
        torch.zeros(2, 16, 16), torch.zeros(0, 4, 3), outlined=torch.zeros(0, dtype=torch.bool),
    )  # fmt: skip
    terms = MultiLoss(STRIDES, GAINS, "r8363", CONFIG)(outputs(), empty)
    assert all(float(terms[name].detach()) == 0 for name in ("box", "dfl", "seg", "pose", "kobj"))
