"""Commands that measure several models or settings: `compare`, `benchmark`, `select`."""

from __future__ import annotations

import argparse
import re

from yolov12.cli.flags import add_layout, add_offline, add_options, explicit_options
from yolov12.cli.output import left_out, print_json
from yolov12.config.run import BenchmarkConfig, CompareConfig
from yolov12.errors import ConfigError


def compare_flags(parser: argparse.ArgumentParser) -> None:
    """Flags of `compare`."""
    parser.add_argument("models", nargs="+", help="model files, embedded or published names")
    parser.add_argument("--json", action="store_true", help="print the comparison as JSON on stdout")
    add_layout(parser)
    add_options(parser, CompareConfig)


def compare(words: argparse.Namespace) -> int:
    """Score and time several models, print the table or JSON; exit code 1 when images or label rows were left out."""
    from yolov12.api.compare import compare_models

    options = explicit_options(words, CompareConfig)
    table = options.get("verbose", True) and not words.json
    comparison = compare_models(
        words.models, layout=words.layout, offline=words.offline, **{**options, "verbose": table}
    )
    if words.json:
        print_json(comparison.to_dict())
    else:
        print(comparison.table())
        print(f"results: {comparison.save_dir}")
    return left_out(comparison.save_dir)


def benchmark_flags(parser: argparse.ArgumentParser) -> None:
    """Flags of `benchmark`."""
    parser.add_argument("models", nargs="+", help="model files, exported files, embedded or published names")
    parser.add_argument("--json", action="store_true", help="print as JSON on stdout")
    add_offline(parser)
    add_options(parser, BenchmarkConfig)


def benchmark(words: argparse.Namespace) -> int:
    """Measure models in many settings, print the table or JSON; exit code 1 when none could be measured."""
    from yolov12.api.benchmark import benchmark_models

    options = explicit_options(words, BenchmarkConfig)
    found = benchmark_models(words.models, offline=words.offline, **options)
    if words.json:
        print_json(found.to_dict())
    else:
        print(found.markdown())
        print(f"results: {found.save_dir}")
    return 0 if any(line.milliseconds is not None for line in found.lines) else 1


def select_flags(parser: argparse.ArgumentParser) -> None:
    """Flags of `select`."""
    benchmark_flags(parser)
    parser.add_argument("--budget", required=True, help="time per picture, such as 30ms")


def select(words: argparse.Namespace) -> int:
    """Propose the most accurate setting within a time budget."""
    from yolov12.api.benchmark import command_for, select_setting

    options = explicit_options(words, BenchmarkConfig)
    line, found = select_setting(words.models, milliseconds(words.budget), offline=words.offline, **options)
    command = command_for(line, options.get("device", "auto"))
    if words.json:
        print_json({**line.cells(), "command": command})
        return 0
    print(f"{line.setting}: {(line.milliseconds or (0,))[0]:.1f} ms, accuracy {line.accuracy:.4f}")
    print(command)
    print(f"results: {found.save_dir}")
    return 0


def milliseconds(text: str) -> float:
    """A time such as `30ms`, `0.5s` or `30`, in milliseconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|)", text.strip())
    if not found or not float(found[1]):
        raise ConfigError(f"--budget {text!r}: expected a time such as 30ms or 0.5s")
    return float(found[1]) * (1000 if found[2] == "s" else 1)
