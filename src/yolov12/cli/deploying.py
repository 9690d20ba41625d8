"""Commands that take a model elsewhere: `export`, `verify`, `convert`, `tune`."""

from __future__ import annotations

import argparse
from pathlib import Path

from yolov12.cli.flags import DEFAULT_MODEL, add_layout, add_model, add_options, explicit_options
from yolov12.cli.output import print_json
from yolov12.config.run import PRECISIONS, ExportConfig


def export_flags(parser: argparse.ArgumentParser) -> None:
    """Flags of `export`."""
    add_model(parser, None)
    add_options(parser, ExportConfig)


def export(words: argparse.Namespace) -> int:
    """Write a model for another runtime, checked; print its path."""
    from yolov12.api.model import YOLO

    options = explicit_options(words, ExportConfig)
    print(YOLO(words.model, layout=words.layout, offline=words.offline).export(**options))
    return 0


def verify_flags(parser: argparse.ArgumentParser) -> None:
    """Flags of `verify`."""
    parser.add_argument("file", help="a file or folder that `export` wrote")
    parser.add_argument("--device", default="auto", help="where to run it (default auto)")
    parser.add_argument("--precision", default="auto", choices=PRECISIONS, help="arithmetic (default auto)")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def verify(words: argparse.Namespace) -> int:
    """Check an exported file on this machine; exit code 1 when it is not what its certificate says."""
    from yolov12.api.verify import verify_file

    report = verify_file(words.file, device=words.device, precision=words.precision)
    if words.json:
        print_json(report)
    else:
        print("\n".join([*report["passed"], *(f"FAILED: {text}" for text in report["failures"])]))
    return int(bool(report["failures"]))


def convert_flags(parser: argparse.ArgumentParser) -> None:
    """Flags of `convert`."""
    parser.add_argument("input", help="a file or a name")
    parser.add_argument("output", help="file to write: .safetensors (ours) or .pt (tensors only)")
    add_layout(parser)


def convert(words: argparse.Namespace) -> int:
    """Convert a model file."""
    from yolov12.api.convert import convert_model

    print(convert_model(words.input, Path(words.output), layout=words.layout, offline=words.offline))
    return 0


def tune_flags(parser: argparse.ArgumentParser) -> None:
    """Flags of `tune`."""
    add_model(parser, DEFAULT_MODEL)
    parser.add_argument("--imgsz", type=int, help="side in pixels that is measured (default: that of the training)")


def tune(words: argparse.Namespace) -> int:
    """Measure the installed runtimes, remember the fastest, print it."""
    from yolov12.api.model import YOLO

    choice = YOLO(words.model, layout=words.layout, offline=words.offline).tune(imgsz=words.imgsz)
    print(choice.why)
    return 0
