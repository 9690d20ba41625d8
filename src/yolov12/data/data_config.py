"""The data YAML: where the splits are and what the classes are called.

    path: ../blood           # root of the data set, relative to this file; absent: this file's folder
    train: images/train      # a folder, a list of folders, a .txt list, a COCO .json, or a VOC split file
    val: images/val
    names: [a, b]            # or {0: a, 1: b}; a COCO set brings its own
    format: yolo             # or voc, coco; absent: seen from the splits

A key without a value (`test:`) is the same as an absent one.

The file is data and nothing else: tags, aliases, duplicate keys and code (`download:`) are refused, and every error
says the line.
"""

from __future__ import annotations

import itertools
import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml

from yolov12.data.files import read_regular_file, reason
from yolov12.errors import DataError, did_you_mean, printable

SPLITS = ("train", "val", "test")
FORMATS = ("yolo", "voc", "coco")
KEYS = ("path", *SPLITS, "names", "nc", "format")
# Written by other tools, without a meaning for detection here.
IGNORED_KEYS = frozenset(
    {"roboflow", "kpt_shape", "kpt_names", "flip_idx", "channels", "license", "licence", "description", "author"}
    | {"authors", "date", "version", "links", "url", "docs", "task", "contributor", "minival", "info"}
)
MAX_BYTES, MAX_DEPTH = 1 << 20, 20


@dataclass(frozen=True)
class DataConfig:
    """A data set: its YAML file, root folder, splits (each one or more paths, as written), class names and format."""

    path: Path
    root: Path
    splits: dict[str, tuple[str, ...]]
    names: tuple[str, ...]
    """Empty: the COCO files say."""
    format: str

    def resolve(self, split: str, value: str) -> Path:
        """The existing path that `value` of `split` means. Raises DataError that lists every path tried."""
        tried = [self.root / value]
        if value.startswith("../"):  # exports of some tools count from a folder further down
            tried.append(self.root / value.removeprefix("../"))
        for path in tried:
            if os.path.exists(path):
                return path
        listed = ", ".join(printable(path) for path in tried)
        raise DataError(f"{printable(self.path)}: {split}: {printable(value)!r} does not exist; tried {listed}")

    def sources(self, split: str) -> list[Path]:
        """The existing paths of `split`. Raises DataError if the split is absent or a path does not exist."""
        if split not in self.splits:
            raise DataError(f"{printable(self.path)}: {split}: there is no such split; it has {', '.join(self.splits)}")
        return [self.resolve(split, value) for value in self.splits[split]]


