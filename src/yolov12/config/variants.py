"""The published models by name: tables of sizes, and what a name or a layout may be.

YOLOv12: Tian et al. 2025 (arXiv:2502.12524), in both layouts: `turbo` (the repository's main branch) and `v1.0` (the
paper's first version). YOLO11 and YOLOv8, to compare with, have one layout. No torch in here, so that names can be
checked and help printed at once.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import NamedTuple

from yolov12.config.backbones import (
    HybridBackboneConfig,
    TransformerBackboneConfig,
    Yolo11BackboneConfig,
    Yolov8BackboneConfig,
    Yolov12BackboneConfig,
)
from yolov12.config.fields import require_choice
from yolov12.config.heads import DEFAULT_KEYPOINTS, HEAD_CONFIGS
from yolov12.config.model import LAYOUTS, STANDARD, ModelConfig
from yolov12.config.necks import AttentionPANConfig, ContextBiFPNConfig, PAFPNConfig
from yolov12.config.parts import WIDTH_MULTIPLE, BackboneConfig, NeckConfig
from yolov12.config.tasks import TASK_SUFFIXES, TASKS
from yolov12.errors import ConfigError, did_you_mean

LAYOUT_ALIASES = {"v1": "v1.0"}


class Scale(NamedTuple):
    """One row of the table of sizes; every irregularity between the sizes is a column."""

    depth: float
    width: float
    max_channels: int
    use_c3k: bool = False
    residual_scale: bool = False
    mlp_ratio_turbo: float = 2.0
    mlp_ratio_v1: float = 2.0


SCALES: dict[str, Scale] = {
    #          depth  width  cap  c3k    scaled residual  MLP ratio turbo, v1.0
    "n": Scale(0.50, 0.25, 1024, False, False, 2.0, 2.0),
    "s": Scale(0.50, 0.50, 1024, False, False, 2.0, 2.0),
    "m": Scale(0.50, 1.00, 512, True, False, 2.0, 2.0),
    "l": Scale(1.00, 1.00, 512, True, True, 1.5, 1.2),
    "x": Scale(1.00, 1.50, 512, True, True, 1.5, 1.2),
}


class LayoutRow(NamedTuple):
    """What differs between the two published layouts besides the MLP ratio and the order of the attention's rows.

    `scaled_tasks` have the scaled residual at every size, the others only where the table of sizes says so;
    `classify_areas` are the attention's bands where whole pictures are classified, (4, 1) elsewhere.
    """

    down_groups: tuple[int, int]
    position_kernel: int
    scaled_tasks: tuple[str, ...]
    classify_areas: tuple[int, int]


AREAS = (4, 1)
LAYOUT_TABLE: dict[str, LayoutRow] = {
    "turbo": LayoutRow((2, 4), 5, ("segment", "classify"), (1, 1)),
    "v1.0": LayoutRow((1, 1), 7, (), AREAS),
}

DEFAULT_CLASSES = {"detect": 80, "segment": 80, "classify": 1000, "pose": 1, "obb": 15, "multi": 1}
"""Classes of the data sets that the published models were trained on: COCO, ImageNet, COCO's people, DOTA."""

# Channels before scaling. Backbone: stem, down_p2, stage_p2, down_p3, stage_p3, down_p4, stage_p4, down_p5, stage_p5.
BACKBONE_CHANNELS = (64, 128, 256, 256, 512, 512, 512, 1024, 1024)
# Neck: top_p4, out_p3, down_p3, out_p4, down_p4, out_p5.
NECK_CHANNELS = (512, 256, 256, 512, 512, 1024)
STAGE_REPEATS, ATTENTION_REPEATS = 2, 4


# YOLOv8 scales its depth and width by other numbers, and has its own repeats. YOLO11 scales as YOLOv12 does.
SCALES_V8: dict[str, Scale] = {
    #          depth  width  cap
    "n": Scale(0.33, 0.25, 1024),
    "s": Scale(0.33, 0.50, 1024),
    "m": Scale(0.67, 0.75, 768),
    "l": Scale(1.00, 1.00, 512),
    "x": Scale(1.00, 1.25, 512),
}
CLASSIFY_CAP_V8 = 1024
"""YOLOv8's classifiers are not capped by size: with this cap at all sizes they have the published parameters."""
BACKBONE_CHANNELS_V8 = (64, 128, 128, 256, 256, 512, 512, 1024, 1024, 1024)
BACKBONE_REPEATS_V8, NECK_REPEATS_V8 = (3, 6, 6, 3), 3
BACKBONE_CHANNELS_11 = (*BACKBONE_CHANNELS, 1024)


