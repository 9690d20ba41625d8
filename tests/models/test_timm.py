"""Models of the timm library as backbones; `scripts/formats` installs it and runs these tests."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch

from model_factory import file_of
from part_factory import network
from yolov12 import YOLO
from yolov12.checkpoint import write_model_file
from yolov12.config.backbones import TimmBackboneConfig
from yolov12.config.model import ModelConfig
from yolov12.data.sample import Targets
from yolov12.errors import ConfigError
from yolov12.losses.criterion import Criterion
from yolov12.models.detector import build_model

pytestmark = pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="timm is an extra: scripts/formats")

TARGETS = Targets(
    image_index=torch.tensor([0, 1]),
    labels=torch.tensor([0, 2]),
    boxes_input=torch.tensor([[10.0, 10, 40, 50], [5, 5, 30, 60]]),
)


@pytest.fixture(scope="module", autouse=True)
def operators() -> torch.library.Library | None:
    """Operators of torchvision, for where its usual wheel, which is for CUDA, does not load beside a CPU torch."""
    try:
        import torchvision  # noqa: F401
    except (ImportError, OSError, RuntimeError):
        declared = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            declared.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        return declared
    return None


def with_backbone(name: str) -> ModelConfig:
    described = network("hybrid", "pafpn", "detect").to_dict()
    return ModelConfig.from_dict({**described, "backbone": {"kind": "timm", "name": name}})


@pytest.mark.parametrize("name", [TimmBackboneConfig().name, "mobilenetv3_small_050", "convnext_atto"])
def test_a_model_learns_and_is_exported(name: str, tmp_path: Path) -> None:
    config = with_backbone(name)
    model = build_model(config, seed=0).train()
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert [tuple(level.shape[2:]) for level in model.backbone(images)] == [(8, 8), (4, 4), (2, 2)]
    criterion = Criterion(config)
    criterion.total(criterion(model(images), TARGETS), 2).backward()
    silent = [name for name, value in model.backbone.named_parameters() if value.grad is None or not value.grad.any()]
    assert silent == []
    source = tmp_path / "model.safetensors"
    write_model_file(source, file_of(config))
    path = YOLO(source).export(format="onnx", dynamic=False, imgsz=64, images=4, verbose=False)
    assert YOLO(path).artefact.certificate["failures"] == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet81", "'resnet81' is not a model of timm. Did you mean 'resnet18'"),
        ("vit_tiny_patch16_224", "has no map at stride 8, only at"),
    ],
)
def test_what_is_no_backbone_is_refused(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_model(with_backbone(name), seed=0)
