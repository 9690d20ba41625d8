"""What `--save` and `--save-txt` write."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from yolov12.results import Boxes, Result
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
    for path in ("a/x.jpg", "b/x.jpg", "c/x.png"):
        save_result(result(path), tmp_path, image=True, labels=False)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["x.jpg", "x_2.jpg", "x_3.jpg"]
