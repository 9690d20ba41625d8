"""The rows of a YOLO label file: `class x_center y_center width height`, or `class x1 y1 x2 y2 x3 y3 ...` (a polygon).

A pure function from bytes to good rows and named problems. Any value outside 0..1 or not finite, a wrong class or a
wrong number of columns is a problem; encodings and line ends that leave no doubt (BOM, CRLF, CR, tabs) are read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

from yolov12.errors import printable

BOX_FIELDS = ("x_center", "y_center", "width", "height")
EDGE = 1e-6
"""How far a value may lie outside 0..1: the rounding of labels written with six digits."""
MIN_POINTS = 3

# Plain ASCII decimals; Python's float() would also take 1_0, other scripts' digits, nan and inf.
_NUMBER = re.compile(rb"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
# What nearly every row looks like: a whole class number and four values in 0..1.
_PLAIN_BOX = re.compile(rb"([0-9]{1,9})" + 4 * rb"[ \t]+(0?\.[0-9]+|[01](?:\.0*)?)" + rb"[ \t]*")
_NOT_FINITE = re.compile(rb"[+-]?(?:nan|inf|infinity)", re.IGNORECASE)


class Row(NamedTuple):
    """One good row: class, and either 4 values of a box or 2k values of a polygon, all in 0..1."""

    label: int
    values: tuple[float, ...]


def parse_rows(text: bytes, names: Sequence[str]) -> tuple[list[Row], list[str]]:
    """The good rows of a label file and, for each bad one, `line: field: reason`."""
    if text.startswith((b"\xff\xfe", b"\xfe\xff")):
        return [], ["1: encoding: UTF-16 text; save it as UTF-8 or ASCII"]
    rows, problems = [], []
    for number, line in enumerate(text.removeprefix(b"\xef\xbb\xbf").splitlines(), 1):
        plain = _PLAIN_BOX.fullmatch(line)
        if plain and int(plain[1]) < len(names):
            rows.append(Row(int(plain[1]), (float(plain[2]), float(plain[3]), float(plain[4]), float(plain[5]))))
            continue
        fields = line.split()
        if not fields:
            continue
        row = _parse_row(fields, names)
        if isinstance(row, Row):
            rows.append(row)
        else:
            problems.append(f"{number}: {row}")
    return rows, problems


def _parse_row(fields: list[bytes], names: Sequence[str]) -> Row | str:
    """The row, or `field: reason`."""
    problem = _columns_problem(fields)
    if problem:
        return problem
    label = _parse_class(fields[0], names)
    if isinstance(label, str):
        return f"class: {label}"
    values = []
    for i, field in enumerate(fields[1:]):
        value = float(field) if _NUMBER.fullmatch(field) else math.nan
        if not -EDGE <= value <= 1 + EDGE:
            return f"{_field_name(i, len(fields))}: {_value_problem(field, fields)}"
        values.append(min(max(value, 0.0), 1.0))
    return Row(label, tuple(values))


def _columns_problem(fields: list[bytes]) -> str:
    count = len(fields)
    if count == 5 or (count >= 1 + 2 * MIN_POINTS and count % 2):
        return ""
    if any(b"\0" in field for field in fields):
        return "columns: NUL bytes (a file that was only half copied?)"
    if fields[0].startswith(b"#"):
        return "columns: comments are not part of the format"
    hint = ""
    if count == 6:
        hint = " (a prediction file with confidence?)"
    elif any(b"," in field for field in fields):
        hint = " (commas? values are separated by spaces)"
    return f"columns: {count}; expected class and 4 values, or class and {MIN_POINTS} or more points{hint}"


def _parse_class(field: bytes, names: Sequence[str]) -> int | str:
    """The class number, or why it is none. `2.0` is 2: some tools write every column as a decimal."""
    value = float(field) if _NUMBER.fullmatch(field) else math.nan
    if value.is_integer() and 0 <= value < len(names):
        return int(value)
    valid = ", ".join(f"{i} {name}" for i, name in enumerate(names[:20])) + (", ..." if len(names) > 20 else "")
    return f"{_shown(field)} is not a class number; classes: {printable(valid)}"


def _value_problem(field: bytes, fields: list[bytes]) -> str:
    if _NOT_FINITE.fullmatch(field):
        return f"not finite ({_shown(field)})"
    if not _NUMBER.fullmatch(field):
        return f"not a number ({_shown(field)})" + (" (decimal comma?)" if b"," in field else "")
    value = float(field)
    if not math.isfinite(value):
        return f"not finite ({_shown(field)})"
    numbers = [float(item) for item in fields[1:] if _NUMBER.fullmatch(item)]
    hint = " (pixel coordinates?)" if max(numbers) > 2 else ""
    return f"outside of 0..1 ({_shown(field)}){hint}"


def _field_name(i: int, columns: int) -> str:
    return BOX_FIELDS[i] if columns == 5 else f"{'xy'[i % 2]}{i // 2 + 1}"


def _shown(field: bytes) -> str:
    text = printable(field[:40].decode("utf-8", "backslashreplace"))
    return f"'{text}{'...' if len(field) > 40 else ''}'"
