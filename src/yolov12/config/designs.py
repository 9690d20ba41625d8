"""Networks of swapped parts: a named model with another backbone, neck or head, and what a YAML says of one. No torch.

A part is said as the name of its kind, as a mapping with the kind and some of its fields, or as a config. What is not
said is as it belongs to the size of the named model.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from yolov12.config.backbones import BACKBONE_CONFIGS
from yolov12.config.fields import checked_fields, require_mapping
from yolov12.config.heads import DEFAULT_KEYPOINTS, HEAD_CONFIGS, DetectHeadConfig, HeadConfig, PoseHeadConfig
from yolov12.config.model import LAYOUTS, STANDARD, ModelConfig
from yolov12.config.necks import NECK_CONFIGS
from yolov12.config.parts import BackboneConfig, NeckConfig, PartConfig
from yolov12.config.tasks import JOINT, PUBLISHED, TASKS
from yolov12.config.variants import model_config, parse_variant, published_trunk
from yolov12.errors import ConfigError, did_you_mean

ROLES = ("backbone", "neck", "head", "heads")
FIELDS = ("model", "num_classes", *ROLES)
"""Of a YAML that describes a network."""

SYNONYMS = {"csp": "yolo11"}
"""What a family of parts is called, and the newest part of it."""

TOGETHER = ("detect", "segment", "pose")
"""Heads of the largest joint network."""

P = TypeVar("P", bound=PartConfig)


def with_parts(config: ModelConfig, parts: Mapping[str, object]) -> ModelConfig:
    """`config` with the `parts` that are named: backbone, neck, head. Raises ConfigError for what does not fit."""
    for role in parts:
        if role not in ROLES:
            raise ConfigError(f"{role!r} is not a part.{did_you_mean(role, ROLES)} Parts: {', '.join(ROLES)}")
    said = {role: part for role, part in parts.items() if part not in (None, "", [], {})}
    chosen: dict[str, object] = {}
    if "heads" in said:
        heads = _by_task(said.pop("heads"))
        config = _of_task(config, joint_task(heads))
        chosen = {task: part for task, part in heads.items() if part}
        if chosen and "head" in said:
            raise ConfigError("--model.head contradicts the parts of --model.heads: leave one of them out")
    backbone, neck = config.backbone, config.neck
    if "backbone" in said:
        backbone = _part("backbone", said["backbone"], BACKBONE_CONFIGS, lambda kind: _usual_backbone(kind, config))
    if "neck" in said:
        if neck is None:
            raise ConfigError(f"--model.neck: a {config.task} model has none")
        neck = _part("neck", said["neck"], NECK_CONFIGS, lambda kind: _usual_neck(kind, config))
    if not (said or chosen):
        return config
    own = chosen.pop(config.task, None) or said.get("head", config.heads[config.task].kind)
    head = _head(config, own, neck)
    before = head
    for task, part in chosen.items():
        fields = _said_of_part(config, head, task, part, neck)
        for name, value in fields.items():
            if (known := getattr(head, name)) not in (value, getattr(before, name)):
                raise ConfigError(f"--model.heads: {name} is {known} for one head and {value} for another")
        head = dataclasses.replace(head, **fields)
    changed = dataclasses.replace(config, backbone=backbone, neck=neck, heads={config.task: head})
    return changed if changed == config else dataclasses.replace(changed, layout=STANDARD)


def _by_task(heads: object) -> dict[str, object]:
    """What is said of each head, by the task that it is named after; TASK=KIND in a list of words."""
    if isinstance(heads, Mapping):
        return {str(name): part for name, part in heads.items()}
    words = [str(word) for word in (heads if isinstance(heads, (list, tuple)) else [heads])]
    said: dict[str, object] = {name: kind for name, _, kind in (word.partition("=") for word in words)}
    if len(said) < len(words):
        raise ConfigError(f"--model.heads {' '.join(words)}: a head is named twice")
    return said


def joint_task(heads: Iterable[str]) -> str:
    """The task of a network with several heads, by the tasks that they are named after."""
    names = list(heads)
    for name in names:
        if name not in PUBLISHED:
            raise ConfigError(
                f"--model.heads {name!r}: choose from {', '.join(PUBLISHED)}.{did_you_mean(name, PUBLISHED)}"
            )
    if set(names) == {"classify"}:
        return "classify"
    wanted = frozenset(names) - {"detect"} or frozenset({"detect"})
    if wanted not in JOINT:
        raise ConfigError(
            f"--model.heads {' '.join(names)}: these do not go together. One network has any of detect, segment, pose, "
            "or detect and obb, on the same objects; classify has no objects: train it by itself"
        )
    return JOINT[wanted]


def _of_task(config: ModelConfig, task: str) -> ModelConfig:
    """The network for another task: the parts that somebody has chosen stay."""
    if task == config.task:
        return config
    layout = config.layout if config.layout in LAYOUTS else LAYOUTS[0]
    named = model_config(config.variant, layout)
    before = config.heads[config.task]
    keypoints = before.keypoints if isinstance(before, PoseHeadConfig) else DEFAULT_KEYPOINTS
    variant = parse_variant(config.variant)._replace(task=task)
    wanted = model_config(variant.name, layout, config.num_classes, keypoints=keypoints)
    parts = {
        "backbone": config.backbone if config.backbone != named.backbone else None,
        "neck": config.neck if config.neck != named.neck else None,
    }
    return with_parts(wanted, parts)


def read_design(values: Mapping[str, Any]) -> ModelConfig:
    """The network that a YAML describes: the name of a `model`, what differs from it, and `num_classes`."""
    for name in values:
        if name not in FIELDS:
            raise ConfigError(f"{name} is not a field.{did_you_mean(name, FIELDS)} Fields: {', '.join(FIELDS)}")
    name, classes = values.get("model", "yolov12n"), values.get("num_classes")
    if not isinstance(name, str):
        raise ConfigError(f"model {name!r}: expected the name of a model, such as yolov12n")
    if classes is not None and type(classes) is not int:
        raise ConfigError(f"num_classes {classes!r}: expected a whole number")
    parts = {role: values[role] for role in ROLES if role in values}
    return with_parts(model_config(name, num_classes=classes), parts)


def _usual_backbone(kind: str, config: ModelConfig) -> BackboneConfig:
    """A kind as it belongs to the size of `config`."""
    if kind == config.backbone.kind:
        return config.backbone
    variant = parse_variant(config.variant)
    trunk = published_trunk(kind, variant)
    return BACKBONE_CONFIGS[kind].at_scale(variant.scale) if trunk is None else trunk.backbone


def _usual_neck(kind: str, config: ModelConfig) -> NeckConfig:
    if config.neck is not None and kind == config.neck.kind:
        return config.neck
    variant = parse_variant(config.variant)
    trunk = published_trunk("yolov12", variant) if kind == "pafpn" else None
    return NECK_CONFIGS[kind].at_scale(variant.scale) if trunk is None else trunk.neck


def _head(config: ModelConfig, said: object, neck: NeckConfig | None) -> HeadConfig:
    """The head that is said, its widths as they belong to the neck."""
    before = config.heads[config.task]
    finest = neck.finest_channels if neck is not None else 0
    keypoints = before.keypoints if isinstance(before, PoseHeadConfig) else DEFAULT_KEYPOINTS
    branch = before.class_branch if isinstance(before, DetectHeadConfig) else "depthwise"
    choices = {kind: head for kind, head in HEAD_CONFIGS.items() if head.task == config.task}
    others = {kind: head.task for kind, head in HEAD_CONFIGS.items() if kind not in choices}
    if isinstance(said, Mapping):
        said = {"kind": before.kind, **said}
    kind = said["kind"] if isinstance(said, Mapping) else said
    if isinstance(kind, str) and kind in others:
        task = others[kind]
        named = f"name {config.variant.removesuffix(TASKS[config.task].suffix)}{TASKS[task].suffix}"
        if TASKS[config.task].several:
            named = f"say --model.heads {' '.join(f'{one}={kind}' if one == task else one for one in TOGETHER)}"
        raise ConfigError(
            f"--model.head {kind!r} is for {task}, the model is for {config.task}: {named}, "
            f"or one of {', '.join(choices)}"
        )
    if finest == (config.neck.finest_channels if config.neck is not None else 0) and said == before.kind:
        return before

    def fitted(kind: str) -> HeadConfig:
        return choices[kind].fitted(before.num_classes, finest, keypoints=keypoints, class_branch=branch)

    return _part("head", said, choices, fitted)


def _said_of_part(
    config: ModelConfig, head: HeadConfig, task: str, said: object, neck: NeckConfig | None
) -> dict[str, Any]:
    """Fields of the head of all tasks that differ because of what is said of the head of one of them."""
    alone = _of_task(config, task)
    usual, wanted = (_head(alone, part, neck) for part in (alone.heads[task].kind, said))
    fields = {field.name: getattr(wanted, field.name) for field in dataclasses.fields(wanted)}
    changed = {name: value for name, value in fields.items() if value != getattr(usual, name, None)}
    if foreign := [name for name in changed if not hasattr(head, name)]:
        raise ConfigError(f"--model.heads {task}: a head {wanted.kind!r} goes with no other one ({', '.join(foreign)})")
    return changed


def _part(role: str, said: object, kinds: Mapping[str, type[P]], usual: Callable[[str], P]) -> P:
    """A part from its kind, from a mapping with its kind and fields, or as it is."""
    where = f"--model.{role}"
    if isinstance(said, PartConfig):
        if not isinstance(said, tuple(kinds.values())):
            raise ConfigError(f"{where}: {type(said).__name__} is not the config of a {role}")
        return said  # type: ignore[return-value]
    fields = {"kind": said} if isinstance(said, str) else dict(require_mapping(where, said))
    kind = fields.pop("kind", None)
    if isinstance(kind, str) and SYNONYMS.get(kind) in kinds:
        kind = SYNONYMS[kind]
    if not isinstance(kind, str) or kind not in kinds:
        raise ConfigError(f"{where} {kind!r}: choose from {', '.join(sorted(kinds))}.{did_you_mean(kind, kinds)}")
    return dataclasses.replace(usual(kind), **checked_fields(f"{where}.{kind}", kinds[kind], fields))
