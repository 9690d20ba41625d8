"""Which network a set of published tensors belongs to, told from names and shapes alone; file names are not evidence.

Widths, repeats, groups and kernels are read off the shapes, so a file with unusual ones (a fork that leaves a layer
unscaled when its nominal width equals the number of classes, MLPs of 307 or 460 channels) still loads. The scale's
letter is then only a label: the published scale that agrees in most layers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from yolov12.config.model import DetectHeadConfig, ModelConfig, PAFPNConfig, Yolov12BackboneConfig
from yolov12.config.variants import SCALES, model_config
from yolov12.errors import CheckpointError, ConfigError

Shapes = Mapping[str, tuple[int, ...]]

SIDES = 4
BACKBONE_OUTPUTS = (
    "model.0.conv", "model.1.conv", "model.2.cv2.conv", "model.3.conv", "model.4.cv2.conv", "model.5.conv",
    "model.6.cv2.conv", "model.7.conv", "model.8.cv2.conv",
)  # fmt: skip
NECK_OUTPUTS = (
    "model.11.cv2.conv", "model.14.cv2.conv", "model.15.conv",
    "model.17.cv2.conv", "model.18.conv", "model.20.cv2.conv",
)  # fmt: skip
ATTENTION = re.compile(r"model\.[68]\.m\.\d+\.[01]\.attn\.")


class Family(NamedTuple):
    """A family of networks, and how its tensors give it away."""

    name: str
    matches: Callable[[Shapes], bool]


FAMILIES = (
    Family("YOLOv12", lambda shapes: any(ATTENTION.match(name) for name in shapes)),
    Family("YOLO11", lambda shapes: _mentions(shapes, ".ffn.") and not _mentions(shapes, ".one2one")),
    Family(
        "YOLOv8",
        lambda shapes: (
            "model.2.m.0.cv1.conv.weight" in shapes
            and "model.2.cv3.conv.weight" not in shapes
            and not _mentions(shapes, ".attn.")
        ),
    ),
)


def recognise(shapes: Shapes) -> ModelConfig:
    """The config of the network whose published state dict has these shapes.

    Raises CheckpointError, in one line, for anything but a YOLOv12 detector, naming family and task where they are
    known, or the tensor that is missing.
    """
    family = next((family.name for family in FAMILIES if family.matches(shapes)), None)
    if family is None:
        first = next(iter(shapes.items()), ("none", ()))
        raise CheckpointError(
            f"not a YOLOv12 model: {len(shapes)} tensors, the first is {first[0]} of shape {first[1]}; "
            "expected a published state dict (model.0.conv.weight ...) or a file of this package"
        )
    task = _task(shapes)
    if family != "YOLOv12" or task != "detect":
        raise CheckpointError(f"a {family} {task} model: this version reads YOLOv12 detect models; others come later")
    try:
        return _detector_config(shapes)
    except ConfigError as error:
        raise CheckpointError(f"a YOLOv12 detect model with an impossible shape ({error})") from error


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


def _detector_config(shapes: Shapes) -> ModelConfig:
    channels = tuple(_conv(shapes, prefix)[0] for prefix in BACKBONE_OUTPUTS)
    neck_channels = tuple(_conv(shapes, prefix)[0] for prefix in NECK_OUTPUTS)
    backbone = Yolov12BackboneConfig(
        channels=channels,
        down_groups=(_groups(shapes, 1, channels[0]), _groups(shapes, 3, channels[2])),
        use_c3k="model.2.m.0.cv3.conv.weight" in shapes,
        repeats=_count(shapes, "model.2.m."),
        attention_repeats=_count(shapes, "model.6.m."),
        mlp_hidden=tuple(_conv(shapes, f"model.{layer}.m.0.0.mlp.0.conv")[0] for layer in (6, 8)),
        position_kernel=_conv(shapes, "model.6.m.0.0.attn.pe.conv")[2],
        residual_scale="model.6.gamma" in shapes,
        position_bias="model.6.m.0.0.attn.pe.conv.bias" in shapes,
    )
    head = DetectHeadConfig(
        num_classes=_conv(shapes, "model.21.cv3.0.2")[0],
        box_channels=_conv(shapes, "model.21.cv2.0.0.conv")[0],
        class_channels=_conv(shapes, "model.21.cv3.0.0.1.conv")[0],
        bins=_conv(shapes, "model.21.cv2.0.2")[0] // SIDES,
    )
    layout = "turbo" if _mentions(shapes, ".attn.qk.") else "v1.0"
    neck = PAFPNConfig(channels=neck_channels, repeats=_count(shapes, "model.11.m."))
    return ModelConfig(_nearest_variant(backbone, neck, layout), layout, "detect", backbone, neck, {"detect": head})


def _nearest_variant(backbone: Yolov12BackboneConfig, neck: PAFPNConfig, layout: str) -> str:
    """The published model that agrees in most widths and structure."""

    def agreement(variant: str) -> int:
        published = model_config(variant, layout)
        widths = zip(
            backbone.channels + neck.channels, published.backbone.channels + published.neck.channels, strict=True
        )
        structure = (
            backbone.use_c3k == published.backbone.use_c3k,
            backbone.repeats == published.backbone.repeats,
            backbone.attention_repeats == published.backbone.attention_repeats,
            backbone.residual_scale == published.backbone.residual_scale,
        )
        return sum(found == expected for found, expected in widths) + sum(structure)

    return max((f"yolov12{scale}" for scale in SCALES), key=agreement)


def _conv(shapes: Shapes, prefix: str) -> tuple[int, int, int, int]:
    """Shape of a convolution's weight: (out, in / groups, height, width)."""
    name = f"{prefix}.weight"
    if name not in shapes:
        raise CheckpointError(f"a YOLOv12 detect model that lacks the tensor {name}")
    shape = shapes[name]
    if len(shape) != 4 or 0 in shape:
        raise CheckpointError(f"{name}: expected a convolution's four dimensions, found shape {shape}")
    return shape[0], shape[1], shape[2], shape[3]


def _groups(shapes: Shapes, layer: int, channels_in: int) -> int:
    return max(1, channels_in // _conv(shapes, f"model.{layer}.conv")[1])


def _count(shapes: Shapes, prefix: str) -> int:
    """How many numbered units lie under `prefix`."""
    return len({name.removeprefix(prefix).split(".")[0] for name in shapes if name.startswith(prefix)})


def _mentions(shapes: Shapes, part: str) -> bool:
    return any(part in name for name in shapes)
