"""Commands that make or look into a network: `train`, `info`, `trace`."""

from __future__ import annotations

import argparse
import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yolov12.cli.flags import add_layout, add_model, add_options, add_parts, chosen_parts, explicit_options
from yolov12.cli.output import left_out, print_json
from yolov12.config.run import TrainConfig

if TYPE_CHECKING:
    from yolov12.api.model import YOLO

FRESH_MODEL = "yolov12n.yaml"
"""Training starts from fresh weights unless a model is named: published weights are downloaded only when asked for."""


def train_flags(parser: argparse.ArgumentParser) -> None:
    """Flags of `train`."""
    add_model(parser, FRESH_MODEL)
    add_parts(parser)
    add_options(parser, TrainConfig)


def train(words: argparse.Namespace) -> int:
    """Train and print the final table; exit code 1 when images or label rows were left out."""
    options = explicit_options(words, TrainConfig)
    own = options.get("pretrained", True) and not options.get("weights")
    metrics = open_network(words, weights=own).train(**options)
    print(metrics.table())
    print(f"results: {metrics.save_dir}")
    return left_out(metrics.save_dir)


def info_flags(parser: argparse.ArgumentParser) -> None:
    """Flags of `info`."""
    parser.add_argument("model", help="a file or a name")
    add_parts(parser)
    parser.add_argument(
        "--imgsz", type=int, help="square input size (default: that of the training, or the usual one of the name)"
    )
    parser.add_argument("--json", action="store_true", help="print as JSON")
    add_layout(parser)


def info(words: argparse.Namespace) -> int:
    """Print the model's layers and totals."""
    profile = open_network(words, weights=False).info(imgsz=words.imgsz, verbose=not words.json)
    if words.json:
        described = dataclasses.asdict(profile)
        totals = {name: getattr(profile, name) for name in ("parameters", "gflops") if hasattr(profile, name)}
        print_json({**described, **totals})
    return 0


def trace_flags(parser: argparse.ArgumentParser) -> None:
    """Flags of `trace`: what it walks through, and what it shows."""
    parser.add_argument("model", help="a file or a name")
    add_parts(parser)
    parser.add_argument("--image", help="picture of the walk forward (default: a sample)")
    parser.add_argument("--backward", action="store_true", help="also one step of training, on pictures of --data")
    parser.add_argument("--data", help="data set with labels (default: that of the model's training)")
    parser.add_argument("--imgsz", type=int, help="square input size (default: that of the training)")
    parser.add_argument("--batch", type=int, default=4, help="pictures of the walk back (default 4)")
    parser.add_argument("--single", action="store_true", help="by single convolutions and norms instead of blocks")
    parser.add_argument("--attention", metavar="FOLDER", help="also draw where area attention looks, by detection")
    parser.add_argument("--plot", metavar="PNG", help="also draw it into this file")
    parser.add_argument("--json", action="store_true", help="print as JSON")
    add_layout(parser)


def trace(words: argparse.Namespace) -> int:
    """Print the walk through a model's layers; exit code 1 when one of them is dead or exploding."""
    from yolov12.api.model import draw_trace

    model = open_network(words, weights=False)
    size = {"imgsz": words.imgsz, "batch": words.batch}
    walk = model.trace(words.image, data=words.data, backward=words.backward, single=words.single, **size)
    if words.plot:
        draw_trace(walk, Path(words.plot))
    if not words.json:
        print(walk.table(), flush=True)
    looks = {}
    if words.attention:
        if not words.json:
            print(LOOKS, flush=True)
        heard: dict[str, Any] = {} if words.json else {"report": print_look}
        looks = {"attention": model.draw_attention(words.image, Path(words.attention), imgsz=words.imgsz, **heard)}
    if words.json:
        print_json({**walk.to_dict(), **looks})
    return int(any(row.mark for row in walk.rows))


LOOKS = f"{'class':<16}{'score':>7}{'deletion':>10}{'random':>8}{'insertion':>11}{'random':>8}  picture"
"""Over the lines of `print_look`."""


def print_look(one: Mapping[str, Any]) -> None:
    """A line for a detection."""
    values = {name: math.nan if value is None else value for name, value in one.items()}
    deletion = f"{values['deletion']:>10.3f}{values['random_deletion']:>8.3f}"
    insertion = f"{values['insertion']:>11.3f}{values['random_insertion']:>8.3f}"
    print(f"{one['name']:<16}{one['score']:>7.3f}{deletion}{insertion}  {one['picture']}", flush=True)


def open_network(words: argparse.Namespace, *, weights: bool) -> YOLO:
    """The model of a command, with its own parts; without `weights`, those of a published name are not downloaded."""
    from yolov12.api.model import YOLO
    from yolov12.loading import is_model_name

    pretrained = weights or not is_model_name(words.model)
    parts = chosen_parts(words)
    return YOLO(words.model, parts=parts, layout=words.layout, offline=words.offline, pretrained=pretrained)
