"""What a network is made of: frozen configs of backbone, neck and heads, and the table of the ten YOLOv12 detectors.

Widths are explicit and not derived from a scale on purpose: a checkpoint may have odd ones, and a config read off its
tensors must be able to say so. `model_config` fills them in for the published models (Tian et al. 2025,
arXiv:2502.12524) in both of their layouts: `turbo` (the repository's main branch) and `v1.0` (the paper's first
version). No torch in here, so that names can be checked and help printed at once.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, TypeVar

from yolov12.config.fields import from_fields, require_mapping
from yolov12.errors import ConfigError, did_you_mean

LAYOUTS = ("turbo", "v1.0")
LAYOUT_ALIASES = {"v1": "v1.0"}
FAMILIES = ("yolov12",)
TASKS = ("detect",)

HEAD_DIM = 32
"""Channels of one attention head; stages with attention need a hidden width that is a multiple of it."""

WIDTH_MULTIPLE = 8
"""Every layer's width is a multiple of this."""

MAX_WIDTH = 65_536
"""Largest number in an architecture; a file that claims more is damaged or hostile."""


class Scale(NamedTuple):
    """One row of the table of sizes; every irregularity between the sizes is a column."""

    depth: float
    width: float
    max_channels: int
    use_c3k: bool
    residual_scale: bool
    mlp_ratio_turbo: float
    mlp_ratio_v1: float


SCALES: dict[str, Scale] = {
    #          depth  width  cap  c3k    scaled residual  MLP ratio turbo, v1.0
    "n": Scale(0.50, 0.25, 1024, False, False, 2.0, 2.0),
    "s": Scale(0.50, 0.50, 1024, False, False, 2.0, 2.0),
    "m": Scale(0.50, 1.00, 512, True, False, 2.0, 2.0),
    "l": Scale(1.00, 1.00, 512, True, True, 1.5, 1.2),
    "x": Scale(1.00, 1.50, 512, True, True, 1.5, 1.2),
}


class LayoutRow(NamedTuple):
    """What differs between the two published layouts besides the MLP ratio and the order of the attention's rows."""

    down_groups: tuple[int, int]
    position_kernel: int


LAYOUT_TABLE: dict[str, LayoutRow] = {"turbo": LayoutRow((2, 4), 5), "v1.0": LayoutRow((1, 1), 7)}

# Channels before scaling. Backbone: stem, down_p2, stage_p2, down_p3, stage_p3, down_p4, stage_p4, down_p5, stage_p5.
BACKBONE_CHANNELS = (64, 128, 256, 256, 512, 512, 512, 1024, 1024)
# Neck: top_p4, out_p3, down_p3, out_p4, down_p4, out_p5.
NECK_CHANNELS = (512, 256, 256, 512, 512, 1024)
STAGE_REPEATS, ATTENTION_REPEATS = 2, 4


@dataclass(frozen=True)
class PartConfig:
    """Base of the configs of backbones, necks and heads: `kind` is the name under which the part is registered."""

    kind: ClassVar[str] = ""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = self.__dict__[field.name]
            numbers = value if isinstance(value, tuple) else (value,)
            for number in numbers:
                if isinstance(number, int) and not isinstance(number, bool) and not 1 <= number <= MAX_WIDTH:
                    raise ConfigError(f"{self.kind}.{field.name} = {value}: must be between 1 and {MAX_WIDTH}")


