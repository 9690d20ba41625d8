"""Decoding of keypoints."""

from __future__ import annotations

import math

import pytest
import torch

from model_factory import tiny_head
from yolov12.models.heads.detect import DetectOutputs
from yolov12.models.heads.pose import PoseHead, PoseOutputs
from yolov12.models.registry import FeatureSpec


@pytest.mark.parametrize("values", [2, 3])
def test_keypoints_start_at_the_corner_of_their_cell_and_step_two_cells(values: int) -> None:
    """Cell (row 1, column 2) of a map of stride 16: its corner is at (32, 16)."""
    head = PoseHead(tiny_head("pose", 1, (2, values)), FeatureSpec((8,), (16,)))
    detect = DetectOutputs((torch.zeros(1, 64, 2, 3),), (torch.zeros(1, 1, 2, 3),))
    raw = torch.zeros(1, 2 * values, 2, 3)
    second = [0.25, -1.5, math.log(3)][:values]
    raw[0, values:, 1, 2] = torch.tensor(second)
    decoded = head.decode(PoseOutputs(detect, (raw,))).dense
    assert decoded.shape == (1, 4 + 1 + 2 * values, 6)
    first, moved = decoded[0, 5 : 5 + values, 5], decoded[0, 5 + values :, 5]
    torch.testing.assert_close(first, torch.tensor([32.0, 16.0, 0.5][:values]))
    torch.testing.assert_close(moved, torch.tensor([32.0 + 0.5 * 16, 16.0 - 3 * 16, 0.75][:values]))
