"""What a model wants done to a picture before it sees it, by task; stored with the model."""

from __future__ import annotations

from typing import Any

from yolov12.config.tasks import TASKS
from yolov12.data import center_crop, letterbox


def contract(task: str) -> dict[str, Any]:
    """The preprocessing of models for `task`, as plain JSON values."""
    return dict(letterbox.PREPROCESS if TASKS[task].boxes else center_crop.PREPROCESS)
