"""Pascal VOC: corners as given, sizes from the images, findings with their line; and the blood cells box for box."""

from __future__ import annotations

import json
from pathlib import Path
from xml.parsers.expat import ExpatError

import cv2
import numpy as np
import pytest

from yolov12.data.dataset import load_index
from yolov12.data.voc_format import parse_annotation
from yolov12.errors import DataError


def annotation(*objects: str, size: str = "<size><width>60</width><height>40</height></size>") -> str:
    return f"<annotation>\n{size}\n" + "\n".join(objects) + "\n</annotation>\n"


def thing(name: str, *corners: object) -> str:
    inner = "".join(f"<{k}>{v}</{k}>" for k, v in zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True))
    return f"<object><name>{name}</name><bndbox>{inner}</bndbox></object>"


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    """A VOC folder with images one, two, three and the annotation of one; the YAML beside it."""
    for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (tmp_path / folder).mkdir(parents=True)
    for i, name in enumerate(("one", "two", "three")):
        pixels = np.random.default_rng(i).integers(0, 255, (40, 60, 3), np.uint8)
        assert cv2.imwrite(str(tmp_path / f"JPEGImages/{name}.jpg"), pixels)
    (tmp_path / "Annotations/one.xml").write_text(annotation(thing("a", 1, 2, 30, 40)))
    (tmp_path / "ImageSets/Main/val.txt").write_text("one\n")
    (tmp_path / "data.yaml").write_text("val: ImageSets/Main/val.txt\nnames: [a, b]\n")
    return tmp_path


def test_corners_are_used_as_given(voc: Path) -> None:
    (voc / "Annotations/one.xml").write_text(
        annotation(thing("b", 1, 2, 30, 40), thing("a", "0.5", " 3 ", "60", "4.25"))
    )
    index = load_index(voc, "val")
    assert index.boxes.tolist() == [[1, 2, 30, 40], [0.5, 3, 60, 4.25]]
    assert index.labels.tolist() == [1, 0]
    assert index.report.warnings == []


@pytest.mark.parametrize(
    ("objects", "boxes", "counts"),
    [
        ([thing("a", -5, 2, 70, 40)], [[0, 2, 60, 40]], {"clipped": 1}),
        ([thing("a", 5, 2, 5, 40)], [], {"degenerate": 1}),
        ([thing("a", 1, 2, 3, 4)] * 2, [[1, 2, 3, 4]] * 2, {"deduplicated": 0}),
        ([thing("a", 1, 2, 1.5, 4)], [[1, 2, 1.5, 4]], {"subpixel": 1}),
        ([], [], {"background": 1}),
        (["<object><part><name>head</name></part><name>a</name><bndbox><ymax>4</ymax><xmax>3</xmax><ymin>2</ymin>"
          "<xmin>1</xmin></bndbox></object>"], [[1, 2, 3, 4]], {"rows": 1}),
    ],
)  # fmt: skip
def test_repairs(voc: Path, objects: list[str], boxes: list[list[float]], counts: dict[str, int]) -> None:
    (voc / "Annotations/one.xml").write_text(annotation(*objects))
    index = load_index(voc, "val")
    assert index.boxes.tolist() == boxes
    assert {name: getattr(index.report, name) for name in counts} == counts


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        (annotation(thing("c", 1, 2, 3, 4)), r"one\.xml:3: name: 'c' is not a class"),
        (annotation("\n<object><bndbox/></object>"), r"one\.xml:4: name: missing"),
        (annotation(thing("a", 1, 2, "nan", 4)), r"one\.xml:3: xmax: not a finite number \('nan'\)"),
        (annotation(thing("a", 1, "1_0", 3, 4)), r"one\.xml:3: ymin: not a finite number"),
        (annotation(thing("a", 1, "", 3, 4)), r"one\.xml:3: ymin: missing"),
        (annotation(thing("a", 3, 2, 1, 4)), r"one\.xml:3: bndbox: negative size"),
        (annotation(thing("a", 70, 2, 80, 4)), r"one\.xml:3: bndbox: outside of the image: 70,2,80,4 in 60x40"),
        ("<annotation><object>", r"one\.xml: XML: no element found: line 1"),
        ("<html></html>", "the root element is <html>"),
        ("<!DOCTYPE a [<!ENTITY x 'y'>]><annotation>&x;</annotation>", "document types"),
        ("<annotation>" + "<a>" * 100 + "</a>" * 100 + "</annotation>", "nested more than 50 deep"),
    ],
)
def test_findings(voc: Path, text: str, finding: str) -> None:
    (voc / "Annotations/one.xml").write_text(text)
    (voc / "Annotations/two.xml").write_text(annotation(thing("a", 1, 2, 30, 40)))
    (voc / "ImageSets/Main/val.txt").write_text("one\ntwo\n")
    with pytest.raises(DataError, match=finding):
        load_index(voc, "val")
    index = load_index(voc, "val", on_bad_label="skip")
    assert (len(index), index.report.rows_skipped) == (2, 1)


