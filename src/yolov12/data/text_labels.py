"""Images of a split that have a text file each for their labels (YOLO, DOTA): both are listed and matched here."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from yolov12.data.data_config import DataConfig
from yolov12.data.files import match_labels, names_in, read_lines, walk_files
from yolov12.data.image_io import FOREIGN_SUFFIXES, SUFFIXES
from yolov12.data.index import DataReport
from yolov12.errors import DataError, printable

MAX_BYTES = 64 << 20
NOT_LABELS = frozenset({"classes.txt", "labels.txt", "README.txt", "readme.txt", "notes.txt"})
"""Text files that annotation tools leave among the labels."""


class TextLabels(NamedTuple):
    """Images, and for each its label file or None."""

    images: list[Path]
    label_files: list[Path | None]


def list_text_labels(
    config: DataConfig, split: str, report: DataReport, folders_for: Callable[[Path], list[Path]]
) -> TextLabels:
    """The images of `split`; `folders_for(folder)` says where the labels of the images in a folder may be."""
    found: dict[Path, None] = {}  # a set that keeps the order
    label_files: dict[Path, Path | None] = {}
    for source in config.sources(split):
        images = list_folder(source, report) if source.is_dir() else _list_file(source, config, report)
        report.deduplicated += sum(image in found for image in images)
        found.update(dict.fromkeys(images))
        existing, tried = match_labels(images, ".txt", folders_for)
        if images and not any(existing.values()):
            paths = ", ".join(printable(path) for path in tried)
            what = f"none of its {len(images)} images has a label file; tried {paths}"
            raise DataError(f"{printable(source)}: {split}: {what}")
        label_files.update(existing)
        if source.is_dir():
            _note_orphans(existing, report)
    shared = _shared_labels(label_files, report)
    kept = [image for image in found if image not in shared]
    return TextLabels(kept, [label_files[image] for image in kept])


def list_folder(folder: Path, report: DataReport) -> list[Path]:
    """All images below `folder`. Raises DataError if there are none."""
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


def _note_orphans(matches: dict[Path, Path | None], report: DataReport) -> None:
    """Count label files that no image belongs to, in the folders where there are labels of images."""
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
