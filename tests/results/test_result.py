"""The result type: shapes, indexing, files, JSON, adapters, and the lines that guides show."""

from __future__ import annotations

import dataclasses
import json
import pickle
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from yolov12.errors import SetupError, UserError
from yolov12.results import Array, Boxes, Result

NAMES = {0: "적혈구", 1: "WBC", 2: "Platelets"}
ROWS = np.array([[10, 20, 50, 60, 0.9, 0], [0, 0, 100, 80, 0.5, 2], [5, 6, 7, 8, 0.3, 0]], np.float32)


def result(rows: npt.NDArray[np.float32] = ROWS, **changes: Any) -> Result:
    values: dict[str, Any] = {
        "path": "somewhere/cells.jpg",
        "names": NAMES,
        "orig_shape": (80, 100),
        "boxes": Boxes(rows, (80, 100)),
        "pixels": np.full((80, 100, 3), 90, np.uint8),
        "speed": {"preprocess": 1.0, "inference": 2.25, "postprocess": 0.5},
        "runtime": "torch",
        "precision": "fp32",
    }
    return Result(**{**values, **changes})


def test_views_of_the_boxes() -> None:
    boxes = result().boxes
    assert boxes.shape == (3, 6)
    np.testing.assert_allclose(boxes.xyxy[1], [0, 0, 100, 80])
    np.testing.assert_allclose(boxes.xywh[0], [30, 40, 40, 40])
    np.testing.assert_allclose(boxes.xyxyn[0], [0.1, 0.25, 0.5, 0.75])
    np.testing.assert_allclose(boxes.xywhn[1], [0.5, 0.5, 1, 1])
    assert boxes.cls.tolist() == [0, 2, 0]
    assert boxes.conf.tolist() == pytest.approx([0.9, 0.5, 0.3])
    assert boxes.id is None


def test_the_lines_of_the_guide() -> None:
    for box in result().boxes:
        class_id = int(box.cls[0])
        confidence = float(box.conf[0])
        x1, y1, _x2, _y2 = box.xyxy[0].cpu().numpy()
        assert NAMES[class_id]
        assert f"{confidence:.3f} ({x1:.1f}, {y1:.1f})"
        assert (int(box.cls), float(box.conf)) == (class_id, confidence)
        assert box.conf.item() == confidence
    results = [result()]
    assert float(results[0].boxes.conf.mean()) == pytest.approx(1.7 / 3)
    assert type(results[0].boxes.xyxy.numpy()) is np.ndarray
    assert isinstance(results[0].boxes.xyxy.cpu(), Array)
    assert len(results[0].cpu().numpy().boxes.cpu().numpy()) == len(results[0]) == 3


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        (0, [0.9]),
        (-1, [0.3]),
        (np.int64(1), [0.5]),
        (slice(1, None), [0.5, 0.3]),
        ([True, False, True], [0.9, 0.3]),
        (np.array([False, False, False]), []),
        ([2, 0], [0.3, 0.9]),
        ([], []),
        (ROWS[:, 4] > 0.4, [0.9, 0.5]),
    ],
)
def test_indexing_gives_boxes(which: Any, expected: list[float]) -> None:
    chosen = Boxes(ROWS, (80, 100), ids=np.array([7, 8, 9]))[which]
    assert chosen.conf.tolist() == pytest.approx(expected)
    assert chosen.id is not None
    assert len(chosen.id) == len(chosen) == len(expected)


@pytest.mark.parametrize("which", [3, -4, [True, False], 1.5])
def test_indices_that_do_not_fit(which: Any) -> None:
    with pytest.raises(IndexError):
        result().boxes[which]


def test_wrong_shapes_are_named() -> None:
    with pytest.raises(ValueError, match=r"\(N, 6\), got \(2, 5\)"):
        Boxes(np.zeros((2, 5), np.float32), (1, 1))
    with pytest.raises(ValueError, match="3 boxes need 3 ids"):
        Boxes(ROWS, (1, 1), ids=np.array([1]))


def test_summary() -> None:
    assert result().summary() == "somewhere/cells.jpg: 100x80, 2 적혈구, 1 Platelets, 3.8 ms"
    assert "frame 4: 100x80, nothing" in result(ROWS[:0], frame=4).summary()
    assert Result.failed("a.jpg", NAMES, "a.jpg: cut").summary() == "a.jpg: skipped (a.jpg: cut)"


def test_hostile_names_cannot_break_the_summary_line() -> None:
    found = dataclasses.replace(result(), path="a\n\x1b[2Jb.jpg", names={0: "x\ny", 2: "z"})
    assert found.summary() == "a\\n\\x1b[2Jb.jpg: 100x80, 2 x\\ny, 1 z, 3.8 ms"
    assert "\n" not in Result.failed("a\nb.jpg", NAMES, "a\nb.jpg: cut").summary()


