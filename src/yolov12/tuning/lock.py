"""Only one process that shares a cache measures at a time. The system frees the lock of one that ends, however."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import BinaryIO


def claim(path: Path) -> BinaryIO | None:
    """The lock, to be given to `release`; None while somebody holds it, who may be in this process, too.

    OSError where files cannot be locked.
    """
    file = path.open("a+b")
    try:
        _lock(file.fileno())
    except (BlockingIOError, PermissionError):
        file.close()
        return None
    except BaseException:  # a file system without locks, for one
        file.close()
        raise
    return file


def release(lock: BinaryIO) -> None:
    """Let go of a lock, also of what forked processes have inherited of it."""
    _unlock(lock.fileno())
    lock.close()


if sys.platform == "win32":
    import msvcrt

    def _lock(number: int) -> None:
        msvcrt.locking(number, msvcrt.LK_NBLCK, 1)

    def _unlock(number: int) -> None:
        msvcrt.locking(number, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock(number: int) -> None:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(number: int) -> None:
        fcntl.flock(number, fcntl.LOCK_UN)
