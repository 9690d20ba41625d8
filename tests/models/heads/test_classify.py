"""Classes of a whole picture."""

from __future__ import annotations

import torch

from model_factory import tiny_head
from yolov12.models.heads.classify import ClassifyHead, ClassifyOutputs
from yolov12.models.registry import FeatureSpec


def test_scores_sum_to_one_in_float32() -> None:
    head = ClassifyHead(tiny_head("classify", 3), FeatureSpec((8, 16), (16, 32)))
    decoded = head.decode(ClassifyOutputs(torch.tensor([[0.0, 1.0, -1.0], [50.0, 50.0, -50.0]]).half()))
    assert decoded.dense.dtype == torch.float32
    assert decoded.prototypes is None
    torch.testing.assert_close(decoded.dense.sum(1), torch.ones(2))
    torch.testing.assert_close(decoded.dense[1], torch.tensor([0.5, 0.5, 0.0]))


def test_the_last_map_is_averaged() -> None:
    """A map twice as large that repeats every row says the same; the finer map says nothing."""
    head = ClassifyHead(tiny_head("classify", 3), FeatureSpec((8, 16), (16, 32))).eval()
    coarse = torch.randn(2, 16, 2, 3)
    with torch.inference_mode():
        once = head((torch.zeros(2, 8, 4, 6), coarse)).logits
        twice = head((torch.ones(2, 8, 8, 6), coarse.repeat(1, 1, 2, 1))).logits
    assert once.shape == (2, 3)
    torch.testing.assert_close(once, twice)
