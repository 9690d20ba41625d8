"""One at a time, and whoever is gone holds nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from yolov12.tuning.lock import claim, release

HOLDER = """
import pathlib, sys
from yolov12.tuning.lock import claim
lock = claim(pathlib.Path(sys.argv[1]))
print("held" if lock else "taken", flush=True)
sys.stdin.read()
"""


def test_one_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = claim(path)
    assert lock is not None
    assert claim(path) is None
    release(lock)
    again = claim(path)
    assert again is not None
    release(again)


def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert claim(path) is None
        holder.kill()
        holder.wait()
    lock = claim(path)
    assert lock is not None
    release(lock)
