"""COCO JSON for segment and pose: parts, run lengths, crowds, keypoints and their names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as reference

from label_factory import write_coco
from yolov12.data.coco_masks import MAX_OUTLINE
from yolov12.data.dataset import load_index
from yolov12.errors import DataError

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
SIZE = (40, 60)
TRIANGLE = [10.15, 10.3, 30.5, 10.7, 30.25, 30.9]
SQUARE = [40, 10, 50, 10, 50, 20, 40, 20]
RUNS = [125, 10, 30, 10, 30, 10, 30, 10, 2145]
"""Four columns of ten pixels."""
PERSON = [{"id": 1, "name": "person", "keypoints": ["nose", "left_eye", "right_eye"]}]


def mask_of(annotation: dict[str, Any]) -> bytes:
    """The mask that COCO's own tools make of a segmentation."""
    segmentation = annotation["segmentation"]
    if isinstance(segmentation, list):
        return reference.merge(reference.frPyObjects(segmentation, *SIZE))["counts"]
    if isinstance(segmentation["counts"], list):
        return reference.frPyObjects(segmentation, *SIZE)["counts"]
    return segmentation["counts"].encode()


def runs(counts: object) -> dict[str, Any]:
    return {"size": list(SIZE), "counts": counts}


PACKED = reference.frPyObjects(runs(RUNS), *SIZE)["counts"].decode()
SEGMENTS: dict[str, dict[str, Any]] = {
    "one part": {"segmentation": [TRIANGLE], "area": 5},
    "two parts": {"segmentation": [SQUARE, TRIANGLE]},
    "part without points": {"segmentation": [[1, 2, 3, 4], TRIANGLE]},
    "leaves the image": {"segmentation": [[-20.5, 20, 30, -15.25, 75, 20.5]]},
    "part outside": {"segmentation": [[-20, -20, -10, -20, -10, -10], SQUARE]},
    "many decimals": {"segmentation": [[10.123456, 10.654321, 30.5000001, 11, 30.09999999, 30]]},
    "runs": {"segmentation": runs(RUNS)},
    "packed": {"segmentation": runs(PACKED)},
    "crowd": {"segmentation": runs(RUNS), "iscrowd": 1},
    "crowd of polygons": {"segmentation": [SQUARE], "iscrowd": 1},
}


@pytest.mark.parametrize("name", SEGMENTS)
def test_masks_are_those_of_coco(tmp_path: Path, name: str) -> None:
    annotation = SEGMENTS[name]
    index = load_index(write_coco(tmp_path, [{"segmentation": [SQUARE]}, annotation]), "val", task="segment")
    drawn = [part for part in annotation["segmentation"] if len(part) >= 6] if "runs" not in name else None
    given = {"segmentation": drawn} if isinstance(annotation["segmentation"], list) else annotation
    assert index.run_length(1) == runs(mask_of(given))
    assert index.report.masks == 2
    assert index.report.crowd == annotation.get("iscrowd", 0)
    for ring in index.rings(1):
        assert ring.dtype == np.float32
        assert (ring >= 0).all()
        assert (ring <= SIZE[::-1]).all()


def test_rings_and_run_lengths(tmp_path: Path) -> None:
    data = write_coco(tmp_path, [{"id": i, **annotation} for i, annotation in enumerate(SEGMENTS.values(), 1)])
    index = load_index(data, "val", task="segment")
    numbers = {name: (len(index.rings(i)), i in index.run_lengths) for i, name in enumerate(SEGMENTS)}
    assert numbers == {
        "one part": (1, False),
        "two parts": (2, False),
        "part without points": (1, False),
        "leaves the image": (1, True),
        "part outside": (1, True),
        "many decimals": (1, True),
        "runs": (1, True),
        "packed": (1, True),
        "crowd": (0, True),
        "crowd of polygons": (1, False),
    }
    np.testing.assert_array_equal(index.rings(0)[0], np.array(TRIANGLE, np.float32).reshape(-1, 2))
    assert sorted(index.rings(6)[0].tolist()) == [[3, 5], [3, 15], [7, 5], [7, 15]]
    assert index.areas[0] == 5  # as given
    assert index.areas[1] == pytest.approx(100 + 206, abs=1)  # of the parts, not of the box
    assert index.areas[6] == 40
    assert (index.report.masks, index.report.polygons) == (10, 9)


