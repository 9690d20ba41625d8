"""Reading files that a user, or an attacker, chose: regular files only, of limited size."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from yolov12.errors import DataError, printable


def reason(error: OSError) -> str:
    """Why the operating system refused, without its number and without the path."""
    return error.strerror or str(error) or type(error).__name__


def read_regular_file(path: Path | str, limit: int) -> bytes:
    """The bytes of a regular file of at most `limit` bytes.

    Raises OSError for anything else: pipes and devices (which are opened without blocking), folders, larger files.
    """
    with open(path, "rb", buffering=0, opener=_open_without_blocking) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(0, "not a regular file")
        if status.st_size > limit:
            raise OSError(0, f"{status.st_size} bytes, more than the limit of {limit}")
        # One byte more than expected, so that a file that grows while it is read cannot grow without end.
        return file.read(status.st_size + 1)[: status.st_size] if status.st_size else b""


def _open_without_blocking(path: str, flags: int) -> int:
    if sys.platform == "win32":
        return os.open(path, flags)
    return os.open(path, flags | os.O_NONBLOCK)  # opening a pipe that nobody writes to would wait for ever


def names_in(folder: Path) -> frozenset[str]:
    """Names of the entries of a folder, none if there is no such folder. Raises DataError if it cannot be read."""
    try:
        return frozenset(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return frozenset()
    except OSError as error:
        raise DataError(f"{printable(folder)}: {reason(error)}") from error


def read_lines(path: Path, limit: int) -> list[str]:
    """The lines of a UTF-8 text file of at most `limit` bytes. Raises DataError that names the file."""
    try:
        return read_regular_file(path, limit).decode("utf-8-sig").splitlines()
    except OSError as error:
        raise DataError(f"{printable(path)}: {reason(error)}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{printable(path)}: not UTF-8 text (byte {error.start})") from error


def walk_files(folder: Path) -> list[Path]:
    """Every file below `folder` (also pipes and broken links, for the reader to refuse), sorted; hidden ones left out.

    Links to folders are followed, each real folder once, so that a loop of links ends.
    """
    found: list[Path] = []
    seen: set[str] = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(parent, name) for name in files if not name.startswith(".")]
    return sorted(found)


def swap_folder(folder: Path, names: Mapping[str, str]) -> Path | None:
    """`folder` with the last of its parts that is a key of `names` replaced by the value; None if there is none."""
    parts = folder.parts
    last = max((i for i, part in enumerate(parts) if part in names), default=None)
    return None if last is None else Path(*parts[:last], names[parts[last]], *parts[last + 1 :])


def match_labels(
    images: Sequence[Path], suffix: str, folders_for: Callable[[Path], list[Path]]
) -> tuple[dict[Path, Path | None], list[Path]]:
    """{image: its label file or None}, and the paths tried for the first image.

    `folders_for(folder)` says where the labels of the images in a folder may be; the first that has the file counts.
    `suffix` may be in capitals: `x.TXT` is found, unless there is an `x.txt`. Each folder is listed once.
    """
    folders = {parent: folders_for(parent) for parent in dict.fromkeys(image.parent for image in images)}
    listed = {folder: _by_stem(folder, suffix) for folder in {f for places in folders.values() for f in places}}
    matches: dict[Path, Path | None] = {}
    for image in images:
        stem = image.stem
        places = (folder for folder in folders[image.parent] if stem in listed[folder])
        matches[image] = next((folder / listed[folder][stem] for folder in places), None)
    return matches, [folder / f"{image.stem}{suffix}" for image in images[:1] for folder in folders[image.parent]]


def _by_stem(folder: Path, suffix: str) -> dict[str, str]:
    """{name without suffix: name} of the files with `suffix`; small letters sort, and so count, last."""
    names = map(os.path.splitext, sorted(names_in(folder)))
    return {stem: stem + ending for stem, ending in names if ending.lower() == suffix}
