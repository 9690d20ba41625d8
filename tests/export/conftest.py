"""A tiny model file for every head, written once a test file."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_factory import file_of
from part_factory import HEADS, network
from yolov12.checkpoint import write_model_file


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exports")


@pytest.fixture(scope="module")
def sources(folder: Path) -> dict[str, Path]:
    """Model files by the name of their head."""
    paths = {head: folder / f"{head}.safetensors" for head in HEADS}
    for head, path in paths.items():
        write_model_file(path, file_of(network("yolov12", "none" if head == "classify" else "pafpn", head)))
    return paths
