"""What may be typed: the commands and their flags, built from the option dataclasses, and what to say of the rest.

Needs no torch. `parse` gives the words of one command; what they do is in `cli`.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from yolov12.config.backbones import BACKBONE_CONFIGS
from yolov12.config.heads import HEAD_CONFIGS
from yolov12.config.necks import NECK_CONFIGS
from yolov12.config.parse import field_types, from_text, resolve
from yolov12.config.run import (
    PRECISIONS,
    BenchmarkConfig,
    CheckConfig,
    CompareConfig,
    ExportConfig,
    ImageSize,
    PredictConfig,
    TrainConfig,
    ValConfig,
)
from yolov12.config.synthetic import SyntheticConfig
from yolov12.errors import ConfigError, did_you_mean
from yolov12.version import __version__

DEFAULT_MODEL = "yolov12n-bccd"
FRESH_MODEL = "yolov12n.yaml"
"""Training starts from fresh weights unless a model is named: published weights are downloaded only when asked for."""
GROUP, GROUPED = "data", ("synth", "check")
"""Verbs of two words."""
TRUTH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
PATH = re.compile(r".*([/\\*?\[]|\.[a-zA-Z]\w{1,3}$)")
"""What looks like a path, a pattern or an address rather than the name of a class."""
PREDICT_RULE = """Sources may stand anywhere. --imgsz takes the numbers that follow it. --classes takes the word that
follows it, then ids and names up to a word that exists as a file or folder, or looks like a path or an address."""


class Parser(argparse.ArgumentParser):
    """argparse that raises our errors; `verbs` are the parsers of the commands."""

    verbs: Mapping[str, Parser]

    def error(self, message: str) -> NoReturn:
        """Called by argparse for everything that it refuses."""
        raise ConfigError(f"{message} (see: {self.prog} --help)")


def parse(words: list[str]) -> argparse.Namespace:
    """The words of one command: `verb` (None when only help is wanted), its options, its `parser`."""
    parser = build_parser()
    words = join_verb(words)
    if words and words[0] in parser.verbs:
        refuse_truth_values(words, parser.verbs[words[0]])
    elif words and not words[0].startswith("-"):
        hint = did_you_mean(words[0], parser.verbs)
        raise ConfigError(f"{words[0]!r} is not a command.{hint} Commands: {', '.join(parser.verbs)}")
    known, unknown = parser.parse_known_args(words)
    known.parser = parser if known.verb is None else parser.verbs[known.verb]
    if known.verb == "predict":
        gather_sources(known, unknown)
    if unknown:
        first = words.index(unknown[0]) if unknown[0] in words else len(words)
        raise unknown_words(words[first:] or unknown, known.parser)
    return known


def join_verb(words: list[str]) -> list[str]:
    """`data synth ...` as one verb and what follows; a lone `data` asks for the verbs that begin with it."""
    if words[:1] != [GROUP]:
        return words
    if words[1:2] and words[1] in GROUPED:
        return [f"{GROUP} {words[1]}", *words[2:]]
    said = f"{GROUP} {words[1]}" if words[1:] and not words[1].startswith("-") else GROUP
    known = [f"{GROUP} {name}" for name in GROUPED]
    raise ConfigError(f"{said!r} is not a command.{did_you_mean(said, known)} Commands: {', '.join(known)}")


def build_parser() -> Parser:
    """The whole grammar, built from the option dataclasses."""
    parser = Parser(prog="yolov12", description="Train, score and run YOLOv12 models.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"yolov12 {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", parser_class=Parser)
    parser.verbs = verbs.choices

    def verb(name: str, text: str) -> Parser:
        child = verbs.add_parser(name, help=text, description=text, allow_abbrev=False)
        child.add_argument("--debug", action="store_true", help="show the traceback of an error")
        return child

    child = verb("predict", "find objects in images, videos, folders")
    child.epilog = PREDICT_RULE
    child.add_argument("source", nargs="*", help="files, folders, globs, https URLs, a camera number; default: samples")
    child.add_argument("--json", action="store_true", help="print one JSON object per image on stdout")
    add_model(child, DEFAULT_MODEL)
    add_fusion(child)
    add_options(child, PredictConfig)
    child = verb("train", "train a model on a data set")
    add_model(child, FRESH_MODEL)
    add_parts(child)
    add_options(child, TrainConfig)
    child = verb("val", "score a model on a data set, COCO-exact")
    child.add_argument("--json", action="store_true", help="print the metrics as JSON on stdout")
    add_model(child, None)
    add_fusion(child)
    add_options(child, ValConfig)
    child = verb("info", "layers, shapes, parameters, GFLOPs of a model")
    child.add_argument("model", help="a file or a name")
    add_parts(child)
    child.add_argument("--imgsz", type=int, help="square input size (default 640, classifiers 224)")
    child.add_argument("--json", action="store_true", help="print as JSON")
    add_layout(child)
    child = verb("trace", "walk through the layers: shapes, time; with --backward gradients and weight updates")
    add_walk(child)
    child = verb("export", "write a model for other runtimes, proven equal to it")
    add_model(child, None)
    add_options(child, ExportConfig)
    child = verb("tune", "measure the installed runtimes on this machine and remember the fastest")
    add_model(child, DEFAULT_MODEL)
    child.add_argument("--imgsz", type=int, help="side in pixels that is measured (default: that of the training)")
    child = verb("verify", "check an exported file on this machine against its certificate")
    child.add_argument("file", help="a file or folder that `export` wrote")
    child.add_argument("--device", default="auto", help="where to run it (default auto)")
    child.add_argument("--precision", default="auto", choices=PRECISIONS, help="arithmetic (default auto)")
    child.add_argument("--json", action="store_true", help="print the findings as JSON")
    child = verb("convert", "turn a foreign checkpoint into ours, or ours into a plain state dict (.pt)")
    child.add_argument("input", help="a file or a name")
    child.add_argument("output", help="file to write: .safetensors (ours) or .pt (tensors only)")
    add_layout(child)
    child = verb("compare", "score and time several models on the same data, with confidence intervals")
    child.add_argument("models", nargs="+", help="model files, embedded or published names")
    child.add_argument("--json", action="store_true", help="print the comparison as JSON on stdout")
    add_layout(child)
    add_options(child, CompareConfig)
    for name, text in (
        ("benchmark", "time models by runtime, precision, size and batch, and score them"),
        ("select", "propose the most accurate setting within a time budget"),
    ):
        child = verb(name, text)
        child.add_argument("models", nargs="+", help="model files, exported files, embedded or published names")
        if name == "select":
            child.add_argument("--budget", required=True, help="time per picture, such as 30ms")
        child.add_argument("--json", action="store_true", help="print as JSON on stdout")
        add_offline(child)
        add_options(child, BenchmarkConfig)
    child = verb(f"{GROUP} synth", "write a data set of synthetic scenes")
    child.add_argument("folder", help="a new or empty folder")
    add_options(child, SyntheticConfig)
    child = verb(f"{GROUP} check", "read a data set as training would, and list what cannot be used")
    child.add_argument("data", help="data set: YAML file, or a folder")
    add_options(child, CheckConfig)
    verb("models", "list the models that come with the package and the published ones")
    return parser


def add_walk(parser: Parser) -> None:
    """What `trace` walks through, and what it shows."""
    parser.add_argument("model", help="a file or a name")
    add_parts(parser)
    parser.add_argument("--image", help="picture of the walk forward (default: a sample)")
    parser.add_argument("--backward", action="store_true", help="also one step of training, on pictures of --data")
    parser.add_argument("--data", help="data set with labels (default: that of the model's training)")
    parser.add_argument("--imgsz", type=int, help="square input size (default: that of the training)")
    parser.add_argument("--batch", type=int, default=4, help="pictures of the walk back (default 4)")
    parser.add_argument("--attention", metavar="FOLDER", help="also draw where area attention looks, by detection")
    parser.add_argument("--plot", metavar="PNG", help="also draw it into this file")
    parser.add_argument("--json", action="store_true", help="print as JSON")
    add_layout(parser)


def add_model(parser: Parser, default: str | None) -> None:
    """`--model` and what decides how a name resolves."""
    text = "a model file, an embedded or published name" + (f" (default {default})" if default else "")
    parser.add_argument("--model", default=default, required=default is None, help=text)
    add_layout(parser)


def add_fusion(parser: Parser) -> None:
    """`--fuse`, which may be repeated: a list behind one flag would swallow the sources."""
    text = "another detector of the same classes, whose boxes are fused with the model's; may be repeated"
    parser.add_argument("--fuse", metavar="MODEL", action="append", default=[], help=text)


def add_parts(parser: Parser) -> None:
    """`--model.backbone` and the like: other parts for a named architecture."""
    kinds = {
        "backbone": list(BACKBONE_CONFIGS),
        "neck": list(NECK_CONFIGS),
        "head": [kind for kind, head in HEAD_CONFIGS.items() if kind != head.task],
    }
    for role, names in kinds.items():
        text = f"another {role} for the named architecture, with fresh weights: {', '.join(names)}"
        parser.add_argument(f"--model.{role}", dest=f"model.{role}", metavar="KIND", default="", help=text)
    text = "tasks that one network does together, any of detect, segment, pose"
    parser.add_argument("--model.heads", dest="model.heads", metavar="TASK", nargs="+", default=[], help=text)


def chosen_parts(words: argparse.Namespace) -> dict[str, str | list[str]]:
    """The parts that were typed, by role."""
    typed = {name.partition(".")[2]: value for name, value in vars(words).items() if name.startswith("model.")}
    return {role: kind for role, kind in typed.items() if kind}


def add_layout(parser: Parser) -> None:
    """`--layout` and `--offline`."""
    parser.add_argument("--layout", default="turbo", help="layout of a published name: turbo (default) or v1.0")
    add_offline(parser)


def add_offline(parser: Parser) -> None:
    """`--offline`."""
    text = "never download; also YOLOV12_OFFLINE=1"
    parser.add_argument("--offline", action="store_const", const=True, help=text)  # None: as the environment says


def add_options(parser: Parser, config_type: type[Any]) -> None:
    """One flag per field; an absent flag leaves no trace, so that explicit values are known."""
    kinds = field_types(config_type)
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


def milliseconds(text: str) -> float:
    """A time such as `30ms`, `0.5s` or `30`, in milliseconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|)", text.strip())
    if not found or not float(found[1]):
        raise ConfigError(f"--budget {text!r}: expected a time such as 30ms or 0.5s")
    return float(found[1]) * (1000 if found[2] == "s" else 1)


