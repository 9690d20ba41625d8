"""Decoding of mask coefficients and prototypes."""

from __future__ import annotations

import torch

from model_factory import tiny_head
from yolov12.models.heads.detect import DetectOutputs
from yolov12.models.heads.segment import Prototypes, SegmentHead, SegmentOutputs
from yolov12.models.registry import FeatureSpec


def test_coefficients_follow_the_scores_of_their_anchor_point() -> None:
    head = SegmentHead(tiny_head("segment", 2), FeatureSpec((8, 8), (8, 16)))
    sizes = [(2, 3), (1, 2)]
    detect = DetectOutputs(
        tuple(torch.zeros(1, 64, *size) for size in sizes), tuple(torch.zeros(1, 2, *size) for size in sizes)
    )
    coefficients = tuple(torch.zeros(1, 6, *size) for size in sizes)
    coefficients[0][0, :, 1, 2] = torch.arange(6.0)  # the last of six cells of the first level
    coefficients[1][0, :, 0, 1] = -torch.arange(6.0)  # the last of all
    prototypes = torch.rand(1, 6, 4, 6).half()
    decoded = head.decode(SegmentOutputs(detect, coefficients, prototypes))
    assert decoded.dense.shape == (1, 4 + 2 + 6, 6 + 2)
    assert decoded.dense[0, 6:, 5].tolist() == [0, 1, 2, 3, 4, 5]
    assert decoded.dense[0, 6:, 7].tolist() == [0, -1, -2, -3, -4, -5]
    assert decoded.prototypes is not None
    assert decoded.prototypes.dtype == torch.float32
    assert torch.equal(decoded.prototypes, prototypes.float())


def test_prototypes_are_twice_as_fine_and_pass_a_silu() -> None:
    found = Prototypes(16, 8, 5).eval()(torch.randn(2, 16, 6, 10))
    assert found.shape == (2, 5, 12, 20)
    assert found.min() > -0.279
