"""Targets of heatmaps, pixel by pixel."""

from __future__ import annotations

import math

import torch

from yolov12.data.sample import Targets
from yolov12.losses.heatmap_pose import REACH, SPREAD, gaussians

STRIDE = 8


def test_heatmaps() -> None:
    points = torch.tensor(
        [
            [[20.0, 30.0, 2.0], [70.0, 5.0, 1.0]],
            [[24.0, 36.0, 2.0], [0.0, 0.0, 0.0]],
            [[-3.0, 9.0, 1.0], [9.0, 9.0, 0.0]],
        ]
    )
    targets = Targets(
        torch.tensor([0, 0, 1]), torch.zeros(3, dtype=torch.int64), torch.zeros(3, 4), keypoints_input=points
    )
    maps, count = gaussians(targets, (6, 9), 2, STRIDE)
    expected = torch.zeros(2, 2, 6, 9)
    for image, row, kind in ((0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 2, 0)):
        x, y, _ = (points[row, kind] / STRIDE).tolist()
        for i in range(6):
            for j in range(9):
                near = abs(j - round(x - 0.5)) <= REACH and abs(i - round(y - 0.5)) <= REACH
                value = math.exp(-((j + 0.5 - x) ** 2 + (i + 0.5 - y) ** 2) / (2 * SPREAD**2)) * near
                expected[image, kind, i, j] = max(float(expected[image, kind, i, j]), value)
    assert count == 4
    torch.testing.assert_close(maps, expected)


def test_no_keypoints_no_heat() -> None:
    empty = Targets(
        torch.zeros(0, dtype=torch.int64),
        torch.zeros(0, dtype=torch.int64),
        torch.zeros(0, 4),
        keypoints_input=torch.zeros(0, 3, 3),
    )
    maps, count = gaussians(empty, (4, 4), 2, STRIDE)
    assert maps.shape == (2, 3, 4, 4)
    assert count == 0
    assert not maps.any()
