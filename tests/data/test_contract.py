"""The preprocessing that goes with a model."""

from __future__ import annotations

import json

import pytest

from yolov12.config.tasks import TASKS
from yolov12.data.contract import contract


@pytest.mark.parametrize("task", TASKS)
def test_contract_is_json_of_its_own(task: str) -> None:
    first = contract(task)
    assert json.loads(json.dumps(first)) == first
    first["resize"] = "changed"
    assert contract(task)["resize"] == ("shorter side" if task == "classify" else "letterbox")
