"""The rows of a YOLO label file, which differ by task. All coordinates are parts of the image's size.

    detect   class x_center y_center width height, or a polygon as below (its extent counts)
    segment  class x1 y1 x2 y2 x3 y3 ...            the outline, three points or more
    obb      class x1 y1 x2 y2 x3 y3 x4 y4          the corners of a rotated box
    pose     class x_center y_center width height x1 y1 v1 x2 y2 v2 ...

A pose row has K keypoints of D numbers, as `kpt_shape` says. With D = 3 the flag v is 0 (not labelled: x and y mean
nothing and become 0), 1 (hidden) or 2 (visible). With D = 2 there are no flags; a point at exactly 0 0, which is how
such files mark what is not labelled, has flag 0 and any other has 2.

A pure function from bytes to good rows and named problems. Any value outside 0..1 or not finite, a wrong class or a
wrong number of columns is a problem; encodings and line ends that leave no doubt (BOM, CRLF, CR, tabs) are read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from yolov12.config.tasks import TASKS
from yolov12.errors import printable

BOX_FIELDS = ("x_center", "y_center", "width", "height")
EDGE = 1e-6
"""How far a value may lie outside 0..1: the rounding of labels written with six digits."""
MIN_POINTS = 3
CORNERS = 4

# Plain ASCII decimals; Python's float() would also take 1_0, other scripts' digits, nan and inf.
_NUMBER = re.compile(rb"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
# What nearly every row without keypoints looks like: a whole class number and values in 0..1. Nothing is tried twice.
_PLAIN = re.compile(rb"[0-9]{1,9}(?:[ \t]++(?:0?+\.[0-9]++|[01](?:\.0*+)?+))++[ \t]*+")
_NOT_FINITE = re.compile(rb"[+-]?(?:nan|inf|infinity)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Row:
    """One good row: class, and either 4 values of a box or 2k values of a polygon, all in 0..1."""

    label: int
    values: tuple[float, ...]
    keypoints: tuple[float, ...] = ()
    """x, y in 0..1 and flag of each keypoint."""
    line: int = field(default=0, compare=False)


class RowRule(NamedTuple):
    """What a row may be."""

    names: Sequence[str]
    task: str = "detect"
    keypoint_shape: tuple[int, int] | None = None
    """(K, D); a pose data set that is used for detection has it, too."""

    def kind(self, columns: int) -> str:
        """ "box", "polygon" or "pose", or an empty string if no row has so many columns."""
        task = self.task
        if self.has_keypoints(columns):
            return "pose" if not (TASKS[task].masks or TASKS[task].rotated) else ""
        if TASKS[task].plain and columns == 5:
            return "box"
        polygon = columns == 1 + 2 * CORNERS or (not TASKS[task].rotated and columns % 2 and columns > 2 * MIN_POINTS)
        return "polygon" if polygon and not TASKS[task].keypoints else ""

    def has_keypoints(self, columns: int) -> bool:
        """Whether rows of so many columns are those of a pose data set; they are no outlines, even if they could be."""
        return self.keypoint_shape is not None and columns == 5 + math.prod(self.keypoint_shape)

    @property
    def expected(self) -> str:
        """The columns that a row should have, for messages."""
        pose = ""
        if self.keypoint_shape:
            k, d = self.keypoint_shape
            pose = f"class, 4 values of a box and {k * d} of keypoints (kpt_shape [{k}, {d}])"
        return {
            "detect": f"class and 4 values, or class and {MIN_POINTS} or more points"
            + (f", or {pose}" if pose else ""),
            "segment": f"class and {MIN_POINTS} or more points of an outline",
            "pose": pose,
            "obb": f"class and {CORNERS} corners of a rotated box",
        }[self.task]


def parse_rows(
    text: bytes, names: Sequence[str], task: str = "detect", keypoint_shape: tuple[int, int] | None = None
) -> tuple[list[Row], list[str]]:
    """The good rows of a label file and, for each bad one, `line: field: reason`."""
    rule = RowRule(names, task, keypoint_shape)
    if text.startswith((b"\xff\xfe", b"\xfe\xff")):
        return [], ["1: encoding: UTF-16 text; save it as UTF-8 or ASCII"]
    rows, problems = [], []
    for number, line in enumerate(text.removeprefix(b"\xef\xbb\xbf").splitlines(), 1):
        fields = line.split()
        if not fields:
            continue
        kind = rule.kind(len(fields))
        if kind in ("box", "polygon") and _PLAIN.fullmatch(line) and int(fields[0]) < len(names):
            rows.append(Row(int(fields[0]), tuple(map(float, fields[1:])), line=number))
            continue
        row = _parse_row(fields, kind, rule, number)
        if isinstance(row, Row):
            rows.append(row)
        else:
            problems.append(f"{number}: {row}")
    return rows, problems


def _parse_row(fields: list[bytes], kind: str, rule: RowRule, line: int) -> Row | str:
    """The row, or `field: reason`."""
    if not kind:
        return _columns_problem(fields, rule)
    label = _parse_class(fields[0], rule.names)
    if isinstance(label, str):
        return f"class: {label}"
    last = len(fields) if kind == "polygon" else 5
    values = []
    for i, item in enumerate(fields[1:last]):
        value = number_of(item)
        if not -EDGE <= value <= 1 + EDGE:
            name = f"{'xy'[i % 2]}{i // 2 + 1}" if kind == "polygon" else BOX_FIELDS[i]
            return f"{name}: {_value_problem(item, fields[1:])}"
        values.append(min(max(value, 0.0), 1.0))
    if kind != "pose" or rule.keypoint_shape is None:
        return Row(label, tuple(values), line=line)
    keypoints = _parse_keypoints(fields[5:], rule.keypoint_shape[1])
    if isinstance(keypoints, str):
        return keypoints
    return Row(label, tuple(values), tuple(keypoints) if TASKS[rule.task].keypoints else (), line)


def _parse_keypoints(fields: list[bytes], values: int) -> list[float] | str:
    """x, y, flag, x, y, flag ... from fields with `values` numbers for each keypoint, or `field: reason`."""
    points: list[float] = []
    for first in range(0, len(fields), values):
        number = first // values + 1
        x, y = (number_of(item) for item in fields[first : first + 2])
        flag = 2.0 if (x, y) != (0, 0) else 0.0
        if values == 3:
            flag = number_of(fields[first + 2])
        for name, value, item in zip("xy", (x, y), fields[first : first + 2], strict=True):
            if not math.isfinite(value) or (flag and not -EDGE <= value <= 1 + EDGE):
                return f"{name}{number}: {_value_problem(item, fields)}"
        if flag not in (0, 1, 2):
            text = "not a flag: 0 not labelled, 1 hidden, 2 visible"
            text += " (a prediction file with probabilities?)" * (0 < flag < 1)
            return f"v{number}: {shown(fields[first + 2])} is {text}"
        points += (min(max(x, 0.0), 1.0), min(max(y, 0.0), 1.0), flag) if flag else (0.0, 0.0, 0.0)
    return points


def _columns_problem(fields: list[bytes], rule: RowRule) -> str:
    if any(b"\0" in item for item in fields):
        return "columns: NUL bytes (a file that was only half copied?)"
    if fields[0].startswith(b"#"):
        return "columns: comments are not part of the format"
    return f"columns: {len(fields)}; expected {rule.expected}{_columns_hint(fields, rule)}"


def _columns_hint(fields: list[bytes], rule: RowRule) -> str:
    """What such a row may have been meant for."""
    count = len(fields)
    if rule.has_keypoints(count):
        return " (a box and keypoints, as kpt_shape says? those are for a pose model)"
    if TASKS[rule.task].rotated and count == 10 and not _NUMBER.fullmatch(fields[8]):
        return " (DOTA text? say so in the data YAML: format: dota)"
    if TASKS[rule.task].rotated and count == 6:
        return " (centre, size and angle? write the corners)"
    if not TASKS[rule.task].plain and count == 5:
        return " (this is a box only)"
    if rule.kind(count - 1):
        return " (a prediction file with confidence?)"
    if any(b"," in item for item in fields):
        return " (commas? values are separated by spaces)"
    return ""


def _parse_class(item: bytes, names: Sequence[str]) -> int | str:
    """The class number, or why it is none. `2.0` is 2: some tools write every column as a decimal."""
    value = number_of(item)
    if value.is_integer() and 0 <= value < len(names):
        return int(value)
    valid = ", ".join(f"{i} {name}" for i, name in enumerate(names[:20])) + (", ..." if len(names) > 20 else "")
    return f"{shown(item)} is not a class number; classes: {printable(valid)}"


def number_of(item: bytes) -> float:
    """A plain decimal number; NaN for anything else."""
    return float(item) if _NUMBER.fullmatch(item) else math.nan


def number_problem(item: bytes) -> str:
    """Why a field is no finite number, or an empty string."""
    if _NOT_FINITE.fullmatch(item):
        return f"not finite ({shown(item)})"
    if not _NUMBER.fullmatch(item):
        return f"not a number ({shown(item)})" + (" (decimal comma?)" if b"," in item else "")
    return "" if math.isfinite(float(item)) else f"not finite ({shown(item)})"


def _value_problem(item: bytes, values: list[bytes]) -> str:
    numbers = [float(other) for other in values if _NUMBER.fullmatch(other)]
    hint = " (pixel coordinates?)" if max(numbers, default=0) > 2 else ""
    return number_problem(item) or f"outside of 0..1 ({shown(item)}){hint}"


def shown(item: bytes) -> str:
    """A field as it may appear in a message: short and printable."""
    text = printable(item[:40].decode("utf-8", "backslashreplace"))
    return f"'{text}{'...' if len(item) > 40 else ''}'"
