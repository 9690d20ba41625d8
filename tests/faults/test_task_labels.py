"""Bad labels of every kind for every task: the exact finding in strict mode, counted when skipped, never a crash."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from label_factory import GOOD_DOTA, GOOD_ROWS, KEYPOINTS, write_coco, write_image, write_text_set
from yolov12.data.dataset import load_index, read_data_config
from yolov12.errors import DataError

Hostile = Callable[[str], Path]

SEGMENT = "class and 3 or more points of an outline"
OBB = "class and 4 corners of a rotated box"
POSE = "class, 4 values of a box and 6 of keypoints (kpt_shape [2, 3])"
CONFIDENCE = "(a prediction file with confidence?)"
COMMAS = "(commas? values are separated by spaces)"
BOX = b"0 0.5 0.5 0.4 0.4"
HAS_KEYPOINTS = "(a box and keypoints, as kpt_shape says? those are for a pose model)"
NOT_A_FLAG = "is not a flag: 0 not labelled, 1 hidden, 2 visible"
# Task, label file, finding after the file's name
ROWS: list[tuple[str, bytes, str]] = [
    ("segment", BOX, f"1: columns: 5; expected {SEGMENT} (this is a box only)"),
    ("segment", b"0 0.1 0.1 0.9 0.9", f"1: columns: 5; expected {SEGMENT} (this is a box only)"),
    ("segment", b"0 0.1 0.1 0.9 0.1 0.9 0.9 0.8", f"1: columns: 8; expected {SEGMENT} {CONFIDENCE}"),
    ("segment", b"0 0.1 0.1 0.9", f"1: columns: 4; expected {SEGMENT}"),
    ("segment", b"0", f"1: columns: 1; expected {SEGMENT}"),
    ("segment", b"0,0.1,0.1", f"1: columns: 1; expected {SEGMENT} {COMMAS}"),
    ("segment", b"\n0 0.1 0.1 0.9 nan 0.9 0.9", "2: y2: not finite ('nan')"),
    ("segment", b"0 0.1 0.1 0.9 0.1 1.5 0.9", "1: x3: outside of 0..1 ('1.5')"),
    ("segment", b"0 0.1 0.1 0.9 0.1 -0.5 0.9", "1: x3: outside of 0..1 ('-0.5')"),
    ("segment", b"0 10 10 50 10 50 30", "1: x1: outside of 0..1 ('10') (pixel coordinates?)"),
    ("segment", b"0 0.1 x 0.9 0.1 0.9 0.9", "1: y1: not a number ('x')"),
    ("segment", b"9 0.1 0.1 0.9 0.1 0.9 0.9", "1: class: '9' is not a class number; classes: 0 a, 1 b"),
    ("segment", b"# outlines", "1: columns: comments are not part of the format"),
    ("segment", b"0 \0 0.1", "1: columns: NUL bytes (a file that was only half copied?)"),
    ("segment", "0 0 0 1 0 1 1".encode("utf-16"), "1: encoding: UTF-16 text; save it as UTF-8 or ASCII"),
    ("segment", BOX + b" 0.4 0.4 2 0.6 0.6 1", f"1: columns: 11; expected {SEGMENT} {HAS_KEYPOINTS}"),
    ("obb", BOX, f"1: columns: 5; expected {OBB} (this is a box only)"),
    ("obb", b"0 0.5 0.5 0.4 0.4 0.7", f"1: columns: 6; expected {OBB} (centre, size and angle? write the corners)"),
    ("obb", b"0 0.1 0.1 0.9 0.1 0.9 0.9", f"1: columns: 7; expected {OBB}"),
    ("obb", b"0 0 0 1 0 1 1 0 1 0.9", f"1: columns: 10; expected {OBB} {CONFIDENCE}"),
    ("obb", b"0 0 9 0 9 9 0 9 ship 0", f"1: columns: 10; expected {OBB} (DOTA text? say so in the data YAML: "
                                       "format: dota)"),
    ("obb", b"0 0 0 1 0 1 1 0 1 1 0", f"1: columns: 11; expected {OBB} {HAS_KEYPOINTS}"),
    ("obb", b"0 0 0 1 0 1 1.01 0 1", "1: y3: outside of 0..1 ('1.01')"),
    ("obb", b"0 0 0 1 0 1 1 inf 1", "1: x4: not finite ('inf')"),
    ("obb", b"-1 0 0 1 0 1 1 0 1", "1: class: '-1' is not a class number; classes: 0 a, 1 b"),
    ("pose", BOX, f"1: columns: 5; expected {POSE} (this is a box only)"),
    ("pose", BOX + b" 0.4 0.4 0.6 0.6", f"1: columns: 9; expected {POSE}"),
    ("pose", BOX + b" 0.4 0.4 2 0.6 0.6 1 0.9", f"1: columns: 12; expected {POSE} {CONFIDENCE}"),
    ("pose", BOX + b" 0.4 0.4 2 0.6 0.6 3", f"1: v2: '3' {NOT_A_FLAG}"),
    ("pose", BOX + b" 0.4 0.4 0.5 0.6 0.6 1", f"1: v1: '0.5' {NOT_A_FLAG} (a prediction file with probabilities?)"),
    ("pose", BOX + b" 0.4 0.4 -1 0.6 0.6 1", f"1: v1: '-1' {NOT_A_FLAG}"),
    ("pose", BOX + b" 0.4 0.4 x 0.6 0.6 1", f"1: v1: 'x' {NOT_A_FLAG}"),
    ("pose", BOX + b" 0.4 0.4 nan 0.6 0.6 1", f"1: v1: 'nan' {NOT_A_FLAG}"),
    ("pose", BOX + b" 0.4 1.4 2 0.6 0.6 1", "1: y1: outside of 0..1 ('1.4')"),
    ("pose", BOX + b" 0.4 0.4 2 -0.6 0.6 1", "1: x2: outside of 0..1 ('-0.6')"),
    ("pose", BOX + b" 32 32 2 0.6 0.6 1", "1: x1: outside of 0..1 ('32') (pixel coordinates?)"),
    ("pose", BOX + b" nan nan 0 0.6 0.6 1", "1: x1: not finite ('nan')"),
    ("pose", BOX + b" 0.4 0,4 2 0.6 0.6 1", "1: y1: not a number ('0,4') (decimal comma?)"),
    ("pose", b"0 0.5 1.5 0.4 0.4 0.4 0.4 2 0.6 0.6 1", "1: y_center: outside of 0..1 ('1.5')"),
    ("pose", b"b 0.5 0.5 0.4 0.4 0.4 0.4 2 0.6 0.6 1", "1: class: 'b' is not a class number; classes: 0 a, 1 b"),
    ("detect", BOX + b" 0.4 0.4 2 0.6 0.6 3", f"1: v2: '3' {NOT_A_FLAG}"),
    ("detect", BOX + b" 0.4", f"1: columns: 6; expected class and 4 values, or class and 3 or more points, or {POSE} "
                              f"{CONFIDENCE}"),
]  # fmt: skip
NUMBERS = "x1 y1 x2 y2 x3 y3 x4 y4 category difficult"
DOTA_ROWS: list[tuple[bytes, str]] = [
    (b"1 1 9 1 9 9 1 9", f"1: columns: 8; expected {NUMBERS}"),
    (b"imagesource:x\n1,1,9,1,9,9,1,9,a,0", f"2: columns: 1; expected {NUMBERS} {COMMAS}"),
    (b"1 1 9 1 9 9 1 9 large a 0", f"1: columns: 11; expected {NUMBERS}"),
    (b"1 1 9 1 9 9 1 9 aa 0", "1: category: 'aa' is not a class. Did you mean 'a'? Classes: a, b"),
    (b"1 1 9 1 9 9 1 9 \xff\xfe 0", "1: category: '\\xff\\xfe' is not a class. Classes: a, b"),
    (b"0 0.1 0.1 0.9 0.1 0.9 0.9 0.1 0.9", "1: category: '0.9' is not a class. Classes: a, b (YOLO text starts with "
                                           "the class: format: yolo)"),
    (b"1 1 9 1 9 9 1 9 a x", "1: difficult: 'x' is not 0 or 1"),
    (b"1 1 9 1 9 9 1 9 a -1", "1: difficult: '-1' is not 0 or 1"),
    (b"1 1 9 1 9 nan 1 9 a 0", "1: y3: not finite ('nan')"),
    (b"1 1 9 1 9 1_0 1 9 a 0", "1: y3: not a number ('1_0')"),
    (b"1 1 9 1 9 9 1 1e9 a 0", "1: y4: far outside of any image ('1e9')"),
    (b"\n70 1 99 1 99 9 70 9 a 0", "2: corners: outside of the image: 70,1,99,9 in 60x40"),
    ("1 1 9 1 9 9 1 9 a 0".encode("utf-16"), "1: encoding: UTF-16 text; save it as UTF-8 or ASCII"),
    (b"1 1 \0\0", "1: columns: NUL bytes (a file that was only half copied?)"),
]  # fmt: skip
PERSON = [{"id": 1, "name": "person", "keypoints": ["nose", "tail"]}]
NO_PAIRS = "segmentation: a polygon is not a list of pairs of finite numbers"
NEEDED = "pose needs x, y and flag of 2 keypoints"
GOOD_COCO = {"segmentation": [[10, 10, 30, 10, 30, 30]], "keypoints": [12, 12, 2, 20, 20, 1]}
COCO: list[tuple[str, dict[str, Any], str]] = [
    ("segment", {}, "segmentation: missing; segment needs an outline or a mask"),
    ("segment", {"segmentation": []}, "segmentation: missing; segment needs an outline or a mask"),
    ("segment", {"segmentation": [], "iscrowd": 1}, "segmentation: missing; segment needs an outline or a mask"),
    ("segment", {"segmentation": [[1, 1, 5, 5]]}, "segmentation: no polygon has three points"),
    ("segment", {"segmentation": [[1, 1, 5, 5, 9]]}, NO_PAIRS),
    ("segment", {"segmentation": [[1, 1, 5, 5, 9, float("nan")]]},
     NO_PAIRS),
    ("segment", {"segmentation": [5]}, NO_PAIRS),
    ("segment", {"segmentation": "x"}, "segmentation: 'x' is neither polygons nor a mask"),
    ("segment", {"segmentation": {"size": [60, 40], "counts": [2400]}},
     "segmentation: size: [60, 40] is not that of the image, [40, 60]"),
    ("segment", {"segmentation": {"size": [40, 60]}}, "segmentation: counts: not a list of run lengths"),
    ("segment", {"segmentation": {"size": [40, 60], "counts": [-1, 2401]}},
     "segmentation: counts: not a list of run lengths"),
    ("segment", {"segmentation": {"size": [40, 60], "counts": [1, 2]}},
     "segmentation: counts: the runs cover 3 pixels of 2400"),
    ("segment", {"segmentation": {"size": [40, 60], "counts": "PPP"}},
     "segmentation: counts: not a list of run lengths"),
    ("segment", {**GOOD_COCO, "bbox": [1, 2, 3]}, "bbox: 3 numbers; expected x, y, width, height"),
    ("pose", {}, f"keypoints: missing; {NEEDED}"),
    ("pose", {"keypoints": "x"}, f"keypoints: 'x' is not a list; {NEEDED}"),
    ("pose", {"keypoints": [1, 1, 2]}, "keypoints: 3 numbers; expected x, y and flag of 2 keypoints"),
    ("pose", {"keypoints": [1, 1, 2, 5, 5, 3]}, "keypoints: v2: 3 is not a flag: 0 not labelled, 1 hidden, 2 visible"),
    ("pose", {"keypoints": [1, 1, 2, 5, 5, True]}, "keypoints: v2: True is not a number"),
    ("pose", {"keypoints": [1, 1, 2, "5", 5, 2]}, "keypoints: x2: '5' is not a number"),
    ("pose", {"keypoints": [1, 1, 2, 5, float("nan"), 0]}, "keypoints: y2: not finite"),
    ("pose", {"keypoints": [1, 1, 2, 5, float("inf"), 2]}, "keypoints: y2: not finite"),
    ("pose", {"keypoints": [1, 1, 2, 5, 41, 1]}, "keypoints: y2: 41 is outside of the image, 60x40"),
    ("pose", {"keypoints": [-1, 1, 2, 5, 4, 1]}, "keypoints: x1: -1 is outside of the image, 60x40"),
    ("pose", {"keypoints": [1, 1, [], 5, 4, 1]}, "keypoints: v1: [] is not a number"),
    ("pose", {"keypoints": [1, 1, 2], "iscrowd": 1}, "keypoints: 3 numbers; expected x, y and flag of 2 keypoints"),
]  # fmt: skip


def check(data: Path, task: str, finding: str, *, good: int) -> None:
    """The error has that one finding; with the flag it is counted, and the `good` objects are left."""
    with pytest.raises(DataError) as caught:
        load_index(data, "val", task=task)
    assert caught.value.exit_code == 2
    way_out = "Correct them, or leave them out with --on-bad-label skip"
    assert str(caught.value).splitlines() == [
        f"{data}: val: 1 label row or image cannot be used:", f"  {finding}", way_out,
    ]  # fmt: skip
    index = load_index(data, "val", task=task, on_bad_label="skip")
    assert (index.report.rows_skipped, index.report.rows, len(index.labels)) == (1, good, good)
    assert index.report.findings == [finding]


@pytest.mark.parametrize(("task", "text", "finding"), ROWS)
def test_rows(tmp_path: Path, task: str, text: bytes, finding: str) -> None:
    data = write_text_set(tmp_path, {"bad": text, "good": GOOD_ROWS[task]}, KEYPOINTS)
    check(data, task, f"{tmp_path / 'labels/bad.txt'}:{finding}", good=1)


@pytest.mark.parametrize("task", ["obb", "detect"])
@pytest.mark.parametrize(("text", "finding"), DOTA_ROWS)
def test_dota_rows(tmp_path: Path, task: str, text: bytes, finding: str) -> None:
    data = write_text_set(tmp_path, {"bad": text, "good": GOOD_DOTA}, "format: dota\n", "labelTxt")
    check(data, task, f"{tmp_path / 'labelTxt/bad.txt'}:{finding}", good=1)


@pytest.mark.parametrize(("task", "annotation", "finding"), COCO)
def test_coco(tmp_path: Path, task: str, annotation: dict[str, Any], finding: str) -> None:
    data = write_coco(tmp_path, [annotation, GOOD_COCO], PERSON)
    check(data, task, f"{tmp_path / 'x.json'}: annotation id 1: {finding}", good=1)


@pytest.mark.parametrize("task", ["segment", "pose", "obb"])
def test_only_bad_rows_stop_in_every_mode(tmp_path: Path, task: str) -> None:
    data = write_text_set(tmp_path, {"a": BOX}, KEYPOINTS)
    with pytest.raises(DataError, match=r"val: no usable label row is left:\n.*columns: 5"):
        load_index(data, "val", task=task, on_bad_label="skip")


def test_pose_without_a_shape(tmp_path: Path) -> None:
    data = write_text_set(tmp_path, {"a": GOOD_ROWS["pose"]}, "")
    with pytest.raises(DataError) as caught:
        load_index(data, "val", task="pose")
    assert str(caught.value) == (
        f"{data}: kpt_shape: missing; pose needs the number of keypoints and of numbers for each, for example "
        "kpt_shape: [17, 3]"
    )


# --- the hostile kit, read as another task than the one it was made for ---


def harmless(data: Path, task: str, shape: tuple[int, int]) -> None:
    """An index or a DataError, nothing else."""
    with contextlib.suppress(DataError):
        config = dataclasses.replace(read_data_config(data), kpt_shape=shape)
        load_index(config, "val", task=task, on_bad_label="skip")


@pytest.mark.parametrize("task", ["segment", "pose", "obb"])
def test_hostile_rows_never_crash_a_task(hostile: Hostile, task: str) -> None:
    sets = sorted(hostile("gen_labels.py").glob("*/data.yaml"))
    assert len(sets) > 40
    for data in sets:
        harmless(data, task, (1, 2))


@pytest.mark.parametrize("task", ["segment", "pose"])
def test_hostile_coco_files_never_crash_a_task(hostile: Hostile, tmp_path: Path, task: str) -> None:
    folder = tmp_path / "kit"
    shutil.copytree(hostile("gen_coco.py"), folder)
    samples = json.loads((folder / "MANIFEST_coco.json").read_text())
    assert len(samples) >= 30
    for sample in samples:
        for name in ("a.png", "b.png", "c.png"):
            write_image(folder / sample["file"] / name, 0, 64, 64)
        data = folder / sample["file"] / f"{task}.yaml"
        data.write_text("val: instances_x.json\nformat: coco\n")
        harmless(data, task, (1, 3))
