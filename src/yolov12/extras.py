"""Packages that not every installation has."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
import threading
import warnings
from typing import Any

from yolov12.errors import SetupError

TALKATIVE = ("openvino", "nncf")
TELEMETRY = "openvino_telemetry"
_opening = threading.Lock()


def require(package: str, extra: str) -> Any:
    """Import an optional package; SetupError with the command that installs it.

    OpenVINO and NNCF would tell their makers of it: without the package that does the telling, they do not.
    """
    if package.partition(".")[0] in TALKATIVE:
        sys.modules.setdefault(TELEMETRY, None)  # type: ignore[arg-type]  # then importing it fails, as if not there
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what a library thinks of its own libraries is not for our users
            return importlib.import_module(package)
    except ImportError as error:
        raise missing(error.name or package, extra) from error


def openvino_core() -> Any:
    """The one OpenVINO core of this process, never let go.

    Each core's CPU plugin (2026.4) gives the thread that loads it another stack for signals, and frees that stack when
    the core goes. Where a second core, or a second thread, is in between, the thread is left with a freed stack, and
    the next signal that Python handles (Ctrl-C, SIGTERM) ends the process with SIGSEGV.
    """
    with _opening:  # the cache by itself would let several threads make one each
        return _core()


@functools.cache
def _core() -> Any:
    return require("openvino", "openvino").Core()


def missing(package: str, extra: str) -> SetupError:
    """What to say of an optional package that is not there."""
    return SetupError(f"this needs the package {package}: pip install 'yolov12[{extra}]'")


def is_installed(package: str) -> bool:
    """Whether a package can be imported, without importing it."""
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False
