"""From YAML to index: counts, strictness, skipping, caching, and that the data set is never touched."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from yolov12.data.cache import Cache
from yolov12.data.dataset import load_index, read_data_config
from yolov12.data.index import ImageIndex, shared_images
from yolov12.data.yolo_format import label_folders
from yolov12.errors import ConfigError, DataError

GOOD = b"0 0.5 0.5 0.4 0.4\n"


def write_image(path: Path, seed: int = 0, height: int = 40, width: int = 60) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)
    assert cv2.imwrite(str(path), pixels)


MakeSet = Callable[..., Path]


@pytest.fixture
def make_set(tmp_path: Path) -> MakeSet:
    """`make_set({"a.png": label bytes or None, ...})` writes a YOLO data set with that train and val split."""

    def make(files: dict[str, bytes | None], yaml: str = "") -> Path:
        root = tmp_path / "set"
        for split in ("train", "val"):
            (root / "labels" / split).mkdir(parents=True)
            for seed, (name, label) in enumerate(files.items()):
                write_image(root / "images" / split / name, seed + 100 * (split == "val"))
                if label is not None:
                    (root / "labels" / split / name).with_suffix(".txt").write_bytes(label)
        path = root / "data.yaml"
        path.write_text(yaml or "train: images/train\nval: images/val\nnames: [a, b]\n")
        return path

    return make


def same(a: ImageIndex, b: ImageIndex) -> bool:
    arrays = (
        "sizes",
        "offsets",
        "labels",
        "boxes",
        "areas",
        "crowd",
        "polygon_offsets",
        "ring_offsets",
        "polygon_points",
        "image_ids",
    )
    equal = all(np.array_equal(getattr(a, name), getattr(b, name)) for name in (*arrays, "digests"))
    return equal and a.paths == b.paths and a.names == b.names and a.report == b.report


def stamps(folder: Path) -> dict[str, tuple[int, str]]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(p): (p.stat().st_mtime_ns, hashlib.sha256(p.read_bytes()).hexdigest()) for p in files}


def test_arrays(make_set: MakeSet) -> None:
    data = make_set({
        "a.png": b"1 0.5 0.5 0.5 0.5\n0 0.25 0.25 0.1 0.2\n",
        "b.png": b"",
        "c.png": b"1 0.1 0.2 0.5 0.2 0.5 0.8\n",
    })  # fmt: skip
    index = load_index(data, "train")
    assert len(index) == 3
    assert index.names == ("a", "b")
    assert [path.name for path in index.paths] == ["a.png", "b.png", "c.png"]
    assert index.sizes.tolist() == [[40, 60]] * 3
    assert index.offsets.tolist() == [0, 2, 2, 3]
    assert index.labels.tolist() == [1, 0, 1]
    np.testing.assert_allclose(index.boxes, [[15, 10, 45, 30], [12, 6, 18, 14], [6, 8, 30, 32]])
    np.testing.assert_allclose(index.areas, [600, 48, 576])
    assert index.image_ids.tolist() == [1, 2, 3]
    assert index.objects(0) == slice(0, 2)
    assert index.rings(0) == []
    np.testing.assert_allclose(index.rings(2), [[[6, 8], [30, 8], [30, 32]]])
    assert (index.report.read, index.report.rows, index.report.background, index.report.polygons) == (3, 3, 1, 1)
    assert "3 images, 3 objects" in index.report.summary()
    dtypes = [index.sizes, index.offsets, index.labels, index.boxes, index.areas, index.crowd, index.polygon_points]
    assert [array.dtype.name for array in dtypes] == [
        "int32", "int64", "int64", "float64", "float64", "bool", "float32",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("label", "counts"),
    [
        (b"0 0.95 0.5 0.4 0.4\n", {"clipped": 1, "rows": 2}),
        (b"0 0.8 0.5 0.4 0.4\n", {"clipped": 0, "rows": 2}),
        (b"0 0.800001 0.5 0.4 0.4\n", {"clipped": 0, "rows": 2}),
        (b"0 0.5 0.5 0 0\n", {"degenerate": 1, "rows": 1}),
        (b"0 0.5 0.5 0 0.3\n", {"degenerate": 1, "rows": 1}),
        (b"0 0.1 0.1 0.5 0.1 0.9 0.1\n", {"degenerate": 1, "rows": 1}),
        (b"0 0.5 0.5 0.000001 0.000001\n", {"subpixel": 1, "rows": 2}),
        (GOOD * 3, {"deduplicated": 2, "rows": 2}),
        (b"0 0.5 0.5 0.4 0.4\n1 0.5 0.5 0.4 0.4\n", {"deduplicated": 0, "rows": 3}),
        (b"", {"background": 1, "missing_labels": 0, "rows": 1}),
        (b" \n\n", {"background": 1, "rows": 1}),
        (None, {"background": 0, "missing_labels": 1, "rows": 1}),
    ],
)
def test_repairs_are_made_and_counted(make_set: MakeSet, label: bytes | None, counts: dict[str, int]) -> None:
    index = load_index(make_set({"good.png": GOOD, "x.png": label}), "val")
    assert {name: getattr(index.report, name) for name in counts} == counts
    assert (index.boxes >= 0).all()
    assert (index.boxes <= [60, 40, 60, 40]).all()
    assert len(index) == 2


def test_corners_written_as_centres_are_hinted_at(make_set: MakeSet) -> None:
    index = load_index(make_set({"a.png": b"0 0.1 0.1 0.9 0.9\n0 0.6 0.6 0.9 0.9\n"}), "val")
    assert index.report.clipped == 2
    assert any("xyxy" in text and "2 of 2" in text for text in index.report.warnings)


def test_a_crowded_image_is_warned_about(make_set: MakeSet) -> None:
    rows = b"".join(b"0 %.4f 0.5 0.01 0.01\n" % (i / 2000) for i in range(1, 1200))
    index = load_index(make_set({"a.png": rows}), "val")
    assert index.report.rows == 1199
    assert any("max boxes: 1199" in text for text in index.report.warnings)


def test_error_lists_everything_and_ends_with_the_flag(make_set: MakeSet) -> None:
    data = make_set({"a.png": b"0 nan 0.5 0.4 0.4\n7 0.5 0.5 0.4 0.4\n", "b.png": GOOD, "c.png": GOOD})
    (data.parent / "images/val/c.png").write_bytes(b"text")
    with pytest.raises(DataError) as caught:
        load_index(data, "val")
    text = str(caught.value)
    assert "3 label rows or images cannot be used" in text
    assert "a.txt:1: x_center: not finite" in text
    assert "a.txt:2: class: '7'" in text
    assert "c.png: not an image" in text
    assert text.endswith("--on-bad-label skip")
    assert caught.value.exit_code == 2


def test_long_lists_are_capped_with_the_total(make_set: MakeSet) -> None:
    data = make_set({"a.png": b"9 9 9 9 9\n" * 70, "b.png": GOOD})
    with pytest.raises(DataError) as caught:
        load_index(data, "val")
    assert "70 label rows" in str(caught.value)
    assert "... and 20 more" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 53


def test_skip_drops_rows_and_keeps_their_image(make_set: MakeSet) -> None:
    data = make_set({"a.png": b"0 nan 0.5 0.4 0.4\n" + GOOD, "b.png": GOOD, "c.png": GOOD})
    image = data.parent / "images/val/c.png"
    image.write_bytes(image.read_bytes()[:-20])
    index = load_index(data, "val", on_bad_label="skip")
    assert [path.name for path in index.paths] == ["a.png", "b.png"]
    assert index.image_ids.tolist() == [1, 2]
    assert (index.report.skipped, index.report.rows_skipped, index.report.rows) == (1, 1, 2)
    assert index.report.summary().startswith("val: 2 of 3 images, 2 objects")
    assert len(index.report.to_dict()["reasons"]) == 2
    json.dumps(index.report.to_dict())


def test_nothing_left_is_an_error_even_when_skipping(make_set: MakeSet) -> None:
    data = make_set({"a.png": b"9 9 9 9 9\n"})
    with pytest.raises(DataError, match="no usable label row"):
        load_index(data, "val", on_bad_label="skip")
    (data.parent / "images/val/a.png").write_bytes(b"")
    with pytest.raises(DataError, match="no usable image"):
        load_index(data, "val", on_bad_label="skip")


def test_unknown_choice_is_refused(make_set: MakeSet) -> None:
    with pytest.raises(ConfigError, match="on_bad_label"):
        load_index(make_set({"a.png": GOOD}), "val", on_bad_label="ignore")


@pytest.mark.parametrize("kind", [".bmp", ".tiff", ".avif", ".webp", ".jpg", ".png"])
def test_cut_images_never_pass_the_scan(make_set: MakeSet, kind: str) -> None:
    data = make_set({"a.png": GOOD, f"b{kind}": GOOD})
    image = data.parent / f"images/val/b{kind}"
    image.write_bytes(image.read_bytes()[: image.stat().st_size * 9 // 10])
    with pytest.raises(DataError, match=f"b{kind}: cut"):
        load_index(data, "val")
    assert len(load_index(data, "val", on_bad_label="skip")) == 1


def test_two_images_with_one_label_file(make_set: MakeSet) -> None:
    data = make_set({"a.png": GOOD, "b.png": GOOD})
    write_image(data.parent / "images/val/b.jpg", 9)
    with pytest.raises(DataError, match=r"b\.txt: image: 2 images share this label file: b\.jpg, b\.png"):
        load_index(data, "val")
    index = load_index(data, "val", on_bad_label="skip")
    assert (len(index), index.report.skipped) == (1, 2)


def test_orphans_are_counted(make_set: MakeSet) -> None:
    data = make_set({"a.png": GOOD})
    for i in range(5):
        (data.parent / f"labels/val/orphan{i}.txt").write_bytes(GOOD)
    (data.parent / "labels/val/classes.txt").write_text("a\nb\n")
    index = load_index(data, "val")
    assert index.report.orphans == 5
    assert any("5 label files have no image" in text for text in index.report.warnings)


def test_folder_listing(make_set: MakeSet) -> None:
    data = make_set({"a.png": GOOD})
    images = data.parent / "images/val"
    (images / "notes.md").write_text("no image")
    (images / ".hidden.png").write_bytes(b"junk")
    (images / "a.npy").write_bytes(b"\x80\x04junk")
    (images / "folder.png").mkdir()
    write_image(images / "below" / "B.PNG", 5)
    (data.parent / "labels/val/below").mkdir()
    (data.parent / "labels/val/below/B.txt").write_bytes(GOOD)
    (images / "below/loop").symlink_to(images)
    assert [path.name for path in load_index(data, "val").paths] == ["a.png", "B.PNG"]


def test_pipes_and_foreign_formats_in_a_folder_are_findings(make_set: MakeSet) -> None:
    data = make_set({"a.png": GOOD})
    os.mkfifo(data.parent / "images/val/pipe.jpg")
    (data.parent / "images/val/x.jp2").write_bytes(b"\x00\x00\x00\x0cjP  \r\n\x87\n")
    with pytest.raises(DataError, match=r"pipe.jpg: not a regular file\n.*x.jp2: .*JPEG 2000"):
        load_index(data, "val")


def test_no_label_file_at_all_lists_what_was_tried(make_set: MakeSet) -> None:
    data = make_set({"a.png": None})
    with pytest.raises(
        DataError, match=r"none of its 1 images has a label file; tried .*labels/val/a.txt, .*images/val/a.txt"
    ):
        load_index(data, "val")


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("/d/images/val", ["/d/labels/val", "/d/images/val"]),
        ("/d/train/images", ["/d/train/labels", "/d/train/images"]),
        ("/images/images", ["/images/labels", "/images/images"]),
        ("/d/pictures", ["/d/pictures"]),
        ("/d/Images/val", ["/d/Labels/val", "/d/Images/val"]),
        ("/d/IMAGES", ["/d/LABELS", "/d/IMAGES"]),
    ],
)
def test_label_folders(folder: str, expected: list[str]) -> None:
    assert [str(path) for path in label_folders(Path(folder))] == expected


def test_a_dot_in_a_name(make_set: MakeSet) -> None:
    assert load_index(make_set({"x.y.png": GOOD}), "val").report.rows == 1


def test_labels_beside_the_images(tmp_path: Path) -> None:
    write_image(tmp_path / "all/x.png")
    (tmp_path / "all/x.txt").write_bytes(GOOD)
    (tmp_path / "data.yaml").write_text("train: all\nnames: [a]\n")
    assert load_index(tmp_path, "train").report.rows == 1


@pytest.mark.parametrize(("images", "labels"), [("images", "labels"), ("Images", "Labels"), ("IMAGES", "LABELS")])
@pytest.mark.parametrize("suffix", [".txt", ".TXT", ".Txt"])
def test_capitals_in_folders_and_suffixes(tmp_path: Path, images: str, labels: str, suffix: str) -> None:
    write_image(tmp_path / images / "x.png")
    (tmp_path / labels).mkdir()
    (tmp_path / labels / f"x{suffix}").write_bytes(GOOD)
    (tmp_path / labels / f"y{suffix}").write_bytes(GOOD)
    (tmp_path / "data.yaml").write_text(f"train: {images}\nnames: [a]\n")
    report = load_index(tmp_path, "train").report
    assert (report.rows, report.orphans) == (1, 1)


def test_small_letters_go_first(make_set: MakeSet) -> None:
    data = make_set({"a.png": GOOD})
    other = data.parent / "labels/train/a.TXT"
    other.write_bytes(GOOD * 2)
    report = load_index(data, "train").report
    if len(list(other.parent.iterdir())) == 2:  # not where capitals make no difference
        assert (report.deduplicated, report.orphans) == (0, 1)


def test_lists_of_folders_and_files(make_set: MakeSet) -> None:
    yaml = "train: [images/train, images/val]\nval: lists/val.txt\ntest: images/none\nnames: [a, b]\n"
    data = make_set({"a.png": GOOD, "b.png": GOOD}, yaml)
    (data.parent / "lists").mkdir()
    listed = data.parent / "lists/val.txt"
    listed.write_text(
        f"../images/val/b.png\n\n./../images/train/a.png\n{data.parent}/images/val/a.png\nimages/train/b.png\n"
    )
    assert len(load_index(data, "train")) == 4
    index = load_index(data, "val")
    assert [f"{path.parent.name}/{path.name}" for path in index.paths] == [
        "val/b.png",
        "train/a.png",
        "val/a.png",
        "train/b.png",
    ]
    listed.write_text("images/val/b.png\nimages/val/b.png\nimages/val/z.png\n")
    with pytest.raises(
        DataError, match=r"val\.txt:3: image: not a file; tried .*lists/images/val/z.png, .*set/images/val/z.png"
    ):
        load_index(data, "val")
    index = load_index(data, "val", on_bad_label="skip")
    assert (len(index), index.report.deduplicated, index.report.skipped) == (1, 1, 1)
    with pytest.raises(DataError, match=r"test: 'images/none' does not exist; tried .*set/images/none"):
        load_index(data, "test")
    listed.write_text("\n")
    with pytest.raises(DataError, match="the list is empty"):
        load_index(data, "val")


def test_empty_folder_is_named(make_set: MakeSet) -> None:
    data = make_set({"a.png": GOOD})
    (data.parent / "images/val/a.png").unlink()
    with pytest.raises(DataError, match="images/val: val: no images in this folder"):
        load_index(data, "val")


def test_exports_that_count_from_a_folder_further_down(tmp_path: Path) -> None:
    write_image(tmp_path / "train/images/x.png")
    (tmp_path / "train/labels").mkdir()
    (tmp_path / "train/labels/x.txt").write_bytes(GOOD)
    (tmp_path / "data.yaml").write_text("train: ../train/images\nnc: 1\nnames: ['a']\nroboflow: {license: MIT}\n")
    assert len(load_index(tmp_path / "data.yaml", "train")) == 1


def test_equal_splits_are_warned_about(make_set: MakeSet) -> None:
    data = make_set({"a.png": GOOD}, "train: images/train\nval: images/train\nnames: [a, b]\n")
    assert any("val and train are the same" in text for text in load_index(data, "val").report.warnings)


def test_shared_images_are_counted(make_set: MakeSet) -> None:
    data = make_set({"a.png": GOOD, "b.png": GOOD, "c.png": GOOD})
    train, val = load_index(data, "train"), load_index(data, "val")
    assert shared_images(train, val) == 0
    shutil.copy(data.parent / "images/train/b.png", data.parent / "images/val/c.png")
    assert shared_images(train, load_index(data, "val")) == 1


def test_single_class(make_set: MakeSet) -> None:
    data = make_set({"a.png": b"1 0.5 0.5 0.5 0.5\n0 0.5 0.5 0.5 0.5\n"})
    index = load_index(data, "val", single_cls=True)
    assert index.names == ("object",)
    assert index.labels.tolist() == [0, 0]
    assert load_index(data, "val").labels.tolist() == [1, 0]


@pytest.mark.parametrize(("fraction", "kept"), [(1.0, "abcdefgh"), (0.5, "aceg"), (0.25, "ae"), (0.01, "a")])
def test_fraction_is_spread_over_the_set(make_set: MakeSet, fraction: float, kept: str) -> None:
    data = make_set({f"{letter}.png": GOOD for letter in "abcdefgh"})
    assert "".join(path.stem for path in load_index(data, "train", fraction=fraction).paths) == kept


def test_threads_do_not_change_the_result(make_set: MakeSet, tmp_path: Path) -> None:
    data = make_set({f"{letter}.png": GOOD for letter in "abcdefgh"})
    (data.parent / "images/train/c.png").write_bytes(b"")
    results = [
        load_index(data, "train", on_bad_label="skip", workers=n, cache_dir=tmp_path / f"cache{n}") for n in (1, 4)
    ]
    assert same(*results)


def test_inputs_are_never_changed(make_set: MakeSet) -> None:
    data = make_set({"a.png": b"0 nan 0 0 0\n", "b.jpg": GOOD, "c.jpg": GOOD})
    trailing = data.parent / "images/val/c.jpg"
    trailing.write_bytes(trailing.read_bytes() + b"\0" * 64)
    (data.parent / "images/val/b.jpg").write_bytes(b"text")
    before = stamps(data.parent)
    with pytest.raises(DataError):
        load_index(data, "val")
    load_index(data, "val", on_bad_label="skip")
    assert stamps(data.parent) == before


# --- the cache ---


def test_cache_gives_the_same_index_and_no_decoding(
    make_set: MakeSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_set({"a.png": GOOD + b"0 nan 0 0 0\n", "b.png": b"1 0.1 0.2 0.5 0.2 0.5 0.8\n", "c.png": None})
    (data.parent / "images/train/c.png").write_bytes(b"")
    first = load_index(data, "train", on_bad_label="skip", cache_dir=tmp_path / "cache")

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr("yolov12.data.scan.decode_with_notes", fail)
    monkeypatch.setattr("yolov12.data.yolo_format.parse_rows", fail)
    assert same(first, load_index(data, "train", on_bad_label="skip", cache_dir=tmp_path / "cache"))
    with pytest.raises(DataError, match="x_center"):  # strictness is not a property of the cache
        load_index(data, "train", cache_dir=tmp_path / "cache")


def test_cache_notices_changed_labels_images_and_names(make_set: MakeSet, tmp_path: Path) -> None:
    data = make_set({"a.png": GOOD, "b.png": GOOD})
    cache = tmp_path / "cache"
    assert load_index(data, "train", cache_dir=cache).report.rows == 2
    (data.parent / "labels/train/a.txt").write_bytes(GOOD + b"1 0.5 0.5 0.1 0.1\n")
    assert load_index(data, "train", cache_dir=cache).report.rows == 3
    (data.parent / "labels/train/a.txt").unlink()
    assert load_index(data, "train", cache_dir=cache).report.missing_labels == 1
    write_image(data.parent / "images/train/a.png", 7, height=50)
    assert load_index(data, "train", cache_dir=cache).sizes[0].tolist() == [50, 60]
    write_image(data.parent / "images/train/c.png", 8)
    assert len(load_index(data, "train", cache_dir=cache)) == 3
    data.write_text(data.read_text().replace("[a, b]", "[a, c]"))
    assert load_index(data, "train", cache_dir=cache).names == ("a", "c")


def restoring_times(path: Path, change: Callable[[], object]) -> None:
    """Change a file as if nothing had happened: same size, same time."""
    before = path.stat()
    change()
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def test_cache_is_not_fooled_by_restored_times(make_set: MakeSet, tmp_path: Path) -> None:
    data, cache = make_set({"a.bmp": GOOD, "b.bmp": GOOD}), tmp_path / "cache"
    first = load_index(data, "train", cache_dir=cache)
    label, image = data.parent / "labels/train/a.txt", data.parent / "images/train/a.bmp"
    restoring_times(label, lambda: label.write_bytes(b"1" + GOOD[1:]))
    assert load_index(data, "train", cache_dir=cache).labels.tolist() == [1, 0]
    restoring_times(image, lambda: write_image(image, seed=50))
    changed = load_index(data, "train", cache_dir=cache)
    assert (changed.digests != first.digests).any(axis=1).tolist() == [True, False]
    fresh = tmp_path / "fresh.bmp"
    write_image(fresh, seed=51)
    restoring_times(image, lambda: fresh.replace(image))
    assert not (load_index(data, "train", cache_dir=cache).digests[0] == changed.digests[0]).all()


def test_labels_are_known_by_their_bytes_alone(
    make_set: MakeSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, cache = make_set({"a.png": GOOD, "b.png": b"9 9\n"}), tmp_path / "cache"
    first = load_index(data, "train", on_bad_label="skip", cache_dir=cache)
    label = data.parent / "labels/train/a.txt"
    label.unlink()
    label.write_bytes(GOOD)
    monkeypatch.delattr("yolov12.data.yolo_format.parse_rows")
    assert same(first, load_index(data, "train", on_bad_label="skip", cache_dir=cache))


def test_cache_keeps_pixel_limits_apart(make_set: MakeSet, tmp_path: Path) -> None:
    data, cache = make_set({"a.png": GOOD, "b.png": GOOD}), tmp_path / "cache"
    write_image(data.parent / "images/train/b.png", height=50)
    for limit, expected in ((2400, 1), (3000, 2), (2400, 1), (2500, 1)):
        index = load_index(data, "train", on_bad_label="skip", max_pixels=limit, cache_dir=cache)
        assert (len(index), len(index.labels), index.report.skipped) == (expected, expected, 2 - expected)
        assert all(f"pixels 3000 > {limit}" in reason for reason in index.report.reasons)


def test_cache_files_are_replaced_not_piled_up(make_set: MakeSet, tmp_path: Path) -> None:
    data = make_set({"a.png": GOOD})
    cache = tmp_path / "cache"
    for seed in range(3):
        write_image(data.parent / "images/train/a.png", seed)
        load_index(data, "train", cache_dir=cache)
    assert len(list(cache.iterdir())) == 2


@pytest.mark.parametrize(
    "damage",
    [lambda d: b"", lambda d: d[: len(d) // 2], lambda d: b"\x80\x04junk", lambda d: d[:200] + b"\xff" * 50 + d[250:]],
)
def test_damaged_cache_is_no_cache(make_set: MakeSet, tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    data = make_set({"a.png": GOOD})
    cache = tmp_path / "cache"
    first = load_index(data, "train", cache_dir=cache)
    for path in cache.iterdir():
        path.write_bytes(damage(path.read_bytes()))
    assert same(first, load_index(data, "train", cache_dir=cache))


def test_cache_without_pickle(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    assert cache.save("x", "k", {"a": np.arange(3)}) is None
    assert cache.load("x", "other") is None
    (path,) = tmp_path.iterdir()
    np.savez(path, key=np.array("k"), a=np.array([{}], object))
    assert cache.load("x", "k") is None


def test_unwritable_cache_is_a_warning(make_set: MakeSet, tmp_path: Path) -> None:
    data = make_set({"a.png": GOOD})
    (tmp_path / "file").write_text("not a folder")
    index = load_index(data, "train", cache_dir=tmp_path / "file" / "cache")
    assert len(index) == 1
    assert len(index.report.warnings) == 1
    assert "cannot be written" in index.report.warnings[0]


def test_foreign_caches_in_the_data_set_are_never_opened(make_set: MakeSet, tmp_path: Path) -> None:
    data = make_set({"a.png": GOOD})
    marker = tmp_path / "marker"
    payload = b"cposix\nsystem\n(S'touch " + str(marker).encode() + b"'\ntR."
    for name in ("labels/train.cache", "labels/train/x.cache", "images/train/a.npy", "images/train.cache.npy"):
        (data.parent / name).write_bytes(payload)
    assert len(load_index(data, "train")) == 1
    assert not marker.exists()


def test_config_object_is_accepted(make_set: MakeSet) -> None:
    config = read_data_config(make_set({"a.png": GOOD}))
    seen: list[tuple[int, int]] = []
    assert len(load_index(config, "train", progress=lambda done, total: seen.append((done, total)))) == 1
    with pytest.raises(DataError, match="test: there is no such split; it has train, val"):
        load_index(config, "test")
    assert seen == [(1, 1)]
