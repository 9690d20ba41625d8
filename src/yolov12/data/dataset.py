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
from typing import NamedTuple, Protocol

import numpy as np

from yolov12.config.run import MAX_PIXELS
from yolov12.config.tasks import TASKS
from yolov12.data.cache import Cache, fingerprint, hash_contents
from yolov12.data.coco_format import CocoLabels
from yolov12.data.data_config import DataConfig, describe, read_data_config
from yolov12.data.dota_format import DotaLabels
from yolov12.data.folder_format import FolderLabels
from yolov12.data.index import MANY_OBJECTS, DataReport, ImageIndex, Int64
from yolov12.data.keypoint_layout import KeypointLayout
from yolov12.data.label_formats import check_format
from yolov12.data.objects import Objects, PackedObjects, pack_objects
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

    @property
    def layout(self) -> KeypointLayout | None:
        """Of the keypoints; None unless the task is pose."""

    def read(self, i: int, height: int, width: int, report: DataReport) -> Objects:
        """The objects of image `i`."""

    def finish(self, report: DataReport) -> None:
        """Warnings that need all images."""


_FORMATS: dict[str, Callable[[DataConfig, str, str, DataReport], LabelFormat]] = {
    "yolo": YoloLabels,
    "voc": VocLabels,
    "coco": CocoLabels,
    "dota": DotaLabels,
    "folders": FolderLabels,
}


def load_index(
    data: str | Path | DataConfig,
    split: str,
    *,
    task: str = "detect",
    on_bad_label: str = "error",
    single_cls: bool = False,
    fraction: float = 1.0,
    cache_dir: Path | None = None,
    workers: int | None = None,
    max_pixels: int = MAX_PIXELS,
    progress: Progress | None = None,
) -> ImageIndex:
    """The index of `split` ("train", "val" or "test") of a data YAML, or of a folder of class folders.

    `task` decides what a label may be: boxes, outlines, keypoints, rotated boxes, or the class of a whole image.
    `fraction` takes that part of the images, evenly spread. `on_bad_label` is "error" (DataError that lists all
    findings and the flag) or "skip" (left out, counted in `index.report`). Scanned in `workers` threads.
    """
    if on_bad_label not in ("error", "skip"):
        raise ConfigError(f"on_bad_label: {on_bad_label!r} is not one of error, skip")
    config = data if isinstance(data, DataConfig) else read_data_config(data)
    check_format(task, config.format, config.path)
    if not TASKS[task].boxes and single_cls:
        raise ConfigError("single_cls: a classifier of one class has nothing to tell apart; leave it out")
    report = DataReport(split)
    labels: LabelFormat = _FORMATS[config.format](config, split, task, report)
    _note_equal_splits(config, split, report)
    chosen = _spread(len(labels.images), fraction)
    cache = Cache(cache_dir or cache_folder())
    name = f"{describe(config)} {split}"
    paths = [labels.images[i] for i in chosen]
    threads = workers or min(os.cpu_count() or 1, 16)
    scan, complaint = cached_scan(
        paths, f"scan {name}", cache, workers=threads, max_pixels=max_pixels, progress=progress
    )
    kind = f"{task} {config.format} {config.kpt_shape}"
    found, index_complaint = _cached_objects(kind, labels, chosen, scan, report, cache, name)
    report, objects, kept = found
    _check_usable(report, config, on_bad_label)
    report.warnings += [text for text in dict.fromkeys((complaint, index_complaint)) if text]
    return ImageIndex(
        names=ONE_CLASS if single_cls else labels.names,
        paths=tuple(paths[i] for i in kept),
        sizes=scan.sizes[kept],
        offsets=objects.offsets,
        labels=np.zeros_like(objects.labels) if single_cls else objects.labels,
        boxes=objects.boxes,
        areas=objects.areas,
        area_of_box=objects.area_of_box,
        crowd=objects.crowd,
        polygon_offsets=objects.polygon_offsets,
        ring_offsets=objects.ring_offsets,
        polygon_points=objects.polygon_points,
        image_ids=np.array([labels.image_ids[chosen[i]] for i in kept], np.int64),
        report=report,
        digests=scan.digests[kept],
        keypoints=objects.keypoints,
        keypoint_shape=labels.layout.shape if labels.layout else None,
        flip_idx=labels.layout.flip_idx if labels.layout else None,
        partial=TASKS[task].several,
        run_lengths=objects.run_lengths,
    )


def _check_usable(report: DataReport, config: DataConfig, on_bad_label: str) -> None:
    """DataError for what may not be skipped, and where nothing is left."""
    if report.total and on_bad_label == "error":
        raise report.error(config.path)
    if not report.read or (report.rows_skipped and not report.rows):
        what = "image" if not report.read else "label row"
        listed = "\n  ".join(report.reasons)
        raise DataError(f"{printable(config.path)}: {report.split}: no usable {what} is left:\n  {listed}")


def _spread(count: int, fraction: float) -> list[int]:
    """Numbers of an evenly spread `fraction` of `count` images, at least one."""
    wanted = max(1, round(count * fraction))
    return [i * count // wanted for i in range(wanted)] if 0 < fraction < 1 and count else list(range(count))


def _note_equal_splits(config: DataConfig, split: str, report: DataReport) -> None:
    same = [other for other, value in config.splits.items() if other != split and value == config.splits[split]]
    if same and split != "train":
        report.warnings.append(f"{printable(config.path)}: {split} and {' and '.join(same)} are the same images")


class _Found(NamedTuple):
    """What the labels hold."""

    report: DataReport
    objects: PackedObjects
    kept: Int64
    """Positions (among those asked for) of the images that can be used."""


def _cached_objects(
    kind: str, labels: LabelFormat, chosen: list[int], scan: Scan, report: DataReport, cache: Cache, name: str
) -> tuple[_Found, str | None]:
    """Report, objects and usable images, from the cache if it has them; and a warning if they cannot be stored.

    `kind` says how the labels are read: task, format, shape of the keypoints.
    """
    what = json.dumps([labels.names, kind, labels.layout, labels.image_ids, dataclasses.asdict(report)])
    contents = hash_contents([labels.label_files[i] for i in chosen])
    images = [os.fsencode(labels.images[i]) for i in chosen]  # class folders: the path is the label
    key = fingerprint(["index", what, scan.digests.tobytes(), scan.texts, *contents, *images])
    name = f"index {kind} {name}"
    stored = cache.load(name, key)
    if stored is not None:
        known = DataReport(**json.loads(str(stored["report"])))
        return _Found(known, PackedObjects.from_arrays(stored), stored["kept"]), None
    kept = np.array([i for i in range(len(chosen)) if i not in scan.problems], np.int64)
    for problem in scan.problems.values():
        report.bad_image(problem)
    objects = [labels.read(chosen[i], int(scan.sizes[i, 0]), int(scan.sizes[i, 1]), report) for i in kept]
    labels.finish(report)
    _finish(report, objects, scan)
    packed = pack_objects(objects, labels.layout.shape[0] if labels.layout else 0)
    stamped = {**packed.to_arrays(), "kept": kept, "report": np.array(json.dumps(dataclasses.asdict(report)))}
    return _Found(report, packed, kept), cache.save(name, key, stamped)


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
