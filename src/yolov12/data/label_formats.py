"""Which label formats hold what each task learns: the one table, and the line that says so when they do not."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from yolov12.errors import ConfigError, DataError, did_you_mean, printable


class TaskLabels(NamedTuple):
    """What the labels of a task must hold, and the formats that do."""

    need: str
    formats: tuple[str, ...]


FORMATS = {
    "yolo": "YOLO text files",
    "voc": "Pascal VOC files",
    "coco": "COCO JSON files",
    "dota": "DOTA text files",
    "folders": "class folders",
}
TASK_LABELS = {
    "detect": TaskLabels("boxes", ("yolo", "voc", "coco", "dota")),
    "segment": TaskLabels("outlines or masks", ("yolo", "coco")),
    "pose": TaskLabels("keypoints", ("yolo", "coco")),
    "obb": TaskLabels("rotated boxes", ("yolo", "dota")),
    "multi": TaskLabels("boxes, outlines and keypoints of the same objects", ("coco",)),
    "classify": TaskLabels("one class for a whole image", ("folders",)),
}


def check_format(task: str, kind: str, path: Path) -> None:
    """Raise ConfigError for an unknown task, DataError if the format `kind` of the data set cannot hold it."""
    if task not in TASK_LABELS:
        hint = did_you_mean(task, TASK_LABELS)
        raise ConfigError(f"task: {printable(task)!r} is not one of {', '.join(TASK_LABELS)}.{hint}")
    need, formats = TASK_LABELS[task]
    if kind not in formats:
        listed = ", ".join(f"{FORMATS[name]} ({name})" for name in formats)
        what = f"{FORMATS[kind]} do not hold {need}, which {task} needs"
        raise DataError(f"{printable(path)}: format: {kind}: {what}. Formats that do: {listed}")