def test_a_failed_result_is_empty_and_says_why() -> None:
    failed = Result.failed("a.jpg", NAMES, "a.jpg: the file is empty")
    assert len(failed.boxes) == len(list(failed.boxes)) == 0
    with pytest.raises(UserError, match="the file is empty"):
        failed.plot()
    assert json.loads(failed.to_json())["error"] == "a.jpg: the file is empty"


def test_large_images_are_read_again_or_refused() -> None:
    again = result(pixels=None, reload=lambda: np.zeros((80, 100, 3), np.uint8))
    assert again.plot().shape == (80, 100, 3)
    with pytest.raises(UserError, match="stream=True"):
        result(pixels=None).plot()


@pytest.mark.parametrize("name", ["out.jpg", "out.png", "결과.webp", "out.bmp", "OUT.JPG"])
def test_save(tmp_path: Path, name: str) -> None:
    written = result().save(tmp_path / name)
    image = cv2.imdecode(np.fromfile(written, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert image.shape == (80, 100, 3)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_save_without_a_name_goes_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert result().save() == "cells_detected.jpg"
    assert result(frame=7).save() == "cells_000007_detected.jpg"
    assert Path("cells_detected.jpg").is_file()


@pytest.mark.parametrize("name", ["out.txt", "out", "missing/out.jpg"])
def test_save_where_it_cannot(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="out"):
        result().save(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_save_txt(tmp_path: Path) -> None:
    path = tmp_path / "cells.txt"
    result().save_txt(path)
    assert path.read_text().splitlines()[:2] == [
        "0 0.300000 0.500000 0.400000 0.500000",
        "2 0.500000 0.500000 1.000000 1.000000",
    ]
    result().save_txt(path, save_conf=True)
    assert path.read_text().splitlines()[0].endswith(" 0.900000")


def test_to_dict_has_short_numbers_and_names() -> None:
    values = result(np.array([[0.1, 0.2, 30.3, 40.4, 0.7, 1]], np.float32)).to_dict()
    expected = {"x1": 0.1, "y1": 0.2, "x2": 30.3, "y2": 40.4}
    assert values["detections"] == [{"class": 1, "name": "WBC", "confidence": 0.7, "box": expected}]
    assert (values["width"], values["height"], values["error"]) == (100, 80, None)
    assert "적혈구" in result().to_json()


finite = st.floats(-1e6, 1e6, width=32)


@given(hnp.arrays(np.float32, st.tuples(st.integers(0, 5), st.just(5)), elements=finite), st.booleans())
def test_json_round_trip_is_exact(values: npt.NDArray[np.float32], tracked: bool) -> None:
    rows = np.concatenate((values, np.ones((len(values), 1), np.float32)), axis=1)
    ids = np.arange(len(rows)) if tracked and len(rows) else None
    first = result(boxes=Boxes(rows, (80, 100), ids), frame=3, pixels=None)
    again = Result.from_dict(json.loads(first.to_json()), NAMES)
    np.testing.assert_array_equal(again.boxes.data, first.boxes.data)
    assert again.to_dict() == first.to_dict()


def test_pickle() -> None:
    again = pickle.loads(pickle.dumps(result()))
    np.testing.assert_array_equal(again.boxes.xyxy.cpu().numpy(), ROWS[:, :4])


def test_to_pandas() -> None:
    pytest.importorskip("pandas")
    frame = result().to_pandas()
    assert list(frame.columns) == ["class", "name", "confidence", "x1", "y1", "x2", "y2"]
    assert frame["name"].tolist() == ["적혈구", "Platelets", "적혈구"]
    assert len(result(ROWS[:0]).to_pandas()) == 0


def test_to_supervision() -> None:
    pytest.importorskip("supervision")
    detections = result().to_supervision()
    np.testing.assert_array_equal(detections.xyxy, ROWS[:, :4])
    assert detections.class_id.tolist() == [0, 2, 0]
    assert detections.data["class_name"].tolist() == ["적혈구", "Platelets", "적혈구"]
    assert len(result(ROWS[:0]).to_supervision()) == 0


@pytest.mark.parametrize("package", ["pandas", "supervision"])
def test_an_absent_package_is_named_with_its_command(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(SetupError, match=rf"pip install 'yolov12\[{package}\]'"):
        getattr(result(), f"to_{package}")()


def test_showing_needs_a_window_system(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise cv2.error("no window system")

    monkeypatch.setattr(cv2, "imshow", refuse)
    with pytest.raises(SetupError, match="opencv-python"):
        result().show()