def test_detection_keeps_what_it_kept(tmp_path: Path) -> None:
    data = write_coco(tmp_path, [SEGMENTS["two parts"], SEGMENTS["runs"]])
    index = load_index(data, "val")
    assert [[len(ring) for ring in index.rings(row)] for row in range(2)] == [[3], []]
    assert len(index.run_lengths) == 0
    assert index.areas.tolist() == [400, 400]
    assert (index.report.masks, index.report.polygons) == (0, 1)


@pytest.mark.parametrize(
    "segmentation",
    [[[10, 10, 20, 20, 30, 30]], [[-9, -9, -5, -9, -5, -5]], runs([2400]), [[0, 0, 1e-5, 0, 0, 1e-5]]],
)
def test_masks_without_a_pixel_are_dropped_and_counted(tmp_path: Path, segmentation: object) -> None:
    data = write_coco(tmp_path, [{"segmentation": segmentation}, SEGMENTS["one part"]])
    report = load_index(data, "val", task="segment").report
    assert (report.rows, report.degenerate, report.masks) == (1, 1, 1)


def test_a_box_outside_takes_its_mask_along(tmp_path: Path) -> None:
    data = write_coco(tmp_path, [{**SEGMENTS["runs"], "bbox": [70, 1, 5, 5]}, SEGMENTS["crowd"]])
    index = load_index(data, "val", task="segment", on_bad_label="skip")
    assert list(index.run_lengths) == [0]
    assert (index.report.masks, index.report.rows_skipped) == (1, 1)


def test_the_cache_gives_the_same_masks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write_coco(tmp_path / "set", [{"id": i, **annotation} for i, annotation in enumerate(SEGMENTS.values(), 1)])
    first = load_index(data, "val", task="segment", cache_dir=tmp_path / "cache")
    monkeypatch.delattr("yolov12.data.coco_format.read_shape")
    again = load_index(data, "val", task="segment", cache_dir=tmp_path / "cache")
    assert dict(again.run_lengths) == dict(first.run_lengths)
    np.testing.assert_array_equal(again.polygon_points, first.polygon_points)
    assert again.report == first.report


