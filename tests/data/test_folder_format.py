"""Class folders: what the classes are, and everything that does not fit."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from label_factory import write_folders, write_image
from yolov12.data.dataset import load_index, read_data_config
from yolov12.data.index import shared_images
from yolov12.errors import ConfigError, DataError

PETS = {"train/dog": 2, "train/cat": 1, "train/Ant": 1, "val/cat": 2, "val/dog": 1, "val/Ant": 1}


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    return write_folders(tmp_path / "pets", PETS)


def test_the_index(pets: Path) -> None:
    config = read_data_config(pets)
    assert (config.format, config.root, config.names) == ("folders", pets, ())
    assert config.splits == {"train": ("train",), "val": ("val",)}
    index = load_index(pets, "train", task="classify")
    assert index.names == ("Ant", "cat", "dog")
    assert [f"{path.parent.name}/{path.name}" for path in index.paths] == [
        "Ant/0.png", "cat/0.png", "dog/0.png", "dog/1.png",
    ]  # fmt: skip
    assert index.labels.tolist() == [0, 1, 2, 2]
    assert index.offsets.tolist() == [0, 1, 2, 3, 4]
    assert index.boxes.tolist() == [[0, 0, 60, 40]] * 4
    assert index.areas.tolist() == [2400] * 4
    assert index.image_ids.tolist() == [1, 2, 3, 4]
    assert index.report.warnings == []
    assert index.report.summary() == "train: 4 images, 4 objects"
    assert load_index(str(pets), "val", task="classify").labels.tolist() == [0, 1, 1, 2]


def test_all_splits_count_classes_like_train(pets: Path) -> None:
    shutil.rmtree(pets / "val/Ant")
    index = load_index(pets, "val", task="classify")
    assert (index.names, index.labels.tolist()) == (("Ant", "cat", "dog"), [1, 1, 2])
    assert index.report.warnings == ["val: 1 classes have no image: Ant"]


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_names_of_the_validation_folder(pets: Path, name: str) -> None:
    (pets / "val").rename(pets / name)
    assert len(load_index(pets, "val", task="classify")) == 4


def test_two_validation_folders(pets: Path) -> None:
    shutil.copytree(pets / "val", pets / "valid")
    with pytest.raises(DataError, match=r"pets: val: the folders val and valid both stand for it"):
        read_data_config(pets)


def test_test_does_not_stand_for_val(pets: Path) -> None:
    (pets / "val").rename(pets / "test")
    assert len(load_index(pets, "test", task="classify")) == 4
    with pytest.raises(DataError) as caught:
        load_index(pets, "val", task="classify")
    assert str(caught.value) == (
        f"{pets}: val: there is no such split; it has train, test (folders looked for: val, valid, validation). To "
        "validate on test, name it in a data YAML: 'val: test' with 'format: folders'"
    )
    (pets / "data.yaml").write_text("train: train\nval: test\nformat: folders\n")
    assert len(load_index(pets, "val", task="classify")) == 4


def test_classes_that_train_does_not_have(pets: Path) -> None:
    for name in ("emu", "bee"):
        write_image(pets / "val" / name / "0.png")
    finding = "this class is not among the folders of train (Ant, cat, dog): 1 images"
    with pytest.raises(DataError, match=re.escape(f"{pets / 'val' / 'bee'}: {finding}")):
        load_index(pets, "val", task="classify")
    skipped = load_index(pets, "val", task="classify", on_bad_label="skip")
    assert skipped.report.findings == [f"{pets / 'val' / name}: {finding}" for name in ("bee", "emu")]
    assert skipped.report.skipped == 2
    assert skipped.names == ("Ant", "cat", "dog")
    for name in ("Ant", "cat", "dog"):
        shutil.rmtree(pets / "val" / name, ignore_errors=True)
    with pytest.raises(DataError, match=r"val/emu: this class is not among the folders of train"):
        load_index(pets, "val", task="classify", on_bad_label="skip")


def test_strays_are_reported_and_left_out(pets: Path) -> None:
    write_image(pets / "train/stray.png")
    (pets / "train/cat/notes.txt").write_text("cats")
    (pets / "train/dog/list.csv").write_text("dogs")
    (pets / "train/.DS_Store").write_bytes(b"hidden")
    (pets / "train/cat/.hidden.png").write_bytes(b"hidden")
    (pets / "train/.git").mkdir()
    index = load_index(pets, "train", task="classify")
    assert len(index) == 4
    assert index.report.warnings == [
        f"train: 1 files lie beside the class folders: left out, the first is {pets / 'train/stray.png'}",
        f"train: 2 files in the class folders are no images: left out, the first is {pets / 'train/cat/notes.txt'}",
    ]


def test_an_empty_class_folder_is_a_class(pets: Path) -> None:
    (pets / "train/bee").mkdir()
    index = load_index(pets, "train", task="classify")
    assert index.names == ("Ant", "bee", "cat", "dog")
    assert index.report.warnings == ["train: 1 classes have no image: bee"]


def test_folders_inside_a_class_folder(pets: Path) -> None:
    write_image(pets / "train/cat/black/9.png", 99)
    assert load_index(pets, "train", task="classify").labels.tolist() == [0, 1, 1, 2, 2]


def test_bad_images_stop_or_are_skipped(pets: Path) -> None:
    image = pets / "train/dog/1.png"
    image.write_bytes(image.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"dog/1\.png: cut PNG file") as caught:
        load_index(pets, "train", task="classify")
    assert str(caught.value).endswith("--on-bad-label skip")
    index = load_index(pets, "train", task="classify", on_bad_label="skip")
    assert (index.labels.tolist(), index.report.skipped) == ([0, 1, 2], 1)


def test_a_yaml_may_fix_the_order_and_the_places(pets: Path, tmp_path: Path) -> None:
    data = tmp_path / "pets.yaml"
    data.write_text("path: pets\ntrain: [train, val]\nval: val\nformat: folders\nnames: [dog, cat, Ant, emu]\n")
    index = load_index(data, "train", task="classify")
    assert (len(index), index.names) == (8, ("dog", "cat", "Ant", "emu"))
    assert index.labels.tolist() == [2, 1, 0, 0, 2, 1, 1, 0]
    assert index.report.warnings == ["train: 1 classes have no image: emu"]
    data.write_text("path: pets\ntrain: train\nformat: folders\nnames: [dog, cat]\n")
    with pytest.raises(DataError, match=r"train/Ant: this class is not among names \(dog, cat\): 1 images"):
        load_index(data, "train", task="classify")
    data.write_text("path: pets\ntrain: [train, train]\nformat: folders\n")
    assert load_index(data, "train", task="classify").report.deduplicated == 4


@pytest.mark.parametrize(
    ("yaml", "reason"),
    [
        ("train: list.txt\nformat: folders\n", r"list\.txt: train: not a folder with one folder for each class"),
        ("train: empty\nformat: folders\n", "empty: train: no class folders in it"),
        ("train: bare\nformat: folders\n", "bare: train: no images in its class folders"),
        ("train: gone\nformat: folders\n", "train: 'gone' does not exist"),
    ],
)
def test_places_without_class_folders(tmp_path: Path, yaml: str, reason: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bare/cat").mkdir(parents=True)
    (tmp_path / "list.txt").write_text("x.png\n")
    (tmp_path / "data.yaml").write_text(yaml)
    with pytest.raises(DataError, match=reason):
        load_index(tmp_path, "train", task="classify")


def test_folders_that_are_no_data_set(tmp_path: Path) -> None:
    write_folders(tmp_path / "flat", {"cat": 1, "dog": 1})
    write_folders(tmp_path / "yolo", {"train/images": 1, "train/labels": 0})
    for name in ("flat", "yolo"):
        with pytest.raises(DataError, match=rf"{name}: data: this folder has no YAML file, and no folders of classes"):
            load_index(tmp_path / name, "train", task="classify")


def test_names_that_are_no_text(pets: Path) -> None:
    (pets / "train/a\nb").mkdir()
    with pytest.raises(DataError, match=r"'a\\\\nb': a class name must be printable text") as caught:
        load_index(pets, "train", task="classify")
    assert "\n" not in str(caught.value)


def test_one_class_is_no_task(pets: Path) -> None:
    with pytest.raises(ConfigError, match="single_cls: a classifier of one class has nothing to tell apart"):
        load_index(pets, "train", task="classify", single_cls=True)


def test_fraction_and_shared_images(pets: Path) -> None:
    assert load_index(pets, "train", task="classify", fraction=0.5).labels.tolist() == [0, 2]
    shutil.copy(pets / "train/dog/0.png", pets / "val/dog/copy.png")
    train, val = (load_index(pets, split, task="classify") for split in ("train", "val"))
    assert shared_images(train, val) == 1


def test_the_cache_notices_a_move_between_classes(pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    assert load_index(pets, "train", task="classify", cache_dir=cache).labels.tolist() == [0, 1, 2, 2]
    (pets / "train/dog/0.png").rename(pets / "train/cat/1.png")  # neither bytes nor order change
    moved = load_index(pets, "train", task="classify", cache_dir=cache)
    assert moved.labels.tolist() == [0, 1, 1, 2]
    monkeypatch.delattr("yolov12.data.scan.decode_with_notes")
    monkeypatch.delattr("yolov12.data.folder_format.FolderLabels.read")
    again = load_index(pets, "train", task="classify", cache_dir=cache)
    assert (again.labels.tolist(), again.report) == (moved.labels.tolist(), moved.report)
