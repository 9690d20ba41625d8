"""Flags that several verbs share, and how the option dataclasses become flags."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from yolov12.config.backbones import BACKBONE_CONFIGS
from yolov12.config.fields import field_hints
from yolov12.config.heads import HEAD_CONFIGS
from yolov12.config.necks import NECK_CONFIGS
from yolov12.config.parse import from_text, resolve
from yolov12.config.run import ImageSize

DEFAULT_MODEL = "yolov12n-bccd"


def add_model(parser: argparse.ArgumentParser, default: str | None) -> None:
    """`--model` and what decides how a name resolves."""
    text = "a model file, an embedded or published name" + (f" (default {default})" if default else "")
    parser.add_argument("--model", default=default, required=default is None, help=text)
    add_layout(parser)


def add_fusion(parser: argparse.ArgumentParser) -> None:
    """`--fuse`, which may be repeated: a list behind one flag would swallow the sources."""
    text = "another detector of the same classes, whose boxes are fused with the model's; may be repeated"
    parser.add_argument("--fuse", metavar="MODEL", action="append", default=[], help=text)


def add_parts(parser: argparse.ArgumentParser) -> None:
    """`--model.backbone` and the like: other parts for a named architecture."""
    kinds = {
        "backbone": list(BACKBONE_CONFIGS),
        "neck": list(NECK_CONFIGS),
        "head": [kind for kind, head in HEAD_CONFIGS.items() if kind != head.task],
    }
    for role, names in kinds.items():
        text = f"another {role} for the named architecture, with fresh weights: {', '.join(names)}"
        parser.add_argument(f"--model.{role}", dest=f"model.{role}", metavar="KIND", default="", help=text)
    text = "tasks that one network does together, any of detect, segment, pose; TASK=KIND for another kind of head"
    parser.add_argument("--model.heads", dest="model.heads", metavar="TASK[=KIND]", nargs="+", default=[], help=text)


def chosen_parts(words: argparse.Namespace) -> dict[str, str | list[str]]:
    """The parts that were typed, by role."""
    typed = {name.partition(".")[2]: value for name, value in vars(words).items() if name.startswith("model.")}
    return {role: kind for role, kind in typed.items() if kind}


def add_layout(parser: argparse.ArgumentParser) -> None:
    """`--layout` and `--offline`."""
    parser.add_argument("--layout", default="turbo", help="layout of a published name: turbo (default) or v1.0")
    add_offline(parser)


def add_offline(parser: argparse.ArgumentParser) -> None:
    """`--offline`."""
    text = "never download; also YOLOV12_OFFLINE=1"
    parser.add_argument("--offline", action="store_const", const=True, help=text)  # None: as the environment says


def add_options(parser: argparse.ArgumentParser, config_type: type[Any]) -> None:
    """One flag per field; an absent flag leaves no trace, so that explicit values are known."""
    kinds = field_hints(config_type)
    for field in dataclasses.fields(config_type):
        if field.name == "data":
            parser.add_argument("--data", required=False, default=argparse.SUPPRESS, help=field.metadata["help"])
            continue
        spellings = sorted({f"--{field.name}", f"--{field.name.replace('_', '-')}"})
        default = "that of the model's training, else 640" if kinds[field.name] == ImageSize else field.default
        text = f"{field.metadata['help']} (default {default})".replace("%", "%%")
        if kinds[field.name] is bool:
            switch = argparse.BooleanOptionalAction
            parser.add_argument(*spellings, dest=field.name, action=switch, default=argparse.SUPPRESS, help=text)
            continue
        several = kinds[field.name] == ImageSize or field.name == "classes"
        parser.add_argument(
            *spellings,
            dest=field.name,
            default=argparse.SUPPRESS,
            help=text,
            metavar=field.name.upper(),
            nargs="+" if several else None,
        )


def explicit_options(words: argparse.Namespace, config_type: type[Any]) -> dict[str, Any]:
    """The options that the user typed, converted to their types and checked before anything else happens."""
    typed = vars(words)
    names = [field.name for field in dataclasses.fields(config_type) if field.name in typed]
    options = {name: from_text(config_type, name, typed[name]) for name in names}
    resolve(config_type, options)
    return options
