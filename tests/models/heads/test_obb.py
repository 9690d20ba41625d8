"""Decoding of rotated boxes."""

from __future__ import annotations

import math

import pytest
import torch

from model_factory import tiny_head
from yolov12.models.heads.detect import DetectOutputs
from yolov12.models.heads.obb import ObbHead, ObbOutputs
from yolov12.models.registry import FeatureSpec


@pytest.mark.parametrize(
    ("angle", "centre"),
    [(0.0, (1, 1)), (math.pi / 2, (-1, 1)), (math.pi / 6, (math.cos(math.pi / 6) - 0.5, 0.5 + math.cos(math.pi / 6)))],
)
def test_distances_are_measured_along_turned_axes(angle: float, centre: tuple[float, float]) -> None:
    """1, 0, 3, 2 cells to the sides: the centre lies one cell along and one across from the anchor point (40, 24)."""
    head = ObbHead(tiny_head("obb", 2), FeatureSpec((8,), (16,)))
    boxes, classes = torch.zeros(1, 64, 2, 3), torch.full((1, 2, 2, 3), -math.log(3))
    for side, distance in enumerate((1, 0, 3, 2)):
        boxes[0, 16 * side + distance, 1, 2] = 100.0
    share = angle / math.pi + 0.25
    angles = torch.full((1, 1, 2, 3), math.log(share / (1 - share)))
    decoded = head.decode(ObbOutputs(DetectOutputs((boxes,), (classes,)), (angles,))).dense
    assert decoded.shape == (1, 4 + 2 + 1, 6)
    expected = [40 + 16 * centre[0], 24 + 16 * centre[1], 64, 32, 0.25, 0.25, angle]
    torch.testing.assert_close(decoded[0, :, 5], torch.tensor(expected), rtol=1e-5, atol=1e-4)
