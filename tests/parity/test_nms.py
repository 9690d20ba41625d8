"""Suppression against the published models' own, row by row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from yolov12.postprocess import NmsOptions, select

NUM_CLASSES = 6
FIELDS = {"conf_thres": "conf", "iou_thres": "iou", "max_nms": "max_candidates"}
CONFIGS = 9


def options_of(config: dict[str, Any]) -> NmsOptions:
    values = {FIELDS.get(key, key): tuple(value) if isinstance(value, list) else value for key, value in config.items()}
    return NmsOptions(**values)


@pytest.mark.parametrize("image", [0, 1])
@pytest.mark.parametrize("number", range(CONFIGS))
def test_rows_and_their_order(golden: Path, number: int, image: int) -> None:
    configs = json.loads((golden / "ops" / "nms_configs.json").read_text())
    assert len(configs) == CONFIGS
    with np.load(golden / "ops" / "nms.npz") as arrays:
        decoded, expected = arrays["pred"][image], arrays[f"out{number}_img{image}"]
    rows = select(decoded, NUM_CLASSES, options_of(configs[number]))
    assert rows.shape == expected.shape
    np.testing.assert_allclose(rows, expected, rtol=0, atol=1e-5)


def test_extra_channels_travel_along(golden: Path) -> None:
    with np.load(golden / "ops" / "nms.npz") as arrays:
        rows = select(arrays["pred_extra"][0], NUM_CLASSES, NmsOptions(conf=0.25, iou=0.7))
        np.testing.assert_allclose(rows, arrays["out_extra_img0"], rtol=0, atol=1e-5)
