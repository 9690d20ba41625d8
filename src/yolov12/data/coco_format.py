"""COCO JSON, read as it is: categories in the order of their ids, areas kept, crowds marked, sizes from the files.

Image names are relative to one folder and may not leave it. Everything that the file says is checked before it is
used: ids, references, boxes, run lengths of masks.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from yolov12.data.coco_checks import Record, box_problem, is_id, is_int, is_number, outline, shown
from yolov12.data.data_config import DataConfig
from yolov12.data.files import read_regular_file, reason
from yolov12.data.index import DataReport, Objects
from yolov12.data.pixel_boxes import add_pixel_box
from yolov12.errors import DataError, printable

MAX_BYTES = 4 << 30
LISTS = ("images", "annotations", "categories")


class CocoLabels:
    """The images of one split and their annotations."""

    def __init__(self, config: DataConfig, split: str, report: DataReport) -> None:
        self.images: list[Path] = []
        self.image_ids: list[int] = []
        self.label_files: list[Path | None] = []
        self.names = config.names or _names_of_first_split(config)
        self._records: list[Record] = []
        self._annotations: list[list[Record]] = []
        self._sources: list[str] = []
        self._classes: list[dict[Any, int]] = []
        self.size_differs = 0
        for source in config.sources(split):
            self._add_file(source, config, split, report)
        # Ids that are no numbers, or that two files share, are replaced by 1, 2, ...
        ids = [record["id"] for record in self._records]
        whole = all(is_int(value) and abs(value) < 2**63 for value in ids) and len(set(ids)) == len(ids)
        self.image_ids = ids if whole else list(range(1, len(ids) + 1))

    def _add_file(self, source: Path, config: DataConfig, split: str, report: DataReport) -> None:
        content = read_coco(source)
        where = printable(source)
        categories = _categories(content["categories"], where)
        classes = _class_numbers(categories, self.names, where)
        records, left_out = _image_records(content["images"], where, report)
        if not records and not report.skipped:
            raise DataError(f"{where}: images: the list is empty")
        folder = _image_folder(source, config, split, [record["file_name"] for record in records.values()])
        grouped = _group_annotations(content["annotations"], records, left_out, where, report)
        for key, record in records.items():
            self.images.append(folder / record["file_name"])
            self.label_files.append(source)
            self._records.append(record)
            self._annotations.append(grouped[key])
            self._sources.append(where)
            self._classes.append(classes)

    def read(self, i: int, height: int, width: int, report: DataReport) -> Objects:
        """The objects of image `i`, which is `height` x `width`; what is odd goes into `report`."""
        record, objects = self._records[i], Objects()
        said = record.get("width", width), record.get("height", height)
        if said != (width, height):
            self.size_differs += 1
            if self.size_differs == 1:
                report.warnings.append(
                    f"{self._sources[i]}: image {shown(record['id'])}: width, height: says {said[0]}x{said[1]}, "
                    f"the file has {width}x{height}, which is used"
                )
        report.background += not self._annotations[i]
        for annotation in self._annotations[i]:
            where = f"{self._sources[i]}: annotation id {shown(annotation.get('id'))}"
            problem = self._add(objects, annotation, i, (height, width), where, report)
            if problem:
                report.bad_row(f"{where}: {problem}")
        return objects

    def finish(self, report: DataReport) -> None:
        """Warnings that need all images."""
        if self.size_differs > 1:
            report.warnings.append(f"{self.size_differs} images differ in size from the JSON; the file's is used")

    def _add(
        self, objects: Objects, annotation: Record, i: int, size: tuple[int, int], where: str, report: DataReport
    ) -> str:
        """Append one annotation; `field: reason` if it cannot be used (the caller reports it)."""
        category = annotation.get("category_id")
        if not is_id(category) or category not in self._classes[i]:
            return f"category_id {shown(category)}: no such category"
        crowd = annotation.get("iscrowd", 0)
        if crowd not in (0, 1):
            return f"iscrowd: {shown(crowd)} is not 0 or 1"
        box = annotation.get("bbox")
        problem = box_problem(box)
        if problem or not isinstance(box, list):
            return f"bbox: {problem}"
        area = annotation.get("area")
        if area is not None and not (is_number(area) and area >= 0):
            return f"area: {shown(area)} is not a number of 0 or more"
        polygon, problem = outline(annotation.get("segmentation"), size)
        if problem:
            return f"segmentation: {problem}"
        x, y, w, h = (float(value) for value in box)
        add_pixel_box(
            objects,
            self._classes[i][category],
            (x, y, x + w, y + h),
            size,
            where=f"{where}: bbox",
            report=report,
            area=None if area is None else float(area),
            crowd=bool(crowd),
            polygon=() if polygon is None else (polygon,),
        )
        return ""


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


def _names_of_first_split(config: DataConfig) -> tuple[str, ...]:
    """Category names, in the order of their ids, of the first split: all splits count classes as it does."""
    source = config.sources(next(iter(config.splits)))[0]
    return tuple(_categories(read_coco(source)["categories"], printable(source)).values())


def _categories(records: list[Any], where: str) -> dict[Any, str]:
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


def _class_numbers(categories: dict[Any, str], names: tuple[str, ...], where: str) -> dict[Any, int]:
    """{category id: class number}. Raises DataError if a category is no class."""
    numbers = {name: number for number, name in enumerate(names)}
    for key, name in categories.items():
        if name not in numbers:
            listed = printable(", ".join(names[:20]))
            raise DataError(f"{where}: category id {shown(key)}: name: {shown(name)} is not one of {listed}")
    return {key: numbers[name] for key, name in categories.items()}


def _image_records(records: list[Any], where: str, report: DataReport) -> tuple[dict[Any, Record], set[Any]]:
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


def _image_folder(source: Path, config: DataConfig, split: str, file_names: list[str]) -> Path:
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


def _group_annotations(
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
