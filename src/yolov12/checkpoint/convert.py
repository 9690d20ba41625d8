"""Model files into other formats: ours, or the published state dict that other programs load."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from yolov12.atomic import write_atomic
from yolov12.checkpoint.model_file import ModelFile
from yolov12.checkpoint.native import write_model_file
from yolov12.checkpoint.read import read_model_file
from yolov12.errors import CheckpointError
from yolov12.models.checkpoint_map import ours_to_official

SUFFIXES = (".safetensors", ".pt")


def convert(source: Path, target: Path, *, half: bool = False) -> ModelFile:
    """Read `source` and write it as `target`; the suffix decides: `.safetensors` is ours, `.pt` the published layout.

    A `.pt` holds tensors only (float32, published keys), which `torch.load(weights_only=True)` reads; class names and
    metadata have no place in it. Returns what was read.
    """
    check_target(target, source, half=half)
    file = read_model_file(source)
    write_converted(file, target, half=half)
    return file


def check_target(target: Path, source: Path | None = None, *, half: bool = False) -> None:
    """Raise CheckpointError unless `target` can be written as its suffix says, and is not `source` itself."""
    if target.suffix not in SUFFIXES:
        raise CheckpointError(f"{target}: the output must end in {' or '.join(SUFFIXES)}, not {target.suffix!r}")
    if half and target.suffix == ".pt":
        raise CheckpointError(f"{target}: published state dicts are float32; half precision needs .safetensors")
    if source and os.path.exists(source) and os.path.exists(target) and os.path.samefile(source, target):
        raise CheckpointError(f"{target}: is the file to convert, which would be lost; name another file")


def write_converted(file: ModelFile, target: Path, *, half: bool = False) -> None:
    """Write `file` in the format that `target`'s suffix says; `check_target` has let it pass."""
    if target.suffix == ".pt":
        # Copies, because torch saves a view together with all of the memory that it looks into.
        state = {name: tensor.clone() for name, tensor in ours_to_official(file.state, file.config).items()}
        write_atomic(target, lambda stream: torch.save(state, stream))
    else:
        write_model_file(target, file, half=half)