def test_size_comes_from_the_image(voc: Path) -> None:
    size = "<size><width>600</width><height>0</height></size>"
    (voc / "Annotations/one.xml").write_text(annotation(thing("a", 1, 2, 70, 40), size=size))
    index = load_index(voc, "val")
    assert index.sizes.tolist() == [[40, 60]]
    assert index.boxes.tolist() == [[1, 2, 60, 40]]
    assert "says 600x0, the image is 60x40" in index.report.warnings[0]


def test_lists(voc: Path) -> None:
    listed = voc / "ImageSets/Main/val.txt"
    listed.write_text("two\n\none\ntwo\n")
    index = load_index(voc, "val")
    assert [path.stem for path in index.paths] == ["two", "one"]
    assert (index.report.deduplicated, index.report.missing_labels) == (1, 1)
    listed.write_text("one\nnone\n../../secret\n")
    with pytest.raises(
        DataError, match=r"val\.txt:2: none: no such image in .*JPEGImages\n.*val\.txt:3: \.\./\.\./secret"
    ):
        load_index(voc, "val")
    listed.write_text("three\n")
    with pytest.raises(
        DataError, match=r"no annotation found; tried \S*/Annotations/three\.xml, \S*/annotations/three\.xml$"
    ):
        load_index(voc, "val")
    listed.write_text("")
    with pytest.raises(DataError, match="the list is empty"):
        load_index(voc, "val")


