"""YOLO text labels of every task, from files to the index."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from label_factory import GOOD_ROWS, KEYPOINTS, write_text_set
from yolov12.data.coco_masks import MAX_OUTLINE
from yolov12.data.dataset import load_index
from yolov12.data.index import ImageIndex
from yolov12.errors import DataError

SQUARE = b"0 0.1 0.1 0.5 0.1 0.5 0.5 0.1 0.5\n"
ARRAYS = ("offsets", "labels", "boxes", "areas", "crowd", "polygon_offsets", "ring_offsets", "polygon_points")


def same(a: ImageIndex, b: ImageIndex) -> bool:
    keypoints = [np.zeros(0) if index.keypoints is None else index.keypoints for index in (a, b)]
    return (
        all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ARRAYS)
        and np.array_equal(*keypoints)
        and dict(a.run_lengths) == dict(b.run_lengths)
        and (a.keypoint_shape, a.flip_idx, a.report) == (b.keypoint_shape, b.flip_idx, b.report)
    )


def test_segment(tmp_path: Path) -> None:
    data = write_text_set(tmp_path, {"a": b"1 0.1 0.2 0.5 0.2 0.5 0.8\n" + SQUARE, "b": b""}, "")
    index = load_index(data, "val", task="segment")
    assert index.labels.tolist() == [1, 0]
    np.testing.assert_allclose(index.boxes, [[6, 8, 30, 32], [6, 4, 30, 20]])
    np.testing.assert_allclose(index.areas, [288, 384])  # of the outline: that of a triangle is half of its box
    np.testing.assert_allclose(index.rings(0), [[[6, 8], [30, 8], [30, 32]]])
    assert len(index.rings(1)[0]) == 4
    assert len(index.run_lengths) == 0
    assert index.run_length(1)["size"] == [40, 60]
    assert index.keypoints is None
    assert (index.report.masks, index.report.polygons) == (2, 2)
    assert "masks 2" in index.report.summary()


def test_pose(tmp_path: Path) -> None:
    rows = b"1 0.5 0.5 0.4 0.4 0.4 0.45 2 0.6 0.6 0\n0 0.5 0.5 0.5 0.5 0 1 1 0.1 0.1 2\n"
    data = write_text_set(tmp_path, {"a": rows, "b": b""}, KEYPOINTS + "flip_idx: [1, 0]\n")
    index = load_index(data, "val", task="pose")
    assert (index.keypoint_shape, index.flip_idx) == ((2, 3), (1, 0))
    assert index.keypoints is not None
    assert index.keypoints.dtype == np.float32
    np.testing.assert_allclose(index.keypoints, [[[24, 18, 2], [0, 0, 0]], [[0, 40, 1], [6, 4, 2]]])
    np.testing.assert_allclose(index.boxes[0], [18, 12, 42, 28])
    assert index.report.keypoints == 3
    assert "labelled keypoints 3" in index.report.summary()
    plain = load_index(data, "val")  # the same set, for detection
    np.testing.assert_array_equal(plain.boxes, index.boxes)
    assert (plain.keypoints, plain.keypoint_shape, plain.flip_idx) == (None, None, None)
    assert plain.report.keypoints == 0


def test_keypoints_without_flags(tmp_path: Path) -> None:
    data = write_text_set(tmp_path, {"a": b"0 0.5 0.5 0.4 0.4 0.4 0.45 0 0\n"}, "kpt_shape: [2, 2]\n")
    index = load_index(data, "val", task="pose")
    assert index.keypoint_shape == (2, 2)
    np.testing.assert_allclose(index.keypoints, [[[24, 18, 2], [0, 0, 0]]])


def test_no_objects_still_have_a_number_of_keypoints(tmp_path: Path) -> None:
    index = load_index(write_text_set(tmp_path, {"a": b""}, KEYPOINTS), "val", task="pose")
    assert index.keypoints is not None
    assert index.keypoints.shape == (0, 2, 3)


def test_obb(tmp_path: Path) -> None:
    index = load_index(write_text_set(tmp_path, {"a": GOOD_ROWS["obb"]}, ""), "val", task="obb")
    np.testing.assert_allclose(index.rings(0), [[[30, 4], [54, 20], [30, 36], [6, 20]]], rtol=1e-6)
    np.testing.assert_allclose(index.boxes, [[6, 4, 54, 36]])
    np.testing.assert_allclose(index.areas, [768])  # half of the upright box
    assert index.report.warnings == []


def test_corners_written_crosswise_are_put_in_order(tmp_path: Path) -> None:
    data = write_text_set(tmp_path, {"a": b"0 0.5 0.1 0.5 0.9 0.9 0.5 0.1 0.5\n" + GOOD_ROWS["obb"]}, "")
    index = load_index(data, "val", task="obb")
    around = index.rings(0)[0].tolist()
    start = around.index([30, 4])
    turned = around[start:] + around[:start]
    np.testing.assert_allclose(turned, [[30, 4], [54, 20], [30, 36], [6, 20]], rtol=1e-6)
    np.testing.assert_allclose(index.areas, [768, 768])
    assert index.report.warnings == ["val: 1 rotated boxes list their corners crosswise; they were put in order around"
                                     " the box"]  # fmt: skip


@pytest.mark.parametrize(
    ("task", "row", "counts"),
    [
        ("segment", b"1 0.1 0.1 0.5 0.5 0.9 0.9\n", {"degenerate": 1}),  # on one line, although its extent is not
        ("detect", b"1 0.1 0.1 0.5 0.5 0.9 0.9\n", {"degenerate": 0, "rows": 2}),
        ("obb", b"1 0.1 0.1 0.5 0.5 0.9 0.9 0.3 0.3\n", {"degenerate": 1}),
        ("obb", b"1 0.1 0.1 0.1 0.1 0.1 0.1 0.1 0.1\n", {"degenerate": 1}),
        ("pose", b"0 0.5 0.5 0 0.4 0.4 0.4 2 0.6 0.6 1\n", {"degenerate": 1, "keypoints": 2}),
        ("pose", b"0 0.9 0.5 0.4 0.4 0.4 0.4 2 0.6 0.6 1\n", {"clipped": 1, "keypoints": 4}),
        ("pose", GOOD_ROWS["pose"], {"deduplicated": 1}),
        ("pose", b"0 0.5 0.5 0.4 0.4 0.4 0.4 2 0.6 0.6 2\n", {"deduplicated": 0, "rows": 2}),
        ("segment", GOOD_ROWS["segment"], {"deduplicated": 1, "rows": 1, "masks": 1}),
        ("obb", b"0 0.5 0.1 0.51 0.1 0.51 0.11 0.5 0.11\n", {"subpixel": 1, "degenerate": 0}),
    ],
)
def test_repairs_are_counted(tmp_path: Path, task: str, row: bytes, counts: dict[str, int]) -> None:
    data = write_text_set(tmp_path, {"a": GOOD_ROWS[task] + row}, KEYPOINTS)
    report = load_index(data, "val", task=task).report
    assert {name: getattr(report, name) for name in counts} == counts
    assert report.total == 0


def test_outlines_that_would_take_gigabytes_to_draw(tmp_path: Path) -> None:
    zigzag = b"1 " + b"0 0 1 0.5 " * (MAX_OUTLINE // 100) + b"1 1\n"
    data = write_text_set(tmp_path, {"a": GOOD_ROWS["segment"] + zigzag}, "")
    with pytest.raises(DataError, match=r"a\.txt:2: points: their outline is longer than 1000000 pixels"):
        load_index(data, "val", task="segment")
    assert load_index(data, "val").report.rows == 2  # nothing is drawn for detection


@pytest.mark.parametrize("task", GOOD_ROWS)
def test_the_cache_gives_the_same_index(tmp_path: Path, task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write_text_set(tmp_path / "set", {"a": GOOD_ROWS[task], "b": b""}, KEYPOINTS + "flip_idx: [1, 0]\n")
    first = load_index(data, "val", task=task, cache_dir=tmp_path / "cache")
    monkeypatch.delattr("yolov12.data.yolo_format.parse_rows")
    assert same(first, load_index(data, "val", task=task, cache_dir=tmp_path / "cache"))


def test_the_cache_keeps_tasks_apart_and_scans_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = b"0 0.1 0.1 0.5 0.1 0.5 0.5 0.1 0.5\n"
    data, cache = write_text_set(tmp_path / "set", {"a": rows}, ""), tmp_path / "cache"
    first = load_index(data, "val", task="obb", cache_dir=cache)
    monkeypatch.delattr("yolov12.data.scan.decode_with_notes")
    indexes = {task: load_index(data, "val", task=task, cache_dir=cache) for task in ("segment", "obb", "detect")}
    assert same(first, indexes["obb"])
    assert {task: index.report.masks for task, index in indexes.items()} == {"segment": 1, "obb": 0, "detect": 0}


def test_the_cache_notices_another_shape_of_keypoints(tmp_path: Path) -> None:
    data, cache = write_text_set(tmp_path / "set", {"a": SQUARE}, "kpt_shape: [2, 2]\n"), tmp_path / "cache"
    assert load_index(data, "val", cache_dir=cache).report.polygons == 0
    data.write_text(data.read_text().replace("[2, 2]", "[3, 3]"))
    assert load_index(data, "val", cache_dir=cache).report.polygons == 1


def test_single_class(tmp_path: Path) -> None:
    data = write_text_set(tmp_path, {"a": b"1" + GOOD_ROWS["pose"][1:]}, KEYPOINTS)
    index = load_index(data, "val", task="pose", single_cls=True)
    assert (index.names, index.labels.tolist()) == (("object",), [0])
