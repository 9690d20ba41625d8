"""Every hostile data YAML of the kit: read as data or refused with file, line and field; nothing is run or written."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from yolov12.data.dataset import load_index, read_data_config
from yolov12.errors import DataError

Hostile = Callable[[str], Path]

ACCEPTED = {
    "bom": ("a",),
    "names_html": ("<script>alert(1)</script>", "a\nb"),
    "path_traversal": ("a",),
    "val_eq_train": ("a",),
}
REFUSED = {
    "py_object": ":4: YAML: tags",
    "py_new": ":1: YAML: tags",
    "py_module": ":1: YAML: tags",
    "download_exec": ":5: download: not supported",
    "download_bash": ":5: download: not supported",
    "download_url": ":5: download: not supported",
    "billion_laughs": ":2: YAML: aliases",
    "deep": ":1: YAML: nested more than",
    "self_alias": ":1: YAML: aliases",
    "dup_keys": ":3: train: given twice",
    "tabs": ":2: YAML: ",
    "not_mapping": ":1: YAML: expected",
    "empty": ":1: YAML: expected",
    "binary": ": not UTF-8 text",
    "utf16": ": not UTF-8 text",
    "multi_doc": ":2: YAML: a second document",
    "no_names": ": names: missing",
    "nc_mismatch": ":4: nc: 3, but names has 2",
    "names_gap": ":4: names: class 1 has no name",
    "names_str_keys": ":4: names: 'x' is not a class number",
    "names_norway": ":4: names[1]: 'no' is of type bool: quote it",
    "names_dup": ":4: names[1]: 'cat' is already the name of another class",
    "nc_huge": ": names: missing",
    "nc_neg": ":4: nc: '-1'",
    "nc_zero": ":4: nc: '0'",
    "train_int": ":2: train: of type int",
    "typo": ":2: trian: unknown key. Did you mean 'train'?",
    "extra_key": ":5: lr: unknown key",
}


@pytest.fixture(scope="module")
def files(hostile: Hostile) -> Path:
    return hostile("gen_yaml.py") / "data"


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(files: Path, name: str) -> None:
    assert read_data_config(files / f"{name}.yaml").names == ACCEPTED[name]


@pytest.mark.parametrize("name", REFUSED)
def test_refused(files: Path, name: str) -> None:
    start = time.process_time()
    with pytest.raises(DataError) as caught:
        load_index(files / f"{name}.yaml", "val")
    assert time.process_time() - start < 1
    assert f"{name}.yaml{REFUSED[name]}" in str(caught.value)
    assert all(line.isprintable() for line in str(caught.value).splitlines())
    assert not list(files.parent.parent.rglob("PWNED_*"))


def test_the_tables_name_every_file(files: Path) -> None:
    assert {path.stem for path in files.iterdir()} == {*ACCEPTED, *REFUSED}