def gather_sources(words: argparse.Namespace, unknown: list[str]) -> None:
    """Add to the sources those that stand behind flags, where argparse does not look for them (see PREDICT_RULE)."""
    for option, is_source in (("imgsz", not_a_number), ("classes", is_path)):
        values = vars(words).get(option, [])  # absent unless typed; takes all that follows it: `--imgsz 320 a.jpg`
        end = next((i for i, word in enumerate(values) if i and is_source(word)), len(values))
        words.source += values[end:]
        del values[end:]
    if not any(word.startswith("-") for word in unknown):
        words.source += unknown
        unknown.clear()


def not_a_number(word: str) -> bool:
    """Whether a word after --imgsz is no longer part of it."""
    return not word.lstrip("-").isdecimal()


def is_path(word: str) -> bool:
    """Whether a word after --classes is no longer part of it."""
    return not_a_number(word) and (os.path.exists(word) or PATH.match(word) is not None)


def refuse_truth_values(words: Sequence[str], parser: Parser) -> None:
    """Raise ConfigError for `--amp false` and `--amp=false`: predict would take the word for a source."""
    for word, following in zip(words, [*words[1:], ""], strict=True):
        flag, equals, value = word.partition("=")
        value = value if equals else following
        if value.lower() in TRUTH and flag in switches(parser) and (equals or not os.path.exists(value)):
            raise ConfigError(f"{flag} {value}: takes no value. Write: {spelling(parser, flag, value)}")


