"""Whether the labels of a data set suit a model, and the labels in the model's own numbering."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping

import numpy as np

from yolov12.data.index import ImageIndex
from yolov12.errors import ConfigError, printable

MAX_LISTED = 100
"""Class names in an error: a classifier may have thousands."""


def suited(
    index: ImageIndex,
    names: Mapping[int, str],
    keypoint_shape: tuple[int, int] | None,
    *,
    blame: str,
    single_cls: bool = False,
) -> ImageIndex:
    """`index` as a model of these classes and keypoints can be scored on it, with the classes in the model's order.

    With `single_cls` all classes are one and need no match. Raises ConfigError, which begins with `blame`.
    """
    try:
        check_keypoints(index, keypoint_shape)
        return index if single_cls else match_classes(index, names)
    except ConfigError as error:
        raise ConfigError(f"{blame}: {error}") from error


def check_keypoints(index: ImageIndex, known: tuple[int, int] | None) -> None:
    """Raise ConfigError when a model for poses and a data set have different numbers of keypoints."""
    shape = index.keypoint_shape
    if known is not None and shape is not None and known[0] != shape[0]:
        raise ConfigError(f"the data set has {shape[0]} keypoints per object, the model knows {known[0]}")


def match_classes(index: ImageIndex, names: Mapping[int, str]) -> ImageIndex:
    """`index` with its classes in the order of the model's `names`, told by name.

    Names that differ are compared by number, with a warning unless one side has numbers for names. Raises ConfigError
    when there are not as many.
    """
    ours, theirs = tuple(names[number] for number in sorted(names)), index.names
    if len(ours) != len(theirs):
        known = ", ".join(map(printable, ours[:MAX_LISTED])) + (", ..." if len(ours) > MAX_LISTED else "")
        raise ConfigError(f"the data set has {len(theirs)} classes, the model knows {len(ours)}: {known}")
    if ours == theirs:
        return index
    if len(set(ours)) == len(ours) and set(ours) == set(theirs):
        order = np.array([ours.index(name) for name in theirs], dtype=index.labels.dtype)
        return dataclasses.replace(index, names=ours, labels=order[index.labels])
    numbers = tuple(map(str, range(len(ours))))
    if numbers not in (ours, theirs):
        pairs = (f"{printable(a)} / {printable(b)}" for a, b in zip(ours, theirs, strict=True) if a != b)
        print(f"warning: class names differ (model / data set): {', '.join(list(pairs)[:5])}", file=sys.stderr)
    return index
