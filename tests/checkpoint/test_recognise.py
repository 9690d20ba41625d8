"""Size, layout and task are told from tensor names and shapes alone."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from model_factory import tiny_config
from yolov12.checkpoint.recognise import recognise
from yolov12.config.model import LAYOUTS, ModelConfig, Yolov12BackboneConfig
from yolov12.config.variants import SCALES, detect_head_config, model_config
from yolov12.errors import CheckpointError
from yolov12.models.checkpoint_map import ours_to_official
from yolov12.models.detector import Detector

Shapes = dict[str, tuple[int, ...]]


def official_shapes(config: ModelConfig) -> Shapes:
    with torch.device("meta"):
        model = Detector(config)
    state = {name: torch.zeros(()).expand(value.shape) for name, value in model.state_dict().items()}
    return {name: tuple(value.shape) for name, value in ours_to_official(state, config).items()}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("scale", "num_classes"), [*((scale, 80) for scale in SCALES), ("n", 1), ("m", 3)])
def test_every_published_network_is_recognised(scale: str, layout: str, num_classes: int) -> None:
    config = model_config(f"yolov12{scale}", layout, num_classes)
    assert recognise(official_shapes(config)) == config


def backbone(config: ModelConfig, **changes: Any) -> ModelConfig:
    assert isinstance(config.backbone, Yolov12BackboneConfig)
    return dataclasses.replace(config, backbone=dataclasses.replace(config.backbone, **changes))


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(backbone(model_config("yolov12n", "v1.0"), position_bias=True), id="bias of the first v1.0 files"),
        pytest.param(backbone(model_config("yolov12l", "turbo"), mlp_hidden=(256, 256)), id="MLP ratio 1"),
        pytest.param(backbone(model_config("yolov12n", "turbo"), residual_scale=True), id="scaled residual at n"),
        pytest.param(
            dataclasses.replace(
                backbone(
                    model_config("yolov12n", "turbo", 64), channels=(64, 32, 64, 64, 128, 128, 128, 256, 256)
                ),
                heads={"detect": detect_head_config(64, 64)},
            ),
            id="a fork's unscaled stem at 64 classes",
        ),
    ],
)  # fmt: skip
def test_unusual_widths_are_read_off_the_tensors(config: ModelConfig) -> None:
    assert recognise(official_shapes(config)) == config


FOREIGN: dict[str, tuple[Shapes, str]] = {
    "v11": ({"model.0.conv.weight": (16, 3, 3, 3), "model.10.m.0.attn.qkv.conv.weight": (256, 128, 1, 1),
             "model.10.m.0.ffn.0.conv.weight": (256, 128, 1, 1)}, "a YOLO11 detect model"),
    "v8": ({"model.0.conv.weight": (16, 3, 3, 3), "model.2.m.0.cv1.conv.weight": (16, 16, 3, 3)},
           "a YOLOv8 detect model"),
    "v8 segment": ({"model.2.m.0.cv1.conv.weight": (16, 16, 3, 3), "model.22.proto.cv1.conv.weight": (64, 64, 3, 3),
                    "model.22.cv4.0.2.bias": (32,)}, "a YOLOv8 segment model"),
    "other": ({"features.0.weight": (64, 3, 3, 3)}, "not a YOLOv12 model: 1 tensors, the first is features.0.weight"),
    "nothing": ({}, "not a YOLOv12 model: 0 tensors"),
}  # fmt: skip


@pytest.mark.parametrize("name", FOREIGN)
def test_other_families_are_named_and_refused(name: str) -> None:
    shapes, message = FOREIGN[name]
    with pytest.raises(CheckpointError, match=message):
        recognise(shapes)


@pytest.mark.parametrize(
    ("extra", "task"),
    [
        ({"model.21.proto.cv1.conv.weight": (64, 64, 3, 3), "model.21.cv4.0.2.bias": (32,)}, "segment"),
        ({"model.9.linear.weight": (1000, 1280)}, "classify"),
        ({"model.21.cv4.0.2.bias": (51,)}, "pose"),
        ({"model.21.cv4.0.2.bias": (1,)}, "obb"),
    ],
)
def test_other_tasks_are_named_and_refused(extra: Shapes, task: str) -> None:
    with pytest.raises(CheckpointError, match=f"a YOLOv12 {task} model: this version reads YOLOv12 detect"):
        recognise({**official_shapes(tiny_config()), **extra})


@pytest.mark.parametrize(
    "missing", ["model.3.conv.weight", "model.21.cv3.0.2.weight", "model.6.m.0.0.mlp.0.conv.weight"]
)
def test_a_missing_tensor_that_gives_the_size_is_named(missing: str) -> None:
    shapes = official_shapes(tiny_config())
    del shapes[missing]
    with pytest.raises(CheckpointError, match=missing):
        recognise(shapes)


@pytest.mark.parametrize("shape", [(), (8,), (8, 3, 3), (0, 3, 3, 3), (1, 1, 1, 1, 1)])
def test_a_weight_of_the_wrong_dimensions_is_named(shape: tuple[int, ...]) -> None:
    with pytest.raises(CheckpointError, match=r"model\.0\.conv\.weight: expected a convolution's four dimensions"):
        recognise({**official_shapes(tiny_config()), "model.0.conv.weight": shape})
