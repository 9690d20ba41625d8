"""The whole product of backbones, necks and heads: every combination builds, is stored, learns and predicts."""

from __future__ import annotations

import pytest
import torch

from model_factory import leaves
from part_factory import BACKBONES, HEADS, NECKS, PAIRS, PRODUCT, network
from yolov12.checkpoint.model_file import check_state
from yolov12.config.backbones import BACKBONE_CONFIGS
from yolov12.config.heads import HEAD_CONFIGS
from yolov12.config.model import ModelConfig
from yolov12.config.necks import NECK_CONFIGS
from yolov12.data.sample import Targets
from yolov12.inference.torch_runtime import TorchRuntime
from yolov12.losses.criterion import LOSSES, Criterion
from yolov12.models.detector import Detector, build_model
from yolov12.models.heads.detect import DetectHead
from yolov12.models.profile import profile

TARGETS = Targets(
    image_index=torch.tensor([0, 0, 1]),
    labels=torch.tensor([0, 1, 2]),
    boxes_input=torch.tensor([[10.0, 10, 40, 50], [30, 20, 60, 60], [5, 5, 30, 60]]),
    masks=torch.arange(2 * 16 * 16).view(2, 16, 16) % 3,
    keypoints_input=torch.cat((torch.arange(24).view(3, 4, 2) * 2.5, torch.full((3, 4, 1), 2)), 2),
    rotated_input=torch.tensor([[25, 30, 30, 40, 0.3], [45, 40, 30, 40, 0.1], [16, 32, 25, 55, 1.0]]),
)


def images() -> torch.Tensor:
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def idle_names(model: Detector, head: str) -> list[str]:
    """Trainable parameters without a gradient; a classifier has no use for what is made of the finer maps."""
    finer = ("backbone.between.1", "backbone.lateral", "backbone.fusions.0", "backbone.fusions.1")
    return [
        name
        for name, value in model.named_parameters()
        if value.numel() and value.requires_grad and (value.grad is None or not value.grad.any())
        if head != "classify" or not name.startswith(finer)
    ]


def test_registered_means_tested() -> None:
    assert {part.kind for part in BACKBONES.values()} == set(BACKBONE_CONFIGS) - {"timm"}  # tests/models/test_timm.py
    assert {part.kind for part in NECKS.values()} == set(NECK_CONFIGS)
    assert {part.kind for part in HEADS.values()} == set(HEAD_CONFIGS) == set(LOSSES)


@pytest.mark.parametrize("parts", PRODUCT, ids="-".join)
def test_a_combination_learns(parts: tuple[str, str, str]) -> None:
    """One step of every loss: finite, and all of backbone and neck learns."""
    config = network(*parts)
    assert ModelConfig.from_dict(config.to_dict()) == config
    model = build_model(config, seed=0).train()
    check_state(model.state_dict(), config)
    criterion = Criterion(config)
    criterion.total(criterion(model(images()), TARGETS), 2).backward()
    parameters = dict(model.named_parameters())
    assert all(value.grad is None or value.grad.isfinite().all() for value in parameters.values())
    # Only branches of levels without objects may be idle: nothing in front of the head is.
    assert [name for name in idle_names(model, parts[2]) if not name.startswith("heads.")] == []


@pytest.mark.parametrize("parts", PAIRS, ids="-".join)
def test_every_parameter_matters(parts: tuple[str, str, str]) -> None:
    """In eval mode, where no norm hides a constant: each output depends on each trainable parameter."""
    model = build_model(network(*parts), seed=0).eval()
    generator = torch.Generator().manual_seed(1)
    total = torch.zeros(())
    for level in leaves(model(torch.rand(2, 3, 64, 96, generator=generator))[model.config.task]):
        total = total + (level * torch.randn(level.shape, generator=generator)).sum()
    total.backward()
    assert idle_names(model, parts[2]) == []


@pytest.mark.parametrize("parts", PAIRS, ids="-".join)
def test_folded_and_batched_networks_agree(parts: tuple[str, str, str]) -> None:
    """The runtime's folded copy says what the network says, and an image's answer does not depend on its batch."""
    model = build_model(network(*parts), seed=0).eval()
    with torch.inference_mode():
        whole = model.head.decode(model(images())[model.config.task])
        single = model.head.decode(model(images()[:1])[model.config.task])
    torch.testing.assert_close(single.dense, whole.dense[:1], rtol=1e-4, atol=1e-4)
    canvas = (images()[:1] * 255).to(torch.uint8)
    decoded = TorchRuntime(model)(canvas.permute(0, 2, 3, 1).flip(3).contiguous().numpy(), 0.0)
    with torch.inference_mode():
        expected = model.head.decode(model(canvas.float() / 255)[model.config.task])
    torch.testing.assert_close(torch.from_numpy(decoded.dense), expected.dense, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_profile_counts_all_parameters(backbone: str) -> None:
    for neck in NECKS:
        config = network(backbone, neck, "detect")
        expected = sum(parameter.numel() for parameter in build_model(config, seed=0).parameters())
        assert profile(build_model(config, seed=0), 64).parameters == expected


def test_a_head_of_ones_own_is_run_as_it_is() -> None:
    """What is derived from a head of the package may compute otherwise: no short cut is taken for it."""

    class Own(DetectHead):
        pass

    model = build_model(network("yolov12", "pafpn", "detect"), seed=0).eval()
    assert TorchRuntime(model)._lazy is not None
    model.heads["detect"].__class__ = Own
    assert TorchRuntime(model)._lazy is None


def test_mixed_convolutions_are_counted() -> None:
    plain, mixed = (
        profile(build_model(network("yolov12", "pafpn", head), seed=0), 64) for head in ("segment", "dynamic_mask")
    )
    assert mixed.gflops == pytest.approx(plain.gflops, rel=0.02)
