"""Files that are either whole or absent: written under a temporary name, flushed to the disk, then renamed into place.

A reader never sees half a file, a crash leaves the previous version alone, and a full disk leaves nothing behind. A
`kill -9` inside the write can leave one temporary file `.<name>.<random>.tmp`; `remove_stale` deletes those at start.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from yolov12.errors import ResourceError, UserError, printable

_SUFFIX = ".tmp"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def write_atomic(path: Path, data: bytes | Callable[[BinaryIO], object]) -> None:
    """Make `path` hold `data` (bytes, or a function that writes to an open binary file), all of it or nothing.

    Raises ResourceError when the disk is full, UserError when the folder cannot be written. What `data` itself raises
    passes through. In every such case `path` is as it was before.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{_SUFFIX}")
    try:
        with temporary.open("xb") as file:
            if callable(data):
                data(file)
            else:
                file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise cannot_write(path, error) from error
        raise


def remove_stale(folder: Path) -> int:
    """Delete the temporary files that killed writers left in `folder`; how many there were.

    Only for a folder that no other process writes to at the same time.
    """
    stale = [path for path in folder.glob(f".*{_SUFFIX}") if path.is_file()]
    for path in stale:
        path.unlink(missing_ok=True)
    return len(stale)


def cannot_write(path: Path, error: OSError) -> ResourceError | UserError:
    """What to raise where the system would not write `path`."""
    if error.errno in _FULL:
        return ResourceError(f"{printable(path)}: the disk is full ({error.strerror}); nothing was written")
    return UserError(f"{printable(path)}: cannot be written: {error.strerror or error}")


def _sync_folder(folder: Path) -> None:
    """Flush the folder itself, so that the rename survives a power cut (folders cannot be opened on Windows)."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