class Variant(NamedTuple):
    """A model name taken apart; `name` puts it together in our spelling."""

    family: str
    scale: str
    task: str

    @property
    def name(self) -> str:
        """`yolov12n`, `yolov12n-seg`, `yolov12-hybrid-n` and the like."""
        dash = "-" if "-" in self.family else ""
        return f"{self.family}{dash}{self.scale}{TASKS[self.task].suffix}"


class Trunk(NamedTuple):
    """The parts of a network that its tasks share; classifiers leave the neck out."""

    backbone: BackboneConfig
    neck: NeckConfig


class Family(NamedTuple):
    """A row of the table of families: its sizes, its layouts (the first is the default), and how a size is built."""

    scales: tuple[str, ...]
    layouts: tuple[str, ...]
    class_branch: str
    trunk: Callable[[Variant, str], Trunk]


_NAME = re.compile(r"yolov?(?P<family>\d+)(?P<scale>[a-z]?)(?P<task>(-[a-z]+)?)(\.pt|\.yaml|\.yml)?")
_DESIGN_NAME = re.compile(r"yolov?(?P<family>12-[a-z]+)-(?P<scale>[a-z])(?P<task>(-[a-z]+)?)(\.pt|\.yaml|\.yml)?")


def parse_variant(name: str) -> Variant:
    """`yolov12n`, also as `yolo12n`, `yolov12n.pt` or `yolo12n.yaml`, and `yolov12n-seg` and the like.

    Raises ConfigError naming what is available.
    """
    available = [Variant(family, scale, "detect").name for family, row in FAMILIES.items() for scale in row.scales]
    match = _DESIGN_NAME.fullmatch(name) or _NAME.fullmatch(name)
    if match is None or match["task"] not in TASK_SUFFIXES:
        suffixes = ", ".join(suffix for suffix in TASK_SUFFIXES if suffix)
        raise ConfigError(
            f"{name!r} is not a model name.{did_you_mean(name, available)} Available: {', '.join(available)}; "
            f"for other tasks with {suffixes}"
        )
    number, task = match["family"], TASK_SUFFIXES[match["task"]]
    family = next((family for family in FAMILIES if re.fullmatch(f"yolov?{number}", family)), None)
    if family is None:
        raise ConfigError(f"{name!r}: there is no family {number}. Available: {', '.join(available)}")
    if match["scale"] not in FAMILIES[family].scales:
        raise ConfigError(f"{name!r}: no scale {match['scale']!r}. Available: {', '.join(available)}")
    return Variant(family, match["scale"], task)


def check_layout(layout: str) -> str:
    """The layout's own name (`v1` means `v1.0`), or a ConfigError."""
    resolved = LAYOUT_ALIASES.get(layout, layout)
    require_choice("layout", resolved, LAYOUTS)
    return resolved


def model_config(
    variant: str,
    layout: str = "turbo",
    num_classes: int | None = None,
    *,
    keypoints: tuple[int, int] = DEFAULT_KEYPOINTS,
) -> ModelConfig:
    """The config of a published model, by name.

    layout       matters to the families that have several
    num_classes  None: as many as the published model of the task has
    keypoints    K and D of models for poses
    """
    parsed, layout = parse_variant(variant), check_layout(layout)
    family, task = FAMILIES[parsed.family], parsed.task
    layout = layout if layout in family.layouts else family.layouts[0]
    backbone, neck = family.trunk(parsed, layout)
    classes = DEFAULT_CLASSES[task] if num_classes is None else num_classes
    branch = family.class_branch
    head = HEAD_CONFIGS[task].fitted(classes, neck.finest_channels, keypoints=keypoints, class_branch=branch)
    return ModelConfig(parsed.name, layout, task, backbone, neck if TASKS[task].boxes else None, {task: head})


