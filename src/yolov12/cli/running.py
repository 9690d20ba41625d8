"""Commands that run a model: `predict` and `val`."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yolov12.cli.flags import DEFAULT_MODEL, add_fusion, add_model, add_options, explicit_options
from yolov12.cli.grammar import unknown_words
from yolov12.cli.output import left_out, print_json
from yolov12.config.run import PredictConfig, ValConfig
from yolov12.errors import ImageError

if TYPE_CHECKING:
    from yolov12.api.predicting import Predicting

UNSAID = {"runtime": ("auto",), "precision": ("auto", "fp32"), "device": ("auto", "cpu"), "half": ("auto", False)}
"""Options of a command that leave it open what runs the model."""
PATH = re.compile(r".*([/\\*?\[]|\.[a-zA-Z]\w{1,3}$)")
"""What looks like a path, a pattern or an address rather than the name of a class."""
PREDICT_RULE = """Sources may stand anywhere. --imgsz takes the numbers that follow it. --classes takes the word that
follows it, then ids and names up to a word that exists as a file or folder, or looks like a path or an address."""


def predict_flags(parser: argparse.ArgumentParser) -> None:
    """Flags of `predict`."""
    parser.epilog = PREDICT_RULE
    parser.add_argument(
        "source", nargs="*", help="files, folders, globs, https URLs, a camera number; default: samples"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object per image on stdout")
    add_model(parser, DEFAULT_MODEL)
    add_fusion(parser)
    add_options(parser, PredictConfig)


def predict(words: argparse.Namespace) -> int:
    """Print what is found, or JSON lines; exit code 1 when an input was skipped."""
    from yolov12.api.opening import sample_images

    options = explicit_options(words, PredictConfig)
    if not words.source:
        options.setdefault("save", True)
    for word in words.source:
        if "=" in word and word.split("=", 1)[0].isidentifier() and not Path(word).exists():
            raise unknown_words([word], words.parser)
    source: Any = words.source if len(words.source) > 1 else (words.source or [""])[0]
    options["verbose"] = options.get("verbose", not words.json)
    model = open_model(words, options)
    source = source if words.source else str(sample_images(model.task))
    if "imgsz" not in options:
        options["imgsz"] = model.size_to_use(verbose=options["verbose"])
    failed = count = 0
    try:
        for result in model.predict(source, **{**options, "stream": True}):
            count += 1
            failed += result.error is not None
            if words.json:
                print_json(result.to_dict())
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


def val_flags(parser: argparse.ArgumentParser) -> None:
    """Flags of `val`."""
    parser.add_argument("--json", action="store_true", help="print the metrics as JSON on stdout")
    add_model(parser, None)
    add_fusion(parser)
    add_options(parser, ValConfig)


def val(words: argparse.Namespace) -> int:
    """Score and print the table or JSON; exit code 1 when images or label rows were left out."""
    options = explicit_options(words, ValConfig)
    table = options.get("verbose", True) and not words.json
    model = open_model(words, {"runtime": "torch", **options})
    if "imgsz" not in options:
        options["imgsz"] = model.size_to_use(verbose=table)
    metrics = model.val(**{**options, "verbose": False})
    if words.json:
        print_json(metrics.to_dict())
    if table:
        print(metrics.table())
        print(f"results: {metrics.save_dir}")
    return left_out(metrics.save_dir)


def open_model(words: argparse.Namespace, options: Mapping[str, Any]) -> Predicting:
    """The model of a command that only runs it, or several that answer together."""
    from yolov12.api.ensemble import Ensemble
    from yolov12.api.opening import open_fastest, open_predicting

    source = {"layout": words.layout, "offline": words.offline}
    if not words.fuse and all(options.get(name, "auto") in allowed for name, allowed in UNSAID.items()):
        device = options.get("device", "auto")
        return open_fastest(words.model, device, verbose=options.get("verbose", True), **source)
    models = [open_predicting(name, **source) for name in [words.model, *words.fuse]]
    return models[0] if len(models) == 1 else Ensemble(models)


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
