"""From one file format of models to another."""

from __future__ import annotations

from pathlib import Path

from yolov12.checkpoint.convert import check_target, write_converted
from yolov12.loading import load_model


def convert_model(source: str | Path, target: Path, *, layout: str = "turbo", offline: bool | None = None) -> str:
    """Convert a model, given as to `YOLO`; returns one line that says what was written."""
    check_target(target)  # before anything is downloaded
    file, path = load_model(source, pretrained=True, layout=layout, num_classes=None, offline=offline)
    check_target(target, path)
    write_converted(file, target)
    return f"{target}: {file.config.variant} {file.config.layout}, {file.config.task}, {len(file.names)} classes"
