"""COCO JSON: mapped by id order, areas kept, crowds marked; references, boxes, masks and paths checked."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from yolov12.data.coco_file import leaves_folder
from yolov12.data.coco_objects import largest_polygon
from yolov12.data.dataset import load_index
from yolov12.errors import DataError

Document = dict[str, Any]
BASE: Document = {
    "images": [
        {"id": 1, "file_name": "a.png", "width": 64, "height": 48},
        {"id": 2, "file_name": "b.png", "width": 64, "height": 48},
    ],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 20, 20], "area": 333, "iscrowd": 0},
        {"id": 2, "image_id": 2, "category_id": 3, "bbox": [1, 2, 3, 4]},
    ],
    "categories": [{"id": 3, "name": "car"}, {"id": 1, "name": "person"}],
}
Edit = Callable[[Document], object]


@pytest.fixture
def coco(tmp_path: Path) -> Callable[..., Path]:
    """`coco(edit)` writes the base document after `edit`, its images and a YAML."""

    def write(edit: Edit | str = lambda d: None, yaml: str = "val: x.json\n") -> Path:
        document = copy.deepcopy(BASE)
        if not isinstance(edit, str):
            edit(document)
        (tmp_path / "x.json").write_text(edit if isinstance(edit, str) else json.dumps(document))
        for i, name in enumerate(("a.png", "b.png")):
            pixels = np.random.default_rng(i).integers(0, 255, (48, 64, 3), np.uint8)
            assert cv2.imwrite(str(tmp_path / name), pixels)
        (tmp_path / "data.yaml").write_text(yaml)
        return tmp_path / "data.yaml"

    return write


def first(d: Document) -> dict[str, Any]:
    return d["annotations"][0]


def test_reference(coco: Callable[..., Path]) -> None:
    index = load_index(coco(), "val")
    assert index.names == ("person", "car")
    assert index.labels.tolist() == [0, 1]
    assert index.boxes.tolist() == [[10, 10, 30, 30], [1, 2, 4, 6]]
    assert index.areas.tolist() == [333, 12]
    assert index.image_ids.tolist() == [1, 2]


ACCEPTED: dict[str, tuple[Edit, dict[str, Any]]] = {
    "category 0": (
        lambda d: (d["categories"].append({"id": 0, "name": "bg"}), first(d).update(category_id=0)),
        {"labels": [0, 2]},
    ),
    "text ids": (lambda d: (d["images"][0].update(id="x"), first(d).update(image_id="x")), {"image_ids": [1, 2]}),
    "no width": (lambda d: d["images"][0].pop("width"), {"sizes": [[48, 64]] * 2}),
    "outside": (
        lambda d: first(d).update(bbox=[60, 40, 40, 40]),
        {"boxes": [[60, 40, 64, 48], [1, 2, 4, 6]], "clipped": 1},
    ),
    "no area": (lambda d: first(d).update(bbox=[5, 5, 0, 3]), {"boxes": [[1, 2, 4, 6]], "degenerate": 1}),
    "crowd": (
        lambda d: first(d).update(iscrowd=1, segmentation={"size": [48, 64], "counts": [0, 3072]}),
        {"crowd": [True, False]},
    ),
    "repeated": (lambda d: d["annotations"].append(dict(first(d))), {"rows": 2, "deduplicated": 1}),
    "same box": (lambda d: d["annotations"].append({**first(d), "id": 9}), {"rows": 3, "deduplicated": 0}),
    "no objects": (lambda d: d["annotations"].clear(), {"rows": 0, "background": 2}),
    "big ids": (lambda d: (d["images"][0].update(id=10**30), first(d).update(image_id=10**30)), {"image_ids": [1, 2]}),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(coco: Callable[..., Path], name: str) -> None:
    edit, expected = ACCEPTED[name]
    index = load_index(coco(edit), "val")
    arrays = {key: getattr(index, key).tolist() for key in expected if hasattr(index, key)}
    counts = {key: getattr(index.report, key) for key in expected if not hasattr(index, key)}
    assert arrays | counts == expected


def test_file_size_wins_over_the_json(coco: Callable[..., Path]) -> None:
    index = load_index(coco(lambda d: d["images"][0].update(width=6400)), "val")
    assert index.sizes.tolist() == [[48, 64]] * 2
    assert "says 6400x48, the file has 64x48" in index.report.warnings[0]


SKIPPABLE: dict[str, tuple[Edit, str]] = {
    "image id": (lambda d: first(d).update(image_id=999), "annotation id 1: image_id 999: no such image"),
    "category": (lambda d: first(d).update(category_id=77), "annotation id 1: category_id 77: no such category"),
    "category list": (lambda d: first(d).update(category_id=[1]), "category_id [1]: no such category"),
    "conflict": (
        lambda d: d["annotations"].append({**first(d), "bbox": [1, 1, 1, 1]}),
        "annotation id 1: id: given twice",
    ),
    "far": (lambda d: first(d).update(bbox=[500, 500, 10, 10]), "annotation id 1: bbox: outside of the image"),
    "negative": (lambda d: first(d).update(bbox=[10, 10, -5, 5]), "annotation id 1: bbox: negative size"),
    "nan": (lambda d: first(d).update(bbox=[float("nan"), 2, 3, 4]), "annotation id 1: bbox: not finite"),
    "infinite": (lambda d: first(d).update(bbox=[1, 2, float("inf"), 4]), "annotation id 1: bbox: not finite"),
    "huge": (lambda d: first(d).update(bbox=[1, 2, 10**400, 4]), "is not a number"),
    "text": (lambda d: first(d).update(bbox=["10", "10", "20", "20"]), "annotation id 1: bbox: '10' is not a number"),
    "bool": (lambda d: first(d).update(bbox=[True, 1, 2, 3]), "annotation id 1: bbox: True is not a number"),
    "three": (lambda d: first(d).update(bbox=[1, 2, 3]), "annotation id 1: bbox: 3 numbers"),
    "no box": (lambda d: first(d).pop("bbox"), "annotation id 1: bbox: missing"),
    "area": (lambda d: first(d).update(area=-1), "annotation id 1: area: -1"),
    "iscrowd": (lambda d: first(d).update(iscrowd=2), "annotation id 1: iscrowd: 2 is not 0 or 1"),
    "runs": (
        lambda d: first(d).update(segmentation={"size": [48, 64], "counts": [1, 9999]}),
        "segmentation: counts: the runs cover",
    ),
    "bomb": (
        lambda d: first(d).update(segmentation={"size": [10**6] * 2, "counts": [0, 10**12]}),
        "segmentation: size: ",
    ),
    "packed": (lambda d: first(d).update(segmentation={"size": [48, 64], "counts": "PPP"}), "segmentation: counts: "),
    "polygon": (
        lambda d: first(d).update(segmentation=[[1, 2, 3, 4, 5]]),
        "segmentation: a polygon is not a list of pairs",
    ),
    "mask": (lambda d: first(d).update(segmentation="x"), "segmentation: 'x' is neither"),
    "entry": (lambda d: d["annotations"].append(5), "annotations[2]: not an object"),
    "same image id": (lambda d: d["images"].append({"id": 1, "file_name": "a.png"}), "image id 1: id: given twice"),
    "zero width": (lambda d: d["images"][0].update(width=0), "image id 1: width: 0 is not a number of pixels"),
    "climb": (lambda d: d["images"][0].update(file_name="../a.png"), "image id 1: file_name: '../a.png' is outside"),
    "absolute": (
        lambda d: d["images"][0].update(file_name="/tmp/a.png"),
        "image id 1: file_name: '/tmp/a.png' is outside",
    ),
    "absent": (lambda d: d["images"][0].update(file_name="z.png"), "z.png: No such file"),
    "no name": (lambda d: d["images"][0].pop("file_name"), "image id 1: file_name: missing"),
    "no id": (lambda d: d["images"].append({"file_name": "a.png"}), "images[2]: id: missing"),
}


@pytest.mark.parametrize("name", SKIPPABLE)
def test_findings_name_the_annotation_and_can_be_skipped(coco: Callable[..., Path], name: str) -> None:
    edit, finding = SKIPPABLE[name]
    data = coco(edit)
    with pytest.raises(DataError) as caught:
        load_index(data, "val")
    assert finding in str(caught.value)
    assert str(caught.value).endswith("--on-bad-label skip")
    index = load_index(data, "val", on_bad_label="skip")
    assert index.report.rows >= 1
    assert index.report.total >= 1


FATAL: dict[str, tuple[Edit | str, str]] = {
    "broken": ("{", "x.json:1: JSON: "),
    "deep": ("[" * 200_000 + "]" * 200_000, "nested too deep"),
    "list": ("[]", "this is a results file"),
    "number": ("5", "expected an object"),
    "empty": ("{}", "images: missing"),
    "twice": ('{"images": [], "images": [], "annotations": [], "categories": []}', "the key 'images' is given twice"),
    "long number": ('{"images": ' + "9" * 5000 + "}", "JSON: "),
    "no list": (lambda d: d.update(images={}), "images: not a list"),
    "no images": (lambda d: d["images"].clear(), "images: the list is empty"),
    "category twice": (lambda d: d["categories"].append({"id": 1, "name": "dog"}), "category id 1: id: given twice"),
    "name twice": (lambda d: d["categories"].append({"id": 2, "name": "car"}), "name: 'car' is given twice"),
    "no category name": (lambda d: d["categories"].append({"id": 2}), "category id 2: name: missing"),
    "no categories": (lambda d: d["categories"].clear(), "categories: the list is empty"),
}


@pytest.mark.parametrize("name", FATAL)
def test_files_that_cannot_be_understood(coco: Callable[..., Path], name: str) -> None:
    edit, reason = FATAL[name]
    with pytest.raises(DataError) as caught:
        load_index(coco(edit), "val", on_bad_label="skip")
    assert reason in str(caught.value)


def test_names_in_the_yaml_decide_the_numbers(coco: Callable[..., Path]) -> None:
    index = load_index(coco(yaml="val: x.json\nnames: [car, tree, person]\n"), "val")
    assert index.labels.tolist() == [2, 0]
    with pytest.raises(DataError, match="category id 3: name: 'car' is not one of person"):
        load_index(coco(yaml="val: x.json\nnames: [person]\n"), "val")


def test_all_splits_count_classes_like_the_first(coco: Callable[..., Path], tmp_path: Path) -> None:
    data = coco(yaml="train: x.json\nval: y.json\n")
    other = copy.deepcopy(BASE)
    other["categories"] = [{"id": 1, "name": "car"}, {"id": 3, "name": "person"}]
    (tmp_path / "y.json").write_text(json.dumps(other))
    assert load_index(data, "train").labels.tolist() == [0, 1]
    assert load_index(data, "val").labels.tolist() == [1, 0]
    other["categories"][0]["name"] = "boat"
    (tmp_path / "y.json").write_text(json.dumps(other))
    with pytest.raises(DataError, match="'boat' is not one of person, car"):
        load_index(data, "val")


def test_images_are_found_in_the_usual_places(coco: Callable[..., Path], tmp_path: Path) -> None:
    data = coco(yaml="val: annotations/instances_val2017.json\n")
    (tmp_path / "annotations").mkdir()
    (tmp_path / "x.json").rename(tmp_path / "annotations/instances_val2017.json")
    for place in ("images", "val2017", "images/val2017", "val", "JPEGImages"):
        (tmp_path / place).mkdir(exist_ok=True)
        for name in ("a.png", "b.png"):
            next(path for path in tmp_path.rglob(name)).rename(tmp_path / place / name)
        assert load_index(data, "val").paths[0] == tmp_path / place / "a.png"
    (tmp_path / "JPEGImages/a.png").unlink()
    (tmp_path / "JPEGImages/b.png").unlink()
    with pytest.raises(
        DataError, match=r"none of the first file names exists; tried .*annotations/a\.png, .*images/val2017/a\.png"
    ):
        load_index(data, "val")


@pytest.mark.parametrize(
    ("name", "leaves"),
    [
        ("a.png", False),
        ("sub/a.png", False),
        ("..a.png", False),
        ("a..b/c.png", False),
        ("/a.png", True),
        ("../a.png", True),
        ("sub/../../a.png", True),
        ("..\\a.png", True),
        ("C:\\a.png", True),
        ("C:a.png", True),
        ("\\\\host\\a.png", True),
    ],
)
def test_leaves_folder(name: str, leaves: bool) -> None:
    assert leaves_folder(name) is leaves


@pytest.mark.parametrize(
    ("segmentation", "points"),
    [
        (None, None),
        ([], None),
        ([[1, 2, 3, 4]], None),
        ([[0, 0, 4, 0, 4, 4]], [[0, 0], [4, 0], [4, 4]]),
        ([[0, 0, 1, 0, 1, 1], [0, 0, 4, 0, 4, 4]], [[0, 0], [4, 0], [4, 4]]),
        ([[-5, 0, 40, 0, 4, 90]], [[0, 0], [30, 0], [4, 20]]),
        ({"size": [20, 30], "counts": [100, 500]}, None),
        ({"size": [20, 30], "counts": "T3d?"}, None),
    ],
)
def test_detection_takes_the_largest_polygon(segmentation: object, points: list[list[float]] | None) -> None:
    polygon = largest_polygon(segmentation, (20, 30))
    assert not isinstance(polygon, str)
    assert (None if polygon is None else polygon.tolist()) == points


def test_cache_notices_other_classes_of_the_first_split(coco: Callable[..., Path]) -> None:
    data = coco(yaml="train: y.json\nval: x.json\n")
    for names, labels in ((["car", "person"], [1, 0]), (["person", "car"], [0, 1])):
        categories = [{"id": number, "name": name} for number, name in enumerate(names)]
        (data.parent / "y.json").write_text(json.dumps({**BASE, "annotations": [], "categories": categories}))
        index = load_index(data, "val")
        assert (index.names, index.labels.tolist()) == (tuple(names), labels)
