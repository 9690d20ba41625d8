"""What may be typed, and what to say of the rest. Needs no torch."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from yolov12.errors import ConfigError, did_you_mean
from yolov12.version import __version__

GROUP = "data"
"""First word of the verbs of two words."""
TRUTH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


@dataclass(frozen=True)
class Verb:
    """One command: what `--help` says of it, its flags, and what it does (returns the exit code)."""

    text: str
    flags: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
    spare: Callable[[argparse.Namespace, list[str]], None] | None = None
    """Takes its own from the words that argparse could not place."""


class Parser(argparse.ArgumentParser):
    """argparse that raises our errors; `verbs` are the parsers of the commands."""

    verbs: Mapping[str, Parser]

    def error(self, message: str) -> NoReturn:
        """Called by argparse for everything that it refuses."""
        raise ConfigError(f"{message} (see: {self.prog} --help)")


def parse(words: list[str], verbs: Mapping[str, Verb]) -> argparse.Namespace:
    """The words of one command: `verb` (None when only help is wanted), its options, its `parser`."""
    parser = build_parser(verbs)
    words = join_verb(words, verbs)
    if words and words[0] in parser.verbs:
        refuse_truth_values(words, parser.verbs[words[0]])
    elif words and not words[0].startswith("-"):
        hint = did_you_mean(words[0], parser.verbs)
        raise ConfigError(f"{words[0]!r} is not a command.{hint} Commands: {', '.join(parser.verbs)}")
    known, unknown = parser.parse_known_args(words)
    known.parser = parser if known.verb is None else parser.verbs[known.verb]
    if known.verb is not None and (take := verbs[known.verb].spare):
        take(known, unknown)
    if unknown:
        first = words.index(unknown[0]) if unknown[0] in words else len(words)
        raise unknown_words(words[first:] or unknown, known.parser)
    return known


def join_verb(words: list[str], verbs: Mapping[str, Verb]) -> list[str]:
    """`data synth ...` as one verb and what follows; a lone `data` asks for the verbs that begin with it."""
    if words[:1] != [GROUP]:
        return words
    said = " ".join(words[:2] if words[1:] and not words[1].startswith("-") else words[:1])
    if said in verbs:
        return [said, *words[2:]]
    known = [name for name in verbs if name.startswith(f"{GROUP} ")]
    raise ConfigError(f"{said!r} is not a command.{did_you_mean(said, known)} Commands: {', '.join(known)}")


def build_parser(verbs: Mapping[str, Verb]) -> Parser:
    """The whole grammar."""
    parser = Parser(prog="yolov12", description="Train, score and run YOLOv12 models.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"yolov12 {__version__}")
    children = parser.add_subparsers(dest="verb", metavar="VERB", parser_class=Parser)
    parser.verbs = children.choices
    for name, verb in verbs.items():
        child = children.add_parser(name, help=verb.text, description=verb.text, allow_abbrev=False)
        child.add_argument("--debug", action="store_true", help="show the traceback of an error")
        verb.flags(child)
    return parser


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
