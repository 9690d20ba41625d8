"""A cache outside the data set: arrays in `.npz` files, no pickle, found again only by the content they were made from.

A file is named after what it caches and holds the fingerprint of its inputs; when they change, it is replaced, so the
cache does not grow with use. A cache that cannot be read is the same as none, one that cannot be written is a warning.
Cache files that other tools leave inside a data set are never opened.
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from yolov12.atomic import write_atomic
from yolov12.errors import YoloError

Arrays = dict[str, npt.NDArray[Any]]

VERSION = "1"
"""Part of every fingerprint: raise it when a scan would find something else in the same files."""


def fingerprint(what: Iterable[str], files: Iterable[Path | None]) -> str:
    """Hash of some text and of the path, size and time of last change of every file."""
    digest = hashlib.blake2b(digest_size=16)
    for text in (VERSION, *what):
        digest.update(text.encode("utf-8", "surrogateescape") + b"\0")
    for path in files:
        digest.update(_stamp(path))
    return digest.hexdigest()


def _stamp(path: Path | None) -> bytes:
    if path is None:
        return b"-\0"
    try:
        status = path.stat()
    except OSError:
        return f"{path}\0absent\0".encode("utf-8", "surrogateescape")
    return f"{path}\0{status.st_size}\0{status.st_mtime_ns}\0".encode("utf-8", "surrogateescape")


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
