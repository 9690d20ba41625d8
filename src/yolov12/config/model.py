"""What a network is made of: frozen configs of its heads, and of the whole of backbone, neck and heads.

Those of backbones and necks are in `parts`. Widths are explicit, as there. No torch in here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, TypeVar

from yolov12.config.fields import from_fields, require_choice, require_mapping
from yolov12.config.parts import (
    BACKBONE_CONFIGS,
    MAX_WIDTH,
    NECK_CONFIGS,
    BackboneConfig,
    NeckConfig,
    PartConfig,
)
from yolov12.config.tasks import TASKS
from yolov12.errors import ConfigError, did_you_mean

LAYOUTS = ("turbo", "v1.0")
STANDARD = "standard"
"""The only layout of the families that were published in one."""

CLASS_BRANCHES = ("depthwise", "plain")


class NormConfig(NamedTuple):
    """Numbers that all batch norms of a network share."""

    eps: float
    momentum: float


LOCATING_NORM, CLASSIFYING_NORM = NormConfig(1e-3, 0.03), NormConfig(1e-5, 0.1)
"""As the published models have them: those that find objects, and those that classify whole pictures."""


@dataclass(frozen=True)
class DetectHeadConfig(PartConfig):
    """Anchor-free detection head: hidden widths of its two branches, bins of a box side's distribution.

    `class_branch` is 'depthwise' (depthwise and 1x1 convolutions) or 'plain' (3x3 convolutions, YOLOv8).
    """

    kind: ClassVar[str] = "detect"

    num_classes: int
    box_channels: int
    class_channels: int
    bins: int = 16
    class_branch: str = "depthwise"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("head.class_branch", self.class_branch, CLASS_BRANCHES)


@dataclass(frozen=True)
class SegmentHeadConfig(DetectHeadConfig):
    """A detection head with instance masks.

    mask_channels       hidden width of the branches of mask coefficients
    prototype_channels  hidden width of the prototypes
    masks               prototypes, and coefficients of a detection
    """

    kind: ClassVar[str] = "segment"

    mask_channels: int = field(kw_only=True)
    prototype_channels: int = field(kw_only=True)
    masks: int = field(kw_only=True, default=32)


@dataclass(frozen=True)
class PoseHeadConfig(DetectHeadConfig):
    """A detection head with keypoints.

    keypoints          K keypoints of D values each: x, y, and where D = 3 visibility
    keypoint_channels  hidden width of the keypoint branches
    """

    kind: ClassVar[str] = "pose"

    keypoints: tuple[int, int] = field(kw_only=True)
    keypoint_channels: int = field(kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        count, values = self.keypoints
        if values not in (2, 3) or count * values > MAX_WIDTH:
            raise ConfigError(
                f"pose.keypoints {self.keypoints}: need K keypoints of 2 values (x, y) or 3 (and visibility), "
                f"{MAX_WIDTH} in all at most"
            )


@dataclass(frozen=True)
class ObbHeadConfig(DetectHeadConfig):
    """A detection head whose boxes are rotated; `angle_channels` is the hidden width of the angle branches."""

    kind: ClassVar[str] = "obb"

    angle_channels: int = field(kw_only=True)


@dataclass(frozen=True)
class ClassifyHeadConfig(PartConfig):
    """A head for whole pictures; `hidden` is the width that is averaged over the map."""

    kind: ClassVar[str] = "classify"

    num_classes: int
    hidden: int = 1280


HeadConfig = DetectHeadConfig | ClassifyHeadConfig

HEAD_CONFIGS: dict[str, type[HeadConfig]] = {
    config.kind: config
    for config in (DetectHeadConfig, SegmentHeadConfig, PoseHeadConfig, ObbHeadConfig, ClassifyHeadConfig)
}


@dataclass(frozen=True)
class ModelConfig:
    """One network: a backbone, a neck and named heads; the main head is named after the task.

    `variant` and `layout` say which published model it follows; `layout` decides the row order of published files.
    Only a classifier has no neck: its head sees the backbone's last map.
    """

    variant: str
    layout: str
    task: str
    backbone: BackboneConfig
    neck: NeckConfig | None
    heads: Mapping[str, HeadConfig]
    strides: tuple[int, ...] = (8, 16, 32)

    def __post_init__(self) -> None:
        require_choice("layout", self.layout, (*LAYOUTS, STANDARD))
        require_choice("task", self.task, tuple(TASKS))
        if self.task not in self.heads:
            raise ConfigError(f"no head is named after {self.task!r}. Heads: {', '.join(self.heads) or 'none'}")
        if self.heads[self.task].kind != self.task:
            raise ConfigError(f"the head {self.task!r} is of kind {self.heads[self.task].kind!r}")
        if not TASKS[self.task].boxes and self.neck is not None:
            raise ConfigError("neck: a classify model has none")
        for name, head in self.heads.items():
            if self.neck is None and head.kind != "classify":
                raise ConfigError(f"neck: missing, but the head {name!r} needs one")

    @property
    def num_classes(self) -> int:
        """Classes of the head that the task is named after."""
        return self.heads[self.task].num_classes

    @property
    def norm(self) -> NormConfig:
        """The numbers of its batch norms."""
        return LOCATING_NORM if TASKS[self.task].boxes else CLASSIFYING_NORM

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists, numbers and texts, ready for JSON; `from_dict` is the inverse."""
        return {
            "variant": self.variant,
            "layout": self.layout,
            "task": self.task,
            "backbone": _part_to_dict(self.backbone),
            "neck": None if self.neck is None else _part_to_dict(self.neck),
            "heads": {name: _part_to_dict(head) for name, head in self.heads.items()},
            "strides": list(self.strides),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ModelConfig:
        """The config that `to_dict` wrote. Raises ConfigError naming the first field that is wrong."""
        values = dict(require_mapping("model", data))
        heads = require_mapping("model.heads", values.get("heads", {}))
        values["backbone"] = _part_from_dict("model.backbone", BACKBONE_CONFIGS, values.get("backbone"))
        if values.get("neck") is not None:
            values["neck"] = _part_from_dict("model.neck", NECK_CONFIGS, values["neck"])
        values["heads"] = {
            name: _part_from_dict(f"model.heads.{name}", HEAD_CONFIGS, head) for name, head in heads.items()
        }
        return from_fields("model", cls, values)


T = TypeVar("T")


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
