"""Pascal VOC: one XML file per image in `Annotations`, images in `JPEGImages`, splits in `ImageSets/Main/*.txt`.

`annotations` and `images` are understood, too. A split file names one image a line. In the list of one class
(`aeroplane_train.txt`) a flag follows: 1 for an image of that class, 0 for one that has it only as difficult objects,
-1 for one that is not of that class, which is left out. Objects of all classes are read either way.

Corners are used as they are (no offset by one), clipped to the image; boxes without area are dropped, duplicates are
kept. The image's size comes from the image, not from the XML. `difficult` objects are objects like any other. There are
boxes only, so of all tasks only `detect` can use them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Container
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from yolov12.data.data_config import DataConfig
from yolov12.data.files import match_labels, names_in, read_lines, read_regular_file, reason, swap_folder
from yolov12.data.image_io import FOREIGN_SUFFIXES, SUFFIXES
from yolov12.data.index import DataReport
from yolov12.data.objects import Objects
from yolov12.data.pixel_boxes import add_pixel_box
from yolov12.data.text_labels import list_folder
from yolov12.errors import DataError, did_you_mean, printable

IMAGE_FOLDERS = ("JPEGImages", "images", "Images")
ANNOTATION_FOLDERS = ("Annotations", "annotations")
CORNERS = ("xmin", "ymin", "xmax", "ymax")
MAX_BYTES, MAX_DEPTH = 64 << 20, 50
_FLAGGED = re.compile(r"(.+?)\s+(-1|0|1)")
_OBJECT = ("annotation", "object")
_FIELDS: dict[tuple[str, ...], str] = {(*_OBJECT, "bndbox", corner): corner for corner in CORNERS}
_FIELDS[(*_OBJECT, "name")] = "name"
_SIZE: dict[tuple[str, ...], str] = {
    ("annotation", "size", "width"): "width",
    ("annotation", "size", "height"): "height",
}


@dataclass
class _Element:
    """One `<object>`: the text and the line of each of its fields."""

    line: int
    values: dict[str, tuple[str, int]] = field(default_factory=dict)


class VocLabels:
    """The images of one split and their annotation files."""

    layout = None

    def __init__(self, config: DataConfig, split: str, _task: str, report: DataReport) -> None:
        self.names = config.names
        self._numbers = {name: number for number, name in enumerate(config.names)}
        self.images: list[Path] = []
        self.label_files: list[Path | None] = []
        self.size_differs = 0
        for source in config.sources(split):
            self._add_source(source, config.root, report)
        self.image_ids = list(range(1, len(self.images) + 1))

    def _add_source(self, source: Path, root: Path, report: DataReport) -> None:
        images, folders = _list_images(source, report) if source.is_dir() else _list_file(source, root, report)
        matches, tried = match_labels(images, ".xml", lambda _: folders)
        if images and not any(matches.values()):
            paths = ", ".join(printable(path) for path in tried)
            raise DataError(f"{printable(source)}: {report.split}: no annotation found; tried {paths}")
        self.images += images
        self.label_files += [matches[image] for image in images]

    def read(self, i: int, height: int, width: int, report: DataReport) -> Objects:
        """The objects of image `i`, which is `height` x `width`; what is odd goes into `report`."""
        path, objects = self.label_files[i], Objects()
        if path is None:
            report.missing_labels += 1
            return objects
        try:
            elements, size = parse_annotation(read_regular_file(path, MAX_BYTES))
        except OSError as error:
            report.bad_row(f"{printable(path)}: {reason(error)}")
            return objects
        except (expat.ExpatError, ValueError) as error:
            report.bad_row(f"{printable(path)}: XML: {printable(error)}")
            return objects
        if size and size != {"width": str(width), "height": str(height)}:
            self.size_differs += 1
            if self.size_differs == 1:
                said = f"{size.get('width')}x{size.get('height')}"
                text = f"says {printable(said)}, the image is {width}x{height}"
                report.warnings.append(f"{printable(path)}: size: {text}, which is used")
        report.background += not elements
        for element in elements:
            self._add(objects, element, path, (height, width), report)
        return objects

    def finish(self, report: DataReport) -> None:
        """Warnings that need all images."""
        if self.size_differs > 1:
            report.warnings.append(f"{self.size_differs} annotations differ in size from their image, which is used")

    def _add(self, objects: Objects, element: _Element, path: Path, size: tuple[int, int], report: DataReport) -> None:
        name, line = element.values.get("name", ("", element.line))
        if name not in self._numbers:
            hint = did_you_mean(name, self.names) or f" Classes: {', '.join(self.names[:20])}"
            what = f"{printable(name)[:80]!r} is not a class.{hint}" if name else "missing"
            report.bad_row(f"{printable(path)}:{line}: name: {what}")
            return
        corners = []
        for corner in CORNERS:
            text, line = element.values.get(corner, ("", element.line))
            value = _number(text)
            if not math.isfinite(value):
                what = f"not a finite number ({printable(text)[:40]!r})" if text else "missing"
                report.bad_row(f"{printable(path)}:{line}: {corner}: {what}")
                return
            corners.append(value)
        x1, y1, x2, y2 = corners
        where = f"{printable(path)}:{element.line}: bndbox"
        add_pixel_box(objects, self._numbers[name], (x1, y1, x2, y2), size, where=where, report=report)


def _number(text: str) -> float:
    """A plain decimal number, NaN for anything else (Python would also take `1_0` and other scripts' digits)."""
    if not text.isascii() or "_" in text:
        return math.nan
    try:
        return float(text)
    except ValueError:
        return math.nan


def _list_images(folder: Path, report: DataReport) -> tuple[list[Path], list[Path]]:
    """The images in a folder, and the folders where their annotations may be."""
    images = list_folder(folder, report)
    swapped = [swap_folder(folder, dict.fromkeys(IMAGE_FOLDERS, name)) for name in ANNOTATION_FOLDERS]
    beside = [folder.parent / name for name in ANNOTATION_FOLDERS]
    return images, list(dict.fromkeys([*filter(None, swapped), *beside, folder]))


def _list_file(source: Path, root: Path, report: DataReport) -> tuple[list[Path], list[Path]]:
    """The images that a split file names, and the folders where their annotations may be."""
    base = source.parent.parent.parent if source.parent.parent.name == "ImageSets" else root
    folder = next((base / name for name in IMAGE_FOLDERS if (base / name).is_dir()), None)
    if folder is None:
        tried = ", ".join(printable(base / name) for name in IMAGE_FOLDERS)
        raise DataError(f"{printable(source)}: {report.split}: its images are in none of {tried}")
    by_stem = _images_by_stem(folder)
    images: list[Path] = []
    seen: set[str] = set()
    negative = 0
    for number, line in enumerate(read_lines(source, MAX_BYTES), 1):
        stem, flag = _entry(line.strip(), by_stem)
        if not stem:
            continue
        if flag == "-1":
            negative += 1
            continue
        if stem in seen:
            report.deduplicated += 1
        elif len(found := by_stem.get(stem, [])) == 1:
            images += found
        else:
            what = f"{len(found)} images have this name" if found else f"no such image in {printable(folder)}"
            report.bad_image(f"{printable(source)}:{number}: {printable(stem)[:80]}: {what}")
        seen.add(stem)
    if negative:
        report.warnings.append(f"{printable(source)}: {negative} images flagged -1 are not of its class: left out")
    if not images and not report.skipped:
        what = f"all its {negative} images are flagged -1" if negative else "the list is empty"
        raise DataError(f"{printable(source)}: {report.split}: {what}")
    return images, [base / name for name in ANNOTATION_FOLDERS]


def _images_by_stem(folder: Path) -> dict[str, list[Path]]:
    by_stem: dict[str, list[Path]] = {}
    for path in sorted(folder / name for name in names_in(folder)):
        if path.suffix.lower() in SUFFIXES | FOREIGN_SUFFIXES:
            by_stem.setdefault(path.stem, []).append(path)
    return by_stem


def _entry(line: str, stems: Container[str]) -> tuple[str, str]:
    """The image that a line names, and its flag or ''. An image may be called like the whole line: it goes first."""
    flagged = None if line in stems else _FLAGGED.fullmatch(line)
    return (flagged[1], flagged[2]) if flagged else (line, "")


def parse_annotation(data: bytes) -> tuple[list[_Element], dict[str, str]]:
    """The objects of an annotation file, and its size as text. No document types, so no entities to expand or fetch.

    Raises ExpatError for broken XML, ValueError for what is no annotation.
    """
    parser = expat.ParserCreate()
    path: list[str] = []
    text: list[str] = []
    elements: list[_Element] = []
    size: dict[str, str] = {}

    def start(tag: str, _: dict[str, str]) -> None:
        path.append(tag)
        if len(path) > MAX_DEPTH:
            raise ValueError(f"line {parser.CurrentLineNumber}: nested more than {MAX_DEPTH} deep")
        if len(path) == 1 and tag != "annotation":
            raise ValueError(f"the root element is <{tag}>, not <annotation>")
        if tuple(path) == _OBJECT:
            elements.append(_Element(parser.CurrentLineNumber))
        text.clear()

    def end(_: str) -> None:
        where = tuple(path)
        if where in _FIELDS:
            elements[-1].values.setdefault(_FIELDS[where], ("".join(text).strip(), parser.CurrentLineNumber))
        elif where in _SIZE:
            size[_SIZE[where]] = "".join(text).strip()
        path.pop()
        text.clear()

    def doctype(*_: object) -> None:
        raise ValueError("document types (<!DOCTYPE>) are not allowed")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text.append
    parser.StartDoctypeDeclHandler = doctype
    parser.Parse(data, True)
    return elements, size
