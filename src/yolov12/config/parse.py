"""From what a user typed to a frozen config: names, types and ranges checked at once, the origin of each value kept.

Explicit user values always win. An unknown name, a wrong type or a value out of range is a `ConfigError` that names
the option, the value and the way out.
"""

from __future__ import annotations

import dataclasses
import math
import os
import sys
import types
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from yolov12.config.fields import field_hints
from yolov12.config.run import (
    BenchmarkConfig,
    CheckConfig,
    CompareConfig,
    ExportConfig,
    ImageSize,
    PredictConfig,
    TrainConfig,
    ValConfig,
)
from yolov12.errors import ConfigError, did_you_mean

C = TypeVar("C", TrainConfig, ValConfig, PredictConfig, CheckConfig, CompareConfig, ExportConfig, BenchmarkConfig)

STRIDE = 32
"""Canvas sides are multiples of this: the largest stride of the network."""

DEFAULT, USER = "default", "user"


@runtime_checkable
class ArrayLike(Protocol):
    """A NumPy number or array, or a tensor, without importing either."""

    def tolist(self) -> Any:
        """The same as Python numbers, in lists if it has dimensions."""


@dataclass(frozen=True)
class Resolved(Generic[C]):
    """A config and, for every field, where its value came from (`default`, `user`, a file's name ...)."""

    config: C
    origins: Mapping[str, str]

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """`{field: {"value": ..., "origin": ...}}`, ready for JSON."""
        values = dataclasses.asdict(self.config)
        return {name: {"value": value, "origin": self.origins[name]} for name, value in values.items()}


def resolve(
    config_type: type[C],
    values: Mapping[str, object],
    *,
    base: Mapping[str, object] | None = None,
    base_origin: str = "file",
) -> Resolved[C]:
    """Check `values` (what the user said) and lay them over `base` (say, a saved run) and the defaults."""
    merged = {**(base or {}), **values}
    origins = {field.name: DEFAULT for field in dataclasses.fields(config_type)}
    origins |= dict.fromkeys(base or {}, base_origin) | dict.fromkeys(values, USER)
    checked: dict[str, Any] = {name: check(config_type, name, value) for name, value in merged.items()}
    return Resolved(config_type(**checked), origins)


def check(config_type: type[Any], name: str, value: object) -> object:
    """`value` in the type of option `name`, within its limits; raises ConfigError otherwise."""
    kinds = field_hints(config_type)
    if name not in kinds:
        raise ConfigError(f"'{name}' is not an option here.{did_you_mean(name, kinds)} Options: {', '.join(kinds)}")
    metadata = next(field.metadata for field in dataclasses.fields(config_type) if field.name == name)
    checked = _convert(name, kinds[name], value)
    choices = metadata.get("choices")
    if choices and (said := metadata["instead"].get(checked)):
        raise ConfigError(f"--{name} {checked}: {said}")
    if choices and checked not in choices:
        raise ConfigError(f"--{name} {checked!r}: choose from {', '.join(choices)}.{did_you_mean(checked, choices)}")
    for number in checked if isinstance(checked, tuple) else (checked,):
        _check_range(name, number, metadata.get("low"), metadata.get("high"))
    return checked


def from_text(config_type: type[Any], name: str, text: str | list[str] | bool) -> object:
    """An option's value as typed on the command line, converted to the option's type (ranges are checked later)."""
    kind = field_hints(config_type)[name]
    if isinstance(text, bool):
        return text
    words = text if isinstance(text, list) else [text]
    if kind == ImageSize:
        numbers = [_number(name, int, word) for word in words]
        return numbers[0] if len(numbers) == 1 else tuple(numbers)
    if name == "classes":
        return tuple(int(word) if word.isdecimal() else word for word in words)
    return _number(name, kind, words[0]) if kind in (int, float) else words[0]


def round_up_to_stride(imgsz: ImageSize) -> ImageSize:
    """The next multiple of 32 for each side."""
    if isinstance(imgsz, int):
        return math.ceil(imgsz / STRIDE) * STRIDE
    return (math.ceil(imgsz[0] / STRIDE) * STRIDE, math.ceil(imgsz[1] / STRIDE) * STRIDE)


def report_rounding(imgsz: ImageSize) -> ImageSize:
    """`imgsz` rounded up to multiples of 32; says so on stderr when that changes it."""
    rounded = round_up_to_stride(imgsz)
    if rounded != imgsz:
        print(f"imgsz {imgsz} rounded up to {rounded}: sides must be multiples of {STRIDE}", file=sys.stderr)
    return rounded


def storable(options: Mapping[str, object]) -> dict[str, object]:
    """Options of a training, checked, as its saved run needs them: the side it uses, a path for any working folder."""
    config = resolve(TrainConfig, options).config
    stored = dict(options)
    if "imgsz" in options:
        stored["imgsz"] = report_rounding(config.imgsz)
    for name, path in (("data", config.data), ("weights", config.weights)):
        if path and os.path.exists(path):
            stored[name] = str(Path(path).absolute())
    return stored


def _plain(value: object) -> object:
    return value.tolist() if isinstance(value, ArrayLike) else value


def _convert(name: str, kind: Any, value: object) -> object:
    value = _plain(value)
    if name == "device" and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if name == "classes":
        return _class_list(value)
    if kind == ImageSize:
        return _image_size(name, value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
        return value
    if name in ("data", "project", "weights", "output") and isinstance(value, os.PathLike):
        return os.fspath(value)
    expected = kind.__name__ if not isinstance(kind, types.UnionType) else str(kind)
    raise ConfigError(f"--{name} {value!r}: expected {expected}, got {type(value).__name__}")


def _image_size(name: str, value: object) -> ImageSize:
    sides: list[Any] = list(value) if isinstance(value, (tuple, list)) else [value]
    sides = [_plain(side) for side in sides]
    if len(sides) not in (1, 2) or any(isinstance(side, bool) or not isinstance(side, int) for side in sides):
        raise ConfigError(f"--{name} {value!r}: expected one side, or height and width, in whole pixels")
    return sides[0] if len(sides) == 1 else (sides[0], sides[1])


def _class_list(value: object) -> tuple[int | str, ...] | None:
    if value is None:
        return None
    entries: list[Any] = list(value) if isinstance(value, (tuple, list, set, frozenset)) else [value]
    entries = [_plain(entry) for entry in entries]
    if any(isinstance(entry, bool) or not isinstance(entry, (int, str)) for entry in entries):
        raise ConfigError(f"--classes {value!r}: expected class ids or names")
    return tuple(entries)


def _number(name: str, kind: Any, word: str) -> object:
    try:
        return kind(word)
    except ValueError:
        raise ConfigError(f"--{name} {word!r}: expected {'a whole number' if kind is int else 'a number'}") from None


def _check_range(name: str, value: object, low: float | None, high: float | None) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return
    if math.isnan(value) or (low is not None and value < low) or (high is not None and value > high):
        allowed = f"between {low:g} and {high:g}" if low is not None and high is not None else f"at least {low}"
        raise ConfigError(f"--{name} {value:g}: must be {allowed}")