class _Problems(list[str]):
    """Findings in one YAML file, each with its line."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, node: yaml.Node, field: str, text: str) -> None:
        self.append(f"{printable(self.path)}:{node.start_mark.line + 1}: {field}: {text}")


def read_data_config(path: Path | str) -> DataConfig:
    """Read a data YAML, or the one YAML file in a folder. Raises DataError that names file, line and field."""
    path = _find_file(Path(path))
    root = _compose(path)
    problems = _Problems(path)
    entries = {key: node for key, node in _entries(root, problems).items() if _kind(node) != "null"}
    splits = {split: _split(entries[split], split, problems) for split in SPLITS if split in entries}
    if not splits:
        problems.append(f"{printable(path)}: train: missing; at least one of {', '.join(SPLITS)} is needed")
    kind = _format(entries.get("format"), splits, problems)
    names = _names(entries["names"], problems) if "names" in entries else ()
    if not names and "names" not in entries and kind != "coco":
        problems.append(f"{printable(path)}: names: missing; list the class names")
    if "nc" in entries:
        _check_count(entries["nc"], len(names) if "names" in entries else None, problems)
    folder = path.parent
    if "path" in entries:
        folder /= Path(_text(entries["path"], "path", problems)).expanduser()
    if problems:
        raise DataError("\n".join(problems))
    return DataConfig(path, folder, splits, names, kind)


def _find_file(path: Path) -> Path:
    if not path.is_dir():
        return path
    found = sorted(file for file in path.iterdir() if file.suffix.lower() in (".yaml", ".yml"))
    named = [file for file in found if file.stem == "data"] or found
    if len(named) != 1:
        what = f"{len(found)} YAML files; name one" if found else "no YAML file"
        raise DataError(f"{printable(path)}: data: this folder has {what}")
    return named[0]


def _compose(path: Path) -> yaml.MappingNode:
    """The top-level mapping, after the events (which need no recursion) have been found harmless."""
    try:
        raw = read_regular_file(path, MAX_BYTES)
    except OSError as error:
        raise DataError(f"{printable(path)}: {reason(error)}") from error
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{printable(path)}: not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    try:
        _check_events(path, text)
        root = yaml.compose(text, yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise DataError(f"{printable(path)}:{line}: YAML: {printable(error.problem)}") from error
    except yaml.YAMLError as error:
        raise DataError(f"{printable(path)}: YAML: {printable(error).splitlines()[0][:200]}") from error
    if not isinstance(root, yaml.MappingNode):
        raise DataError(f"{printable(path)}:1: YAML: expected 'key: value' lines such as 'train: images/train'")
    return root


def _check_events(path: Path, text: str) -> None:
    depth = documents = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        where = f"{printable(path)}:{line}: YAML:"
        if isinstance(event, yaml.AliasEvent):
            raise DataError(f"{where} aliases (*{printable(event.anchor)}) are not allowed")
        if isinstance(event, (yaml.ScalarEvent, yaml.CollectionStartEvent)) and event.tag is not None:
            raise DataError(f"{where} tags ({printable(event.tag)}) are not allowed: a data file holds no code")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise DataError(f"{where} nested more than {MAX_DEPTH} deep")
        documents += isinstance(event, yaml.DocumentStartEvent)
        if documents > 1:
            raise DataError(f"{where} a second document ('---') starts here")


def _entries(root: yaml.MappingNode, problems: _Problems) -> dict[str, yaml.Node]:
    entries: dict[str, yaml.Node] = {}
    for key, value in root.value:
        name = str(key.value)
        if name in entries:
            problems.add(key, printable(name), "given twice")
        elif name == "download":
            problems.add(key, name, "not supported: code in a data file is never run; fetch the data set beforehand")
        elif name not in KEYS and name not in IGNORED_KEYS:
            hint = did_you_mean(name, KEYS)
            problems.add(key, printable(name)[:80], f"unknown key.{hint} Known: {', '.join(KEYS)}")
        entries[name] = value
    return entries


def _is_text(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:str"


def _kind(node: yaml.Node) -> str:
    """The type that YAML saw in an unquoted value."""
    kind = node.tag.rsplit(":", 1)[-1]
    return {"map": "mapping", "seq": "list"}.get(kind, kind)


def _text(node: yaml.Node, field: str, problems: _Problems) -> str:
    if _is_text(node) and node.value and "\0" not in node.value:
        return str(node.value)
    problems.add(node, field, f"of type {_kind(node)}; a path is expected" if not _is_text(node) else "empty")
    return "."


def _split(node: yaml.Node, split: str, problems: _Problems) -> tuple[str, ...]:
    if isinstance(node, yaml.SequenceNode) and node.value:
        return tuple(_text(item, f"{split}[{i}]", problems) for i, item in enumerate(node.value))
    return (_text(node, split, problems),)


def _format(node: yaml.Node | None, splits: dict[str, tuple[str, ...]], problems: _Problems) -> str:
    """The format as given, or as the first split looks."""
    if node is not None:
        if not _is_text(node) or node.value not in FORMATS:
            problems.add(node, "format", f"{printable(node.value)[:80]!r} is not one of {', '.join(FORMATS)}")
            return FORMATS[0]
        return str(node.value)
    for value in itertools.chain.from_iterable(splits.values()):
        if value.lower().endswith(".json"):
            return "coco"
        if "ImageSets" in Path(value).parts:
            return "voc"
    return "yolo"


def _names(node: yaml.Node, problems: _Problems) -> tuple[str, ...]:
    if isinstance(node, yaml.SequenceNode):
        items: Iterable[tuple[int, yaml.Node]] = enumerate(node.value)
    elif isinstance(node, yaml.MappingNode):
        items = _numbered(node, problems)
    else:
        problems.add(node, "names", f"of type {_kind(node)}; a list of class names, or {{0: name, ...}}, is expected")
        return ()
    names: dict[int, str] = {}
    for number, item in items:
        field = f"names[{number}]"
        # Whole numbers are kept as they are written; anything else that YAML turned into a value is a trap.
        if not _is_text(item) and _kind(item) != "int":
            problems.add(item, field, f"{printable(item.value)[:80]!r} is of type {_kind(item)}: quote it")
        elif not item.value.strip():
            problems.add(item, field, "empty")
        elif number in names:
            problems.add(item, field, "given twice")
        elif item.value in names.values():
            problems.add(item, field, f"{printable(item.value)[:80]!r} is already the name of another class")
        names[number] = str(item.value)
    if not names:
        problems.add(node, "names", "empty")
    missing = next((i for i in range(len(names)) if i not in names), None)
    if missing is not None:
        problems.add(node, "names", f"class {missing} has no name; numbers must run from 0 to {len(names) - 1}")
        return tuple(names.values())
    return tuple(names[i] for i in range(len(names)))


def _numbered(node: yaml.MappingNode, problems: _Problems) -> list[tuple[int, yaml.Node]]:
    items = []
    for key, value in node.value:
        text = str(key.value)
        if isinstance(key, yaml.ScalarNode) and re.fullmatch(r"0|[1-9][0-9]{0,8}", text):
            items.append((int(text), value))
        else:
            problems.add(key, "names", f"{printable(text)[:80]!r} is not a class number")
    return items


def _check_count(node: yaml.Node, names: int | None, problems: _Problems) -> None:
    if _kind(node) != "int" or not re.fullmatch(r"[1-9][0-9]{0,8}", node.value):
        problems.add(node, "nc", f"{printable(node.value)[:80]!r} is not a number of classes (1 or more)")
    elif names is not None and int(node.value) != names:
        problems.add(node, "nc", f"{node.value}, but names has {names}; nc may be left out")


def describe(config: DataConfig) -> str:
    """One JSON line that says what the data set is, for logs and cache keys."""
    return json.dumps([str(config.path.absolute()), str(config.root), config.splits, config.names, config.format])
