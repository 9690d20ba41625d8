"""What `--save` and `--save-txt` write."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from yolov12.results import OBB, Boxes, Keypoints, Masks, Probs, Result
from yolov12.visualize import save_result


def result(path: str, frame: int | None = None) -> Result:
    boxes = Boxes(np.array([[1, 2, 30, 40, 0.5, 0]], np.float32), (50, 60))
    return Result(path, {0: "cell"}, (50, 60), boxes, np.zeros((50, 60, 3), np.uint8), frame=frame)


@pytest.mark.parametrize(
    ("path", "frame", "name"),
    [("a/b.png", None, "b"), ("c.mp4", 12, "c_000012"), ("image0", None, "image0"), ("https://x.org/y.jpg", None, "y")],
)
def test_names(tmp_path: Path, path: str, frame: int | None, name: str) -> None:
    written = save_result(result(path, frame), tmp_path, image=True, labels=True)
    assert written == [tmp_path / f"{name}.jpg", tmp_path / "labels" / f"{name}.txt"]
    assert all(file.is_file() for file in written)


def test_equal_names_do_not_overwrite_each_other(tmp_path: Path) -> None:
    for folder in range(12):
        save_result(result(f"{folder}/x.jpg"), tmp_path, image=True, labels=False)
    names = ["x.jpg", *(f"x_{number}.jpg" for number in range(2, 13))]
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(names)


def test_every_task_has_label_rows(tmp_path: Path) -> None:
    """The rows themselves are those of `Result.save_txt`; here: that they arrive, with scores."""
    whole = np.zeros((1, 50, 60), bool)
    whole[0, 5:30, 5:30] = True
    for name, parts in {
        "seg": {"masks": Masks.from_data(whole)},
        "pose": {"keypoints": Keypoints(np.ones((1, 2, 3)), (50, 60))},
        "obb": {"obb": OBB(np.array([[20, 20, 10, 5, 0.3, 0.5, 0]]), (50, 60))},
    }.items():
        found = dataclasses.replace(result(f"{name}.png"), **parts)
        (path,) = save_result(found, tmp_path, image=False, labels=True, scores=True)
        assert path.read_text().startswith("0 ")
        assert path.read_text().endswith(" 0.500000\n")
    picture = Result("cls.png", {0: "cell"}, (50, 60), result("x").boxes[[]], probs=Probs(np.ones(1)))
    (path,) = save_result(picture, tmp_path, image=False, labels=True)
    assert path.read_text() == "1.00 cell\n"
