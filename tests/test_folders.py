"""Where things are written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from yolov12.errors import ConfigError
from yolov12.folders import CACHE_VARIABLE, cache_folder, new_run_folder, write_json


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({CACHE_VARIABLE: "/a", "XDG_CACHE_HOME": "/b"}, "/a"),
        ({"XDG_CACHE_HOME": "/b"}, "/b/yolov12"),
        ({"HOME": "/c"}, "/c/.cache/yolov12"),
    ],
)
def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str) -> None:
    for name in (CACHE_VARIABLE, "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == Path(expected)


def test_run_folders_are_numbered(tmp_path: Path) -> None:
    made = [new_run_folder("detect", str(tmp_path), "train", exist_ok=False).name for _ in range(3)]
    assert made == ["train", "train2", "train3"]
    assert new_run_folder("detect", str(tmp_path), "train", exist_ok=True).name == "train"


def test_run_folders_lie_under_the_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert new_run_folder("detect", "", "val", exist_ok=False) == Path("runs/detect/val")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x"])
def test_a_run_name_is_a_plain_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="must be a plain folder name"):
        new_run_folder("detect", str(tmp_path), name, exist_ok=False)


def test_a_project_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot create the run folder"):
        new_run_folder("detect", str(tmp_path / "file"), "train", exist_ok=False)


def test_write_json_is_readable(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"name": "혈액", "value": 1})
    text = (tmp_path / "a.json").read_text(encoding="utf8")
    assert "혈액" in text
    assert json.loads(text) == {"name": "혈액", "value": 1}