def switches(parser: argparse.ArgumentParser) -> list[str]:
    """The flags that take no value and have an opposite."""
    actions = (action for action in parser._actions if isinstance(action, argparse.BooleanOptionalAction))
    return [flag for action in actions for flag in action.option_strings]


def spelling(parser: argparse.ArgumentParser, flag: str, value: str) -> str:
    """How an option with a value is written: `--imgsz 320`, and `--no-amp` for what takes none."""
    if flag not in switches(parser) or value.lower() not in TRUTH:
        return f"{flag} {value}"
    positive = flag.replace("--no-", "--", 1)
    return positive if TRUTH[value.lower()] == (flag == positive) else positive.replace("--", "--no-", 1)


def explicit_options(words: argparse.Namespace, config_type: type[Any]) -> dict[str, Any]:
    """The options that the user typed, converted to their types and checked before anything else happens."""
    typed = vars(words)
    names = [field.name for field in dataclasses.fields(config_type) if field.name in typed]
    options = {name: from_text(config_type, name, typed[name]) for name in names}
    resolve(config_type, options)
    return options


def unknown_words(words: list[str], parser: argparse.ArgumentParser) -> ConfigError:
    """What to say of the first of `words`, which is no option: the flag that was meant, or how it is written."""
    flags = [flag for action in parser._actions for flag in action.option_strings]
    places = [action.dest for action in parser._actions if not action.option_strings]
    word = words[0]
    name, equals, value = word.partition("=")
    dashed = word.startswith("-")
    if name.lstrip("-") in places and (dashed or equals):
        value = value or next((other for other in words[1:] if not other.startswith("-")), "")
        hint = f" Write: {parser.prog} {value if value and len(places) == 1 else ' '.join(places).upper()}"
    elif dashed or not equals:
        hint = did_you_mean(name, flags)
    elif f"--{name}" in flags:
        hint = f" Write: {spelling(parser, f'--{name}', value)}"
    else:
        hint = did_you_mean(name, places) or did_you_mean(f"--{name}", flags)
    return ConfigError(f"{word!r} is not understood.{hint} (see: {parser.prog} --help)")
