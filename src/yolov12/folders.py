"""Where things are written: run folders `runs/<task>/<name>[N]`, and the cache, which is never inside a data set."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from yolov12.atomic import write_atomic
from yolov12.errors import ConfigError, ResourceError

CACHE_VARIABLE = "YOLOV12_CACHE"


def cache_folder() -> Path:
    """`$YOLOV12_CACHE`, else `yolov12` in the user's cache folder."""
    if given := os.environ.get(CACHE_VARIABLE):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "yolov12"


def run_parent(task: str, project: str) -> Path:
    """The folder that holds the runs of a task."""
    return Path(project) if project else Path("runs") / task


def require_space(folder: Path, needed: int) -> None:
    """Raise ResourceError unless the disk that `folder` is or will be on has `needed` bytes left."""
    existing = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
    disk = shutil.disk_usage(existing)
    if disk.total and disk.free < needed:  # what is no disk has no size either; creating the folder says what is wrong
        raise ResourceError(
            f"--project {folder}: {disk.free / 1e6:.0f} MB are free, but this run's weights and states take "
            f"{needed / 1e6:.0f} MB; free some space or choose another disk"
        )


def new_run_folder(task: str, project: str, name: str, *, exist_ok: bool) -> Path:
    """Create and return the run's folder; raises ConfigError when it cannot be written.

    The number is claimed by creating the folder, so two runs that start together never share one.
    """
    parent = run_parent(task, project)
    if Path(name).name != name or name in ("", ".", ".."):
        raise ConfigError(f"--name {name!r}: must be a plain folder name; say where with --project")
    candidates = (parent / (name if number == 1 else f"{name}{number}") for number in itertools.count(1))
    try:
        for folder in candidates:
            try:
                folder.mkdir(parents=True, exist_ok=exist_ok)
            except FileExistsError:
                if exist_ok:
                    raise ConfigError(f"--project/--name {folder}: is a file, not a folder") from None
                continue
            return folder
    except OSError as error:
        raise ConfigError(f"--project {parent}: cannot create the run folder ({error.strerror})") from error
    raise AssertionError("unreachable: the candidates never end")


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write `value` as readable JSON, atomically."""
    write_atomic(path, (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode())


def remove(path: Path) -> None:
    """Delete a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