def test_an_outline_that_would_take_gigabytes_to_draw(tmp_path: Path) -> None:
    zigzag = [0, 0, 60, 20] * (MAX_OUTLINE // 100) + [0, 40]
    for segmentation in ([zigzag], [[0, 0, 1e12, 0, 1e12, 1e12]]):
        data = write_coco(tmp_path, [{"segmentation": segmentation}])
        with pytest.raises(DataError, match="id 1: segmentation: the outlines are longer than 1000000 pixels"):
            load_index(data, "val", task="segment")


# --- pose ---


def test_pose(tmp_path: Path) -> None:
    annotations = [
        {"keypoints": [12, 13, 2, 20.5, 21, 1, 99, 99, 0], "num_keypoints": 2, "area": 123.5},
        {"keypoints": [0] * 9, "num_keypoints": 0},
        {"keypoints": [0] * 9, "num_keypoints": 0, "iscrowd": 1},
        {"iscrowd": 1},
        {"keypoints": [0, 0, 2, 60, 40, 1.0, 5, 5, 2]},
    ]
    index = load_index(write_coco(tmp_path, annotations, PERSON), "val", task="pose")
    assert (index.keypoint_shape, index.flip_idx) == ((3, 3), (0, 2, 1))
    assert index.keypoints is not None
    assert index.keypoints[0].tolist() == [[12, 13, 2], [20.5, 21, 1], [0, 0, 0]]
    assert not index.keypoints[1:4].any()
    assert index.keypoints[4].tolist() == [[0, 0, 2], [60, 40, 1], [5, 5, 2]]
    assert index.areas.tolist() == [123.5, 400, 400, 400, 400]
    assert index.area_of_box is not None
    assert index.area_of_box.tolist() == [False, True, True, True, True]
    assert index.crowd.tolist() == [False, False, True, True, False]
    assert (index.report.keypoints, index.report.crowd, index.report.warnings) == (5, 2, [])


def test_another_num_keypoints_is_said(tmp_path: Path) -> None:
    data = write_coco(tmp_path, [{"keypoints": [1, 1, 2] * 3, "num_keypoints": 17}] * 2, PERSON)
    warning = "val: 2 annotations have another num_keypoints than labelled keypoints, which are counted"
    assert load_index(data, "val", task="pose").report.warnings == [warning]


@pytest.mark.parametrize(
    ("names", "yaml", "shape", "flip"),
    [
        (["nose", "left_eye", "right_eye"], "flip_idx: [0, 1, 2]\n", (3, 3), (0, 1, 2)),
        (["nose", "left_eye", "right_eye"], "kpt_shape: [3, 2]\n", (3, 2), (0, 2, 1)),
        (["a", "b", "c"], "", (3, 3), None),
        (["a", "b", "c"], "kpt_shape: [3, 3]\nkpt_names: [left, right, mid]\n", (3, 3), (1, 0, 2)),
        (None, "kpt_shape: [3, 3]\n", (3, 3), None),
    ],
)
def test_who_says_how_keypoints_pair(
    tmp_path: Path, names: list[str] | None, yaml: str, shape: tuple[int, int], flip: tuple[int, ...] | None
) -> None:
    categories = [{"id": 1, "name": "person"} | ({"keypoints": names} if names else {})]
    data = write_coco(tmp_path, [{"keypoints": [1, 1, 2] * 3}], categories, yaml)
    index = load_index(data, "val", task="pose")
    assert (index.keypoint_shape, index.flip_idx) == (shape, flip)


@pytest.mark.parametrize(
    ("categories", "yaml", "reason"),
    [
        (
            [{"id": 1, "name": "person"}],
            "",
            "x.json: categories: keypoints: missing; pose needs their names, or kpt_shape in the data YAML, for "
            "example kpt_shape: [17, 3]",
        ),
        (PERSON, "kpt_shape: [4, 3]\n", "categories: keypoints: 3 names, but kpt_shape of "),
        (PERSON, "flip_idx: [1, 0]\n", "data.yaml: flip_idx: 2 numbers, but "),
        ([{"id": 1, "name": "person", "keypoints": "nose"}], "", "category id 1: keypoints: not a list of names"),
        ([{"id": 1, "name": "person", "keypoints": [1]}], "", "category id 1: keypoints: not a list of names"),
        (
            [*PERSON, {"id": 2, "name": "dog", "keypoints": ["tail"]}],
            "",
            "all categories need the same number, here are 3 (category id 1), 1 (category id 2)",
        ),
    ],
)
def test_layouts_that_cannot_be_used(tmp_path: Path, categories: list[Any], yaml: str, reason: str) -> None:
    data = write_coco(tmp_path, [{"keypoints": [1, 1, 2] * 3}], categories, yaml)
    with pytest.raises(DataError) as caught:
        load_index(data, "val", task="pose", on_bad_label="skip")
    assert reason in str(caught.value)
    assert load_index(data, "val").report.rows == 1  # detection does not look at them


def test_files_of_a_split_must_agree(tmp_path: Path) -> None:
    data = write_coco(tmp_path, [{"keypoints": [1, 1, 2] * 3}], PERSON, "names: [person]\n")
    document = json.loads((tmp_path / "x.json").read_text())
    document["categories"][0]["keypoints"].append("tail")
    (tmp_path / "y.json").write_text(json.dumps(document))
    data.write_text("val: [x.json, y.json]\n")
    with pytest.raises(DataError, match=r"y\.json: categories: keypoints: 4 keypoints, but the files before have 3"):
        load_index(data, "val", task="pose")
