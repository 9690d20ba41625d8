"""From a data YAML to the index of one split: list the images, scan them, read their labels, report what was found.

Nothing is written into the data set. What can be put right without guessing is put right and counted; anything else is
an error that lists every finding, unless the caller asks to leave the bad rows and images out (`on_bad_label="skip"`).
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from yolov12.config.run import MAX_PIXELS
from yolov12.data.cache import Cache, fingerprint, hash_contents
from yolov12.data.coco_format import CocoLabels
from yolov12.data.data_config import DataConfig, describe, read_data_config
from yolov12.data.index import MANY_OBJECTS, DataReport, ImageIndex, Objects, pack_objects
from yolov12.data.scan import Progress, Scan, cached_scan
from yolov12.data.voc_format import VocLabels
from yolov12.data.yolo_format import YoloLabels
from yolov12.errors import ConfigError, DataError, printable
from yolov12.folders import cache_folder

__all__ = ["DataConfig", "ImageIndex", "load_index", "read_data_config"]

ONE_CLASS = ("object",)
"""Class names with `single_cls`."""


class LabelFormat(Protocol):
    """One split in one label format: listed when constructed, read image by image."""

    images: list[Path]
    image_ids: list[int]
    label_files: list[Path | None]
    """For each image; None: it has none."""
    names: tuple[str, ...]

    def read(self, i: int, height: int, width: int, report: DataReport) -> Objects:
        """The objects of image `i`."""

    def finish(self, report: DataReport) -> None:
        """Warnings that need all images."""


_FORMATS: dict[str, Callable[[DataConfig, str, DataReport], LabelFormat]] = {
    "yolo": YoloLabels,
    "voc": VocLabels,
    "coco": CocoLabels,
}


def load_index(
    data: str | Path | DataConfig,
    split: str,
    *,
    on_bad_label: str = "error",
    single_cls: bool = False,
    fraction: float = 1.0,
    cache_dir: Path | None = None,
    workers: int | None = None,
    max_pixels: int = MAX_PIXELS,
    progress: Progress | None = None,
) -> ImageIndex:
    """The index of `split` ("train", "val" or "test") of a data YAML.

    `fraction` takes that part of the images, evenly spread. `on_bad_label` is "error" (DataError that lists all
    findings and the flag) or "skip" (left out, counted in `index.report`). Scanned in `workers` threads.
    """
    if on_bad_label not in ("error", "skip"):
        raise ConfigError(f"on_bad_label: {on_bad_label!r} is not one of error, skip")
    config = data if isinstance(data, DataConfig) else read_data_config(data)
    report = DataReport(split)
    labels: LabelFormat = _FORMATS[config.format](config, split, report)
    _note_equal_splits(config, split, report)
    chosen = _spread(len(labels.images), fraction)
    cache = Cache(cache_dir or cache_folder())
    name = f"{describe(config)} {split}"
    paths = [labels.images[i] for i in chosen]
    threads = workers or min(os.cpu_count() or 1, 16)
    scan, complaint = cached_scan(
        paths, f"scan {name}", cache, workers=threads, max_pixels=max_pixels, progress=progress
    )
    arrays, report, index_complaint = _cached_objects(config, labels, chosen, scan, report, cache, name)
    if report.total and on_bad_label == "error":
        raise report.error(config.path)
    if not report.read or (report.rows_skipped and not report.rows):
        what = "image" if not report.read else "label row"
        listed = "\n  ".join(report.reasons)
        raise DataError(f"{printable(config.path)}: {split}: no usable {what} is left:\n  {listed}")
    report.warnings += [text for text in dict.fromkeys((complaint, index_complaint)) if text]
    kept = arrays.pop("kept")
    if single_cls:
        arrays["labels"] = np.zeros_like(arrays["labels"])
    return ImageIndex(
        names=ONE_CLASS if single_cls else labels.names,
        paths=tuple(paths[i] for i in kept),
        sizes=scan.sizes[kept],
        image_ids=np.array([labels.image_ids[chosen[i]] for i in kept], np.int64),
        digests=scan.digests[kept],
        report=report,
        **arrays,
    )


def _spread(count: int, fraction: float) -> list[int]:
    """Numbers of an evenly spread `fraction` of `count` images, at least one."""
    wanted = max(1, round(count * fraction))
    return [i * count // wanted for i in range(wanted)] if 0 < fraction < 1 and count else list(range(count))


def _note_equal_splits(config: DataConfig, split: str, report: DataReport) -> None:
    same = [other for other, value in config.splits.items() if other != split and value == config.splits[split]]
    if same and split != "train":
        report.warnings.append(f"{printable(config.path)}: {split} and {' and '.join(same)} are the same images")


def _cached_objects(
    config: DataConfig,
    labels: LabelFormat,
    chosen: list[int],
    scan: Scan,
    report: DataReport,
    cache: Cache,
    name: str,
) -> tuple[dict[str, npt.NDArray[Any]], DataReport, str | None]:
    """The object arrays, `kept` (images that can be used) and the finished report, from the cache if it has them."""
    what = json.dumps([labels.names, config.format, labels.image_ids, dataclasses.asdict(report)])
    contents = hash_contents([labels.label_files[i] for i in chosen])
    key = fingerprint(["index", what, scan.digests.tobytes(), scan.texts, *contents])
    stored = cache.load(f"index {name}", key)
    if stored is not None:
        return stored, DataReport(**json.loads(str(stored.pop("report")))), None
    kept = np.array([i for i in range(len(chosen)) if i not in scan.problems], np.int64)
    for problem in scan.problems.values():
        report.bad_image(problem)
    objects = [labels.read(chosen[i], int(scan.sizes[i, 0]), int(scan.sizes[i, 1]), report) for i in kept]
    labels.finish(report)
    _finish(report, objects, scan)
    arrays = {**pack_objects(objects), "kept": kept}
    stamped = {**arrays, "report": np.array(json.dumps(dataclasses.asdict(report)))}
    return arrays, report, cache.save(f"index {name}", key, stamped)


def _finish(report: DataReport, objects: list[Objects], scan: Scan) -> None:
    report.read = len(objects)
    report.rows = sum(len(image.labels) for image in objects)
    report.warnings += list(scan.notes.values())[:20]
    largest = max((len(image.labels) for image in objects), default=0)
    if largest > MANY_OBJECTS:
        crowded = sum(len(image.labels) > MANY_OBJECTS for image in objects)
        report.warnings.append(f"{crowded} images have more than {MANY_OBJECTS} objects (max boxes: {largest})")
    if objects and not report.rows:
        report.warnings.append(f"{report.split}: there is not one object in {len(objects)} images")
