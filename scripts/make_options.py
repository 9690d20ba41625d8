"""Write src/yolov12/config/options.py from the option dataclasses: `python scripts/make_options.py`."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from yolov12.config.run import BenchmarkConfig, CompareConfig, ExportConfig, PredictConfig, TrainConfig, ValConfig

TARGET = Path(__file__).resolve().parents[1] / "src/yolov12/config/options.py"
HEADER = '''"""The keyword arguments of the facade's methods, for editors and type checkers.

Written from the dataclasses in `run.py` by `scripts/make_options.py`; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import TypedDict

from yolov12.config.run import ImageSize
'''
LOOSER = {
    "data": "str | PathLike[str]",
    "output": "str | PathLike[str]",
    "project": "str | PathLike[str]",
    "weights": "str | PathLike[str]",
    "device": "str | int",
    "classes": "Sequence[int | str] | int | str | None",
}


def render() -> str:
    """The text of the module."""
    parts = [HEADER]
    for config in (TrainConfig, ValConfig, PredictConfig, CompareConfig, ExportConfig, BenchmarkConfig):
        verb = config.__name__.removesuffix("Config")
        lines = [f"    {field.name}: {LOOSER.get(field.name, field.type)}" for field in dataclasses.fields(config)]
        parts.append(
            f'\n\nclass {verb}Options(TypedDict, total=False):\n    """Options of `{verb.lower()}`."""\n\n'
            + "\n".join(lines)
            + "\n"
        )
    return "".join(parts)


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf8")
