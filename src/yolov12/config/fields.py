"""Typed frozen dataclasses from plain data out of a file: every field checked, nothing converted quietly."""

from __future__ import annotations

import functools
import typing
from collections.abc import Hashable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar, cast

from yolov12.errors import ConfigError, did_you_mean

T = TypeVar("T")


def require_mapping(where: str, value: object) -> Mapping[str, Any]:
    """`value` if it is a mapping, or a ConfigError that says where it stood."""
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where}: expected named fields, got {type(value).__name__}")
    return value


def require_choice(where: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise ConfigError, with the nearest choice, unless `value` is one of `choices`."""
    if value not in choices:
        raise ConfigError(f"{where} {value!r}: choose from {', '.join(choices)}.{did_you_mean(value, choices)}")


def from_fields(where: str, config_type: type[T], values: Mapping[str, object]) -> T:
    """A `config_type` from `values` by field name; raises ConfigError for the first field that is wrong.

    `config_type` is a dataclass. Whole numbers, truth values and texts must have exactly their type; a list becomes a
    tuple of whole numbers. Values of any other type are taken as they are: the caller has built them.
    """
    checked = checked_fields(where, config_type, values)
    # Also those that a base has given a default are not required.
    required = {name for name in field_hints(config_type) if not hasattr(config_type, name)}
    if missing := sorted(required - set(values)):
        raise ConfigError(f"{where}: missing {', '.join(missing)}")
    return config_type(**checked)


def checked_fields(where: str, config_type: type[Any], values: Mapping[str, object]) -> dict[str, Any]:
    """`values` as `config_type` takes them; raises ConfigError for a field that there is not, or of another type."""
    hints = field_hints(config_type)
    for name in values:
        if name not in hints:
            raise ConfigError(f"{where}.{name} is not a field.{did_you_mean(name, hints)} Fields: {', '.join(hints)}")
    return {name: _field_value(f"{where}.{name}", hints[name], value) for name, value in values.items()}


def field_hints(config_type: type[Any]) -> Mapping[str, Any]:
    """Resolved annotations of the fields of a dataclass and its bases, found once: that takes a millisecond."""
    found: Mapping[str, Any] = _hints(cast(Hashable, config_type))
    return found


@functools.cache
def _hints(config_type: Any) -> Mapping[str, Any]:
    hints = typing.get_type_hints(config_type)
    return MappingProxyType({name: hint for name, hint in hints.items() if not _is_class_var(hint)})


def _is_class_var(hint: Any) -> bool:
    return typing.get_origin(hint) is ClassVar


def _field_value(where: str, kind: Any, value: object) -> object:
    if kind in (int, bool, str):
        if type(value) is not kind:
            raise ConfigError(f"{where} = {value!r}: expected {kind.__name__}, got {type(value).__name__}")
    elif typing.get_origin(kind) is tuple:
        items = typing.get_args(kind)
        if set(items) - {int, Ellipsis}:
            return value
        count = None if Ellipsis in items else len(items)
        if not isinstance(value, (list, tuple)) or any(type(number) is not int for number in value):
            raise ConfigError(f"{where} = {value!r}: expected a list of whole numbers")
        if count not in (None, len(value)):
            raise ConfigError(f"{where} = {value!r}: expected {count} whole numbers")
        return tuple(value)
    return value
