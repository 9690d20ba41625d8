"""Size, layout and task are told from tensor names and shapes alone."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from model_factory import tiny_config
from yolov12.checkpoint.recognise import recognise
from yolov12.config.backbones import Yolov12BackboneConfig
from yolov12.config.heads import DetectHeadConfig, PoseHeadConfig
from yolov12.config.model import LAYOUTS, ModelConfig
from yolov12.config.tasks import PUBLISHED, TASKS
from yolov12.config.variants import FAMILIES, SCALES, model_config
from yolov12.errors import CheckpointError
from yolov12.models.checkpoint_map import official_to_ours, ours_to_official
from yolov12.models.detector import Detector

Shapes = dict[str, tuple[int, ...]]

SUFFIXES = [TASKS[task].suffix for task in PUBLISHED]


def official_shapes(config: ModelConfig) -> Shapes:
    with torch.device("meta"):
        model = Detector(config)
    state = {name: torch.zeros(()).expand(value.shape) for name, value in model.state_dict().items()}
    return {name: tuple(value.shape) for name, value in ours_to_official(state, config).items()}


SIZES = [
    *((scale, suffix, None) for scale in SCALES for suffix in SUFFIXES),
    *(("n", suffix, 2) for suffix in SUFFIXES),
    ("n", "", 1),
    ("m", "", 3),
]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("scale", "suffix", "num_classes"), SIZES)
def test_every_published_network_is_recognised(scale: str, suffix: str, num_classes: int | None, layout: str) -> None:
    config = model_config(f"yolov12{scale}{suffix}", layout, num_classes)
    assert recognise(official_shapes(config)) == config


@pytest.mark.parametrize("family", ["yolo11", "yolov8"])
@pytest.mark.parametrize(("scale", "suffix", "num_classes"), SIZES)
def test_the_families_to_compare_with_are_recognised(
    family: str, scale: str, suffix: str, num_classes: int | None
) -> None:
    config = model_config(f"{family}{scale}{suffix}", num_classes=num_classes)
    assert config.layout == FAMILIES[family].layouts[0]
    assert recognise(official_shapes(config)) == config


@pytest.mark.parametrize(
    ("keypoints", "said", "found"),
    [
        ((17, 3), None, (17, 3)),
        ((4, 2), None, (4, 2)),
        ((6, 2), None, (4, 3)),  # 12 numbers: shapes alone cannot tell
        ((6, 2), (6, 2), (6, 2)),
        ((1, 2), None, (1, 2)),
    ],
)
def test_keypoints(keypoints: tuple[int, int], said: tuple[int, int] | None, found: tuple[int, int]) -> None:
    config = model_config("yolov12n-pose", keypoints=keypoints)
    head = recognise(official_shapes(config), said).heads["pose"]
    assert isinstance(head, PoseHeadConfig)
    assert head.keypoints == found


def test_keypoints_that_contradict_the_tensors_are_refused() -> None:
    shapes = official_shapes(model_config("yolov12n-pose"))
    with pytest.raises(
        CheckpointError, match=r"kpt_shape: the file says \[6, 2\], its network has 51 keypoint outputs"
    ):
        recognise(shapes, (6, 2))


def backbone(config: ModelConfig, **changes: Any) -> ModelConfig:
    assert isinstance(config.backbone, Yolov12BackboneConfig)
    return dataclasses.replace(config, backbone=dataclasses.replace(config.backbone, **changes))


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(backbone(model_config("yolov12n", "v1.0"), position_bias=True), id="bias of the first v1.0 files"),
        pytest.param(backbone(model_config("yolov12l", "turbo"), mlp_hidden=(256, 256)), id="MLP ratio 1"),
        pytest.param(backbone(model_config("yolov12n", "turbo"), residual_scale=True), id="scaled residual at n"),
        pytest.param(backbone(model_config("yolov12l-seg"), mlp_hidden=(256, 256)), id="MLP ratio 1 of a segmenter"),
        pytest.param(backbone(model_config("yolov12n-seg"), residual_scale=False), id="segmenter without it at n"),
        pytest.param(backbone(model_config("yolov12x-cls"), mlp_hidden=(384, 384)), id="MLP ratio 1 of a classifier"),
        pytest.param(
            dataclasses.replace(
                backbone(
                    model_config("yolov12n", "turbo", 64), channels=(64, 32, 64, 64, 128, 128, 128, 256, 256)
                ),
                heads={"detect": DetectHeadConfig.fitted(64, 64)},
            ),
            id="a fork's unscaled stem at 64 classes",
        ),
    ],
)  # fmt: skip
def test_unusual_widths_are_read_off_the_tensors(config: ModelConfig) -> None:
    assert recognise(official_shapes(config)) == config


FOREIGN: dict[str, tuple[Shapes, str]] = {
    "v11 without most": ({"model.0.conv.weight": (16, 3, 3, 3), "model.10.m.0.ffn.0.conv.weight": (256, 128, 1, 1)},
             "a model that lacks the tensor model.1.weight"),
    "v8 segment": ({"model.2.m.0.cv1.conv.weight": (16, 16, 3, 3), "model.22.proto.cv1.conv.weight": (64, 64, 3, 3),
                    "model.22.cv4.0.2.bias": (32,)}, "a model that lacks the tensor model.0.weight"),
    "other": ({"features.0.weight": (64, 3, 3, 3)}, "YOLO11 or YOLOv8 model: 1 tensors, first features.0.weight"),
    "nothing": ({}, "not a YOLOv12, YOLO11 or YOLOv8 model: 0 tensors"),
}  # fmt: skip


@pytest.mark.parametrize("name", FOREIGN)
def test_other_families_are_named_and_refused(name: str) -> None:
    shapes, message = FOREIGN[name]
    with pytest.raises(CheckpointError, match=message):
        recognise(shapes)


IMPOSSIBLE = {
    # task: the layers whose outputs are changed, to how many
    "detect": ("model.0.", 17),
    "segment": ("model.21.cv4.", 70_000),
    "classify": ("model.9.conv.", 70_000),
    "pose": ("model.21.cv4.", 70_000),
    "obb": ("model.6.cv2.", 72),
}


@pytest.mark.parametrize("task", IMPOSSIBLE)
def test_impossible_shapes_are_one_line_that_names_family_and_task(task: str) -> None:
    """Every tensor of some layers changed alike, so that no vote can help."""
    shapes = official_shapes(tiny_config(task=task))
    layer, size = IMPOSSIBLE[task]
    found = {name: (size, *shape[1:]) if name.startswith(layer) and shape else shape for name, shape in shapes.items()}
    with pytest.raises(CheckpointError, match=f"^a yolov12 {task} model with an impossible shape ") as caught:
        recognise(found)
    assert "\n" not in str(caught.value)


DAMAGE: Shapes = {
    "model.0.conv.weight": (24, 3, 3, 3),
    "model.3.conv.weight": (1, 2, 3, 3),
    "model.1.bn.weight": (5,),
    "model.6.m.0.0.mlp.0.conv.weight": (7, 64, 1, 1),
    "model.6.m.0.0.attn.pe.conv.weight": (32, 1, 3, 3),
    "model.21.cv3.0.2.weight": (),
    "model.21.cv2.1.2.bias": (0,),
}


@pytest.mark.parametrize("damaged", [*DAMAGE, None])
def test_damaged_tensors_are_named_whichever_they_are(damaged: str | None) -> None:
    """One by one, and all of them at once."""
    shapes = official_shapes(tiny_config())
    found = shapes | (DAMAGE if damaged is None else {damaged: DAMAGE[damaged]})
    state = {name: torch.zeros(shape) for name, shape in found.items()}
    with pytest.raises(CheckpointError) as caught:
        official_to_ours(state, recognise(found))
    for name in DAMAGE if damaged is None else [damaged]:
        assert f"{name} {list(found[name])}, expected {list(shapes[name])}" in str(caught.value)
    assert f"{len(DAMAGE) if damaged is None else 1} of another shape" in str(caught.value)


@pytest.mark.parametrize("dropped", [["model.0.conv.weight"], ["model.3.conv.weight", "model.21.cv3.0.2.weight"]])
def test_missing_tensors_are_named_whichever_they_are(dropped: list[str]) -> None:
    shapes = official_shapes(tiny_config())
    found = {name: shape for name, shape in shapes.items() if name not in dropped}
    with pytest.raises(CheckpointError, match=f"{len(dropped)} missing: {', '.join(dropped)}$"):
        official_to_ours({name: torch.zeros(shape) for name, shape in found.items()}, recognise(found))


def test_a_layer_without_any_tensor_is_named() -> None:
    shapes = official_shapes(tiny_config())
    with pytest.raises(CheckpointError, match=r"lacks the tensor model\.3\.weight"):
        recognise({name: shape for name, shape in shapes.items() if not name.startswith("model.3.")})
