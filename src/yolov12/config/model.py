"""What a network is made of: the frozen config of the whole of backbone, neck and heads. No torch in here."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from yolov12.config.backbones import BACKBONE_CONFIGS
from yolov12.config.fields import from_fields, require_choice, require_mapping
from yolov12.config.heads import HEAD_CONFIGS, HeadConfig, PoseHeadConfig
from yolov12.config.necks import NECK_CONFIGS
from yolov12.config.parts import BackboneConfig, NeckConfig, PartConfig
from yolov12.config.tasks import TASKS
from yolov12.errors import ConfigError, did_you_mean

LAYOUTS = ("turbo", "v1.0")
STANDARD = "standard"
"""The only layout of the families that were published in one."""
CUSTOM = "custom"
"""The variant of a network that follows no named model."""


class NormConfig(NamedTuple):
    """Numbers that all batch norms of a network share."""

    eps: float
    momentum: float


LOCATING_NORM, CLASSIFYING_NORM = NormConfig(1e-3, 0.03), NormConfig(1e-5, 0.1)
"""As the published models have them: those that find objects, and those that classify whole pictures."""


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
        if self.heads[self.task].task != self.task:
            raise ConfigError(f"the head {self.task!r} is of kind {self.heads[self.task].kind!r}")
        if not TASKS[self.task].boxes and self.neck is not None:
            raise ConfigError("neck: a classify model has none")
        for name, head in self.heads.items():
            if self.neck is None and TASKS[head.task].boxes:
                raise ConfigError(f"neck: missing, but the head {name!r} needs one")

    @property
    def num_classes(self) -> int:
        """Classes of the head that the task is named after."""
        return self.heads[self.task].num_classes

    @property
    def keypoint_shape(self) -> tuple[int, int] | None:
        """K keypoints of D values each of the head that the task is named after; None for other heads."""
        head = self.heads[self.task]
        return head.keypoints if isinstance(head, PoseHeadConfig) else None

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
        raise ConfigError(
            f"{where}.kind {kind!r}: choose from {', '.join(sorted(kinds))}.{did_you_mean(kind, kinds)} "
            "A part of your own is known once its module is imported"
        )
    return from_fields(where, kinds[kind], fields)
