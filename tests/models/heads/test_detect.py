"""Decoding of raw outputs, and where the head's biases start."""

from __future__ import annotations

import math

import pytest
import torch

from yolov12.config.heads import DetectHeadConfig
from yolov12.errors import ConfigError
from yolov12.models.heads.detect import DetectHead, DetectOutputs, decode
from yolov12.models.registry import FeatureSpec


def test_decode_of_one_sure_cell() -> None:
    """Cell (row 1, column 2) of a 2 x 3 map of stride 16: its centre is at (40, 24); 1, 0, 3, 2 cells to its sides."""
    box_logits, class_logits = torch.zeros(1, 4 * 4, 2, 3), torch.full((1, 2, 2, 3), -math.log(3))
    for side, distance in enumerate((1, 0, 3, 2)):
        box_logits[0, 4 * side + distance, 1, 2] = 100.0
    class_logits[0, 1, 1, 2] = 0.0
    decoded = decode(DetectOutputs((box_logits,), (class_logits,)), (16,))
    assert decoded.shape == (1, 4 + 2, 6)
    # corners (40 - 16, 24 - 0) and (40 + 48, 24 + 32)
    torch.testing.assert_close(decoded[0, :, 5], torch.tensor([56.0, 40.0, 64.0, 32.0, 0.25, 0.5]))


def test_decode_orders_levels_then_rows() -> None:
    sizes, strides = [(4, 6), (2, 3), (1, 2)], (8, 16, 32)
    outputs = DetectOutputs(
        tuple(torch.zeros(2, 8, *size) for size in sizes), tuple(torch.zeros(2, 3, *size) for size in sizes)
    )
    decoded = decode(outputs, strides)
    assert decoded.shape == (2, 7, 24 + 6 + 2)
    assert decoded[0, :2, [0, 1, 6, 24, 30]].T.tolist() == [[4, 4], [12, 4], [4, 12], [8, 8], [16, 16]]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_decode_is_float32(dtype: torch.dtype) -> None:
    outputs = DetectOutputs((torch.zeros(1, 8, 2, 2, dtype=dtype),), (torch.zeros(1, 3, 2, 2, dtype=dtype),))
    assert decode(outputs, (8,)).dtype == torch.float32


def test_first_biases() -> None:
    head = DetectHead(DetectHeadConfig(80, 16, 16), FeatureSpec((8, 8, 8), (8, 16, 32)))
    expected = [-11.536642, -10.150348, -8.764053]
    for box, classes, prior in zip(head.box_branches, head.class_branches, expected, strict=True):
        assert torch.equal(box[2].bias, torch.ones(64))
        assert classes[2].bias.tolist() == pytest.approx([prior] * 80, abs=1e-5)


@pytest.mark.parametrize("class_branch", ["depthwise", "plain"])
def test_dilations_set_the_receptive_field_of_each_level(class_branch: str) -> None:
    """Two 3x3 convolutions of dilation d see 2 d cells to every side."""
    config = DetectHeadConfig(3, 8, 8, class_branch=class_branch, dilations=(1, 2, 3))
    head = DetectHead(config, FeatureSpec((8, 8, 8), (8, 16, 32))).eval()
    generator = torch.Generator().manual_seed(0)
    levels = tuple(torch.rand(1, 8, 15, 15, generator=generator).requires_grad_() for _ in head.strides)
    outputs = head(levels)
    for kind in outputs:
        gradients = torch.autograd.grad([logits[0, :, 7, 7].sum() for logits in kind], levels, retain_graph=True)
        reach = [int((gradient[0].abs().sum(0) > 0).nonzero().sub(7).abs().max()) for gradient in gradients]
        assert reach == [2, 4, 6]
        assert [logits.shape[2:] for logits in kind] == [(15, 15)] * 3


def test_dilations_must_fit_the_levels() -> None:
    with pytest.raises(ConfigError, match=r"detect.dilations \[1, 2\]: need one for each of 3 levels"):
        DetectHead(DetectHeadConfig(3, 8, 8, dilations=(1, 2)), FeatureSpec((8, 8, 8), (8, 16, 32)))


def test_the_bins_are_frozen() -> None:
    head = DetectHead(DetectHeadConfig(3, 16, 16), FeatureSpec((8,), (8,)))
    weight = head.get_parameter("bins.weight")
    assert weight.flatten().tolist() == list(range(16))
    assert not weight.requires_grad
