"""Synthetic data sets on the disk: read back by our own readers, in both forms, all or nothing."""

from __future__ import annotations

import errno
import filecmp
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from yolov12.config.tasks import TASKS
from yolov12.data import synthetic
from yolov12.data.dataset import load_index
from yolov12.data.index import ImageIndex, shared_images
from yolov12.data.synthetic import SYNTHETIC_VERSION, write_synthetic
from yolov12.data.synthetic_scene import make_scene
from yolov12.data.synthetic_shapes import FLIP_IDX
from yolov12.data.workers import forks_safely
from yolov12.errors import ConfigError, ResourceError, UserError

SMALL = {"train": 5, "val": 3, "size": 128, "workers": 0}


def index_of(yaml: Path, task: str, split: str = "train") -> ImageIndex:
    index = load_index(yaml, split, task=task)
    report = index.report
    assert not report.warnings
    assert not any((report.clipped, report.deduplicated, report.degenerate, report.orphans))
    return index


def files_of(folder: Path) -> dict[str, str]:
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


@pytest.mark.parametrize("task", ["detect", "segment", "pose", "obb"])
def test_our_reader_finds_what_was_drawn(task: str, tmp_path: Path) -> None:
    yaml = write_synthetic(tmp_path / "data", task=task, **SMALL)
    for split, count in (("train", 5), ("val", 3)):
        index = index_of(yaml, task, split)
        assert len(index) == count
        for i in range(count):
            objects = make_scene(task, split, i, size=128).objects
            where = index.objects(i)
            assert index.labels[where].tolist() == [item.label for item in objects]
            assert np.abs(index.boxes[where] - [item.box for item in objects]).max() < 1e-3
            for row, item in zip(range(where.start, where.stop), objects, strict=True):
                if task in ("segment", "obb"):
                    (ring,) = index.rings(row)
                    assert np.abs(ring - (item.outline if task == "segment" else item.corners)).max() < 1e-3
                if task == "pose":
                    assert index.keypoints is not None
                    assert np.abs(index.keypoints[row] - item.keypoints).max() < 1e-3
    if task == "pose":
        assert index.keypoint_shape == (6, 3)
        assert index.flip_idx == FLIP_IDX


def test_class_folders(tmp_path: Path) -> None:
    yaml = write_synthetic(tmp_path / "data", task="classify", train=60, val=3, size=64, workers=0)
    index = index_of(yaml, "classify")
    assert len(index.names) == 8
    classes = {int(path.stem): path.parent.name for path in index.paths}
    for i, label in enumerate(index.labels.tolist()):
        number = int(index.paths[i].stem)
        assert make_scene("classify", "train", number, size=64).objects[0].label == label
        assert classes[number] == index.names[label]


@pytest.mark.parametrize("task", ["detect", "segment", "pose"])
def test_both_forms_say_the_same(task: str, tmp_path: Path) -> None:
    yolo, coco = (
        index_of(write_synthetic(tmp_path / form, task=task, format=form, **SMALL), task) for form in ("yolo", "coco")
    )
    assert yolo.names == coco.names
    assert np.array_equal(yolo.digests, coco.digests)  # the same pictures
    assert np.array_equal(yolo.offsets, coco.offsets)
    assert np.array_equal(yolo.labels, coco.labels)
    assert np.abs(yolo.boxes - coco.boxes).max() < 1e-3
    if task == "pose":
        assert yolo.keypoints is not None
        assert coco.keypoints is not None
        assert np.abs(yolo.keypoints - coco.keypoints).max() < 1e-3
    if task == "segment":
        for row in range(len(yolo.labels)):
            (ours,), (theirs,) = yolo.rings(row), coco.rings(row)
            assert np.abs(ours - theirs).max() < 1e-3


def test_coco_areas_are_those_of_the_masks(tmp_path: Path) -> None:
    index = index_of(write_synthetic(tmp_path / "data", task="segment", format="coco", **SMALL), "segment")
    drawn = [item.mask.sum() for i in range(5) for item in make_scene("segment", "train", i, size=128).objects]
    assert index.areas.tolist() == drawn


