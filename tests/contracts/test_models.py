"""What every registered combination of parts must keep, at tiny width."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from model_factory import leaves, tiny_head
from yolov12.config.heads import DetectHeadConfig
from yolov12.config.model import LAYOUTS, ModelConfig
from yolov12.config.necks import PAFPNConfig
from yolov12.config.tasks import PUBLISHED, TASK_SUFFIXES
from yolov12.config.variants import model_config
from yolov12.models.detector import Detector, build_model

SUFFIXES = {task: suffix for suffix, task in TASK_SUFFIXES.items()}


def tiny(layout: str, residual_scale: bool, task: str) -> ModelConfig:
    """A network of the shape of the published ones, a few thousand parameters."""
    config = model_config(f"yolov12n{SUFFIXES[task]}", layout, 3)
    backbone = dataclasses.replace(
        config.backbone,
        channels=(8, 8, 16, 16, 16, 64, 64, 64, 64),
        mlp_hidden=(40, 36),
        use_c3k=residual_scale,
        residual_scale=residual_scale,
        position_bias=residual_scale,
    )
    neck = None if task == "classify" else PAFPNConfig((16, 16, 16, 16, 16, 24), 2)
    return dataclasses.replace(config, backbone=backbone, neck=neck, heads={task: head(task)})


def tiny_csp(variant: str, task: str) -> ModelConfig:
    """The same for the convolutional families."""
    config = model_config(f"{variant}{SUFFIXES[task]}", num_classes=3)
    channels = (8, 8, 16, 16, 16, 16, 16, 16, 128, 128)
    backbone = dataclasses.replace(config.backbone, channels=channels[: 9 if task == "classify" else 10])
    neck = config.neck and dataclasses.replace(config.neck, channels=(16, 16, 16, 16, 16, 24))
    branch = "plain" if variant.startswith("yolov8") else "depthwise"
    return dataclasses.replace(config, backbone=backbone, neck=neck, heads={task: head(task, branch)})


def head(task: str, class_branch: str = "depthwise") -> Any:
    config = tiny_head(task, 3)
    if not isinstance(config, DetectHeadConfig):
        return config
    return dataclasses.replace(config, bins=8, class_branch=class_branch)


OTHER_TASKS = sorted(set(PUBLISHED) - {"detect"})
YOLOV12 = [
    *((layout, scale, "detect") for layout in LAYOUTS for scale in (False, True)),
    *((layout, layout == "turbo", task) for layout in LAYOUTS for task in OTHER_TASKS),
]
OTHERS = [("yolo11m", "detect"), *((variant, task) for variant in ("yolo11n", "yolov8n") for task in PUBLISHED)]
CONFIGS = [
    *(pytest.param(tiny(*row), id="-".join(map(str, row))) for row in YOLOV12),
    *(pytest.param(tiny_csp(*row), id="-".join(row)) for row in OTHERS),
]


@pytest.mark.parametrize("config", CONFIGS)
def test_every_trainable_parameter_receives_a_gradient(config: ModelConfig) -> None:
    """In eval mode: batch statistics make some gradients zero that are only constants before a later norm."""
    model = build_model(config, seed=0).eval()
    generator = torch.Generator().manual_seed(0)
    outputs = model(torch.rand(2, 3, 64, 96, generator=generator))[config.task]
    total = torch.zeros(())
    for level in leaves(outputs):
        total = total + (level * torch.randn(level.shape, generator=generator)).sum()
    total.backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
            assert parameter.grad.any(), name
    frozen = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    bins = {"detect": ["heads.detect.bins.weight"], "classify": []}
    assert frozen == bins.get(config.task, [f"heads.{config.task}.detect.bins.weight"])


@pytest.mark.parametrize("config", CONFIGS)
def test_train_and_eval_return_the_same_type(config: ModelConfig) -> None:
    model, images = build_model(config, seed=0), torch.rand(2, 3, 64, 64)
    train, evaluation = model.train()(images), model.eval()(images)
    assert list(train) == list(evaluation) == list(config.heads)
    for name in train:
        assert type(train[name]) is type(evaluation[name])
        shapes = [[level.shape for level in leaves(outputs[name])] for outputs in (train, evaluation)]
        assert shapes[0] == shapes[1]


@pytest.mark.parametrize("config", CONFIGS)
def test_config_round_trip_builds_the_same_network(config: ModelConfig) -> None:
    again = ModelConfig.from_dict(config.to_dict())
    assert again == config
    Detector(again).load_state_dict(build_model(config, seed=0).state_dict())


@pytest.mark.parametrize("config", CONFIGS)
def test_memory_formats_agree(config: ModelConfig) -> None:
    model, images = build_model(config, seed=0).eval(), torch.rand(2, 3, 96, 64)
    with torch.inference_mode():
        expected = list(leaves(model(images)[config.task]))
        model.to(memory_format=torch.channels_last)
        outputs = list(leaves(model(images.to(memory_format=torch.channels_last))[config.task]))
    for level, wanted in zip(outputs, expected, strict=True):
        assert level.ndim == 2 or level.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(level, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("config", CONFIGS)
def test_declared_features_are_what_comes_out(config: ModelConfig) -> None:
    with torch.device("meta"):
        model = Detector(config).eval()
        features = model.backbone(torch.empty(1, 3, 64, 96))
        fused = model.neck(features)
    for part, maps in ((model.backbone, features), (model.neck, fused)):
        expected = [(1, c, 64 // s, 96 // s) for c, s in zip(*part.spec, strict=True)]
        assert [tuple(level.shape) for level in maps] == expected


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("config", CONFIGS)
def test_decoded_outputs_are_float32_of_the_promised_shape(config: ModelConfig, dtype: torch.dtype) -> None:
    model = build_model(config, seed=0).eval().to(dtype)
    with torch.inference_mode():
        decoded = model.head.decode(model(torch.rand(2, 3, 64, 96).to(dtype))[config.task])
    assert decoded.dense.dtype == torch.float32
    assert decoded.dense.isfinite().all()
    classes, anchors = 3, 8 * 12 + 4 * 6 + 2 * 3
    extras = {"detect": 0, "segment": 6, "pose": 4 * 3, "obb": 1}
    if config.task == "classify":
        assert decoded.dense.shape == (2, classes)
        torch.testing.assert_close(decoded.dense.sum(1), torch.ones(2))
        return
    assert decoded.dense.shape == (2, 4 + classes + extras[config.task], anchors)
    scores = decoded.dense[:, 4 : 4 + classes]
    assert ((scores >= 0) & (scores <= 1)).all()
    if config.task == "segment":
        assert decoded.prototypes is not None
        assert decoded.prototypes.dtype == torch.float32
        assert decoded.prototypes.shape == (2, 6, 64 // 4, 96 // 4)
    else:
        assert decoded.prototypes is None


@pytest.mark.parametrize("config", CONFIGS)
def test_one_step_changes_every_trainable_parameter(config: ModelConfig) -> None:
    """In train mode; what only shifts a channel before a batch norm has a gradient of rounding alone."""
    model = build_model(config, seed=0).train()
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    outputs = leaves(model(torch.rand(2, 3, 64, 96, generator=generator))[config.task])
    sum((level * torch.randn(level.shape, generator=generator)).sum() for level in outputs).backward()
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimizer.step()
    for name, parameter in model.named_parameters():
        assert parameter.isfinite().all(), name
        assert parameter.grad is not None or not parameter.requires_grad, name
        if not name.endswith("norm.bias"):
            assert torch.equal(parameter, before[name]) != parameter.requires_grad, name