@dataclass(frozen=True)
class Yolov12BackboneConfig(PartConfig):
    """Backbone of YOLOv12: convolutional stages at strides 4 and 8, area-attention stages at strides 16 and 32.

    channels            output widths: stem, then down and stage of p2, p3, p4, p5
    down_groups         groups of the convolutions down_p2 and down_p3
    use_c3k             C3k instead of a bottleneck inside stage_p2 and stage_p3
    repeats             units inside stage_p2 and stage_p3
    attention_repeats   pairs of attention blocks inside stage_p4 and stage_p5
    areas               bands that stage_p4 and stage_p5 attend within
    mlp_hidden          hidden widths of the MLPs in stage_p4 and stage_p5
    position_kernel     side of the depthwise kernel of the position term
    position_bias       that convolution has a bias (the originally released v1.0 files)
    residual_scale      stage_p4 and stage_p5 add their input, with a learned scale per channel
    """

    kind: ClassVar[str] = "yolov12"

    channels: tuple[int, ...]
    down_groups: tuple[int, ...]
    use_c3k: bool
    repeats: int
    attention_repeats: int
    mlp_hidden: tuple[int, ...]
    position_kernel: int
    residual_scale: bool
    position_bias: bool = False
    areas: tuple[int, ...] = (4, 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_lengths(self, channels=9, down_groups=2, mlp_hidden=2, areas=2)
        _require_multiples(self.kind, self.channels)
        stem, down2, stage2, down3, _, down4, stage4, down5, stage5 = self.channels
        problems = {
            f"channels {stage4}, {stage5} of the attention stages: need multiples of {2 * HEAD_DIM}": (
                stage4 % (2 * HEAD_DIM) or stage5 % (2 * HEAD_DIM)
            ),
            f"down_groups {self.down_groups}: must divide the widths {stem}, {down2} and {stage2}, {down3}": (
                math.gcd(stem, down2) % self.down_groups[0] or math.gcd(stage2, down3) % self.down_groups[1]
            ),
            "residual_scale: the attention stages need equal input and output widths": (
                self.residual_scale and (down4, down5) != (stage4, stage5)
            ),
            # Canvas sides are multiples of 32, so all that is known is that stage_p4 has a multiple of 4 positions.
            f"areas {self.areas}: must be (1, 1), (2, 1) or (4, 1)": 4 % self.areas[0] or self.areas[1] != 1,
            f"position_kernel {self.position_kernel}: must be odd": self.position_kernel % 2 == 0,
        }
        for text, wrong in problems.items():
            if wrong:
                raise ConfigError(f"{self.kind}.{text}")


@dataclass(frozen=True)
class PAFPNConfig(PartConfig):
    """Neck: top-down, then bottom-up feature pyramid; widths of top_p4, out_p3, down_p3, out_p4, down_p4, out_p5."""

    kind: ClassVar[str] = "pafpn"

    channels: tuple[int, ...]
    repeats: int

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_lengths(self, channels=6)
        _require_multiples(self.kind, self.channels)


@dataclass(frozen=True)
class DetectHeadConfig(PartConfig):
    """Anchor-free detection head: hidden widths of its two branches, bins of a box side's distribution."""

    kind: ClassVar[str] = "detect"

    num_classes: int
    box_channels: int
    class_channels: int
    bins: int = 16


BackboneConfig = Yolov12BackboneConfig
NeckConfig = PAFPNConfig
HeadConfig = DetectHeadConfig

BACKBONE_CONFIGS: dict[str, type[BackboneConfig]] = {Yolov12BackboneConfig.kind: Yolov12BackboneConfig}
NECK_CONFIGS: dict[str, type[NeckConfig]] = {PAFPNConfig.kind: PAFPNConfig}
HEAD_CONFIGS: dict[str, type[HeadConfig]] = {DetectHeadConfig.kind: DetectHeadConfig}


@dataclass(frozen=True)
class ModelConfig:
    """One network: a backbone, a neck and named heads.

    `variant` and `layout` say which published model it follows; `layout` decides the row order of published files.
    """

    variant: str
    layout: str
    task: str
    backbone: BackboneConfig
    neck: NeckConfig
    heads: Mapping[str, HeadConfig]
    strides: tuple[int, ...] = (8, 16, 32)

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise ConfigError(f"layout {self.layout!r}: choose from {', '.join(LAYOUTS)}")
        if self.task not in TASKS:
            raise ConfigError(f"task {self.task!r} is not available yet. Available: {', '.join(TASKS)}")
        if self.task not in self.heads:
            raise ConfigError(f"no head is named after {self.task!r}. Heads: {', '.join(self.heads) or 'none'}")

    @property
    def num_classes(self) -> int:
        """Classes of the head that the task is named after."""
        return self.heads[self.task].num_classes

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists, numbers and texts, ready for JSON; `from_dict` is the inverse."""
        return {
            "variant": self.variant,
            "layout": self.layout,
            "task": self.task,
            "backbone": _part_to_dict(self.backbone),
            "neck": _part_to_dict(self.neck),
            "heads": {name: _part_to_dict(head) for name, head in self.heads.items()},
            "strides": list(self.strides),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ModelConfig:
        """The config that `to_dict` wrote. Raises ConfigError naming the first field that is wrong."""
        values = dict(require_mapping("model", data))
        heads = require_mapping("model.heads", values.get("heads", {}))
        values["backbone"] = _part_from_dict("model.backbone", BACKBONE_CONFIGS, values.get("backbone"))
        values["neck"] = _part_from_dict("model.neck", NECK_CONFIGS, values.get("neck"))
        values["heads"] = {
            name: _part_from_dict(f"model.heads.{name}", HEAD_CONFIGS, head) for name, head in heads.items()
        }
        return from_fields("model", cls, values)


class Variant(NamedTuple):
    """A model name taken apart; `name` puts it together in our spelling."""

    family: str
    scale: str
    task: str

    @property
    def name(self) -> str:
        """`yolov12n` and the like."""
        return f"{self.family}{self.scale}"


TASK_SUFFIXES = {"": "detect", "-seg": "segment", "-cls": "classify", "-pose": "pose", "-obb": "obb"}
_NAME = re.compile(r"yolov?(?P<family>\d+)(?P<scale>[a-z]?)(?P<task>(-[a-z]+)?)(\.pt|\.yaml|\.yml)?")


def parse_variant(name: str) -> Variant:
    """`yolov12n`, also as `yolo12n`, `yolov12n.pt` or `yolo12n.yaml`; raises ConfigError naming what is available."""
    available = [f"yolov12{scale}" for scale in SCALES]
    match = _NAME.fullmatch(name)
    if match is None or match["task"] not in TASK_SUFFIXES:
        raise ConfigError(
            f"{name!r} is not a model name.{did_you_mean(name, available)} Available: {', '.join(available)}"
        )
    family, task = f"yolov{match['family']}", TASK_SUFFIXES[match["task"]]
    if family not in FAMILIES:
        raise ConfigError(f"{name!r}: family {family} is not available yet. Available: {', '.join(available)}")
    if task not in TASKS:
        raise ConfigError(f"{name!r}: task {task} is not available yet. Available: {', '.join(TASKS)}")
    if match["scale"] not in SCALES:
        raise ConfigError(f"{name!r}: no scale {match['scale']!r}. Available: {', '.join(available)}")
    return Variant(family, match["scale"], task)


def check_layout(layout: str) -> str:
    """The layout's own name (`v1` means `v1.0`), or a ConfigError."""
    resolved = LAYOUT_ALIASES.get(layout, layout)
    if resolved not in LAYOUTS:
        raise ConfigError(f"layout {layout!r}: choose from {', '.join(LAYOUTS)}.{did_you_mean(layout, LAYOUTS)}")
    return resolved


def model_config(variant: str, layout: str = "turbo", num_classes: int = 80) -> ModelConfig:
    """The config of a published model, by name."""
    parsed, layout = parse_variant(variant), check_layout(layout)
    scale, row = SCALES[parsed.scale], LAYOUT_TABLE[layout]
    channels = tuple(scaled_channels(nominal, scale) for nominal in BACKBONE_CHANNELS)
    neck_channels = tuple(scaled_channels(nominal, scale) for nominal in NECK_CHANNELS)
    mlp_ratio = scale.mlp_ratio_turbo if layout == "turbo" else scale.mlp_ratio_v1
    return ModelConfig(
        variant=parsed.name,
        layout=layout,
        task=parsed.task,
        backbone=Yolov12BackboneConfig(
            channels=channels,
            down_groups=row.down_groups,
            use_c3k=scale.use_c3k,
            repeats=scaled_repeats(STAGE_REPEATS, scale),
            attention_repeats=scaled_repeats(ATTENTION_REPEATS, scale),
            # Truncated as published: the v1.0 layout really has widths such as 307 = int(256 * 1.2).
            mlp_hidden=tuple(int(channels[stage] // 2 * mlp_ratio) for stage in (6, 8)),
            position_kernel=row.position_kernel,
            residual_scale=scale.residual_scale,
        ),
        neck=PAFPNConfig(channels=neck_channels, repeats=scaled_repeats(STAGE_REPEATS, scale)),
        heads={"detect": detect_head_config(num_classes, neck_channels[1])},
    )


def detect_head_config(num_classes: int, p3_channels: int, bins: int = 16) -> DetectHeadConfig:
    """The detection head's widths for `num_classes` classes on a stride-8 map of `p3_channels` channels."""
    return DetectHeadConfig(
        num_classes=num_classes,
        box_channels=max(16, p3_channels // 4, 4 * bins),
        class_channels=max(p3_channels, min(num_classes, 100)),
        bins=bins,
    )


def scaled_channels(nominal: int, scale: Scale) -> int:
    """Width of a layer at a scale: capped, scaled, rounded up to the common multiple."""
    return math.ceil(min(nominal, scale.max_channels) * scale.width / WIDTH_MULTIPLE) * WIDTH_MULTIPLE


def scaled_repeats(nominal: int, scale: Scale) -> int:
    """Units of a stage at a scale."""
    return max(round(nominal * scale.depth), 1)


T = TypeVar("T")


def _require_lengths(config: PartConfig, **lengths: int) -> None:
    for name, length in lengths.items():
        if len(config.__dict__[name]) != length:
            raise ConfigError(f"{config.kind}.{name}: expected {length} numbers, got {config.__dict__[name]}")


def _require_multiples(kind: str, channels: tuple[int, ...]) -> None:
    if any(width % WIDTH_MULTIPLE for width in channels):
        raise ConfigError(f"{kind}.channels {channels}: every width must be a multiple of {WIDTH_MULTIPLE}")


def _part_to_dict(part: PartConfig) -> dict[str, Any]:
    values = dataclasses.asdict(part)
    lists = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
    return {"kind": part.kind, **lists}


def _part_from_dict(where: str, kinds: Mapping[str, type[T]], value: object) -> T:
    fields = dict(require_mapping(where, value))
    kind = fields.pop("kind", None)
    if not isinstance(kind, str) or kind not in kinds:
        raise ConfigError(f"{where}.kind {kind!r}: choose from {', '.join(sorted(kinds))}.{did_you_mean(kind, kinds)}")
    return from_fields(where, kinds[kind], fields)