@pytest.mark.parametrize("task", ["classify", "obb"])
def test_coco_cannot_hold_every_task(task: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--format 'coco': COCO JSON does not hold .*--format yolo"):
        write_synthetic(tmp_path / "data", task=task, format="coco")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("task", TASKS)
def test_the_same_options_write_the_same_bytes(task: str, tmp_path: Path) -> None:
    form = "coco" if TASKS[task].several else "yolo"
    for name in ("a", "b"):
        write_synthetic(tmp_path / name, task=task, train=3, val=2, size=64, workers=0, format=form)
    write_synthetic(tmp_path / "c", task=task, train=3, val=2, size=64, seed=1, workers=0, format=form)
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")
    assert not files_of(tmp_path / "a").items() & files_of(tmp_path / "c").items()


def test_text_rows_cannot_hold_several_tasks(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--format 'yolo': .*use --format coco"):
        write_synthetic(tmp_path / "data", task="multi")


@pytest.mark.skipif(not forks_safely(), reason="no forked processes here")
def test_processes_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthetic.os, "cpu_count", lambda: 2)
    for workers in (0, 2):
        write_synthetic(tmp_path / str(workers), task="pose", format="coco", train=40, val=9, size=64, workers=workers)
    assert files_of(tmp_path / "0") == files_of(tmp_path / "2")
    assert len(files_of(tmp_path / "2")) == 40 + 9 + 2 + 2


def test_a_larger_set_begins_with_the_smaller_one(tmp_path: Path) -> None:
    for name, count in (("small", 2), ("large", 4)):
        write_synthetic(tmp_path / name, train=count, val=1, size=64, workers=0)
    for kind in ("images", "labels"):
        small = tmp_path / "small" / kind / "train"
        same, _, _ = filecmp.cmpfiles(small, tmp_path / "large" / kind / "train", [p.name for p in small.iterdir()])
        assert len(same) == 2


def test_splits_share_no_picture(tmp_path: Path) -> None:
    yaml = write_synthetic(tmp_path / "data", train=6, val=6, test=6, size=64, workers=0)
    train, val, test = (index_of(yaml, "detect", split) for split in ("train", "val", "test"))
    assert shared_images(train, val) == shared_images(train, test) == shared_images(val, test) == 0


def test_a_split_without_scenes_is_left_out(tmp_path: Path) -> None:
    yaml = write_synthetic(tmp_path / "data", train=2, val=0, size=64, workers=0)
    assert [path.name for path in (tmp_path / "data" / "images").iterdir()] == ["train"]
    assert "val:" not in yaml.read_text()


def test_what_was_written_is_described(tmp_path: Path) -> None:
    yaml = write_synthetic(tmp_path / "data", task="pose", seed=7, **SMALL)
    described = json.loads((tmp_path / "data" / "synthetic.json").read_text())
    assert described["version"] == SYNTHETIC_VERSION
    assert (described["task"], described["seed"], described["train"], described["size"]) == ("pose", 7, 5, 128)
    assert described["names"] == ["creature"]
    assert described["keypoints"][1] == "left_hand"
    assert yaml == tmp_path / "data" / "data.yaml"
    assert yaml.read_text().startswith(f"# Synthetic scenes, version {SYNTHETIC_VERSION}, task pose, seed 7")


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match="not empty"):
        write_synthetic(tmp_path, **SMALL)
    with pytest.raises(ConfigError, match="not a folder"):
        write_synthetic(tmp_path / "mine.txt", **SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    assert write_synthetic(tmp_path / "data", train=1, val=1, size=64, workers=0).is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_relative_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert write_synthetic("a/b", train=1, val=0, size=64, workers=0) == Path("a/b/data.yaml")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]


@pytest.mark.parametrize(
    ("number", "expected", "text"),
    [(errno.ENOSPC, ResourceError, "the disk is full"), (errno.EACCES, UserError, "cannot be written")],
)
def test_a_failure_leaves_nothing(
    number: int, expected: type[Exception], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, "as the system says")

    monkeypatch.setattr(synthetic, "yaml_text", fail)
    with pytest.raises(expected, match=text):
        write_synthetic(tmp_path / "data", **SMALL)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"task": "depth"}, "--task 'depth': choose from detect"),
        ({"train": 0}, "--train 0: must be between 1"),
        ({"size": 32}, "--size 32: must be between 64"),
        ({"format": "voc"}, "--format 'voc': choose from yolo, coco"),
        ({"sise": 64}, "'sise' is not an option here. Did you mean 'size'?"),
    ],
)
def test_options_are_checked(options: dict[str, object], text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=text.replace("?", r"\?")):
        write_synthetic(tmp_path / "data", **options)
    assert not list(tmp_path.iterdir())
