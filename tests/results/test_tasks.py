"""A result of every task: as text, JSON, label rows, table, drawing, and in the types of another package."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from yolov12.errors import UserError
from yolov12.results import OBB, Boxes, Keypoints, Masks, Probs, Result

NAMES = {0: "적혈구", 1: "WBC", 2: "Platelets"}
SHAPE = (80, 100)
ROWS = np.array([[10, 20, 50, 60, 0.9, 0], [0, 0, 100, 80, 0.5, 2]], np.float32)


def blank(rows: Any = ROWS, **parts: Any) -> Result:
    pixels = np.full((*SHAPE, 3), 90, np.uint8)
    return Result("a/cells.jpg", NAMES, SHAPE, Boxes(rows, SHAPE), pixels, runtime="torch", precision="fp32", **parts)


def segment() -> Result:
    whole = np.zeros((2, *SHAPE), bool)
    whole[0, 20:60, 10:50] = True
    whole[0, 30:40, 20:30] = False
    return blank(masks=Masks.from_data(whole))  # the second one is empty


def pose(values: int = 3) -> Result:
    points = np.array([[[20, 30, 0.9], [40, 50, 0.1]], [[5, 5, 0.8], [95.25, 75, 0.7]]], np.float32)
    return blank(keypoints=Keypoints(points[:, :, :values], SHAPE))


def obb() -> Result:
    data = np.array([[50, 40, 40, 20, math.pi / 4, 0.9, 0], [10, 10, 30, 10, 0, 0.5, 2]], np.float32)
    rotated = OBB(data, SHAPE)
    return blank(np.concatenate((rotated.xyxy.numpy(), data[:, 5:]), axis=1), obb=rotated)


def classify() -> Result:
    return blank(ROWS[:0], probs=Probs(np.array([0.125, 0.625, 0.25], np.float32)))


TASKS: dict[str, Callable[[], Result]] = {"segment": segment, "pose": pose, "obb": obb, "classify": classify}


@pytest.mark.parametrize("task", ["segment", "pose", "obb"])
@pytest.mark.parametrize("which", [1, -1, slice(1, None), [1], np.array([False, True])])
def test_fewer_detections(task: str, which: Any) -> None:
    whole = TASKS[task]()
    one = whole[which]
    assert one.to_dict()["detections"] == whole.to_dict()["detections"][1:]
    assert one.plot().shape == (*SHAPE, 3)
    assert [part.to_json() for part in whole][1] == one.to_json()
    assert len(whole[[]]) == 0
    with pytest.raises(IndexError):
        whole[2]


def test_a_classified_picture_has_none_to_take() -> None:
    with pytest.raises(UserError, match="take from `probs` instead"):
        classify()[0]
    with pytest.raises(UserError, match="take from `probs` instead"):
        list(classify())


@pytest.mark.parametrize("task", TASKS)
def test_json_and_back(task: str) -> None:
    first = dataclasses.replace(TASKS[task](), pixels=None)
    again = Result.from_dict(json.loads(first.to_json()), NAMES)
    assert again.to_dict() == first.to_dict()
    np.testing.assert_array_equal(again.boxes.data, first.boxes.data)
    for part in ("masks", "keypoints", "obb", "probs"):
        assert (getattr(again, part) is None) == (getattr(first, part) is None)
    if first.keypoints is not None and again.keypoints is not None:
        np.testing.assert_array_equal(again.keypoints.data, first.keypoints.data)
    if first.obb is not None and again.obb is not None:
        np.testing.assert_array_equal(again.obb.data, first.obb.data)
    if first.probs is not None and again.probs is not None:
        np.testing.assert_array_equal(again.probs.data, first.probs.data)
    if again.masks is not None:
        assert again.masks.data[0, 20:60, 10:50].all()  # holes are not in an outline
        assert again.masks.data.sum() == 40 * 40


def test_values_for_json() -> None:
    first, second = segment().to_dict()["detections"]
    assert set(first) == {"class", "name", "confidence", "box", "segments"}
    assert sorted(zip(first["segments"]["x"], first["segments"]["y"], strict=True))[0] == (10, 20)
    assert second["segments"] == {"x": [], "y": []}
    assert pose().to_dict()["detections"][1]["keypoints"] == {"x": [5, 95.25], "y": [5, 75], "visible": [0.8, 0.7]}
    assert set(pose(2).to_dict()["detections"][0]["keypoints"]) == {"x", "y"}
    found = obb().to_dict()["detections"][1]
    assert found["rotated"] == {"cx": 10, "cy": 10, "w": 30, "h": 10, "angle": 0}
    assert [found["corners"][key] for key in ("x1", "y1", "x2", "y2")] == [25, 15, 25, 5]
    assert found["box"] == {"x1": 0, "y1": 5, "x2": 25, "y2": 15}
    assert classify().to_dict()["probs"][0] == {"class": 1, "name": "WBC", "confidence": 0.625}
    assert "probs" not in pose().to_dict()


def test_the_likeliest_five_come_back_as_they_were() -> None:
    names = {i: str(i) for i in range(9)}
    scores = np.array([0.02, 0.3, 0.1, 0, 0.2, 0.05, 0.25, 0.01, 0.07], np.float32)
    first = dataclasses.replace(blank(ROWS[:0], probs=Probs(scores)), names=names)
    again = Result.from_dict(first.to_dict(), names)
    assert again.to_dict() == first.to_dict()
    assert again.probs is not None
    assert len(again.probs) == 9
    assert float(again.probs.data[0]) == 0


def test_track_numbers_travel_with_every_task() -> None:
    tracked = dataclasses.replace(obb(), boxes=Boxes(obb().boxes.data, SHAPE, np.array([4, 7])))
    again = Result.from_dict(tracked.to_dict(), NAMES)
    assert again.obb is not None
    assert again.obb.id is not None
    assert again.obb.id.tolist() == [4, 7]


@pytest.mark.parametrize("task", ["segment", "pose", "obb"])
def test_nothing_found(task: str) -> None:
    parts: dict[str, Any] = {
        "segment": {"masks": Masks.from_data(np.zeros((0, *SHAPE), bool))},
        "pose": {"keypoints": Keypoints(np.zeros((0, 17, 3)), SHAPE)},
        "obb": {"obb": OBB(np.zeros((0, 7)), SHAPE)},
    }[task]
    found = blank(ROWS[:0], **parts)
    assert Result.from_dict(found.to_dict(), NAMES).to_dict() == found.to_dict()
    assert not (found.plot() != 90).any()
    assert ", nothing," in found.summary()
    if task == "segment":
        pytest.importorskip("pandas")
        assert len(found.to_pandas()) == 0


def test_parts_must_fit_the_boxes() -> None:
    with pytest.raises(ValueError, match="2 boxes need as many keypoints, got 1"):
        blank(keypoints=Keypoints(np.zeros((1, 17, 3)), SHAPE))


def test_summaries() -> None:
    assert segment().summary() == "a/cells.jpg: 100x80, 1 적혈구, 1 Platelets, 0.0 ms"
    assert obb().summary() == segment().summary() == pose().summary()
    assert classify().summary() == "a/cells.jpg: 100x80, WBC 0.62, Platelets 0.25, 적혈구 0.12, 0.0 ms"
    assert len(classify()) == 3


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("pose", "0 0.300000 0.500000 0.400000 0.500000 0.200000 0.375000 0.900000 0.400000 0.625000 0.100000"),
        ("obb", "0 0.570711 0.765165 0.712132 0.588388 0.429289 0.234835 0.287868 0.411612"),
        ("classify", "0.62 WBC"),
    ],
)
def test_label_rows(task: str, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "cells.txt"
    TASKS[task]().save_txt(path)
    lines = path.read_text(encoding="utf8").splitlines()
    assert lines[0] == expected
    assert len(lines) == (3 if task == "classify" else 2)
    TASKS[task]().save_txt(path, save_conf=True)
    added = "" if task == "classify" else " 0.900000"
    assert path.read_text(encoding="utf8").splitlines()[0] == expected + added


def test_label_rows_of_masks_are_outlines(tmp_path: Path) -> None:
    segment().save_txt(tmp_path / "cells.txt", save_conf=True)
    (row,) = (tmp_path / "cells.txt").read_text().splitlines()  # none for an empty mask
    label, *values = row.split()
    points = np.array(values[:-1], float).reshape(-1, 2) * [100, 80]
    assert (label, values[-1]) == ("0", "0.900000")
    assert sorted(map(tuple, points.round(3).tolist())) == [(10, 20), (10, 59), (49, 20), (49, 59)]


def test_keypoints_without_visibility_have_shorter_rows(tmp_path: Path) -> None:
    pose(2).save_txt(tmp_path / "cells.txt")
    assert [len(row.split()) for row in (tmp_path / "cells.txt").read_text().splitlines()] == [9, 9]


def test_hostile_names_cannot_add_label_rows(tmp_path: Path) -> None:
    found = dataclasses.replace(classify(), names={1: "x\ny"})
    found.save_txt(tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_text().splitlines() == ["0.62 x\\ny", "0.25 2", "0.12 0"]


@pytest.mark.parametrize("task", TASKS)
def test_a_table(task: str) -> None:
    pytest.importorskip("pandas")
    frame = TASKS[task]().to_pandas()
    extra = {"segment": ["segments"], "pose": ["keypoints"], "obb": ["cx", "cy", "w", "h", "angle"], "classify": []}
    box = [] if task == "classify" else ["x1", "y1", "x2", "y2"]
    assert list(frame.columns) == ["class", "name", "confidence", *box, *extra[task]]
    assert frame["name"].tolist()[0] == ("WBC" if task == "classify" else "적혈구")


def test_supervision() -> None:
    pytest.importorskip("supervision")
    detections = segment().to_supervision()
    np.testing.assert_array_equal(detections.mask, segment().masks.data)
    keypoints = pose().to_supervision()
    assert type(keypoints).__name__ == "KeyPoints"
    np.testing.assert_array_equal(keypoints.xy, pose().keypoints.xy)
    assert keypoints.data["class_name"].tolist() == ["적혈구", "Platelets"]
    assert keypoints.data["confidence"].tolist() == pytest.approx([0.9, 0.5])
    assert len(pose(2).to_supervision()) == 2
    np.testing.assert_array_equal(obb().to_supervision().data["xyxyxyxy"], obb().obb.xyxyxyxy)
    top, scores = classify().to_supervision().get_top_k(2)
    assert top.tolist() == [1, 2]
    assert scores.tolist() == [0.625, 0.25]


@pytest.mark.parametrize("task", TASKS)
def test_a_drawing(task: str) -> None:
    found = TASKS[task]()
    drawn = found.plot()
    assert drawn.shape == (*SHAPE, 3)
    assert (drawn != 90).any()
    assert not (found.orig_img != 90).any()
    assert (found.plot(labels=False) != drawn).any()
    assert (found.plot(conf=False) != drawn).any()
    bare = found.plot(labels=False, boxes=False, masks=False)
    assert (bare != 90).any() == (task == "pose")
