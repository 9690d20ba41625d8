"""Starting a training from weights of a model with other classes or of another task: every tensor that fits is kept."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

CLASS_OUTPUT = re.compile(r"\.(class_branches\.\d+\.2|classifier)\.(weight|bias)$")
"""Tensors of a head whose first dimension is the class."""

HEAD_PART = re.compile(r"heads\.(?P<head>[^.]+)\.(detect\.)?(?P<part>.+)")
"""A head's tensor: the heads for masks, keypoints and rotated boxes have the parts of a detection head inside."""


@dataclass(frozen=True)
class TransferReport:
    """What `fit_state` did: tensor names, and the classes whose outputs were carried over."""

    kept: tuple[str, ...]
    fresh: tuple[str, ...]
    """Tensors that stay as freshly initialised, wholly or except for the rows of `classes`."""
    classes: tuple[str, ...]
    heads: tuple[str, ...] = ()
    """Heads whose tensors went into a head of another name: 'detect -> segment'."""

    def summary(self) -> str:
        """One line for the user."""
        text = f"kept {len(self.kept)} of {len(self.kept) + len(self.fresh)} tensors"
        if self.heads:
            text += f" (head {', '.join(self.heads)})"
        if self.fresh:
            text += f"; fresh: {', '.join(self.fresh[:6])}{' ...' if len(self.fresh) > 6 else ''}"
        if self.classes:
            text += f"; class outputs kept for {', '.join(self.classes)}"
        return text


def fit_state(
    model_state: Mapping[str, Tensor],
    file_state: Mapping[str, Tensor],
    names_old: Mapping[int, str],
    names_new: Mapping[int, str],
) -> tuple[dict[str, Tensor], TransferReport]:
    """`model_state` (fresh weights) with everything from `file_state` that fits, and a report.

    A tensor fits when name and shape agree; a head that the file does not have takes the same parts of another one, so
    that a model for masks can start from one for boxes. The class outputs are matched by class name instead: classes
    of the same name keep their rows, the others stay fresh, unless both class lists are equal. `names_old` belong to
    the file.
    """
    rows = _matching_rows(names_old, names_new)
    same_classes = dict(names_old) == dict(names_new)
    sources = _sources(model_state, file_state)
    state: dict[str, Tensor] = {}
    kept: list[str] = []
    carried = False
    for name, fresh in model_state.items():
        old = file_state.get(sources.get(name, name))
        class_output = CLASS_OUTPUT.search(name) is not None and not same_classes
        state[name] = fresh.clone()
        if old is None:
            continue
        if class_output:
            # One row a class; an anchor head has one for each anchor and class, which stay fresh.
            if rows and old.shape[1:] == fresh.shape[1:] and (len(old), len(fresh)) == (len(names_old), len(names_new)):
                new_rows, old_rows = list(rows), list(rows.values())
                state[name][new_rows] = old[old_rows].to(fresh.dtype)
                carried = True
        elif old.shape == fresh.shape:
            state[name] = old.to(fresh.dtype).clone()
            kept.append(name)
    known = set(kept)
    fresh_names = tuple(name for name in model_state if name not in known)
    classes = tuple(names_new[index] for index in rows) if carried else ()
    heads = dict.fromkeys(f"{_head(sources[name])} -> {_head(name)}" for name in kept if name in sources)
    return state, TransferReport(tuple(kept), fresh_names, classes, tuple(heads))


def _sources(model_state: Mapping[str, Tensor], file_state: Mapping[str, Tensor]) -> dict[str, str]:
    """Tensors of heads that the file does not have -> the file's tensor of the same part of its first head that has it.

    A head for boxes has the part `box_branches...`, one for masks `detect.box_branches...`.
    """
    parts: dict[str, str] = {}
    for name in file_state:
        if match := HEAD_PART.fullmatch(name):
            parts.setdefault(match["part"], name)
    own = {match["head"] for name in file_state if (match := HEAD_PART.fullmatch(name))}
    matches = {name: HEAD_PART.fullmatch(name) for name in model_state}
    return {
        name: parts[match["part"]]
        for name, match in matches.items()
        if match is not None and match["head"] not in own and match["part"] in parts
    }


def _head(name: str) -> str:
    return name.split(".")[1]


def _matching_rows(names_old: Mapping[int, str], names_new: Mapping[int, str]) -> dict[int, int]:
    """New class index -> old class index of the same name (the first, should a name occur twice)."""
    by_name = {name: index for index, name in sorted(names_old.items(), reverse=True)}
    return {index: by_name[name] for index, name in sorted(names_new.items()) if name in by_name}
