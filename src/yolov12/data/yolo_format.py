"""YOLO text labels: `labels/x.txt` for `images/x.jpg`, one object per line, in parts of the image's width and height.

What a row may look like stands in `yolo_rows`. A box whose edge leaves the image although its values are inside 0..1 is
clipped and counted; a row without area, or the same as an earlier row, is dropped and counted.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from yolov12.config.tasks import TASKS
from yolov12.data.coco_masks import MAX_OUTLINE, too_long
from yolov12.data.data_config import DataConfig
from yolov12.data.files import read_regular_file, reason, swap_folder
from yolov12.data.index import DataReport, Float64
from yolov12.data.keypoint_layout import EXAMPLE, KeypointLayout
from yolov12.data.objects import Objects
from yolov12.data.pixel_boxes import (
    NO_AREA,
    TOLERANCE,
    add_rotated_box,
    clip_box,
    crossed_warning,
    extent,
    overhang,
    polygon_area,
)
from yolov12.data.text_labels import MAX_BYTES, list_text_labels
from yolov12.data.yolo_rows import EDGE, Row, parse_rows
from yolov12.errors import DataError, printable

LABEL_FOLDERS = {"images": "labels", "Images": "Labels", "IMAGES": "LABELS"}


class YoloLabels:
    """The images of one split and their label files."""

    def __init__(self, config: DataConfig, split: str, task: str, report: DataReport) -> None:
        if TASKS[task].keypoints and config.kpt_shape is None:
            what = f"missing; pose needs the number of keypoints and of numbers for each, {EXAMPLE}"
            raise DataError(f"{printable(config.path)}: kpt_shape: {what}")
        self.names, self.task = config.names, task
        shape = config.kpt_shape if TASKS[task].keypoints else None
        self.layout = KeypointLayout(shape, config.flip_idx) if shape else None
        self.images, self.label_files = list_text_labels(config, split, report, label_folders)
        self.image_ids = list(range(1, len(self.images) + 1))
        self._keypoint_shape = config.kpt_shape
        self._overhang_files: list[Path] = []
        self._overhang_rows = self._box_rows = self._crossed = 0

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
        rows, problems = parse_rows(text, self.names, self.task, self._keypoint_shape)
        for problem in problems:
            report.bad_row(f"{printable(path)}:{problem}")
        report.background += not rows and not problems
        unique = dict.fromkeys(rows)
        report.deduplicated += len(rows) - len(unique)
        out = sum(self._add(objects, row, path, height, width, report) for row in unique)
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
        crossed_warning(self._crossed, report)

    def _add(self, objects: Objects, row: Row, path: Path, height: int, width: int, report: DataReport) -> bool:
        """Append one row in pixels; whether its box left the image."""
        if len(row.values) == 4:
            return _add_box(objects, row, height, width, report)
        polygon = np.array(row.values, np.float64).reshape(-1, 2) * (width, height)  # (K, 2)
        where = f"{printable(path)}:{row.line}"
        if TASKS[self.task].rotated:
            size = (height, width)
            self._crossed += add_rotated_box(objects, row.label, polygon, size, where=f"{where}: x1", report=report)
        elif TASKS[self.task].masks:
            if too_long([polygon]):
                what = f"their outline is longer than {MAX_OUTLINE} pixels"
                report.bad_row(f"{where}: points: {what}")
            else:
                report.masks += _add_polygon(objects, row.label, polygon, report, outlined=True)
        else:
            _add_polygon(objects, row.label, polygon, report, outlined=False)
        return False


def _add_box(objects: Objects, row: Row, height: int, width: int, report: DataReport) -> bool:
    """Append a box, with keypoints if the row has them; whether it left the image."""
    x, y, w, h = row.values
    box = ((x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height)
    inside = clip_box(box, height, width)
    w_px, h_px = inside[2] - inside[0], inside[3] - inside[1]
    if w_px <= 0 or h_px <= 0:
        report.degenerate += 1
        return False
    # Six-digit rounding moves an edge by 0.75e-6 of the side, which is no reason to count the box.
    left = overhang(box, height, width) > max(TOLERANCE, 2 * EDGE * max(height, width))
    report.clipped += left
    report.subpixel += min(w_px, h_px) < 1
    keypoints = None
    if row.keypoints:
        points = np.array(row.keypoints, np.float64).reshape(-1, 3) * (width, height, 1)  # (K, 3)
        keypoints = points.astype(np.float32)
        report.keypoints += int(np.count_nonzero(keypoints[:, 2]))
    objects.add(row.label, inside, keypoints=keypoints)
    return left


def _add_polygon(objects: Objects, label: int, polygon: Float64, report: DataReport, *, outlined: bool) -> bool:
    """Append the extent of a polygon (K, 2; pixels) and its outline; False if it has no area.

    Where the outline itself is what counts (`outlined`), its area must not be zero either, and is the object's.
    """
    box = extent(polygon)
    w_px, h_px = box[2] - box[0], box[3] - box[1]
    area = polygon_area(polygon) if outlined else None
    if w_px <= 0 or h_px <= 0 or (area is not None and area <= NO_AREA):
        report.degenerate += 1
        return False
    report.subpixel += min(w_px, h_px) < 1
    report.polygons += 1
    objects.add(label, box, area=area, polygon=(polygon.astype(np.float32),))
    return True


def label_folders(folder: Path) -> list[Path]:
    """Where the labels of a folder of images may be: below `labels` instead of the last `images`, or beside them."""
    swapped = swap_folder(folder, LABEL_FOLDERS)
    return [swapped, folder] if swapped else [folder]
