"""COCO JSON, read as it is: categories in the order of their ids, areas kept, crowds marked, sizes from the files.

Everything that the file says is checked before it is used: ids, references, boxes, run lengths of masks, keypoints.
`coco_file` reads the file, `coco_objects` what an annotation says beyond its box. There are no rotated boxes in COCO.

For `pose` the names of a category's `keypoints` say how many there are, and which of them change sides in a mirrored
picture (`left_eye`, `right_eye`); `kpt_shape` and `flip_idx` of the data YAML go first.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from yolov12.config.tasks import TASKS
from yolov12.data.coco_checks import Record, box_problem, is_id, is_int, is_number, shown
from yolov12.data.coco_file import (
    categories,
    class_numbers,
    group_annotations,
    image_folder,
    image_records,
    keypoint_names,
    read_coco,
)
from yolov12.data.coco_objects import Shape, read_shape
from yolov12.data.data_config import DataConfig
from yolov12.data.index import DataReport
from yolov12.data.keypoint_layout import EXAMPLE, KeypointLayout
from yolov12.data.objects import Objects
from yolov12.data.pixel_boxes import add_pixel_box
from yolov12.errors import DataError, printable


class CocoLabels:
    """The images of one split and their annotations."""

    def __init__(self, config: DataConfig, split: str, task: str, report: DataReport) -> None:
        self.images: list[Path] = []
        self.image_ids: list[int] = []
        self.label_files: list[Path | None] = []
        self.names = config.names or _names_of_first_split(config, split)
        self.task = task
        self.layout: KeypointLayout | None = None
        self._records: list[Record] = []
        self._annotations: list[list[Record]] = []
        self._sources: list[str] = []
        self._classes: list[dict[Any, int]] = []
        self.size_differs = self.count_differs = 0
        for source in config.sources(split):
            self._add_file(source, config, split, report)
        # Ids that are no numbers, or that two files share, are replaced by 1, 2, ...
        ids = [record["id"] for record in self._records]
        whole = all(is_int(value) and abs(value) < 2**63 for value in ids) and len(set(ids)) == len(ids)
        self.image_ids = ids if whole else list(range(1, len(ids) + 1))

    def _add_file(self, source: Path, config: DataConfig, split: str, report: DataReport) -> None:
        content = read_coco(source)
        where = printable(source)
        named = categories(content["categories"], where)
        self.names = self.names or tuple(named.values())
        classes = class_numbers(named, self.names, where)
        if TASKS[self.task].keypoints:
            layout = _layout(content["categories"], config, where)
            if self.layout is not None and layout.shape != self.layout.shape:
                counts = f"{layout.shape[0]} keypoints, but the files before have {self.layout.shape[0]}"
                raise DataError(f"{where}: categories: keypoints: {counts}")
            self.layout = layout
        records, left_out = image_records(content["images"], where, report)
        if not records and not report.skipped:
            raise DataError(f"{where}: images: the list is empty")
        folder = image_folder(source, config, split, [record["file_name"] for record in records.values()])
        grouped = group_annotations(content["annotations"], records, left_out, where, report)
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
        if self.count_differs:
            what = "annotations have another num_keypoints than labelled keypoints, which are counted"
            report.warnings.append(f"{report.split}: {self.count_differs} {what}")

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
        count = self.layout.shape[0] if self.layout else 0
        shape = read_shape(annotation, self.task, size, crowd=bool(crowd), keypoints=count)
        if isinstance(shape, str):
            return shape
        if shape.area == 0:
            report.degenerate += 1
            return ""
        self._check_count(annotation, shape)
        x, y, w, h = (float(value) for value in box)
        before = len(objects.labels)
        add_pixel_box(
            objects,
            self._classes[i][category],
            (x, y, x + w, y + h),
            size,
            where=f"{where}: bbox",
            report=report,
            area=shape.area if area is None else float(area),
            crowd=bool(crowd),
            polygon=shape.rings,
            keypoints=shape.keypoints,
            run_length=shape.run_length,
        )
        report.masks += TASKS[self.task].masks and len(objects.labels) > before
        return ""

    def _check_count(self, annotation: Record, shape: Shape) -> None:
        if shape.keypoints is not None and "num_keypoints" in annotation:
            self.count_differs += annotation["num_keypoints"] != np.count_nonzero(shape.keypoints[:, 2])


def _layout(records: list[Any], config: DataConfig, where: str) -> KeypointLayout:
    """Number and pairs of the keypoints. Raises DataError if nobody says the number, or two say different ones."""
    count, flip_idx = keypoint_names(records, where)
    if config.kpt_shape and count and config.kpt_shape[0] != count:
        yaml = f"kpt_shape of {printable(config.path)} has {config.kpt_shape[0]}"
        raise DataError(f"{where}: categories: keypoints: {count} names, but {yaml}")
    if not config.kpt_shape and not count:
        what = f"missing; pose needs their names, or kpt_shape in the data YAML, {EXAMPLE}"
        raise DataError(f"{where}: categories: keypoints: {what}")
    shape = config.kpt_shape or (count, 3)
    flip_idx = config.flip_idx or flip_idx
    if flip_idx is not None and len(flip_idx) != shape[0]:
        what = f"{len(flip_idx)} numbers, but {where} has {shape[0]} keypoints"
        raise DataError(f"{printable(config.path)}: flip_idx: {what}")
    return KeypointLayout(shape, flip_idx)


def _names_of_first_split(config: DataConfig, split: str) -> tuple[str, ...]:
    """Category names, in the order of their ids, of the first split: all splits count classes as it does.

    None for that split itself, whose file is about to be read anyway.
    """
    first = next(iter(config.splits))
    if split == first:
        return ()
    source = config.sources(first)[0]
    return tuple(categories(read_coco(source)["categories"], printable(source)).values())
