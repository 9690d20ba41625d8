"""Packages that not every installation has."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from yolov12.errors import SetupError


def require(package: str, extra: str) -> Any:
    """Import an optional package; SetupError with the command that installs it."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        missing = error.name or package
        raise SetupError(f"this needs the package {missing}: pip install 'yolov12[{extra}]'") from error


def is_installed(package: str) -> bool:
    """Whether a package can be imported, without importing it."""
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False
