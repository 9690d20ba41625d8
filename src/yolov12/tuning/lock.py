"""Only one process of a machine measures at a time. The system frees the lock of a process, however that ends."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import BinaryIO


def claim(path: Path) -> BinaryIO | None:
    """The lock, to be given to `release`; None while somebody holds it, who may be in this process, too."""
    file = path.open("a+b")
    try:
        _lock(file.fileno())
    except OSError:
        file.close()
        return None
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
