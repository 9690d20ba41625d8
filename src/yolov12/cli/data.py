"""Commands about data sets and the list of models."""

from __future__ import annotations

import argparse
from pathlib import Path

from yolov12.cli.flags import add_options, explicit_options
from yolov12.config.run import CheckConfig
from yolov12.config.synthetic import SyntheticConfig


def synth_flags(parser: argparse.ArgumentParser) -> None:
    """Flags of `data synth`."""
    parser.add_argument("folder", help="a new or empty folder")
    add_options(parser, SyntheticConfig)


def synth(words: argparse.Namespace) -> int:
    """Write synthetic scenes."""
    from yolov12.api.data import write_synthetic

    options = explicit_options(words, SyntheticConfig)
    print(f"data set: {write_synthetic(Path(words.folder), **options)}")
    return 0


def check_flags(parser: argparse.ArgumentParser) -> None:
    """Flags of `data check`."""
    parser.add_argument("data", help="data set: YAML file, or a folder")
    add_options(parser, CheckConfig)


def check(words: argparse.Namespace) -> int:
    """Read every split and print what was found; exit code 1 when something cannot be used."""
    from yolov12.api.data import check_data

    options = explicit_options(words, CheckConfig)
    findings = 0
    for report in check_data(words.data, **options):
        print(report.summary() if report.read else f"{report.split}: cannot be used")
        for text in [*(f"warning: {warning}" for warning in report.warnings), *report.findings]:
            print(f"  {text}")
        findings += report.total
    return int(findings > 0)


def models_flags(parser: argparse.ArgumentParser) -> None:
    """`models` has no flags."""


def models(words: argparse.Namespace) -> int:
    """List model names."""
    from yolov12.hub import describe_models

    print(describe_models())
    return 0
