"""DOTA text labels: `labelTxt/x.txt` for `images/x.png`, one rotated box per line, with corners in pixels.

    imagesource:GoogleEarth                          heading, skipped, and so is gsd:
    x1 y1 x2 y2 x3 y3 x4 y4 small-vehicle 0          category by its name; difficult 0, or 1 and above; absent: 0

Labels may also be in `labels` or beside the images. A category is a class of the data YAML; a space in the class's name
is a hyphen or an underscore here. Objects marked difficult are treated like crowds: ignored in evaluation, not trained
on. Objects may reach out of the image (tiles cut from larger ones): the box is clipped and counted, the corners stay.
For `detect` the box is the extent of the corners.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from yolov12.config.tasks import TASKS
from yolov12.data.data_config import DataConfig
from yolov12.data.files import read_regular_file, reason, swap_folder
from yolov12.data.index import DataReport
from yolov12.data.objects import Objects
from yolov12.data.pixel_boxes import add_pixel_box, add_rotated_box, crossed_warning, extent
from yolov12.data.text_labels import MAX_BYTES, list_text_labels
from yolov12.data.yolo_rows import number_of, number_problem, shown
from yolov12.errors import did_you_mean, printable

LABEL_FOLDERS = ("labelTxt", "labels")
IMAGE_FOLDERS = ("images", "Images", "IMAGES")
FAR = 1e6
"""No image reaches so far (pixels)."""
_HEADING = (b"imagesource:", b"gsd:")
_DIFFICULT = re.compile(rb"[0-9]")


@dataclass(frozen=True, slots=True)
class DotaRow:
    """One good row: class, the corners x1 y1 ... x4 y4 in pixels, and whether the object is marked difficult."""

    label: int
    corners: tuple[float, ...]
    difficult: bool
    line: int = field(default=0, compare=False)


class DotaLabels:
    """The images of one split and their label files."""

    layout = None

    def __init__(self, config: DataConfig, split: str, task: str, report: DataReport) -> None:
        self.names, self.task = config.names, task
        self._classes = class_spellings(config.names)
        self.images, self.label_files = list_text_labels(config, split, report, label_folders)
        self.image_ids = list(range(1, len(self.images) + 1))
        self._crossed = 0

    def read(self, i: int, height: int, width: int, report: DataReport) -> Objects:
        """The objects of image `i`, which is `height` x `width`; what is odd goes into `report`."""
        path, objects = self.label_files[i], Objects()
        if path is None:
            report.missing_labels += 1
            return objects
        try:
            text = read_regular_file(path, MAX_BYTES)
        except OSError as error:
            report.bad_row(f"{printable(path)}: {reason(error)}")
            return objects
        rows, problems = parse_dota(text, self._classes)
        for problem in problems:
            report.bad_row(f"{printable(path)}:{problem}")
        report.background += not rows and not problems
        unique = dict.fromkeys(rows)
        report.deduplicated += len(rows) - len(unique)
        for row in unique:
            self._add(objects, row, f"{printable(path)}:{row.line}: corners", (height, width), report)
        return objects

    def finish(self, report: DataReport) -> None:
        """Warnings that need all images."""
        crossed_warning(self._crossed, report)

    def _add(self, objects: Objects, row: DotaRow, where: str, size: tuple[int, int], report: DataReport) -> None:
        corners = np.array(row.corners, np.float64).reshape(4, 2)
        if TASKS[self.task].rotated:
            self._crossed += add_rotated_box(
                objects, row.label, corners, size, where=where, report=report, crowd=row.difficult
            )
        else:
            box = extent(corners)
            add_pixel_box(objects, row.label, box, size, where=where, report=report, crowd=row.difficult)


def label_folders(folder: Path) -> list[Path]:
    """Where the labels of a folder of images may be: instead of the last `images`, or beside them."""
    swapped = (swap_folder(folder, dict.fromkeys(IMAGE_FOLDERS, name)) for name in LABEL_FOLDERS)
    return [*filter(None, swapped), folder]


def class_spellings(names: Sequence[str]) -> dict[str, int]:
    """{category as a label file may write it: class number}; `small vehicle` is also `small-vehicle`."""
    spellings = {name: number for number, name in enumerate(names)}
    for number, name in enumerate(names):
        for separator in "-_":
            spellings.setdefault(separator.join(name.split()), number)  # a name that is written so goes first
    return spellings


def parse_dota(text: bytes, classes: Mapping[str, int]) -> tuple[list[DotaRow], list[str]]:
    """The good rows of a label file and, for each bad one, `line: field: reason`."""
    if text.startswith((b"\xff\xfe", b"\xfe\xff")):
        return [], ["1: encoding: UTF-16 text; save it as UTF-8 or ASCII"]
    rows, problems = [], []
    for number, line in enumerate(text.removeprefix(b"\xef\xbb\xbf").splitlines(), 1):
        fields = line.split()
        if not fields or line.lstrip().lower().startswith(_HEADING):
            continue
        row = _parse_row(fields, classes, number)
        if isinstance(row, DotaRow):
            rows.append(row)
        else:
            problems.append(f"{number}: {row}")
    return rows, problems


def _parse_row(fields: list[bytes], classes: Mapping[str, int], line: int) -> DotaRow | str:
    """The row, or `field: reason`."""
    if len(fields) not in (9, 10):
        if any(b"\0" in item for item in fields):
            return "columns: NUL bytes (a file that was only half copied?)"
        commas = " (commas? values are separated by spaces)" if any(b"," in item for item in fields) else ""
        return f"columns: {len(fields)}; expected x1 y1 x2 y2 x3 y3 x4 y4 category difficult{commas}"
    corners = []
    for i, item in enumerate(fields[:8]):
        value = number_of(item)
        if not abs(value) <= FAR:
            problem = number_problem(item) or f"far outside of any image ({shown(item)})"
            return f"{'xy'[i % 2]}{i // 2 + 1}: {problem}"
        corners.append(value)
    try:
        category = fields[8].decode()
    except UnicodeDecodeError:
        category = ""
    if category not in classes:
        listed = printable(", ".join(list(classes)[:20]))
        hint = did_you_mean(category, classes) if len(category) < 100 else ""
        yolo = " (YOLO text starts with the class: format: yolo)" if number_of(fields[8]) <= 1 else ""
        return f"category: {shown(fields[8])} is not a class.{printable(hint)} Classes: {listed}{yolo}"
    if len(fields) == 10 and not _DIFFICULT.fullmatch(fields[9]):
        return f"difficult: {shown(fields[9])} is not 0 or 1"
    return DotaRow(classes[category], tuple(corners), len(fields) == 10 and fields[9] != b"0", line)
