"""What the keypoints of a data set are: how many, what each is written as, and how they pair in a mirrored picture.

In a data YAML:

    kpt_shape: [17, 3]       # keypoints, and numbers for each: 2 (x, y) or 3 (x, y and a flag)
    flip_idx: [0, 2, 1, ...] # optional: which keypoint each one becomes in a mirrored picture
    kpt_names: [nose, left_eye, right_eye, ...]   # optional, or {0: [...]} by class; flip_idx follows from them
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import yaml

from yolov12.data.yaml_nodes import Problems, is_text, kind, numbered, shown, whole_number

MAX_KEYPOINTS = 1000
EXAMPLE = "for example kpt_shape: [17, 3]"
_WORD = re.compile(r"[^\W_]+")
_OTHER_SIDE = {"left": "right", "right": "left"}


class KeypointLayout(NamedTuple):
    """The shape (K, D) of the keypoints of an object, and which one each becomes in a mirrored picture, if known."""

    shape: tuple[int, int]
    flip_idx: tuple[int, ...] | None


def flip_by_names(names: Sequence[str]) -> tuple[int, ...] | None:
    """Which keypoint each one becomes in a mirrored picture: `left_eye` is `right_eye`, `nose` stays.

    None unless there is a pair and every name with the word left or right has its partner.
    """
    words = [tuple(_WORD.findall(name.lower())) for name in names]
    mirrored = [tuple(_OTHER_SIDE.get(word, word) for word in name) for name in words]
    if len(set(words)) != len(words) or mirrored == words or not set(mirrored) <= set(words):
        return None
    return tuple(words.index(name) for name in mirrored)


def read_keypoints(
    entries: Mapping[str, yaml.Node], problems: Problems
) -> tuple[tuple[int, int] | None, tuple[int, ...] | None]:
    """`kpt_shape` and `flip_idx` of a data YAML, the latter from `kpt_names` if it is not there."""
    shape = _shape(entries["kpt_shape"], problems) if "kpt_shape" in entries else None
    count = shape[0] if shape else None
    flip = _names(entries["kpt_names"], count, problems) if "kpt_names" in entries else None
    if "flip_idx" in entries:
        flip = _flip(entries["flip_idx"], count, problems)
    return shape, flip


def _shape(node: yaml.Node, problems: Problems) -> tuple[int, int] | None:
    expected = f"expected [number of keypoints, 2 or 3], {EXAMPLE}"
    if not isinstance(node, yaml.SequenceNode):
        problems.add(node, "kpt_shape", f"of type {kind(node)}; {expected}")
        return None
    numbers = [whole_number(item) for item in node.value]
    if len(numbers) != 2:
        problems.add(node, "kpt_shape", f"{len(numbers)} values; {expected}")
        return None
    count, values = numbers
    if count is None or not 1 <= count <= MAX_KEYPOINTS:
        problems.add(node.value[0], "kpt_shape[0]", f"{shown(node.value[0])} is not 1 to {MAX_KEYPOINTS}; {expected}")
        return None
    if values not in (2, 3):
        text = f"{shown(node.value[1])} is not 2 (x, y) or 3 (x, y and a flag); {expected}"
        problems.add(node.value[1], "kpt_shape[1]", text)
        return None
    return count, values


def _flip(node: yaml.Node, count: int | None, problems: Problems) -> tuple[int, ...] | None:
    if not isinstance(node, yaml.SequenceNode):
        problems.add(node, "flip_idx", f"of type {kind(node)}; a list of keypoint numbers is expected")
        return None
    numbers: list[int] = []
    for i, item in enumerate(node.value):
        number = whole_number(item)
        if number is None or number >= len(node.value):
            text = f"{shown(item)} is not a keypoint number (0 to {len(node.value) - 1})"
            problems.add(item, f"flip_idx[{i}]", text)
            return None
        if number in numbers:
            problems.add(item, f"flip_idx[{i}]", f"{number} is there twice; each keypoint must be there once")
            return None
        numbers.append(number)
    if count is not None and len(numbers) != count:
        problems.add(node, "flip_idx", f"{len(numbers)} numbers, but kpt_shape has {count} keypoints")
        return None
    for i, number in enumerate(numbers):
        if numbers[number] != i:
            text = f"{i} becomes {number}, but {number} becomes {numbers[number]}: mirrored twice is not the original"
            problems.add(node.value[i], f"flip_idx[{i}]", text)
            return None
    return tuple(numbers)


def _names(node: yaml.Node, count: int | None, problems: Problems) -> tuple[int, ...] | None:
    """`flip_idx` as all the lists of names say it; None if they do not."""
    if isinstance(node, yaml.MappingNode):
        lists = [(f"kpt_names[{number}]", item) for number, item in numbered(node, "kpt_names", problems)]
    else:
        lists = [("kpt_names", node)]
    flips = set()
    for field, item in lists:
        if not isinstance(item, yaml.SequenceNode) or not all(is_text(name) for name in item.value):
            problems.add(item, field, "a list of keypoint names is expected")
        elif count is not None and len(item.value) != count:
            problems.add(item, field, f"{len(item.value)} names, but kpt_shape has {count} keypoints")
        else:
            flips.add(flip_by_names([str(name.value) for name in item.value]))
    return flips.pop() if len(flips) == 1 else None
