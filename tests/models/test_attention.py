"""Area attention against a plain loop over areas and heads."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from yolov12.models.attention import RELAN, AreaAttention, AttentionOptions


def options(areas: int, kernel: int = 5, bias: bool = False) -> AttentionOptions:
    return AttentionOptions(areas=areas, mlp_hidden=48, position_kernel=kernel, position_bias=bias)


def loop(attention: AreaAttention, features: Tensor) -> Tensor:
    """The definition, one image, area and head at a time."""
    channels, (height, width) = features.shape[1], features.shape[2:]
    query, key, value = attention.qkv(features).split(channels, 1)
    flat = [part.flatten(2) for part in (query, key, value)]  # (B, C, H * W)
    mixed = torch.zeros_like(flat[2])
    run = height * width // attention.areas
    for image, area, head in itertools.product(range(len(features)), range(attention.areas), range(channels // 32)):
        rows, columns = slice(32 * head, 32 * head + 32), slice(run * area, run * area + run)
        q, k, v = (part[image, rows, columns] for part in flat)  # (32, positions of the area)
        weights = (q.T @ k / 32**0.5).softmax(1)
        mixed[image, rows, columns] = (weights @ v.T).T
    return attention.projection(mixed.unflatten(2, (height, width)) + attention.position(value))


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("height", "width"), [(2, 2), (6, 10), (4, 1)])
@pytest.mark.parametrize(("areas", "kernel", "bias"), [(4, 5, False), (1, 7, True), (2, 5, False)])
def test_matches_the_definition(
    areas: int, kernel: int, bias: bool, height: int, width: int, memory_format: torch.memory_format
) -> None:
    torch.manual_seed(0)
    attention = AreaAttention(64, options(areas, kernel, bias)).eval().to(memory_format=memory_format)
    features = torch.randn(2, 64, height, width).to(memory_format=memory_format)
    attention.qkv.norm.weight.data.fill_(3.0)  # far from uniform attention
    with torch.no_grad():
        torch.testing.assert_close(attention(features), loop(attention, features), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_memory_format_is_kept(memory_format: torch.memory_format) -> None:
    attention = AreaAttention(64, options(4)).eval().to(memory_format=memory_format)
    features = torch.randn(2, 64, 4, 6).to(memory_format=memory_format)
    assert (features + attention(features)).is_contiguous(memory_format=memory_format)


def test_residual_scale_starts_near_the_identity() -> None:
    block = RELAN(128, 128, repeats=1, attention=options(1), residual_scale=True)
    assert block.residual_scale is not None
    assert torch.equal(block.residual_scale, torch.full((128,), 0.01))
    features = torch.randn(1, 128, 4, 4)
    assert (block.eval()(features) - features).abs().max() < 0.1 * features.abs().max()
