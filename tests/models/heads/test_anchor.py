"""Anchor boxes: what the bins of each mean."""

from __future__ import annotations

import pytest
import torch

from yolov12.config.heads import AnchorHeadConfig
from yolov12.errors import ConfigError
from yolov12.models.heads.anchor import REACH, AnchorHead
from yolov12.models.heads.detect import DetectOutputs
from yolov12.models.registry import FeatureSpec

SPEC = FeatureSpec((8, 8), (8, 16))
CONFIG = AnchorHeadConfig(3, 16, 8, bins=9, anchors=(16, 32, 32, 16, 64, 64, 8, 80))


def test_each_anchor_is_a_level() -> None:
    head = AnchorHead(CONFIG, SPEC)
    outputs = head((torch.rand(2, 8, 4, 6), torch.rand(2, 8, 2, 3)))
    assert [tuple(level.shape) for level in outputs.box_logits] == [(2, 36, 4, 6)] * 2 + [(2, 36, 2, 3)] * 2
    assert [level.shape[1] for level in outputs.class_logits] == [3] * 4
    assert head.decode(outputs).dense.shape == (2, 7, 2 * 24 + 2 * 6)


def test_bins_are_parts_of_the_anchor() -> None:
    """The middle bin on all sides says a box that is REACH times the anchor's, about the cell's middle."""
    head = AnchorHead(CONFIG, SPEC)
    logits = torch.full((4, 9), -100.0)
    logits[:, 4] = 100.0
    sizes = [(2, 2), (2, 2), (1, 1), (1, 1)]
    box_logits = tuple(logits.view(1, 36, 1, 1).expand(1, 36, *size) for size in sizes)
    class_logits = tuple(torch.zeros(1, 3, *size) for size in sizes)
    boxes = head.decode(DetectOutputs(box_logits, class_logits)).dense[0, :4].T
    share = REACH * 2 * 4 / 8
    expected = [(x, y, 16 * share, 32 * share) for y in (4, 12) for x in (4, 12)]
    expected += [(x, y, 32 * share, 16 * share) for y in (4, 12) for x in (4, 12)]
    expected += [(8, 8, 64 * share, 64 * share), (8, 8, 8 * share, 80 * share)]
    torch.testing.assert_close(boxes, torch.tensor(expected))


def test_anchors_must_be_shared_out_evenly() -> None:
    with pytest.raises(ConfigError, match="3 anchors cannot be shared out evenly among 2 levels"):
        AnchorHead(AnchorHeadConfig(3, 16, 8, anchors=(8, 8, 16, 16, 32, 32)), SPEC)
    with pytest.raises(ConfigError, match="need a width and a height for each"):
        AnchorHeadConfig(3, 16, 8, anchors=(8, 8, 16))
