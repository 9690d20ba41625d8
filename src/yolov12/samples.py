"""Pictures that come with the package."""

from __future__ import annotations

from pathlib import Path

from yolov12.config.tasks import TASKS
from yolov12.errors import CheckpointError

SAMPLES = Path(__file__).resolve().parent / "assets" / "samples"


def sample_images(task: str = "detect") -> Path:
    """Folder of the sample images for a task that come with the package."""
    folder = SAMPLES / ("pose" if TASKS[task].several else task)  # objects with boxes, masks and keypoints are persons
    if not folder.is_dir():
        raise CheckpointError(f"there are no sample pictures for {task}: name a source")
    return folder
