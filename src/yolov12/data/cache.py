"""A cache outside the data set: arrays in `.npz` files, no pickle, used again only while their inputs are the same.

Labels are known by their bytes, which are hashed at every start. Images are not read again while their stamps are the
same (path, inode, size, mtime and ctime): hashing them, too, would mean reading the whole data set at every start.

A file is named after what it caches and holds the fingerprint of its inputs; when they change, it is replaced, so the
cache does not grow with use. A cache that cannot be read is the same as none, one that cannot be written is a warning.
Cache files that other tools leave inside a data set are never opened.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from yolov12.atomic import write_atomic
from yolov12.data.files import read_regular_file, reason
from yolov12.errors import YoloError

Arrays = dict[str, npt.NDArray[Any]]

VERSION = "5"
"""Part of every fingerprint: raise it when a scan would find something else in the same files."""
MAX_BYTES = 4 << 30
"""Largest label file that is hashed; no format reads a larger one."""


def fingerprint(parts: Iterable[str | bytes]) -> str:
    """Hash of `parts` and of where each of them ends."""
    digest = hashlib.blake2b(digest_size=16)
    for part in (VERSION, *parts):
        data = part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()


def stamp(path: Path) -> str:
    """What changes whenever a file does: its inode, size, mtime and ctime, after its path.

    The ctime, of the last change of anything, cannot be set, so a restored mtime hides nothing. (On Windows it is the
    time of creation, and a change that keeps the size and restores the mtime goes unseen.)
    """
    try:
        status = path.stat()
    except OSError:
        return f"{path}\0absent"
    return f"{path}\0{status.st_ino} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"


def hash_contents(paths: Sequence[Path | None]) -> list[bytes]:
    """For each path, the path and a hash of the file's bytes, or why they cannot be read. Each file is read once."""
    hashes = {path: b"-" if path is None else _hash_content(path) for path in dict.fromkeys(paths)}
    return [hashes[path] for path in paths]


def _hash_content(path: Path) -> bytes:
    name = os.fsencode(path) + b"\0"
    try:
        return name + hashlib.blake2b(read_regular_file(path, MAX_BYTES), digest_size=16).digest()
    except OSError as error:
        return name + reason(error).encode()


class Cache:
    """Named sets of arrays in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _path(self, name: str) -> Path:
        digest = hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=12)
        return self.folder / f"{digest.hexdigest()}.npz"

    def load(self, name: str, key: str) -> Arrays | None:
        """The arrays stored as `name` if they were made from inputs with the fingerprint `key`, else None."""
        try:
            # Opened here, because numpy leaves a damaged file open.
            with self._path(name).open("rb") as file, np.load(file, allow_pickle=False) as stored:
                if str(stored["key"]) != key:
                    return None
                return {field: stored[field] for field in stored.files if field != "key"}
        except (OSError, ValueError, LookupError, EOFError, zipfile.BadZipFile, zlib.error):
            return None

    def save(self, name: str, key: str, arrays: Mapping[str, npt.NDArray[Any]]) -> str | None:
        """Store `arrays`; returns a warning if that is not possible, which is no error."""

        def write(file: BinaryIO) -> None:
            np.savez(file, key=np.array(key), **arrays)  # type: ignore[arg-type]

        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomic(self._path(name), write)
        except (OSError, YoloError) as error:
            return f"the cache in {self.folder} cannot be written, so the next run scans again ({error})"
        return None
