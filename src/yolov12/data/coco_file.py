"""The parts of a COCO file: its lists, categories, images and the annotations of each image, checked.

Image names are relative to one folder and may not leave it.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from yolov12.data.coco_checks import Record, is_id, is_int, shown
from yolov12.data.data_config import DataConfig
from yolov12.data.files import read_regular_file, reason
from yolov12.data.index import DataReport
from yolov12.data.keypoint_layout import flip_by_names
from yolov12.errors import DataError, printable

MAX_BYTES = 4 << 30
LISTS = ("images", "annotations", "categories")


def read_coco(path: Path) -> dict[str, list[Any]]:
    """The three lists of a COCO file. Raises DataError that names the file and, for broken JSON, the place."""
    where = printable(path)
    try:
        raw = read_regular_file(path, MAX_BYTES)
    except OSError as error:
        raise DataError(f"{where}: {reason(error)}") from error
    try:
        content = json.loads(raw.decode("utf-8-sig"), object_pairs_hook=_without_duplicates)
    except json.JSONDecodeError as error:
        raise DataError(f"{where}:{error.lineno}: JSON: {error.msg} (column {error.colno})") from error
    except RecursionError as error:
        raise DataError(f"{where}: JSON: nested too deep") from error
    except ValueError as error:  # not UTF-8, a number of thousands of digits, a key given twice
        raise DataError(f"{where}: JSON: {printable(error)[:200]}") from error
    if isinstance(content, list):
        raise DataError(f"{where}: JSON: a list at the top: this is a results file, not annotations")
    if not isinstance(content, dict):
        raise DataError(f"{where}: JSON: expected an object with {', '.join(LISTS)}")
    for key in LISTS:
        if key not in content:
            raise DataError(f"{where}: {key}: missing; a COCO file has {', '.join(LISTS)}")
        if not isinstance(content[key], list):
            raise DataError(f"{where}: {key}: not a list")
    return content


def _without_duplicates(pairs: list[tuple[str, Any]]) -> Record:
    record = dict(pairs)
    if len(record) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} is given twice in one object")
    return record


def categories(records: list[Any], where: str) -> dict[Any, str]:
    """{id: name} in the order of the ids. Raises DataError: without categories nothing else can be understood."""
    categories: dict[Any, str] = {}
    for i, record in enumerate(records):
        if not isinstance(record, dict) or not is_id(record.get("id")):
            raise DataError(f"{where}: categories[{i}]: id: missing, or not a number or text")
        name = record.get("name")
        if not isinstance(name, str) or not name.strip():
            raise DataError(f"{where}: category id {shown(record['id'])}: name: missing or not text")
        if record["id"] in categories:
            raise DataError(f"{where}: category id {shown(record['id'])}: id: given twice")
        if name in categories.values():
            raise DataError(f"{where}: category id {shown(record['id'])}: name: {shown(name)} is given twice")
        categories[record["id"]] = name
    if not categories:
        raise DataError(f"{where}: categories: the list is empty")
    return dict(sorted(categories.items(), key=lambda item: (isinstance(item[0], str), item[0])))


def keypoint_names(records: list[Any], where: str) -> tuple[int, tuple[int, ...] | None]:
    """How many keypoints the categories have (0: they do not say), and `flip_idx` as their names say it.

    Raises DataError if two categories differ: a model has one number of keypoints.
    """
    counts: dict[int, Any] = {}
    flips = set()
    for record in records:
        names = record.get("keypoints")
        if names is None or names == []:
            continue
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise DataError(f"{where}: category id {shown(record['id'])}: keypoints: not a list of names")
        counts[len(names)] = record["id"]
        flips.add(flip_by_names(names))
    if len(counts) > 1:
        said = ", ".join(f"{count} (category id {shown(key)})" for count, key in counts.items())
        raise DataError(f"{where}: categories: keypoints: all categories need the same number, here are {said}")
    return next(iter(counts), 0), flips.pop() if len(flips) == 1 else None


def class_numbers(categories: dict[Any, str], names: tuple[str, ...], where: str) -> dict[Any, int]:
    """{category id: class number}. Raises DataError if a category is no class."""
    numbers = {name: number for number, name in enumerate(names)}
    for key, name in categories.items():
        if name not in numbers:
            listed = printable(", ".join(names[:20]))
            raise DataError(f"{where}: category id {shown(key)}: name: {shown(name)} is not one of {listed}")
    return {key: numbers[name] for key, name in categories.items()}


def image_records(records: list[Any], where: str, report: DataReport) -> tuple[dict[Any, Record], set[Any]]:
    """{image id: record} of the images that can be used, in the order of the file; and the ids of the others."""
    good: dict[Any, Record] = {}
    left_out: set[Any] = set()
    counts = Counter(record["id"] for record in records if isinstance(record, dict) and is_id(record.get("id")))
    for i, record in enumerate(records):
        key = record.get("id") if isinstance(record, dict) else None
        problem = _image_problem(record, counts)
        if problem:
            name = f"image id {shown(key)}" if is_id(key) else f"images[{i}]"
            report.bad_image(f"{where}: {name}: {problem}")
            left_out |= {key} if is_id(key) else set()
        else:
            good[key] = record
    return good, left_out


def _image_problem(record: Any, counts: Counter[Any]) -> str:
    """`field: reason`, or an empty string."""
    if not isinstance(record, dict) or not is_id(record.get("id")):
        return "id: missing, or not a number or text"
    if counts[record["id"]] > 1:
        return "id: given twice, so nobody knows whose annotations these are"
    name = record.get("file_name")
    if not isinstance(name, str) or not name.strip() or "\0" in name:
        return "file_name: missing or not a file name"
    if leaves_folder(name):
        return f"file_name: {shown(name)} is outside of the image folder"
    for field in ("width", "height"):
        if field in record and not (is_int(record[field]) and record[field] > 0):
            return f"{field}: {shown(record[field])} is not a number of pixels"
    return ""


def leaves_folder(name: str) -> bool:
    """Whether a relative file name is absolute after all, or climbs with `..`, on any operating system."""
    windows = PureWindowsPath(name)
    return bool(PurePosixPath(name).is_absolute() or windows.drive or windows.root or ".." in windows.parts)


def image_folder(source: Path, config: DataConfig, split: str, file_names: list[str]) -> Path:
    """The folder that the file names are relative to: the first candidate that has the first of them."""
    stem = source.stem.split("_", 1)[-1]  # instances_val2017 -> val2017
    below = ("", "images", stem, f"images/{stem}", split, f"images/{split}", "JPEGImages")
    bases = dict.fromkeys([source.parent, config.root, source.parent.parent])
    candidates = list(dict.fromkeys(base / name if name else base for base in bases for name in below))
    for folder in candidates:
        if any(os.path.exists(folder / name) for name in file_names[:100]):
            return folder
    if not file_names:
        return candidates[0]
    tried = ", ".join(printable(folder / file_names[0]) for folder in candidates)
    raise DataError(f"{printable(source)}: images: none of the first file names exists; tried {tried}")


def group_annotations(
    annotations: list[Any], records: dict[Any, Record], left_out: set[Any], where: str, report: DataReport
) -> dict[Any, list[Record]]:
    """{image id: its annotations}; those of no image are findings, exact repetitions are dropped.

    The annotations of an image that is `left_out` go with it: the image is the finding.
    """
    grouped: dict[Any, list[Record]] = {key: [] for key in records}
    by_id: dict[Any, Record] = {}
    for i, annotation in enumerate(annotations):
        if not isinstance(annotation, dict):
            report.bad_row(f"{where}: annotations[{i}]: not an object")
            continue
        key, image = annotation.get("id"), annotation.get("image_id")
        name = f"{where}: annotation id {shown(key)}"
        if is_id(key):
            if key in by_id and by_id[key] == annotation:
                report.deduplicated += 1
                continue
            if key in by_id:
                report.bad_row(f"{name}: id: given twice, with different contents")
                continue
            by_id[key] = annotation
        if is_id(image) and image in left_out:
            continue
        if not is_id(image) or image not in grouped:
            report.bad_row(f"{name}: image_id {shown(image)}: no such image")
            continue
        grouped[image].append(annotation)
    return grouped
