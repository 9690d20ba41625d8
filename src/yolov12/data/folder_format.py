"""Class folders: `train/cat/1.jpg` is an image of the class `cat`. The labels of classification.

The classes are the folders of `train` (of the first split if there is no `train`), sorted by name; `names` in a data
YAML may fix their order instead. Folders inside a class folder belong to the class. An image becomes an index entry
with one object: its class, and the whole image as its box.
"""

from __future__ import annotations

import os
from pathlib import Path

from yolov12.data.data_config import SPLIT_FOLDERS, DataConfig
from yolov12.data.files import reason, walk_files
from yolov12.data.image_io import FOREIGN_SUFFIXES, SUFFIXES
from yolov12.data.index import DataReport
from yolov12.data.objects import Objects
from yolov12.errors import DataError, printable

MAX_LISTED = 20


class FolderLabels:
    """The images of one split, each with the class of its folder."""

    layout = None

    def __init__(self, config: DataConfig, split: str, _task: str, report: DataReport) -> None:
        sources = _sources(config, split)
        self.names = config.names or _class_names(config)
        numbers = {name: number for number, name in enumerate(self.names)}
        found: dict[Path, int] = {}
        beside: list[Path] = []
        strays: list[Path] = []
        for source in sources:
            folders = class_folders(source)
            if not folders:
                what = "no class folders in it: one folder for each class is expected"
                raise DataError(f"{printable(source)}: {split}: {what}")
            for folder in folders:
                images, others = _images(folder)
                if folder.name not in numbers:
                    where = "names" if config.names else f"the folders of {next(iter(config.splits))}"
                    what = f"this class is not among {where} ({_listed(self.names)})"
                    report.bad_image(f"{printable(folder)}: {what}: {len(images)} images", max(len(images), 1))
                    continue
                report.deduplicated += sum(image in found for image in images)
                found.update(dict.fromkeys(images, numbers[folder.name]))
                strays += others
            beside += _files_beside(source)
        if not found and report.total:
            raise report.error(config.path)
        if not found:
            listed = ", ".join(printable(source) for source in sources)
            raise DataError(f"{listed}: {split}: no images in its class folders")
        _note_strays(beside, "lie beside the class folders", report)
        _note_strays(strays, "in the class folders are no images", report)
        present = set(found.values())
        _note_empty([name for name, number in numbers.items() if number not in present], report)
        self.images = list(found)
        self.image_ids = list(range(1, len(found) + 1))
        self.label_files: list[Path | None] = [None] * len(found)
        self._labels = list(found.values())

    def read(self, i: int, height: int, width: int, report: DataReport) -> Objects:
        """The class of image `i`, which is `height` x `width`."""
        del report  # a folder's name cannot be odd in a way that its class is not
        objects = Objects()
        objects.add(self._labels[i], (0.0, 0.0, float(width), float(height)))
        return objects

    def finish(self, report: DataReport) -> None:
        """Nothing is left to say."""


def class_folders(source: Path) -> list[Path]:
    """The folders in `source`, sorted by name; hidden ones left out. Raises DataError for names that are no text."""
    try:
        names = sorted(entry.name for entry in os.scandir(source) if entry.is_dir() and not entry.name.startswith("."))
    except OSError as error:
        raise DataError(f"{printable(source)}: {reason(error)}") from error
    for name in names:
        if not name.isprintable() or not name.strip():
            raise DataError(f"{printable(source)}: {printable(name)!r}: a class name must be printable text")
    return [source / name for name in names]


def _sources(config: DataConfig, split: str) -> list[Path]:
    """The folders of `split`. Raises DataError that says which other splits there are."""
    if split not in config.splits:
        what = f"there is no such split; it has {', '.join(config.splits)}"
        if config.path.is_dir():
            what += f" (folders looked for: {', '.join(SPLIT_FOLDERS.get(split, (split,)))})"
        if split == "val" and "test" in config.splits:
            what += ". To validate on test, name it in a data YAML: 'val: test' with 'format: folders'"
        raise DataError(f"{printable(config.path)}: {split}: {what}")
    sources = config.sources(split)
    for source in sources:
        if not source.is_dir():
            raise DataError(f"{printable(source)}: {split}: not a folder with one folder for each class")
    return sources


def _class_names(config: DataConfig) -> tuple[str, ...]:
    """Folder names of the first split: all splits count classes as it does."""
    first = next(iter(config.splits))
    names = {folder.name for source in _sources(config, first) for folder in class_folders(source)}
    return tuple(sorted(names))


def _images(folder: Path) -> tuple[list[Path], list[Path]]:
    """The images below a class folder, and the other files."""
    images: list[Path] = []
    others: list[Path] = []
    for path in walk_files(folder):
        (images if path.suffix.lower() in SUFFIXES | FOREIGN_SUFFIXES else others).append(path)
    return images, others


def _files_beside(source: Path) -> list[Path]:
    return sorted(
        source / entry.name for entry in os.scandir(source) if not entry.is_dir() and not entry.name.startswith(".")
    )


def _note_strays(files: list[Path], where: str, report: DataReport) -> None:
    if files:
        what = f"{len(files)} files {where}: left out, the first is {printable(files[0])}"
        report.warnings.append(f"{report.split}: {what}")


def _note_empty(names: list[str], report: DataReport) -> None:
    if names:
        report.warnings.append(f"{report.split}: {len(names)} classes have no image: {_listed(names)}")


def _listed(names: list[str] | tuple[str, ...]) -> str:
    """Names for a message, the first of them."""
    more = f", ... ({len(names)} in all)" if len(names) > MAX_LISTED else ""
    return printable(", ".join(names[:MAX_LISTED])) + more
