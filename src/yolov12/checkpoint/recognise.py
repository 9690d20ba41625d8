"""Which network a set of published tensors belongs to, told from names and shapes alone; file names are not evidence.

Widths, repeats, groups and kernels are read off the shapes, so a file with unusual ones (a fork that leaves a layer
unscaled when its nominal width equals the number of classes, MLPs of 307 or 460 channels) still loads. The scale's
letter is then only a label: the published scale that agrees in most layers. A width is what most of the tensors of its
layer say, so that one damaged tensor is found to be the odd one out when the weights are loaded.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from yolov12.config.backbones import Yolo11BackboneConfig, Yolov8BackboneConfig, Yolov12BackboneConfig
from yolov12.config.heads import (
    ClassifyHeadConfig,
    DetectHeadConfig,
    HeadConfig,
    ObbHeadConfig,
    PoseHeadConfig,
    SegmentHeadConfig,
)
from yolov12.config.model import STANDARD, ModelConfig
from yolov12.config.necks import PAFPNConfig
from yolov12.config.parts import BackboneConfig, PartConfig
from yolov12.config.tasks import TASKS
from yolov12.config.variants import AREAS, FAMILIES, LAYOUT_TABLE, Variant, model_config
from yolov12.errors import CheckpointError, ConfigError
from yolov12.models.checkpoint_map import official_layers

Shapes = Mapping[str, tuple[int, ...]]

SIDES = 4
LEVELS = range(3)
ATTENTION = re.compile(r"model\.[68]\.m\.\d+\.[01]\.attn\.")


class Marks(NamedTuple):
    """How the tensors of a family give it away, and how to read its backbone and the blocks of its neck."""

    matches: Callable[[Shapes], bool]
    backbone: Callable[[Shapes, tuple[int, ...], str], BackboneConfig]
    neck_block: str


def recognise(shapes: Shapes, keypoints: tuple[int, int] | None = None) -> ModelConfig:
    """The config of the network whose published state dict has these shapes.

    `keypoints` is what the file says of a pose model: K keypoints of D values. Their shapes give only K * D, so without
    it three values are taken where 3 divides that, else two.

    Raises CheckpointError, in one line, for anything but a network of a known family, naming family and task where
    they are known, or the tensor that is missing.
    """
    family = next((family for family, marks in MARKS.items() if marks.matches(shapes)), None)
    if family is None:
        first = next(iter(shapes.items()), ("none", ()))
        raise CheckpointError(
            f"not a YOLOv12, YOLO11 or YOLOv8 model: {len(shapes)} tensors, first {first[0]} of shape {first[1]}; "
            "expected a published state dict (model.0.conv.weight ...) or a file of this package"
        )
    task = _task(shapes)
    try:
        return _model_config(shapes, family, task, keypoints)
    except ConfigError as error:
        raise CheckpointError(f"a {family} {task} model with an impossible shape ({error})") from error


def _task(shapes: Shapes) -> str:
    """Told from the head: prototypes, a linear layer, or the width of the additional branch."""
    extra = next((shape for name, shape in shapes.items() if name.endswith(".cv4.0.2.bias")), None)
    if _mentions(shapes, ".proto."):
        return "segment"
    if _mentions(shapes, ".linear."):
        return "classify"
    if extra is not None:
        return "obb" if extra == (1,) else "pose"
    return "detect"


def _model_config(shapes: Shapes, family: str, task: str, keypoints: tuple[int, int] | None) -> ModelConfig:
    layers = official_layers(family, task)
    marks, widths = MARKS[family], _widths(shapes, layers)
    blocks = [layer for layer, part in layers.items() if part.startswith("neck.")]
    neck = None
    if blocks:
        neck = PAFPNConfig(
            channels=widths[-len(blocks) :],
            repeats=_count(shapes, f"model.{blocks[0]}.m."),
            block=marks.neck_block,
            use_c3k=marks.neck_block == "c3k2" and f"model.{blocks[0]}.m.0.cv3.conv.weight" in shapes,
        )
    backbone = marks.backbone(shapes, widths[: len(widths) - len(blocks)], task)
    head = _head(shapes, f"model.{max(layers)}", task, keypoints)
    layout = STANDARD if family != "yolov12" else _layout(shapes)
    variant = _nearest_variant(family, task, backbone, neck, layout)
    return ModelConfig(variant, layout, task, backbone, neck, {task: head})


def _head(shapes: Shapes, prefix: str, task: str, keypoints: tuple[int, int] | None) -> HeadConfig:
    """The head that lies under `prefix`; each width is what its branches on all levels say."""

    def width(branch: str, layer: str) -> int:
        return _width(shapes, *(f"{prefix}.{branch}.{level}.{layer}" for level in LEVELS))

    if not TASKS[task].boxes:
        return ClassifyHeadConfig(_width(shapes, f"{prefix}.linear"), _width(shapes, f"{prefix}.conv"))
    plain = f"{prefix}.cv3.0.0.conv.weight" in shapes
    shared: dict[str, Any] = {
        "num_classes": width("cv3", "2"),
        "box_channels": width("cv2", "0"),
        "class_channels": width("cv3", "0" if plain else "0.1"),
        "bins": width("cv2", "2") // SIDES,
        "class_branch": "plain" if plain else "depthwise",
    }
    if TASKS[task].masks:
        prototypes = _width(shapes, f"{prefix}.proto.cv1", f"{prefix}.proto.cv2")
        return SegmentHeadConfig(
            **shared, mask_channels=width("cv4", "0"), prototype_channels=prototypes, masks=width("cv4", "2")
        )
    if TASKS[task].keypoints:
        shape = _keypoints(width("cv4", "2"), keypoints)
        return PoseHeadConfig(**shared, keypoints=shape, keypoint_channels=width("cv4", "0"))
    if TASKS[task].rotated:
        return ObbHeadConfig(**shared, angle_channels=width("cv4", "0"))
    return DetectHeadConfig(**shared)


def _keypoints(outputs: int, said: tuple[int, int] | None) -> tuple[int, int]:
    """K and D of `outputs` = K * D numbers, as the file says them or most likely."""
    if said is None:
        values = 3 if outputs % 3 == 0 else 2
        said = outputs // values, values
    if said[0] * said[1] != outputs:
        raise CheckpointError(f"kpt_shape: the file says {list(said)}, its network has {outputs} keypoint outputs")
    return said


def _layout(shapes: Shapes) -> str:
    return "turbo" if _mentions(shapes, ".attn.qk.") else "v1.0"


def _widths(shapes: Shapes, layers: Mapping[int, str]) -> tuple[int, ...]:
    """Output widths of the layers of backbone and neck, but for attention, which keeps the width."""
    plain = ("backbone.stem", "backbone.down_", "neck.down_")
    trunk = {layer: part for layer, part in layers.items() if not part.startswith(("backbone.attention", "heads."))}
    units = (f"model.{layer}{'' if part.startswith(plain) else '.cv2'}" for layer, part in trunk.items())
    return tuple(_width(shapes, unit) for unit in units)


def _yolov12_backbone(shapes: Shapes, widths: tuple[int, ...], task: str) -> Yolov12BackboneConfig:
    return Yolov12BackboneConfig(
        channels=widths,
        down_groups=(_groups(shapes, 1, widths[0], widths[1]), _groups(shapes, 3, widths[2], widths[3])),
        use_c3k="model.2.m.0.cv3.conv.weight" in shapes,
        repeats=_count(shapes, "model.2.m."),
        attention_repeats=_count(shapes, "model.6.m."),
        mlp_hidden=tuple(_width(shapes, f"model.{layer}.m.0.0.mlp.0") for layer in (6, 8)),
        position_kernel=_position_kernel(shapes),
        residual_scale="model.6.gamma" in shapes,
        position_bias="model.6.m.0.0.attn.pe.conv.bias" in shapes,
        # The only number that no tensor shows.
        areas=AREAS if TASKS[task].boxes else LAYOUT_TABLE[_layout(shapes)].classify_areas,
    )


def _yolo11_backbone(shapes: Shapes, widths: tuple[int, ...], task: str) -> Yolo11BackboneConfig:
    attention = next(layer for layer, part in official_layers("yolo11", task).items() if part == "backbone.attention")
    return Yolo11BackboneConfig(
        channels=widths,
        repeats=_count(shapes, "model.2.m."),
        use_c3k="model.2.m.0.cv3.conv.weight" in shapes,
        attention_repeats=_count(shapes, f"model.{attention}.m."),
    )


def _yolov8_backbone(shapes: Shapes, widths: tuple[int, ...], task: str) -> Yolov8BackboneConfig:
    return Yolov8BackboneConfig(widths, tuple(_count(shapes, f"model.{layer}.m.") for layer in (2, 4, 6, 8)))


MARKS: dict[str, Marks] = {
    "yolov12": Marks(lambda shapes: any(ATTENTION.match(name) for name in shapes), _yolov12_backbone, "relan"),
    "yolo11": Marks(
        lambda shapes: _mentions(shapes, ".ffn.") and not _mentions(shapes, ".one2one"), _yolo11_backbone, "c3k2"
    ),
    "yolov8": Marks(
        lambda shapes: (
            "model.2.m.0.cv1.conv.weight" in shapes
            and "model.2.cv3.conv.weight" not in shapes
            and not _mentions(shapes, ".attn.")
        ),
        _yolov8_backbone,
        "c2f",
    ),
}


def _nearest_variant(family: str, task: str, backbone: BackboneConfig, neck: PAFPNConfig | None, layout: str) -> str:
    """The published model that agrees in most widths and structure."""

    def agreement(variant: str) -> int:
        published = model_config(variant, layout if layout != STANDARD else "turbo")
        widths = zip(_all_widths(backbone, neck), _all_widths(published.backbone, published.neck), strict=True)
        ours, theirs = vars(backbone), vars(published.backbone)
        same_structure: int = sum(ours[name] == theirs[name] for name in STRUCTURE if name in ours)
        return same_structure + sum(found == expected for found, expected in widths)

    return max((Variant(family, scale, task).name for scale in FAMILIES[family].scales), key=agreement)


def _all_widths(*parts: PartConfig | None) -> tuple[int, ...]:
    return tuple(width for part in parts if part is not None for width in vars(part)["channels"])


STRUCTURE = ("use_c3k", "repeats", "attention_repeats", "residual_scale")


def _width(shapes: Shapes, *units: str) -> int:
    """Output width of layers that are equally wide, by the vote of their weights, biases and norms."""
    owners = ("", ".conv", ".bn")
    names = [f"{unit}{owner}" for unit in units for owner in owners]
    found = (shapes[name] for prefix in names for name in _own_tensors(shapes, prefix))
    return _vote((shape[0] for shape in found if shape), f"{units[0]}.weight")


def _own_tensors(shapes: Shapes, prefix: str) -> Iterable[str]:
    leaves = ("weight", "bias", "running_mean", "running_var")
    return (f"{prefix}.{leaf}" for leaf in leaves if f"{prefix}.{leaf}" in shapes)


def _groups(shapes: Shapes, layer: int, channels_in: int, channels_out: int) -> int:
    """Groups of a convolution, 1 when its weight says something impossible."""
    per_group = (*shapes.get(f"model.{layer}.conv.weight", ()), 0, 0)[1]
    groups = channels_in // per_group if per_group else 1
    return groups if groups and not channels_in % groups and not channels_out % groups else 1


def _position_kernel(shapes: Shapes) -> int:
    weights = (shape for name, shape in shapes.items() if name.endswith(".attn.pe.conv.weight"))
    return _vote((shape[3] for shape in weights if len(shape) == 4), "model.6.m.0.0.attn.pe.conv.weight")


def _vote(values: Iterable[int], name: str) -> int:
    """The most frequent of `values`; CheckpointError naming a tensor that should have been among them."""
    counted = Counter(values).most_common(1)
    if not counted:
        raise CheckpointError(f"a model that lacks the tensor {name}")
    return counted[0][0]


def _count(shapes: Shapes, prefix: str) -> int:
    """How many numbered units lie under `prefix`."""
    return len({name.removeprefix(prefix).split(".")[0] for name in shapes if name.startswith(prefix)})


def _mentions(shapes: Shapes, part: str) -> bool:
    return any(part in name for name in shapes)