def test_two_images_of_one_name(voc: Path) -> None:
    (voc / "JPEGImages/one.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"val\.txt:1: one: 2 images have this name"):
        load_index(voc, "val")


def test_a_folder_as_split(voc: Path) -> None:
    (voc / "data.yaml").write_text("val: JPEGImages\nformat: voc\nnames: [a, b]\n")
    index = load_index(voc, "val")
    assert (len(index), index.report.missing_labels) == (3, 2)


@pytest.mark.parametrize(
    ("images", "annotations"),
    [("images", "annotations"), ("Images", "Annotations"), ("JPEGImages", "annotations"), ("images", "Annotations")],
)
@pytest.mark.parametrize("split", ["ImageSets/Main/val.txt", "val.txt", "images"])
@pytest.mark.parametrize("suffix", [".xml", ".XML"])
def test_other_names_of_the_folders(voc: Path, images: str, annotations: str, split: str, suffix: str) -> None:
    (voc / "JPEGImages").rename(voc / images)
    (voc / "Annotations").rename(voc / annotations)
    (voc / annotations / "one.xml").rename(voc / annotations / f"one{suffix}")
    (voc / "val.txt").write_text("one\n")
    (voc / "data.yaml").write_text(f"val: {split.replace('images', images)}\nformat: voc\nnames: [a, b]\n")
    assert load_index(voc, "val").boxes.tolist() == [[1, 2, 30, 40]]


@pytest.mark.parametrize("annotations", ["annotations/val", "images/annotations", "images/val"])
def test_folders_below_images(voc: Path, annotations: str) -> None:
    (voc / "images").mkdir()
    (voc / "JPEGImages").rename(voc / "images/val")
    (voc / annotations).mkdir(parents=True, exist_ok=True)
    (voc / "Annotations/one.xml").rename(voc / annotations / "one.xml")
    (voc / "data.yaml").write_text("val: images/val\nformat: voc\nnames: [a, b]\n")
    assert load_index(voc, "val").report.rows == 1


def test_errors_list_the_folders_tried(voc: Path) -> None:
    (voc / "Annotations/one.xml").unlink()
    (voc / "data.yaml").write_text("val: JPEGImages\nformat: voc\nnames: [a, b]\n")
    tried = ", ".join(f"{voc}/{folder}/one.xml" for folder in ("Annotations", "annotations", "JPEGImages"))
    with pytest.raises(DataError, match=f"no annotation found; tried {tried}$"):
        load_index(voc, "val")
    (voc / "JPEGImages").rename(voc / "pictures")
    (voc / "data.yaml").write_text("val: ImageSets/Main/val.txt\nnames: [a, b]\n")
    with pytest.raises(DataError, match=r"its images are in none of \S*/JPEGImages, \S*/images, \S*/Images$"):
        load_index(voc, "val")


def test_lists_of_one_class(voc: Path) -> None:
    listed = voc / "ImageSets/Main/val.txt"
    listed.write_text("one  1\ntwo -1\nthree  0\n")
    index = load_index(voc, "val")
    assert [path.stem for path in index.paths] == ["one", "three"]
    assert any("1 images flagged -1" in text for text in index.report.warnings)
    listed.write_text("two  1\none  1\ntwo  1\n")
    index = load_index(voc, "val")
    assert ([path.stem for path in index.paths], index.report.deduplicated) == (["two", "one"], 1)
    listed.write_text("one -1\ntwo -1\n")
    with pytest.raises(DataError, match="all its 2 images are flagged -1"):
        load_index(voc, "val")
    listed.write_text("one 2\n")
    with pytest.raises(DataError, match=r"val\.txt:1: one 2: no such image"):
        load_index(voc, "val")


def test_a_name_that_looks_flagged(voc: Path) -> None:
    (voc / "JPEGImages/two.jpg").rename(voc / "JPEGImages/one 1.jpg")
    (voc / "ImageSets/Main/val.txt").write_text("one\none 1\n")
    assert [path.stem for path in load_index(voc, "val").paths] == ["one", "one 1"]


def test_parse_annotation_does_not_fetch_or_expand() -> None:
    for text in (
        b"<!DOCTYPE a SYSTEM 'file:///etc/passwd'><annotation/>",
        "<!DOCTYPE a><annotation/>".encode("utf-16"),
    ):
        with pytest.raises(ValueError, match="document types"):
            parse_annotation(text)
    with pytest.raises(ExpatError):
        parse_annotation(b"\xff\xfe")


def test_blood_cells_equal_the_reference_box_for_box(bccd: Path, bccd_yaml: Path) -> None:
    reference = json.loads((bccd / "test_coco.json").read_text())
    index = load_index(bccd_yaml, "test")
    images, objects = reference["images"], reference["annotations"]
    assert [path.name for path in index.paths] == [image["file_name"] for image in images]
    assert index.image_ids.tolist() == [image["id"] for image in images]
    assert index.sizes.tolist() == [[image["height"], image["width"]] for image in images]
    x, y, w, h = np.array([thing["bbox"] for thing in objects]).T
    np.testing.assert_array_equal(index.boxes, np.stack([x, y, x + w, y + h], axis=1))
    assert (index.labels + 1).tolist() == [thing["category_id"] for thing in objects]
    assert index.areas.tolist() == [thing["area"] for thing in objects]
    assert np.repeat(index.image_ids, np.diff(index.offsets)).tolist() == [thing["image_id"] for thing in objects]
    assert not index.crowd.any()


def test_blood_cells_as_coco_give_the_same_index(bccd: Path, bccd_yaml: Path, tmp_path: Path) -> None:
    yaml = tmp_path / "coco.yaml"
    yaml.write_text(f"path: {bccd}\ntest: test_coco.json\n")
    coco, voc = load_index(yaml, "test"), load_index(bccd_yaml, "test")
    assert coco.names == voc.names
    for name in ("sizes", "offsets", "labels", "boxes", "areas", "crowd", "image_ids", "digests"):
        np.testing.assert_array_equal(getattr(coco, name), getattr(voc, name))


def test_blood_cells_for_training(bccd_yaml: Path) -> None:
    report = load_index(bccd_yaml, "train").report
    assert (report.read, report.rows, report.degenerate, report.skipped) == (292, 3941, 2, 0)
