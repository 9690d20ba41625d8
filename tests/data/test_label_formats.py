"""The table of tasks and formats: every pair is read or refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from label_factory import GOOD_DOTA, GOOD_ROWS, KEYPOINTS, write_coco, write_folders, write_text_set
from yolov12.config.tasks import TASKS
from yolov12.data.data_config import FORMATS as CHOICES
from yolov12.data.dataset import load_index
from yolov12.data.label_formats import FORMATS, TASK_LABELS
from yolov12.errors import ConfigError, DataError

PERSON = {"segmentation": [[10, 10, 30, 10, 30, 30]], "keypoints": [12, 12, 2, 20, 20, 1]}
VOC = "<annotation><object><name>a</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"


def make_set(root: Path, kind: str, task: str) -> Path:
    """A data set of that format which is good for `task` if the format is."""
    if kind == "coco":
        return write_coco(root, [PERSON], yaml="kpt_shape: [2, 3]\n")
    if kind == "folders":
        return write_folders(root, {"val/a": 1, "val/b": 1})
    if kind == "dota":
        return write_text_set(root, {"a": GOOD_DOTA}, "format: dota\n", "labelTxt")
    if kind == "voc":
        data = write_text_set(root, {"a": b""}, "format: voc\n")
        (root / "Annotations").mkdir()
        (root / "Annotations/a.xml").write_text(VOC + "</object></annotation>")
        return data
    return write_text_set(root, {"a": GOOD_ROWS.get(task, b"")}, KEYPOINTS)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("task", TASK_LABELS)
def test_every_pair(tmp_path: Path, task: str, kind: str) -> None:
    data = make_set(tmp_path, kind, task)
    if kind in TASK_LABELS[task].formats:
        index = load_index(data, "val", task=task)
        assert index.report.rows >= 1
        assert (index.keypoints is not None) == TASKS[task].keypoints
        return
    with pytest.raises(DataError) as caught:
        load_index(data, "val", task=task, on_bad_label="skip")
    text = str(caught.value)
    assert text.startswith(f"{data}: format: {kind}: ")
    assert "\n" not in text
    assert all(f"({name})" in text for name in TASK_LABELS[task].formats)


def test_the_line(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        load_index(make_set(tmp_path, "coco", "obb"), "val", task="obb")
    assert str(caught.value) == (
        f"{tmp_path / 'data.yaml'}: format: coco: COCO JSON files do not hold rotated boxes, which obb needs. "
        "Formats that do: YOLO text files (yolo), DOTA text files (dota)"
    )


def test_unknown_task(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_index(make_set(tmp_path, "yolo", "detect"), "val", task="segmentation")
    listed = ", ".join(TASK_LABELS)
    assert str(caught.value) == f"task: 'segmentation' is not one of {listed}. Did you mean 'segment'?"


def test_the_table_is_complete() -> None:
    assert set(TASK_LABELS) == set(TASKS)
    assert {name for task in TASK_LABELS.values() for name in task.formats} == set(FORMATS) == set(CHOICES)
