"""The command line: one function per verb. `yolov12 --help` needs no torch; each verb imports the facade when it runs.

Exit codes: 0 all done, 1 finished but inputs were skipped, 2 the input was refused, 3 the machine lacks something,
4 disk or memory, 70 a bug, 130/143 stopped by a signal. Errors are one line on stderr; `--debug` adds the traceback.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from yolov12 import __version__
from yolov12.config.parse import field_types, from_text, resolve
from yolov12.config.run import ImageSize, PredictConfig, TrainConfig, ValConfig
from yolov12.errors import ConfigError, ImageError, ResourceError, YoloError, did_you_mean

BUG = 70
DEFAULT_MODEL = "yolov12n-bccd"
FRESH_MODEL = "yolov12n.yaml"
"""Training starts from fresh weights unless a model is named: published weights are downloaded only when asked for."""


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
    except BrokenPipeError:  # who read our output has gone: nothing more can be said, not even at the exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except MemoryError:
        print("error: out of memory: lower --batch or --imgsz", file=sys.stderr)
        return ResourceError.exit_code
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
    if known.verb == "predict":
        gather_sources(known, unknown)
    if unknown:
        raise unknown_words(unknown, parser if known.verb is None else known.verb_parser)
    if known.verb is None:
        parser.print_help()
        return 0
    verb: Callable[[argparse.Namespace], int] = known.function
    return verb(known)


def build_parser() -> Parser:
    """The whole grammar, built from the option dataclasses."""
    parser = Parser(prog="yolov12", description="Train, score and run YOLOv12 object detectors.", allow_abbrev=False)
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
    add_model(child, FRESH_MODEL)
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


def gather_sources(words: argparse.Namespace, unknown: list[str]) -> None:
    """Add to the sources those that stand behind flags, where argparse does not look for them."""
    size = vars(words).get("imgsz", [])  # absent unless typed; takes all that follows it: `--imgsz 320 a.jpg`
    numbers = next((i for i, word in enumerate(size) if i and not word.lstrip("-").isdecimal()), len(size))
    words.source += size[numbers:]
    del size[numbers:]
    if not any(word.startswith("-") for word in unknown):
        words.source += unknown
        unknown.clear()


def explicit_options(words: argparse.Namespace, config_type: type[Any]) -> dict[str, Any]:
    """The options that the user typed, converted to their types and checked before anything else happens."""
    typed = vars(words)
    names = [field.name for field in dataclasses.fields(config_type) if field.name in typed]
    options = {name: from_text(config_type, name, typed[name]) for name in names}
    resolve(config_type, options)
    return options


def unknown_words(words: list[str], parser: argparse.ArgumentParser) -> ConfigError:
    """What to say of words that are no option: the flag that was meant, or how a flag is written."""
    flags = [flag for action in parser._actions for flag in action.option_strings]
    places = [action.dest for action in parser._actions if not action.option_strings]
    word = words[0]
    name, equals, value = word.partition("=")
    if not equals or word.startswith("-"):
        hint = did_you_mean(name, flags)
    elif f"--{name}" in flags:
        hint = f" Write: --{name} {value}"
    elif name in places:
        hint = f" Write: {parser.prog} {value}"
    else:
        hint = did_you_mean(name, places) or did_you_mean(f"--{name}", flags)
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
        if "=" in word and word.split("=", 1)[0].isidentifier() and not Path(word).exists():
            raise unknown_words([word], words.verb_parser)
    source: Any = words.source if len(words.source) > 1 else (words.source or [str(sample_images())])[0]
    options["verbose"] = options.get("verbose", not words.json)
    model = YOLO(words.model, layout=words.layout, offline=words.offline)
    failed = count = 0
    try:
        for result in model.predict(source, **{**options, "stream": True}):
            count += 1
            failed += result.error is not None
            if words.json:
                print(result.to_json(), flush=True)
            elif result.error is None:
                print(result.summary())
    except ImageError as error:  # the only input: not refused, but it cannot be used
        print(f"error: {error}", file=sys.stderr)
        return 1
    if failed and not options["verbose"]:
        print(f"{count} inputs, {failed} skipped", file=sys.stderr)
    if not count:
        print("error: nothing to predict on was found", file=sys.stderr)
    return 1 if failed or not count else 0


def train(words: argparse.Namespace) -> int:
    """Train and print the final table; exit code 1 when images or label rows were left out."""
    from yolov12.api import YOLO
    from yolov12.loading import is_model_name

    options = explicit_options(words, TrainConfig)
    fresh = not options.get("pretrained", True) and is_model_name(words.model)  # then nothing has to be downloaded
    model = YOLO(words.model, layout=words.layout, offline=words.offline, pretrained=not fresh)
    metrics = model.train(**options)
    print(metrics.table())
    print(f"results: {metrics.save_dir}")
    return left_out(metrics.save_dir)


def val(words: argparse.Namespace) -> int:
    """Score and print the table or JSON; exit code 1 when images or label rows were left out."""
    from yolov12.api import YOLO

    options = explicit_options(words, ValConfig)
    table = options.get("verbose", True) and not words.json
    metrics = YOLO(words.model, layout=words.layout, offline=words.offline).val(**{**options, "verbose": False})
    if words.json:
        print(json.dumps(metrics.to_dict(), ensure_ascii=False))
    if table:
        print(metrics.table())
        print(f"results: {metrics.save_dir}")
    return left_out(metrics.save_dir)


def left_out(folder: Path | None) -> int:
    """Exit code 1 when the report in a run's folder counts inputs that were left out, else 0."""
    if folder is None:
        return 0
    splits = json.loads((folder / "report.json").read_text(encoding="utf8")).values()
    return int(any(split["skipped"] or split["rows_skipped"] for split in splits))


def info(words: argparse.Namespace) -> int:
    """Print the model's layers and totals."""
    from yolov12.api import YOLO
    from yolov12.loading import is_model_name

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
