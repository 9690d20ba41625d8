"""Formats whose tools are not part of the usual set-up: what they need."""

from __future__ import annotations

import os

import pytest

from yolov12.extras import is_installed

PACKAGES = {
    "ncnn": ("ncnn", "pnnx"),
    "litert": ("litert_torch", "ai_edge_litert"),
    "executorch": ("executorch",),
    "coreml": ("coremltools",),
}


def need(kind: str) -> None:
    """Skip where the tools of a format are missing, unless all of them are promised to be here."""
    missing = [package for package in PACKAGES[kind] if not is_installed(package)]
    if missing and not os.environ.get("YOLOV12_ALL_FORMATS"):
        pytest.skip(f"{kind} needs {', '.join(missing)}: scripts/formats installs it")
