"""Whole or absent: what is left on the disk after a success, a failure, a full disk and a kill."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

import pytest

from yolov12 import atomic
from yolov12.atomic import remove_stale, write_atomic
from yolov12.errors import ResourceError, UserError


def test_bytes_and_functions_are_written_and_replace_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"
    write_atomic(path, b"one")
    write_atomic(path, lambda file: file.write(b"two"))
    assert path.read_bytes() == b"two"
    assert os.listdir(tmp_path) == ["weights.bin"]


def test_the_file_gets_the_permissions_of_an_ordinary_file(tmp_path: Path) -> None:
    (tmp_path / "ordinary").write_bytes(b"")
    write_atomic(tmp_path / "atomic", b"")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("ordinary", "atomic")}
    assert len(modes) == 1


def test_what_the_writer_raises_passes_through_and_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"
    write_atomic(path, b"old")

    def broken(file: BinaryIO) -> None:
        file.write(b"half of it")
        raise RuntimeError("out of ideas")

    with pytest.raises(RuntimeError, match="out of ideas"):
        write_atomic(path, broken)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["weights.bin"]


@pytest.mark.parametrize(
    ("number", "expected"),
    [(errno.ENOSPC, ResourceError), (errno.EDQUOT, ResourceError), (errno.EIO, UserError)],
)
@pytest.mark.parametrize("when", ["write", "fsync", "replace"])
def test_a_failing_disk_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str, number: int, expected: type[Exception]
) -> None:
    path = tmp_path / "weights.bin"
    write_atomic(path, b"old")

    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    if when != "write":
        monkeypatch.setattr(atomic.os, when, fail)
    with pytest.raises(expected, match=r"weights\.bin"):
        write_atomic(path, fail if when == "write" else b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["weights.bin"]


def test_a_missing_folder_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"missing/weights\.bin: cannot be written"):
        write_atomic(tmp_path / "missing" / "weights.bin", b"")


HALF_A_WRITE = """
import os, pathlib, signal, sys
from yolov12.atomic import write_atomic

def half(file):
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)

write_atomic(pathlib.Path(sys.argv[1]), half)
"""


def test_a_kill_inside_the_write_leaves_the_old_file_and_one_stale_one(tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"
    write_atomic(path, b"old")
    process = subprocess.run([sys.executable, "-c", HALF_A_WRITE, str(path)], check=False)
    assert process.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    assert remove_stale(tmp_path) == 1
    assert os.listdir(tmp_path) == ["weights.bin"]
