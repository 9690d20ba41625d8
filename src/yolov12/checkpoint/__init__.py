"""Model files: ours (safetensors), and those of other projects, read without running anything that is in them."""

from __future__ import annotations

from yolov12.checkpoint.convert import convert
from yolov12.checkpoint.model_file import ModelFile
from yolov12.checkpoint.native import read_tensors, write_model_file, write_tensors
from yolov12.checkpoint.read import read_model_file
from yolov12.checkpoint.transfer import TransferReport, fit_state

__all__ = [
    "ModelFile",
    "TransferReport",
    "convert",
    "fit_state",
    "read_model_file",
    "read_tensors",
    "write_model_file",
    "write_tensors",
]
