"""The command line: one function per verb. `yolov12 --help` needs no torch; each verb imports the facade when it runs.

Exit codes: 0 all done, 1 finished but inputs were skipped, 2 the input was refused, 3 the machine lacks something,
4 disk or memory, 70 a bug, 130/143 stopped by a signal. Errors are one line on stderr; `--debug` adds the traceback.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from yolov12 import __version__
from yolov12.config.parse import field_types, from_text
from yolov12.config.run import ImageSize, PredictConfig, TrainConfig, ValConfig
from yolov12.errors import ConfigError, YoloError, did_you_mean

BUG = 70
DEFAULT_MODEL = "yolov12n-bccd"


class Parser(argparse.ArgumentParser):
    """argparse that raises our errors and knows what a misspelt flag was meant to be."""

    def error(self, message: str) -> NoReturn:
        """Called by argparse for everything that it refuses."""
        raise ConfigError(f"{message} (see: {self.prog} --help)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    try:
        return run([word for word in words if word != "--debug"])
    except YoloError as error:
        if debug:
            traceback.print_exc()
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except Exception as error:  # the edge of the program: a bug is reported in one line, with a way to see more
        if debug:
            traceback.print_exc()
        print(
            f"error: internal error, please report it: {type(error).__name__}: {error} (--debug shows where)",
            file=sys.stderr,
        )
        return BUG


def run(words: list[str]) -> int:
    """Parse and dispatch."""
    parser = build_parser()
    known, unknown = parser.parse_known_args(words)
    if known.verb is None:
        parser.print_help()
        return 0
    if unknown:
        raise unknown_words(unknown, known.verb_parser)
    verb: Callable[[argparse.Namespace], int] = known.function
    return verb(known)


def build_parser() -> Parser:
    """The whole grammar, built from the option dataclasses."""
    parser = Parser(prog="yolov12", description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"yolov12 {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", parser_class=Parser)

    def verb(name: str, text: str, function: Callable[[argparse.Namespace], int]) -> Parser:
        child = verbs.add_parser(name, help=text, description=text, allow_abbrev=False)
        child.set_defaults(function=function, verb_parser=child)
        child.add_argument("--debug", action="store_true", help="show the traceback of an error")
        return child

    child = verb("predict", "find objects in images, videos, folders", predict)
    child.add_argument("source", nargs="*", help="files, folders, globs, https URLs, a camera number; default: samples")
    child.add_argument("--json", action="store_true", help="print one JSON object per image on stdout")
    add_model(child, DEFAULT_MODEL)
    add_options(child, PredictConfig)
    child = verb("train", "train a model on a data set", train)
    add_model(child, "yolov12n")
    add_options(child, TrainConfig)
    child = verb("val", "score a model on a data set, COCO-exact", val)
    child.add_argument("--json", action="store_true", help="print the metrics as JSON on stdout")
    add_model(child, None)
    add_options(child, ValConfig)
    child = verb("info", "layers, shapes, parameters, GFLOPs of a model", info)
    child.add_argument("model", help="a file or a name")
    child.add_argument("--imgsz", type=int, default=640, help="square input size (default 640)")
    child.add_argument("--json", action="store_true", help="print as JSON")
    add_layout(child)
    child = verb("convert", "turn a foreign checkpoint into ours, or ours into a plain state dict (.pt)", convert)
    child.add_argument("input", help="file to read")
    child.add_argument("output", help="file to write: .safetensors (ours) or .pt (tensors only)")
    verb("models", "list the models that come with the package and the published ones", models)
    return parser


def add_model(parser: Parser, default: str | None) -> None:
    """`--model` and what decides how a name resolves."""
    text = "a model file, an embedded or published name" + (f" (default {default})" if default else "")
    parser.add_argument("--model", default=default, required=default is None, help=text)
    add_layout(parser)


def add_layout(parser: Parser) -> None:
    """`--layout` and `--offline`."""
    parser.add_argument("--layout", default="turbo", help="layout of a published name: turbo (default) or v1.0")
    parser.add_argument("--offline", action="store_true", help="never download; also YOLOV12_OFFLINE=1")


def add_options(parser: Parser, config_type: type[Any]) -> None:
    """One flag per field; an absent flag leaves no trace, so that explicit values are known."""
    kinds = field_types(config_type)
    for field in dataclasses.fields(config_type):
        if field.name == "data":
            parser.add_argument("--data", required=False, default=argparse.SUPPRESS, help=field.metadata["help"])
            continue
        spellings = sorted({f"--{field.name}", f"--{field.name.replace('_', '-')}"})
        text = f"{field.metadata['help']} (default {field.default})".replace("%", "%%")
        if kinds[field.name] is bool:
            parser.add_argument(*spellings, dest=field.name, action="store_true", default=argparse.SUPPRESS, help=text)
            negative = [spelling.replace("--", "--no-", 1) for spelling in spellings]
            parser.add_argument(
                *negative, dest=field.name, action="store_false", default=argparse.SUPPRESS, help=argparse.SUPPRESS
            )
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
    """The options that the user typed, converted to their types."""
    typed = vars(words)
    names = [field.name for field in dataclasses.fields(config_type) if field.name in typed]
    return {name: from_text(config_type, name, typed[name]) for name in names}


def unknown_words(words: list[str], parser: argparse.ArgumentParser) -> ConfigError:
    """What to say of words that are no option: the flag that was meant, or how a flag is written."""
    flags = [flag for action in parser._actions for flag in action.option_strings]
    word = words[0]
    if "=" in word and not word.startswith("-"):
        name, value = word.split("=", 1)
        flag = f"--{name}"
        hint = f" Write: {flag} {value}" if flag in flags else did_you_mean(flag, flags)
    else:
        hint = did_you_mean(word.split("=", 1)[0], flags)
    return ConfigError(f"{word!r} is not understood.{hint} (see: {parser.prog} --help)")


# ---- verbs: each imports the facade only when it runs ----------------------------------------------------------------


def predict(words: argparse.Namespace) -> int:
    """Print what is found, or JSON lines; exit code 1 when an input was skipped."""
    from yolov12.api import YOLO, sample_images

    options = explicit_options(words, PredictConfig)
    if not words.source:
        options.setdefault("save", True)
        options.setdefault("imgsz", 320)
    for word in words.source:
        name = word.split("=", 1)[0]
        if "=" in word and name in field_types(PredictConfig) and not Path(word).exists():
            raise unknown_words([word], words.verb_parser)
    source: Any = words.source if len(words.source) > 1 else (words.source or [str(sample_images())])[0]
    options["verbose"] = options.get("verbose", not words.json)
    model = YOLO(words.model, layout=words.layout, offline=words.offline)
    failed = count = 0
    for result in model.predict(source, **{**options, "stream": True}):
        count += 1
        failed += result.error is not None
        if words.json:
            print(result.to_json(), flush=True)
        elif result.error is None:
            print(result.summary())
    if not count:
        print("error: nothing to predict on was found", file=sys.stderr)
    return 1 if failed or not count else 0


def train(words: argparse.Namespace) -> int:
    """Train and print the final table."""
    from yolov12.api import YOLO

    model = YOLO(words.model, layout=words.layout, offline=words.offline)
    metrics = model.train(**explicit_options(words, TrainConfig))
    print(metrics.table())
    print(f"results: {metrics.save_dir}")
    return 0


def val(words: argparse.Namespace) -> int:
    """Score and print the table; exit code 1 when images were left out."""
    from yolov12.api import YOLO

    options = explicit_options(words, ValConfig)
    metrics = YOLO(words.model, layout=words.layout, offline=words.offline).val(**options)
    if words.json:
        print(json.dumps(metrics.to_dict(), ensure_ascii=False))
    return 0


def info(words: argparse.Namespace) -> int:
    """Print the model's layers and totals."""
    from yolov12.api import YOLO, is_model_name

    fresh = is_model_name(words.model)  # a published name is described without downloading it
    model = YOLO(words.model, layout=words.layout, offline=words.offline, pretrained=not fresh)
    profile = model.info(imgsz=words.imgsz, verbose=not words.json)
    if words.json:
        totals = {"parameters": profile.parameters, "gflops": profile.gflops}
        print(json.dumps({**dataclasses.asdict(profile), **totals}))
    return 0


def convert(words: argparse.Namespace) -> int:
    """Convert a model file."""
    from yolov12.api import convert_model

    print(convert_model(Path(words.input), Path(words.output)))
    return 0


def models(words: argparse.Namespace) -> int:
    """List model names."""
    from yolov12.hub import describe_models

    print(describe_models())
    return 0
