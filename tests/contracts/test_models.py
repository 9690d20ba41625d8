"""What every registered combination of parts must keep, at tiny width."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from yolov12.config.model import (
    BACKBONE_CONFIGS,
    HEAD_CONFIGS,
    LAYOUTS,
    NECK_CONFIGS,
    DetectHeadConfig,
    ModelConfig,
    PAFPNConfig,
)
from yolov12.config.variants import model_config
from yolov12.models.detector import Detector, build_model
from yolov12.models.registry import BACKBONES, HEADS, NECKS


def tiny(layout: str, residual_scale: bool) -> ModelConfig:
    """A detector of the shape of the published ones, a few thousand parameters."""
    config = model_config("yolov12n", layout, 3)
    backbone = dataclasses.replace(
        config.backbone,
        channels=(8, 8, 16, 16, 16, 64, 64, 64, 64),
        mlp_hidden=(40, 36),
        use_c3k=residual_scale,
        residual_scale=residual_scale,
        position_bias=residual_scale,
    )
    return dataclasses.replace(
        config,
        backbone=backbone,
        neck=PAFPNConfig((16, 16, 16, 16, 16, 24), 2),
        heads={"detect": DetectHeadConfig(3, 16, 16, bins=8)},
    )


def tiny_csp(variant: str) -> ModelConfig:
    """The same for the convolutional families."""
    config = model_config(variant, num_classes=3)
    backbone = dataclasses.replace(config.backbone, channels=(8, 8, 16, 16, 16, 16, 16, 16, 32, 128))
    neck = dataclasses.replace(config.neck, channels=(16, 16, 16, 16, 16, 24))
    branch = config.heads["detect"].class_branch
    head = DetectHeadConfig(3, 16, 16, bins=8, class_branch=branch)
    return dataclasses.replace(config, backbone=backbone, neck=neck, heads={"detect": head})


CONFIGS = [
    *(pytest.param(tiny(layout, scale), id=f"{layout}-{scale}") for layout in LAYOUTS for scale in (False, True)),
    *(pytest.param(tiny_csp(variant), id=variant) for variant in ("yolo11n", "yolo11m", "yolov8n")),
]


def test_every_registered_part_has_a_config() -> None:
    assert set(BACKBONE_CONFIGS) == set(BACKBONES.kinds)
    assert set(NECK_CONFIGS) == set(NECKS.kinds)
    assert set(HEAD_CONFIGS) == set(HEADS.kinds)


@pytest.mark.parametrize("config", CONFIGS)
def test_every_trainable_parameter_receives_a_gradient(config: ModelConfig) -> None:
    """In eval mode: batch statistics make some gradients zero that are only constants before a later norm."""
    model = build_model(config, seed=0).eval()
    generator = torch.Generator().manual_seed(0)
    outputs = model(torch.rand(2, 3, 64, 96, generator=generator))["detect"]
    total = torch.zeros(())
    for level in (*outputs.box_logits, *outputs.class_logits):
        total = total + (level * torch.randn(level.shape, generator=generator)).sum()
    total.backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
            assert parameter.grad.any(), name
    assert [name for name, parameter in model.named_parameters() if not parameter.requires_grad] == [
        "heads.detect.bins.weight"
    ]


@pytest.mark.parametrize("config", CONFIGS)
def test_train_and_eval_return_the_same_type(config: ModelConfig) -> None:
    model, images = build_model(config, seed=0), torch.rand(2, 3, 64, 64)
    train, evaluation = model.train()(images), model.eval()(images)
    assert list(train) == list(evaluation) == list(config.heads)
    for name in train:
        assert type(train[name]) is type(evaluation[name])
        for left, right in zip(train[name], evaluation[name], strict=True):
            assert [level.shape for level in left] == [level.shape for level in right]


@pytest.mark.parametrize("config", CONFIGS)
def test_config_round_trip_builds_the_same_network(config: ModelConfig) -> None:
    again = ModelConfig.from_dict(config.to_dict())
    assert again == config
    Detector(again).load_state_dict(build_model(config, seed=0).state_dict())


@pytest.mark.parametrize("config", CONFIGS)
def test_memory_formats_agree(config: ModelConfig) -> None:
    model, images = build_model(config, seed=0).eval(), torch.rand(2, 3, 96, 64)
    with torch.inference_mode():
        expected = model(images)["detect"]
        model.to(memory_format=torch.channels_last)
        outputs = model(images.to(memory_format=torch.channels_last))["detect"]
    for levels, wanted in zip(outputs, expected, strict=True):
        assert all(level.is_contiguous(memory_format=torch.channels_last) for level in levels)
        torch.testing.assert_close(levels, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("config", CONFIGS)
def test_declared_features_are_what_comes_out(config: ModelConfig) -> None:
    with torch.device("meta"):
        model = Detector(config).eval()
        features = model.backbone(torch.empty(1, 3, 64, 96))
        fused = model.neck(features)
    for part, maps in ((model.backbone, features), (model.neck, fused)):
        expected = [(1, c, 64 // s, 96 // s) for c, s in zip(*part.spec, strict=True)]
        assert [tuple(level.shape) for level in maps] == expected
