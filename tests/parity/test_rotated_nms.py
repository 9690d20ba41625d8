"""Suppression of rotated boxes against the published models' own, row by row; angles as they write them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from yolov12.postprocess import NmsOptions
from yolov12.postprocess.rotated import regularised, select_rotated
from yolov12.results import rotated_corners

NUM_CLASSES = 3
FIELDS = {"conf_thres": "conf", "iou_thres": "iou"}
CONFIGS = 3


@pytest.mark.parametrize("number", range(CONFIGS))
def test_rows_and_their_order(golden: Path, number: int) -> None:
    configs = json.loads((golden / "ops" / "nms_rotated_configs.json").read_text())
    assert len(configs) == CONFIGS
    with np.load(golden / "ops" / "nms_rotated.npz") as arrays:
        decoded, expected = arrays["pred"][0], arrays[f"out{number}"]
    options = NmsOptions(**{FIELDS.get(key, key): value for key, value in configs[number].items()})
    rows = select_rotated(decoded, NUM_CLASSES, options)
    assert rows.shape == expected.shape
    np.testing.assert_allclose(rows, expected, rtol=0, atol=1e-5)


def test_angles_and_corners(golden: Path) -> None:
    with np.load(golden / "ops" / "geometry__r8363.npz") as arrays:
        boxes = arrays["probiou_a"].astype(np.float64)
        np.testing.assert_allclose(regularised(boxes), arrays["regularized"], rtol=0, atol=1e-5)
        np.testing.assert_allclose(rotated_corners(boxes), arrays["corners"], rtol=0, atol=1e-4)
