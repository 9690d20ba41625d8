"""Small model files for tests: a tiny network of the published structure, and pickled as other projects do it."""

from __future__ import annotations

import enum
import itertools
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from yolov12.checkpoint import ModelFile
from yolov12.config.backbones import Yolov12BackboneConfig
from yolov12.config.heads import (
    ClassifyHeadConfig,
    DetectHeadConfig,
    HeadConfig,
    ObbHeadConfig,
    PoseHeadConfig,
    SegmentHeadConfig,
)
from yolov12.config.model import ModelConfig
from yolov12.config.necks import PAFPNConfig
from yolov12.config.variants import Variant
from yolov12.models.checkpoint_map import ours_to_official
from yolov12.models.detector import build_model

FOREIGN_MODULE = "ultralytics.nn.tasks"


def tiny_head(task: str, num_classes: int, keypoints: tuple[int, int] = (4, 3)) -> HeadConfig:
    """The head of a task at a fraction of the smallest published width."""
    shared: dict[str, Any] = {"num_classes": num_classes, "box_channels": 16, "class_channels": 8}
    if task == "classify":
        return ClassifyHeadConfig(num_classes, hidden=24)
    if task == "segment":
        return SegmentHeadConfig(**shared, mask_channels=12, prototype_channels=8, masks=6)
    if task == "pose":
        return PoseHeadConfig(**shared, keypoints=keypoints, keypoint_channels=10)
    if task == "obb":
        return ObbHeadConfig(**shared, angle_channels=4)
    return DetectHeadConfig(**shared)


def tiny_config(
    layout: str = "turbo",
    num_classes: int = 3,
    *,
    task: str = "detect",
    keypoints: tuple[int, int] = (4, 3),
    position_bias: bool = False,
) -> ModelConfig:
    """Either layout and any task at a fraction of the smallest published width."""
    turbo = layout == "turbo"
    backbone = Yolov12BackboneConfig(
        channels=(8, 8, 8, 8, 16, 16, 64, 16, 64),
        down_groups=(2, 4) if turbo else (1, 1),
        use_c3k=False,
        repeats=1,
        attention_repeats=1,
        mlp_hidden=(40, 38),
        position_kernel=5 if turbo else 7,
        residual_scale=False,
        position_bias=position_bias,
        areas=(1, 1) if turbo and task == "classify" else (4, 1),
    )
    neck = None if task == "classify" else PAFPNConfig(channels=(64, 8, 8, 64, 16, 16), repeats=1)
    head = tiny_head(task, num_classes, keypoints)
    return ModelConfig(Variant("yolov12", "n", task).name, layout, task, backbone, neck, {task: head})


def tiny_file(
    layout: str = "turbo",
    names: tuple[str, ...] = ("a", "b", "c"),
    *,
    task: str = "detect",
    keypoints: tuple[int, int] = (4, 3),
    position_bias: bool = False,
) -> ModelFile:
    """A tiny network with fresh weights, always the same."""
    config = tiny_config(layout, len(names), task=task, keypoints=keypoints, position_bias=position_bias)
    return file_of(config, names)


def file_of(config: ModelConfig, names: tuple[str, ...] = ("a", "b", "c")) -> ModelFile:
    """A network with fresh weights, always the same, and the norm statistics of a trained net."""
    state = build_model(config, seed=0).state_dict()
    generator = torch.Generator().manual_seed(1)
    for name, value in state.items():
        if name.endswith(("norm.weight", "running_var")):
            state[name] = torch.rand(value.shape, generator=generator) + 0.5
        elif name.endswith(("norm.bias", "running_mean", "position.conv.bias")):
            state[name] = torch.rand(value.shape, generator=generator) - 0.5
    metadata = {"task": config.task, "variant": config.variant, "layout": config.layout, "licence": "Apache-2.0"}
    return ModelFile(config, state, dict(enumerate(names)), metadata)


def official_state(file: ModelFile) -> dict[str, Tensor]:
    """The file's weights under the published keys."""
    return {name: value.clone() for name, value in ours_to_official(file.state, file.config).items()}


def pickled_network(state: Mapping[str, Tensor], **attributes: Any) -> nn.Module:
    """A module whose state dict is `state`, of a class that exists only inside `save_foreign`."""
    root = _foreign_class()()
    for key, value in state.items():
        *path, leaf = key.split(".")
        module: nn.Module = root
        for step in path:
            if step not in module._modules:
                module.add_module(step, _foreign_class()())
            module = module.get_submodule(step)
        if value.is_floating_point() and "running" not in leaf:
            module.register_parameter(leaf, nn.Parameter(value, requires_grad=False))
        else:
            module.register_buffer(leaf, value)
    for name, value in attributes.items():
        setattr(root, name, value)
    return root


def save_foreign(path: Path, contents: Any) -> Path:
    """`torch.save` of contents that hold pickled networks; afterwards their classes cannot be imported any more."""
    modules = {}
    for full in (FOREIGN_MODULE, TRANSFORMS_MODULE):
        for name in itertools.accumulate(full.split("."), lambda parent, child: f"{parent}.{child}"):
            modules[name] = sys.modules[name] = ModuleType(name)
    modules[FOREIGN_MODULE].DetectionModel = _foreign_class()  # type: ignore[attr-defined]
    for kind in _TRANSFORMS:
        setattr(modules[TRANSFORMS_MODULE], kind.__name__, kind)
    try:
        torch.save(contents, path)
    finally:
        for name in modules:
            del sys.modules[name]
    return path


def save_network(path: Path, file: ModelFile, **entries: Any) -> Path:
    """A checkpoint as a trained and stripped file of the authors' project has it: half precision, pickled."""
    half = {name: value.half() if value.is_floating_point() else value for name, value in official_state(file).items()}
    network = pickled_network(half, names=file.names, nc=len(file.names), stride=torch.tensor([8.0, 16.0, 32.0]))
    if file.config.task == "classify":
        # Such objects carry 1 as their stride, the classes their architecture was drawn with, and their preprocessing.
        network.stride, network.nc, network.transforms = torch.tensor([1.0]), 80, foreign_transforms()
    head = file.config.heads[file.config.task]
    if isinstance(head, PoseHeadConfig):
        list(network.get_submodule("model").children())[-1].kpt_shape = list(head.keypoints)
    return save_foreign(path, {"epoch": -1, "ema": None, "model": network, "version": "8.3.63", **entries})


TRANSFORMS_MODULE = "torchvision.transforms.functional"


def foreign_transforms() -> list[Any]:
    """Objects as classifiers carry them: one with a tensor, and a member of an enumeration."""
    if not _TRANSFORMS:
        _TRANSFORMS.append(type("Normalize", (), {"__module__": TRANSFORMS_MODULE}))
        _TRANSFORMS.append(enum.Enum("InterpolationMode", {"BILINEAR": "bilinear"}, module=TRANSFORMS_MODULE))
    normalize, mode = _TRANSFORMS[0](), _TRANSFORMS[1]["BILINEAR"]
    normalize.mean, normalize.interpolation = torch.zeros(3), mode
    return [normalize, mode]


_TRANSFORMS: list[Any] = []
_CLASSES: list[type[nn.Module]] = []


def _foreign_class() -> type[nn.Module]:
    if not _CLASSES:
        _CLASSES.append(type("DetectionModel", (nn.Module,), {"__module__": FOREIGN_MODULE}))
    return _CLASSES[0]


def leaves(outputs: Tensor | tuple[Any, ...]) -> Iterator[Tensor]:
    """All tensors of a head's raw outputs."""
    if isinstance(outputs, Tensor):
        yield outputs
        return
    for part in outputs:
        yield from leaves(part)
