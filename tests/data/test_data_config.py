"""Data YAML files: what is accepted, and the line and field of everything that is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from yolov12.data.data_config import read_data_config
from yolov12.errors import DataError

SPLIT = "train: t\nval: v\n"


def write(folder: Path, text: str | bytes, name: str = "data.yaml") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("names: [a, b]", ("a", "b")),
        ("names:\n- a\n- b", ("a", "b")),
        ("names: {0: a, 1: b}", ("a", "b")),
        ("names: {1: b, 0: a}", ("a", "b")),
        ("names: {'0': a, '1': b}", ("a", "b")),
        ("names: [0, 1, 010]", ("0", "1", "010")),
        ("names: ['yes', 'no']\nnc: 2", ("yes", "no")),
        ("names: ['<b>x</b>', 图]", ("<b>x</b>", "图")),
    ],
)
def test_names(tmp_path: Path, names: str, expected: tuple[str, ...]) -> None:
    assert read_data_config(write(tmp_path, SPLIT + names)).names == expected


@pytest.mark.parametrize(
    ("text", "splits", "kind"),
    [
        ("train: a\nnames: [x]", {"train": ("a",)}, "yolo"),
        ("train: [a, b]\nval: c\nnames: [x]", {"train": ("a", "b"), "val": ("c",)}, "yolo"),
        ("train: ImageSets/Main/train.txt\nnames: [x]", {"train": ("ImageSets/Main/train.txt",)}, "voc"),
        ("val: a.json", {"val": ("a.json",)}, "coco"),
        ("val: a.JSON\nnames: [x]", {"val": ("a.JSON",)}, "coco"),
        ("val: a\nformat: voc\nnames: [x]", {"val": ("a",)}, "voc"),
        ("train: a\nval:\ntest: null\nnames: [x]\nnc:\nformat: ~", {"train": ("a",)}, "yolo"),
        ("val: a.json\nnames:", {"val": ("a.json",)}, "coco"),
    ],
)
def test_splits_and_format(tmp_path: Path, text: str, splits: dict[str, tuple[str, ...]], kind: str) -> None:
    config = read_data_config(write(tmp_path, text))
    assert (config.splits, config.format) == (splits, kind)


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    assert read_data_config(write(tmp_path, SPLIT + "names: [a]")).root == tmp_path
    assert read_data_config(write(tmp_path, f"path:\n{SPLIT}names: [a]")).root == tmp_path
    assert read_data_config(write(tmp_path, f"path: x/y\n{SPLIT}names: [a]")).root == tmp_path / "x/y"
    assert read_data_config(write(tmp_path, f"path: /x\n{SPLIT}names: [a]")).root == Path("/x")
    assert read_data_config(write(tmp_path, f"path: ~/x\n{SPLIT}names: [a]")).root == Path.home() / "x"


def test_a_folder_stands_for_its_yaml(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no YAML file"):
        read_data_config(tmp_path)
    write(tmp_path, SPLIT + "names: [a]", "cells.yml")
    assert read_data_config(tmp_path).path.name == "cells.yml"
    write(tmp_path, SPLIT + "names: [a]", "other.yaml")
    with pytest.raises(DataError, match="2 YAML files; name one"):
        read_data_config(tmp_path)
    write(tmp_path, SPLIT + "names: [a]", "data.yaml")
    assert read_data_config(tmp_path).path.name == "data.yaml"


def test_bom_is_accepted(tmp_path: Path) -> None:
    assert read_data_config(write(tmp_path, b"\xef\xbb\xbf" + SPLIT.encode() + b"names: [a]")).names == ("a",)


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("names: !!python/object/apply:os.mkdir ['x']", 3, "tags .* are not allowed"),
        ("names: !!python/module:os {}", 3, "tags"),
        ("names: !local [a]", 3, "tags"),
        ("names: [a]\ndownload: |\n  print(1)", 4, "download: not supported: code in a data file is never run"),
        ("names: &x [*x]", 3, "aliases"),
        ("names: &x [a]\nnc: *x", 4, "aliases"),
        ("names: " + "[" * 20_000 + "]" * 20_000, 3, "nested more than 20 deep"),
        ("names: [a]\n---\nb: 2", 4, "second document"),
        ("names:\n\t0: a", 4, "tab|cannot start any token"),
        ("names: [a", 4, "YAML"),
        ("names: [a]\ntrain: again", 4, "train: given twice"),
        ("names: {0: a, 0: b}", 3, r"names\[0\]: given twice"),
        ("names: [cat, cat]", 3, r"names\[1\]: 'cat' is already the name"),
        ("names: [yes, a]", 3, r"names\[0\]: 'yes' is of type bool: quote it"),
        ("names: [a, 1.0]", 3, r"names\[1\]: '1.0' is of type float: quote it"),
        ("names: [a, null]", 3, r"names\[1\]: 'null' is of type null"),
        ("names: [a, [b]]", 3, r"names\[1\]: .* is of type list"),
        ("names: [a, '']", 3, r"names\[1\]: empty"),
        ("names: {0: a, 2: c}", 3, "class 1 has no name; numbers must run from 0 to 1"),
        ("names: {0: a, x: b}", 3, "'x' is not a class number"),
        ("names: {-1: a}", 3, "'-1' is not a class number"),
        ("names: a", 3, "names: of type str; a list"),
        ("names: []", 3, "names: empty"),
        ("names: [a, b]\nnc: 3", 4, "nc: 3, but names has 2"),
        ("names: [a]\nnc: -1", 4, "nc: '-1' is not a number of classes"),
        ("names: [a]\nnc: true", 4, "nc: 'true' is not a number of classes"),
        ("names: [a]\ntest: 5", 4, "test: of type int; a path is expected"),
        ("names: [a]\ntest: ['x', 5]", 4, r"test\[1\]: of type int"),
        ("names: [a]\ntest: ''", 4, "test: empty"),
        ("names: [a]\npath: {a: b}", 4, "path: of type mapping"),
        ("names: [a]\nformat: yolov5", 4, "format: 'yolov5' is not one of yolo, voc, coco, dota, folders"),
        ("names: [a]\nlr: 0.1", 4, "lr: unknown key. Known: path, train"),
        ("names: [a]\ntset: x", 4, "tset: unknown key. Did you mean 'test'?"),
    ],
)
def test_errors_name_file_line_and_field(tmp_path: Path, text: str, line: int, reason: str) -> None:
    with pytest.raises(DataError, match=rf"data\.yaml:{line}: .*(?:{reason})") as caught:
        read_data_config(write(tmp_path, SPLIT + text + "\n"))
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "expected 'key: value' lines"),
        ("- a\n- b\n", "expected 'key: value' lines"),
        ("5", "expected 'key: value' lines"),
        (bytes(range(256)), "not UTF-8"),
        (SPLIT.encode("utf-16"), "not UTF-8"),
        (SPLIT + "\0", "YAML"),
        (SPLIT, "names: missing"),
        (SPLIT + "nc: 100000000", "names: missing"),
        ("names: [a]", "train: missing"),
        ("names: [a]\ntrain:\nval:", "train: missing"),
        (SPLIT + "names:", "names: missing"),
        (SPLIT + "names: [a]\ntest:\ntest: x", "test: given twice"),
        (SPLIT + "names: [a]\ndownload:", "download: not supported"),
        (SPLIT + "names: [a]\ntest: [a, null]", "of type null; a path"),
        ("x" * (2 << 20), "more than the limit"),
    ],
)
def test_files_that_are_no_data_yaml(tmp_path: Path, text: str | bytes, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        read_data_config(write(tmp_path, text))


def test_absent_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.yaml: No such file"):
        read_data_config(tmp_path / "none.yaml")


def test_every_problem_is_listed(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read_data_config(write(tmp_path, "trian: t\nnames: [yes, no]\nnc: 0\n"))
    assert len(str(caught.value).splitlines()) == 5


def test_very_long_paths_do_not_exist(tmp_path: Path) -> None:
    config = read_data_config(write(tmp_path, f"train: {'x' * 9000}\nnames: [a]"))
    with pytest.raises(DataError, match="does not exist"):
        config.sources("train")