def _yolov12(variant: Variant, layout: str) -> Trunk:
    scale, row = SCALES[variant.scale], LAYOUT_TABLE[layout]
    channels, neck_channels = (_scaled(nominal, scale) for nominal in (BACKBONE_CHANNELS, NECK_CHANNELS))
    mlp_ratio = scale.mlp_ratio_turbo if layout == "turbo" else scale.mlp_ratio_v1
    backbone = Yolov12BackboneConfig(
        channels=channels,
        down_groups=row.down_groups,
        use_c3k=scale.use_c3k,
        repeats=scaled_repeats(STAGE_REPEATS, scale),
        attention_repeats=scaled_repeats(ATTENTION_REPEATS, scale),
        # Truncated as published: the v1.0 layout really has widths such as 307 = int(256 * 1.2).
        mlp_hidden=tuple(int(channels[stage] // 2 * mlp_ratio) for stage in (6, 8)),
        position_kernel=row.position_kernel,
        residual_scale=scale.residual_scale or variant.task in row.scaled_tasks,
        areas=AREAS if TASKS[variant.task].boxes else row.classify_areas,
    )
    return Trunk(backbone, PAFPNConfig(neck_channels, scaled_repeats(STAGE_REPEATS, scale)))


def _yolo11(variant: Variant, layout: str) -> Trunk:
    scale = SCALES[variant.scale]
    channels, neck_channels = (_scaled(nominal, scale) for nominal in (BACKBONE_CHANNELS_11, NECK_CHANNELS))
    repeats = scaled_repeats(STAGE_REPEATS, scale)
    return Trunk(
        Yolo11BackboneConfig(_pooled(channels, variant), repeats, scale.use_c3k, attention_repeats=repeats),
        PAFPNConfig(neck_channels, repeats, block="c3k2", use_c3k=scale.use_c3k),
    )


def _yolov8(variant: Variant, layout: str) -> Trunk:
    scale = SCALES_V8[variant.scale]
    if not TASKS[variant.task].boxes:
        scale = scale._replace(max_channels=CLASSIFY_CAP_V8)
    channels, neck_channels = (_scaled(nominal, scale) for nominal in (BACKBONE_CHANNELS_V8, NECK_CHANNELS))
    repeats = tuple(scaled_repeats(nominal, scale) for nominal in BACKBONE_REPEATS_V8)
    return Trunk(
        Yolov8BackboneConfig(_pooled(channels, variant), repeats),
        PAFPNConfig(neck_channels, scaled_repeats(NECK_REPEATS_V8, scale), block="c2f"),
    )


def _pooled(channels: tuple[int, ...], variant: Variant) -> tuple[int, ...]:
    """The widths of a convolutional backbone, whose pooling, the last of them, classifiers leave out."""
    return channels if TASKS[variant.task].boxes else channels[:-1]


def _hybrid(variant: Variant, layout: str) -> Trunk:
    scale = variant.scale
    return Trunk(HybridBackboneConfig.at_scale(scale), ContextBiFPNConfig.at_scale(scale))


def _transformer(variant: Variant, layout: str) -> Trunk:
    scale = variant.scale
    return Trunk(TransformerBackboneConfig.at_scale(scale), AttentionPANConfig.at_scale(scale))


PUBLISHED_FAMILIES = ("yolov12", "yolo11", "yolov8")
"""Those with published weights; a backbone's kind is the name of its family."""
FAMILIES: dict[str, Family] = {
    "yolov12": Family(tuple(SCALES), LAYOUTS, "depthwise", _yolov12),
    "yolo11": Family(tuple(SCALES), (STANDARD,), "depthwise", _yolo11),
    "yolov8": Family(tuple(SCALES_V8), (STANDARD,), "plain", _yolov8),
    "yolov12-hybrid": Family(("n", "s", "m", "x"), (STANDARD,), "depthwise", _hybrid),
    "yolov12-transformer": Family(("n", "s", "m"), (STANDARD,), "depthwise", _transformer),
}
INPUT_SIZES = {("yolov12-hybrid", "m"): 800, ("yolov12-hybrid", "x"): 1280}
"""Side in pixels that a model is meant for, where it is not that of its task."""


def usual_size(variant: str, task: str) -> int:
    """The side in pixels at which a model is trained and used unless somebody says otherwise."""
    try:
        parsed = parse_variant(variant)
    except ConfigError:  # a network of somebody's own
        return TASKS[task].usual_size
    return INPUT_SIZES.get((parsed.family, parsed.scale), TASKS[task].usual_size)


def published_trunk(kind: str, variant: Variant) -> Trunk | None:
    """Backbone and neck of a published family at the size of `variant`, as its task needs them."""
    if kind not in PUBLISHED_FAMILIES:
        return None
    row = FAMILIES[kind]
    return row.trunk(variant._replace(family=kind), row.layouts[0])


def scaled_channels(nominal: int, scale: Scale) -> int:
    """Width of a layer at a scale: capped, scaled, rounded up to the common multiple."""
    return math.ceil(min(nominal, scale.max_channels) * scale.width / WIDTH_MULTIPLE) * WIDTH_MULTIPLE


def _scaled(nominal: tuple[int, ...], scale: Scale) -> tuple[int, ...]:
    return tuple(scaled_channels(channels, scale) for channels in nominal)


def scaled_repeats(nominal: int, scale: Scale) -> int:
    """Units of a stage at a scale."""
    return max(round(nominal * scale.depth), 1)
