"""YOLO text labels: `labels/x.txt` for `images/x.jpg`, one `class x_center y_center width height` per line, normalised.

A box whose edge leaves the image although its values are inside 0..1 is clipped and counted; a row without area, or the
same as an earlier row, is dropped and counted. What a row may look like stands in `yolo_rows`.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from yolov12.data.data_config import DataConfig
from yolov12.data.files import match_labels, names_in, read_lines, read_regular_file, reason, swap_folder, walk_files
from yolov12.data.image_io import FOREIGN_SUFFIXES, SUFFIXES
from yolov12.data.index import DataReport, Objects
from yolov12.data.pixel_boxes import TOLERANCE, clip_box, overhang
from yolov12.data.yolo_rows import EDGE, Row, parse_rows
from yolov12.errors import DataError, printable

MAX_BYTES = 64 << 20
LABEL_FOLDERS = {"images": "labels", "Images": "Labels", "IMAGES": "LABELS"}
NOT_LABELS = frozenset({"classes.txt", "labels.txt", "README.txt", "readme.txt", "notes.txt"})
"""Text files that annotation tools leave among the labels."""


class YoloLabels:
    """The images of one split and their label files."""

    def __init__(self, config: DataConfig, split: str, report: DataReport) -> None:
        self.names = config.names
        found: dict[Path, None] = {}  # a set that keeps the order
        label_files: dict[Path, Path | None] = {}
        for source in config.sources(split):
            images = _list_folder(source, report) if source.is_dir() else _list_file(source, config, report)
            report.deduplicated += sum(image in found for image in images)
            found.update(dict.fromkeys(images))
            existing, tried = match_labels(images, ".txt", label_folders)
            if images and not any(existing.values()):
                paths = ", ".join(printable(path) for path in tried)
                what = f"none of its {len(images)} images has a label file; tried {paths}"
                raise DataError(f"{printable(source)}: {split}: {what}")
            label_files.update(existing)
            if source.is_dir():
                _note_orphans(images, existing, report)
        shared = _shared_labels(label_files, report)
        self.images = [image for image in found if image not in shared]
        self.label_files = [label_files[image] for image in self.images]
        self.image_ids = list(range(1, len(self.images) + 1))
        self._overhang_files: list[Path] = []
        self._overhang_rows = self._box_rows = 0

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
        rows, problems = parse_rows(text, self.names)
        for problem in problems:
            report.bad_row(f"{printable(path)}:{problem}")
        report.background += not rows and not problems
        unique = dict.fromkeys(rows)
        report.deduplicated += len(rows) - len(unique)
        out = sum(_add_row(objects, row, height, width, report) for row in unique)
        self._overhang_rows += out
        self._box_rows += len(unique)
        if len(unique) > 1 and 2 * out > len(unique):
            self._overhang_files.append(path)
        return objects

    def finish(self, report: DataReport) -> None:
        """Warn when so many boxes leave the image that the columns probably mean something else."""
        hint = "x1 y1 x2 y2 instead of x_center y_center width height (xyxy)?"
        if 2 * self._overhang_rows > self._box_rows:
            count = f"{self._overhang_rows} of {self._box_rows}"
            report.warnings.append(f"{report.split}: {count} boxes leave the image: {hint}")
        elif self._overhang_files:
            first, files = printable(self._overhang_files[0]), len(self._overhang_files)
            report.warnings.append(f"{first}: most of its boxes leave the image ({files} such files): {hint}")


def _add_row(objects: Objects, row: Row, height: int, width: int, report: DataReport) -> bool:
    """Append one row in pixels; whether its box left the image."""
    polygon = None
    if len(row.values) == 4:
        x, y, w, h = row.values
        box = ((x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height)
    else:
        polygon = np.array(row.values, np.float64).reshape(-1, 2) * (width, height)  # (K, 2)
        (x1, y1), (x2, y2) = polygon.min(axis=0).tolist(), polygon.max(axis=0).tolist()
        box = (x1, y1, x2, y2)
    inside = clip_box(box, height, width)
    w_px, h_px = inside[2] - inside[0], inside[3] - inside[1]
    if w_px <= 0 or h_px <= 0:
        report.degenerate += 1
        return False
    # Six-digit rounding moves an edge by 0.75e-6 of the side, which is no reason to count the box.
    left = overhang(box, height, width) > max(TOLERANCE, 2 * EDGE * max(height, width))
    report.clipped += left
    report.subpixel += min(w_px, h_px) < 1
    report.polygons += polygon is not None
    objects.add(row.label, inside, polygon=() if polygon is None else (polygon.astype(np.float32),))
    return left


def _list_folder(folder: Path, report: DataReport) -> list[Path]:
    images = [path for path in walk_files(folder) if path.suffix.lower() in SUFFIXES | FOREIGN_SUFFIXES]
    if not images:
        raise DataError(f"{printable(folder)}: {report.split}: no images in this folder")
    return images


def _list_file(source: Path, config: DataConfig, report: DataReport) -> list[Path]:
    """The images that a .txt list names: absolute, or relative to the list's folder or the data set's root."""
    if source.suffix.lower() != ".txt":
        raise DataError(f"{printable(source)}: {report.split}: not a folder and not a .txt list of images")
    images, seen = [], set()
    for number, line in enumerate(read_lines(source, MAX_BYTES), 1):
        name = line.strip()
        if not name:
            continue
        # `/` keeps an absolute name as it is; relpath-like `./` disappears.
        tried = list(dict.fromkeys([source.parent / name, config.root / name]))
        path = next((path for path in tried if os.path.isfile(path)), None) if "\0" not in name else None
        if path is None:
            listed = ", ".join(printable(path) for path in tried)
            report.bad_image(f"{printable(source)}:{number}: image: not a file; tried {listed}")
        elif path in seen:
            report.deduplicated += 1
        else:
            seen.add(path)
            images.append(path)
    if not images and not report.skipped:
        raise DataError(f"{printable(source)}: {report.split}: the list is empty")
    return images


def label_folders(folder: Path) -> list[Path]:
    """Where the labels of a folder of images may be: below `labels` instead of the last `images`, or beside them."""
    swapped = swap_folder(folder, LABEL_FOLDERS)
    return [swapped, folder] if swapped else [folder]


def _note_orphans(images: Sequence[Path], matches: dict[Path, Path | None], report: DataReport) -> None:
    """Count label files that no image belongs to, in the folders where the labels of `images` are."""
    used = {path for path in matches.values() if path}
    folders = {path.parent for path in used}
    orphans = sorted(
        folder / name
        for folder in folders
        for name in names_in(folder)
        if name.lower().endswith(".txt") and folder / name not in used and name not in NOT_LABELS
    )
    if orphans:
        report.orphans += len(orphans)
        report.warnings.append(f"{len(orphans)} label files have no image, the first is {printable(orphans[0])}")


def _shared_labels(matches: dict[Path, Path | None], report: DataReport) -> set[Path]:
    """Images that share a label file with another image: nobody knows whose labels they are."""
    counts = Counter(path for path in matches.values() if path)
    shared: dict[Path, list[Path]] = {}
    for image, path in matches.items():
        if path and counts[path] > 1:
            shared.setdefault(path, []).append(image)
    for path, images in shared.items():
        listed = ", ".join(printable(image.name) for image in images)
        report.bad_image(f"{printable(path)}: image: {len(images)} images share this label file: {listed}", len(images))
    return {image for images in shared.values() for image in images}
