"""What runs exported files: a format, a suffix, a class that opens it. None of them needs torch, unless it says so."""

from __future__ import annotations

from pathlib import Path

from yolov12.errors import CheckpointError, printable
from yolov12.inference.backends.base import Backend, Opened
from yolov12.inference.backends.coreml import CoreMLBackend
from yolov12.inference.backends.executorch import ExecuTorchBackend
from yolov12.inference.backends.litert import LiteRTBackend
from yolov12.inference.backends.ncnn import NcnnBackend
from yolov12.inference.backends.onnx import OnnxBackend
from yolov12.inference.backends.openvino import OpenVINOBackend
from yolov12.inference.backends.torchscript import TorchScriptBackend

BACKENDS: dict[str, type[Backend]] = {
    "onnx": OnnxBackend,
    "openvino": OpenVINOBackend,
    "torchscript": TorchScriptBackend,
    "ncnn": NcnnBackend,
    "litert": LiteRTBackend,
    "executorch": ExecuTorchBackend,
    "coreml": CoreMLBackend,
}
"""By the name of the format."""
SUFFIXES = {
    ".onnx": "onnx",
    "_openvino_model": "openvino",
    ".torchscript": "torchscript",
    "_ncnn_model": "ncnn",
    "_litert_model": "litert",
    "_executorch_model": "executorch",
    ".mlpackage": "coreml",
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
    if not path.exists():
        raise CheckpointError(f"{printable(path)}: no such file")
    backend = BACKENDS[kind](path, opened)
    if backend.artefact.format != kind:
        raise CheckpointError(f"{printable(path)}: is described as a file for {backend.artefact.format}, not {kind}")
    return backend
