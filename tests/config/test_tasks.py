"""The tasks: every table that is kept by task has all of them."""

from __future__ import annotations

import pytest

from yolov12.config.tasks import TASK_SUFFIXES, TASKS
from yolov12.config.variants import DEFAULT_CLASSES, model_config
from yolov12.data.label_formats import TASK_LABELS
from yolov12.data.synthetic_layout import RECIPES
from yolov12.data.synthetic_scene import STREAMS
from yolov12.metrics.base import result_columns
from yolov12.postprocess import POSTPROCESS


@pytest.mark.parametrize("table", [DEFAULT_CLASSES, TASK_LABELS, RECIPES, POSTPROCESS, STREAMS])
def test_every_table_has_all_tasks(table: dict[str, object]) -> None:
    assert set(table) == set(TASKS)


@pytest.mark.parametrize("task", TASKS)
def test_what_a_task_has(task: str) -> None:
    row = TASKS[task]
    assert TASK_SUFFIXES[row.suffix] == task
    assert model_config(f"yolov12n{row.suffix}").task == task
    assert result_columns(task)
    assert sum((row.plain, row.masks, row.keypoints, row.rotated, not row.boxes)) == 1 + row.several
