"""The data YAML: where the splits are and what the classes are called.

    path: ../blood           # root of the data set, relative to this file; absent: this file's folder
    train: images/train      # a folder, a list of folders, a .txt list, a COCO .json, or a VOC split file
    val: images/val
    names: [a, b]            # or {0: a, 1: b}; a COCO set and class folders bring their own
    format: yolo             # or voc, coco, dota, folders; absent: yolo, voc or coco, as the splits look
    kpt_shape: [17, 3]       # pose: see `keypoint_layout`, also for flip_idx and kpt_names

A key without a value (`test:`) is the same as an absent one.

The file is data and nothing else: tags, aliases, duplicate keys and code (`download:`) are refused, and every error
says the line. Class folders (`train/cat/1.jpg`) need no file: the folder above them says it all.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml

from yolov12.data.files import reason
from yolov12.data.keypoint_layout import read_keypoints
from yolov12.data.label_formats import FORMATS
from yolov12.data.yaml_nodes import Problems, is_text, kind, numbered, read_mapping, shown, text_of, whole_number
from yolov12.errors import DataError, did_you_mean, printable

SPLITS = ("train", "val", "test")
SPLIT_FOLDERS = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}
"""Names of the folders above class folders."""
KEYS = ("path", *SPLITS, "names", "nc", "format", "kpt_shape", "flip_idx", "kpt_names")
# Written by other tools, without a meaning here.
IGNORED_KEYS = frozenset(
    {"roboflow", "channels", "license", "licence", "description", "author"}
    | {"authors", "date", "version", "links", "url", "docs", "task", "contributor", "minival", "info"}
)
NO_NAMES_NEEDED = ("coco", "folders")


@dataclass(frozen=True)
class DataConfig:
    """A data set: its YAML file, root folder, splits (each one or more paths, as written), class names and format."""

    path: Path
    """The file, or the folder above class folders."""
    root: Path
    splits: dict[str, tuple[str, ...]]
    names: tuple[str, ...]
    """Empty: the COCO files, or the class folders, say."""
    format: str
    kpt_shape: tuple[int, int] | None = None
    """Keypoints per object, and numbers per keypoint: 2 (x, y) or 3 (and a flag)."""
    flip_idx: tuple[int, ...] | None = None
    """Which keypoint each one becomes in a mirrored picture, as given or as `kpt_names` say it; None: unknown."""

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


def read_data_config(path: Path | str) -> DataConfig:
    """Read a data YAML, the one YAML file in a folder, or a folder of class folders without one.

    Raises DataError that names file, line and field.
    """
    path = Path(path)
    if path.is_dir():
        files = _yaml_files(path)
        if not files:
            return _class_folders(path)
        path = _the_file(path, files)
    root = read_mapping(path)
    problems = Problems(path)
    entries = {key: node for key, node in _entries(root, problems).items() if kind(node) != "null"}
    splits = {split: _split(entries[split], split, problems) for split in SPLITS if split in entries}
    if not splits:
        problems.append(f"{printable(path)}: train: missing; at least one of {', '.join(SPLITS)} is needed")
    label_format = _format(entries.get("format"), splits, problems)
    names = _names(entries["names"], problems) if "names" in entries else ()
    if not names and "names" not in entries and label_format not in NO_NAMES_NEEDED:
        problems.append(f"{printable(path)}: names: missing; list the class names")
    if "nc" in entries:
        _check_count(entries["nc"], len(names) if "names" in entries else None, problems)
    shape, flip_idx = read_keypoints(entries, problems)
    folder = path.parent
    if "path" in entries:
        folder /= Path(text_of(entries["path"], "path", problems)).expanduser()
    if problems:
        raise DataError("\n".join(problems))
    return DataConfig(path, folder, splits, names, label_format, shape, flip_idx)


def _yaml_files(folder: Path) -> list[Path]:
    try:
        return sorted(file for file in folder.iterdir() if file.suffix.lower() in (".yaml", ".yml"))
    except OSError as error:
        raise DataError(f"{printable(folder)}: {reason(error)}") from error


def _the_file(folder: Path, files: list[Path]) -> Path:
    named = [file for file in files if file.stem == "data"] or files
    if len(named) != 1:
        raise DataError(f"{printable(folder)}: data: this folder has {len(files)} YAML files; name one")
    return named[0]


def _class_folders(root: Path) -> DataConfig:
    """A folder with `train`, `val` or `test`, each with one folder per class."""
    splits: dict[str, tuple[str, ...]] = {}
    for split, choices in SPLIT_FOLDERS.items():
        found = [name for name in choices if _holds_classes(root / name)]
        if len(found) > 1:
            raise DataError(f"{printable(root)}: {split}: the folders {' and '.join(found)} both stand for it")
        if found:
            splits[split] = (found[0],)
    if not splits:
        raise DataError(
            f"{printable(root)}: data: this folder has no YAML file, and no folders of classes (train/<class>/, "
            "val/<class>/) either"
        )
    return DataConfig(root, root, splits, (), "folders")


def _holds_classes(folder: Path) -> bool:
    """Whether there are folders in `folder`, other than those of images and labels in the YOLO format."""
    try:
        inside = {entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith(".")}
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise DataError(f"{printable(folder)}: {reason(error)}") from error
    return bool(inside) and not inside <= {"images", "labels"}


def _entries(root: yaml.MappingNode, problems: Problems) -> dict[str, yaml.Node]:
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


def _split(node: yaml.Node, split: str, problems: Problems) -> tuple[str, ...]:
    if isinstance(node, yaml.SequenceNode) and node.value:
        return tuple(text_of(item, f"{split}[{i}]", problems) for i, item in enumerate(node.value))
    return (text_of(node, split, problems),)


def _format(node: yaml.Node | None, splits: dict[str, tuple[str, ...]], problems: Problems) -> str:
    """The format as given, or as the first split looks."""
    if node is not None:
        if not is_text(node) or node.value not in FORMATS:
            problems.add(node, "format", f"{shown(node)} is not one of {', '.join(FORMATS)}")
            return "yolo"
        return str(node.value)
    for value in itertools.chain.from_iterable(splits.values()):
        if value.lower().endswith(".json"):
            return "coco"
        if "ImageSets" in Path(value).parts:
            return "voc"
    return "yolo"


def _names(node: yaml.Node, problems: Problems) -> tuple[str, ...]:
    if isinstance(node, yaml.SequenceNode):
        items: Iterable[tuple[int, yaml.Node]] = enumerate(node.value)
    elif isinstance(node, yaml.MappingNode):
        items = numbered(node, "names", problems)
    else:
        problems.add(node, "names", f"of type {kind(node)}; a list of class names, or {{0: name, ...}}, is expected")
        return ()
    names: dict[int, str] = {}
    for number, item in items:
        field = f"names[{number}]"
        # Whole numbers are kept as they are written; anything else that YAML turned into a value is a trap.
        if not is_text(item) and kind(item) != "int":
            problems.add(item, field, f"{printable(item.value)[:80]!r} is of type {kind(item)}: quote it")
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


def _check_count(node: yaml.Node, names: int | None, problems: Problems) -> None:
    number = whole_number(node)
    if not number:
        problems.add(node, "nc", f"{printable(node.value)[:80]!r} is not a number of classes (1 or more)")
    elif names is not None and number != names:
        problems.add(node, "nc", f"{number}, but names has {names}; nc may be left out")


def describe(config: DataConfig) -> str:
    """One JSON line that says what the data set is, for logs and cache keys."""
    return json.dumps([str(config.path.absolute()), str(config.root), config.splits, config.names, config.format])
