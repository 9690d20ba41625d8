"""Every hostile label set and COCO file of the kit, strict and skipping; the data set is never changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from yolov12.data.dataset import load_index
from yolov12.data.index import ImageIndex, shared_images
from yolov12.errors import DataError

Hostile = Callable[[str], Path]
GOOD = [[19.2, 19.2, 44.8, 44.8]]
FLAG = "--on-bad-label skip"

# Name: (finding in strict mode, images that are left with the flag, objects that are left)
REFUSED = {
    "nan": ("bad.txt:1: x_center: not finite", 4, 3),
    "inf": ("bad.txt:1: y_center: not finite", 4, 3),
    "negative": ("bad.txt:1: x_center: outside of 0..1", 4, 3),
    "neg_wh": ("bad.txt:1: width: outside of 0..1", 4, 3),
    "gt1": ("bad.txt:1: x_center: outside of 0..1", 4, 3),
    "pixels": ("pixel coordinates?", 4, 3),
    "wrong_class": ("bad.txt:1: class: '7' is not a class number; classes: 0 a, 1 b", 4, 3),
    "neg_class": ("bad.txt:1: class: '-1'", 4, 3),
    "float_class": ("bad.txt:1: class: '0.5'", 4, 3),
    "huge_class": ("bad.txt:1: class: '99999999999999999999'", 4, 3),
    "name_class": ("bad.txt:1: class: 'cat'", 4, 3),
    "cols4": ("bad.txt:1: columns: 4", 4, 3),
    "cols6": ("a prediction file with confidence?", 4, 3),
    "ragged": ("bad.txt:2: columns: 3", 4, 4),
    "commas": ("bad.txt:1: columns: 1", 4, 3),
    "decimal_comma": ("bad.txt:1: x_center: not a number", 4, 3),
    "utf16": ("bad.txt:1: encoding: UTF-16", 4, 3),
    "comment": ("bad.txt:1: columns: comments", 4, 4),
    "binary": ("bad.txt:1: columns: ", 4, 3),
    "nul": ("bad.txt:2: columns: NUL", 4, 4),
    "underscore": ("bad.txt:1: width: not a number", 4, 3),
    "unicode_digits": ("bad.txt:1: width: not a number", 4, 3),
    "hex": ("bad.txt:1: x_center: not a number", 4, 3),
    "img_trunc": ("bad.png: cut PNG file", 3, 3),
    "img_trunc_jpg": ("bad.jpg: cut JPEG file", 3, 3),
    "img_text": ("bad.png: not an image", 3, 3),
    "img_dup_stem": ("bad.txt: image: 2 images share this label file: bad.jpg, bad.png", 3, 3),
}
# Name: objects, and the counts of the report that are not zero
ACCEPTED = {
    "ok": (4, {}),
    "zero_wh": (3, {"degenerate": 1}),
    "tiny_wh": (4, {"subpixel": 1}),
    "overhang": (4, {"clipped": 1}),
    "xyxy": (5, {"clipped": 2}),
    "bom": (4, {}),
    "crlf": (4, {}),
    "cr_only": (5, {}),
    "tabs": (4, {}),
    "empty": (3, {"background": 1}),
    "missing": (3, {"missing_labels": 1}),
    "dup_rows": (4, {"deduplicated": 2}),
    "many": (10_002, {"deduplicated": 1, "clipped": 199, "subpixel": 9999}),
    "mixed_seg": (5, {"polygons": 1}),
    "exp": (4, {}),
    "img_trailing_jpg": (4, {}),
    "img_tiny": (4, {}),
    "split_leak": (4, {}),
}
STOPPED = {"val_empty": "images/val: val: no images in this folder", "all_bad": "bad.txt:1: class: '9'"}
COUNTS = (
    "skipped", "rows_skipped", "clipped", "deduplicated", "degenerate", "subpixel", "polygons", "crowd", "background",
    "missing_labels", "orphans",
)  # fmt: skip


def stamps(folder: Path) -> dict[str, tuple[int, str]]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(p): (p.stat().st_mtime_ns, hashlib.sha256(p.read_bytes()).hexdigest()) for p in files}


def counts(index: ImageIndex) -> dict[str, int]:
    return {name: getattr(index.report, name) for name in COUNTS if getattr(index.report, name)}


@pytest.fixture(scope="module")
def sets(hostile: Hostile) -> Path:
    return hostile("gen_labels.py")


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("split", ["train", "val"])
def test_refused_by_line_and_field_or_skipped(sets: Path, name: str, split: str) -> None:
    finding, images, objects = REFUSED[name]
    before = stamps(sets / name)
    with pytest.raises(DataError) as caught:
        load_index(sets / name / "data.yaml", split)
    assert caught.value.exit_code == 2
    assert finding in str(caught.value)
    assert str(caught.value).endswith(FLAG)
    index = load_index(sets / name / "data.yaml", split, on_bad_label="skip")
    assert (len(index), len(index.labels)) == (images, objects)
    assert index.report.total >= 1
    assert stamps(sets / name) == before


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted_and_counted(sets: Path, name: str) -> None:
    objects, expected = ACCEPTED[name]
    before = stamps(sets / name)
    index = load_index(sets / name / "data.yaml", "val")
    assert (len(index), len(index.labels)) == (4, objects)
    assert counts(index) == expected
    assert np.isfinite(index.boxes).all()
    assert (index.boxes >= 0).all()
    assert (index.boxes[:, 2:] > index.boxes[:, :2]).all()
    assert stamps(sets / name) == before


@pytest.mark.parametrize("name", ["bom", "crlf", "tabs", "exp", "dup_rows"])
def test_harmless_spellings_give_the_clean_set(sets: Path, name: str) -> None:
    clean, index = (load_index(sets / which / "data.yaml", "val") for which in ("ok", name))
    for field in ("sizes", "offsets", "labels", "boxes"):
        np.testing.assert_array_equal(getattr(clean, field), getattr(index, field))


@pytest.mark.parametrize("name", STOPPED)
@pytest.mark.parametrize("mode", ["error", "skip"])
def test_nothing_left_stops_in_every_mode(sets: Path, name: str, mode: str) -> None:
    with pytest.raises(DataError) as caught:
        load_index(sets / name / "data.yaml", "val", on_bad_label=mode)
    assert STOPPED[name] in str(caught.value)


def test_warnings(sets: Path) -> None:
    assert "xyxy" in load_index(sets / "xyxy/data.yaml", "val").report.warnings[0]
    assert "max boxes: 9999" in load_index(sets / "many/data.yaml", "val").report.warnings[0]
    train = load_index(sets / "orphan_labels/data.yaml", "train")
    assert counts(train) == {"orphans": 5}
    assert "5 label files have no image" in train.report.warnings[0]


def test_leak_between_splits_is_seen(sets: Path) -> None:
    for name, expected in (("split_leak", 4), ("ok", 1)):  # the kit's bad.png is the same in both splits
        train, val = (load_index(sets / name / "data.yaml", split) for split in ("train", "val"))
        assert shared_images(train, val) == expected


def test_the_tables_name_every_label_set(sets: Path) -> None:
    names = {sample["file"] for sample in json.loads((sets / "MANIFEST_labels.json").read_text())}
    assert names == {*REFUSED, *ACCEPTED, *STOPPED, "orphan_labels"}


# --- COCO ---

COCO_ACCEPTED = {
    "ok": ([0], [[10, 10, 30, 30]], {"background": 1}),
    "cat_zero": ([0], [[10, 10, 30, 30]], {"background": 1}),
    "cat_gap": ([1], [[10, 10, 30, 30]], {"background": 1}),
    "ann_dup": ([0], [[10, 10, 30, 30]], {"background": 1, "deduplicated": 1}),
    "crowd_rle": ([0, 0], [[10, 10, 30, 30], [0, 0, 64, 64]], {"background": 1, "crowd": 1}),
    "bbox_outside": ([0], [[60, 60, 64, 64]], {"background": 1, "clipped": 1}),
    "wh_lie": ([0], [[10, 10, 30, 30]], {"background": 1}),
    "wh_missing": ([0], [[10, 10, 30, 30]], {"background": 1}),
    "id_str": ([0], [[10, 10, 30, 30]], {"background": 1}),
}
COCO_REFUSED = {
    "dangling_image": "annotation id 1: image_id 999",
    "dangling_category": "annotation id 1: category_id 77",
    "cat_dup": "category id 1: id: given twice",
    "img_dup": "image id 1: id: given twice",
    "rle_bad": "annotation id 1: segmentation: counts",
    "rle_bomb": "annotation id 1: segmentation: size",
    "bbox_far": "annotation id 1: bbox: outside",
    "bbox_neg": "annotation id 1: bbox: negative size",
    "bbox_nan": "annotation id 1: bbox: not finite",
    "bbox_str": "annotation id 1: bbox: '10' is not a number",
    "bbox_3": "annotation id 1: bbox: 3 numbers",
    "bbox_missing": "annotation id 1: bbox: missing",
    "wh_zero": "image id 1: width: 0",
    "path_traversal": "image id 1: file_name: '../../../../tmp/PWNED_coco.png' is outside",
    "path_abs": "image id 1: file_name: '/tmp/PWNED_coco_abs.png' is outside",
    "no_images": "images: missing",
    "not_json": "instances_x.json:1: JSON: ",
    "empty": "images: missing",
    "list": "this is a results file",
    "deep": "nested too deep",
    "dup_keys": "the key 'images' is given twice",
}


@pytest.fixture(scope="module")
def coco(hostile: Hostile) -> Path:
    folder = hostile("gen_coco.py")
    for sample in json.loads((folder / "MANIFEST_coco.json").read_text()):
        for i, name in enumerate(("a.png", "b.png", "c.png")):
            assert cv2.imwrite(str(folder / sample["file"] / name), np.full((64, 64, 3), i, np.uint8))
        (folder / sample["file"] / "data.yaml").write_text("val: instances_x.json\n")
    return folder


@pytest.mark.parametrize("name", COCO_ACCEPTED)
def test_coco_accepted(coco: Path, name: str) -> None:
    labels, boxes, expected = COCO_ACCEPTED[name]
    before = stamps(coco / name)
    index = load_index(coco / name, "val")
    assert index.names == (("bg", "person", "car") if name == "cat_zero" else ("person", "car"))
    assert index.labels.tolist() == labels
    assert index.boxes.tolist() == boxes
    assert index.sizes.tolist() == [[64, 64]] * 2
    assert counts(index) == expected
    assert bool(index.report.warnings) == (name == "wh_lie")
    assert stamps(coco / name) == before


@pytest.mark.parametrize("name", COCO_REFUSED)
def test_coco_refused(coco: Path, name: str) -> None:
    before = stamps(coco / name)
    with pytest.raises(DataError) as caught:
        load_index(coco / name, "val")
    assert "instances_x.json" in str(caught.value)
    assert COCO_REFUSED[name] in str(caught.value)
    assert stamps(coco / name) == before
    assert not Path("/tmp/PWNED_coco_abs.txt").exists()


def test_the_tables_name_every_coco_file(coco: Path) -> None:
    names = {sample["file"] for sample in json.loads((coco / "MANIFEST_coco.json").read_text())}
    assert names == {*COCO_ACCEPTED, *COCO_REFUSED}
