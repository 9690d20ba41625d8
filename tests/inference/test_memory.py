"""Freed memory is kept only where the user has not decided otherwise."""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Any

import pytest

from yolov12.inference.memory import keep_freed_memory


class Library:
    """Records calls of mallopt."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, int]] = []

    def mallopt(self, parameter: int, value: int) -> int:
        self.calls.append((parameter, value))
        return 1


@pytest.mark.parametrize(
    ("platform", "variable", "calls"), [("linux", None, 2), ("linux", "MALLOC_ARENA_MAX", 0), ("win32", None, 0)]
)
def test_who_decides(platform: str, variable: str | None, calls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library()
    for name in [name for name in os.environ if name.startswith("MALLOC_")]:
        monkeypatch.delenv(name)
    if variable is not None:
        monkeypatch.setenv(variable, "1")
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)
    keep_freed_memory()
    assert len(library.calls) == calls


def test_another_c_library(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(_: str) -> Any:
        raise OSError("no such library")

    monkeypatch.setattr(ctypes, "CDLL", absent)
    keep_freed_memory()
