"""What runs exported files: a format, a suffix, a class that opens it. None of them needs torch, unless it says so."""

from __future__ import annotations

from pathlib import Path

from yolov12.errors import CheckpointError, SetupError, printable
from yolov12.inference.backends.base import Backend, Opened
from yolov12.inference.backends.onnx import OnnxBackend
from yolov12.inference.backends.openvino import OpenVINOBackend
from yolov12.inference.backends.torchscript import TorchScriptBackend

BACKENDS: dict[str, type[Backend]] = {
    "onnx": OnnxBackend,
    "openvino": OpenVINOBackend,
    "torchscript": TorchScriptBackend,
}
"""By the name of the format."""
SUFFIXES = {
    ".onnx": "onnx",
    "_openvino_model": "openvino",
    ".torchscript": "torchscript",
}
"""How the names of files and folders of each format end."""


def format_of(path: str | Path) -> str | None:
    """The format of an exported file or folder by its name; None for what is not one."""
    name = Path(path).name
    ends = [suffix for suffix in SUFFIXES if name.endswith(suffix)]
    return SUFFIXES[max(ends, key=len)] if ends else None


def open_backend(path: Path, opened: Opened) -> Backend:
    """What runs an exported file; raises CheckpointError for one that is damaged, SetupError for what is missing."""
    kind = format_of(path)
    if kind is None:
        raise CheckpointError(f"{printable(path)}: not an exported model; the names end in {', '.join(SUFFIXES)}")
    if kind not in BACKENDS:
        raise SetupError(f"{printable(path)}: {kind} files are written here, but do not run on this kind of machine")
    if not path.exists():
        raise CheckpointError(f"{printable(path)}: no such file")
    return BACKENDS[kind](path, opened)
