"""Weighted fusion of maps against the formulas."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from yolov12.models.dynamic import TEMPERATURE, DynamicConv
from yolov12.models.fusion import EPS, ChannelFusion, ChannelGate, ContextFusion, HeadFusion, SpatialGate
from yolov12.models.necks.context_bifpn import high_frequencies


def maps(count: int, channels: int = 8) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(2, channels, 4, 5, generator=generator) for _ in range(count)]


@pytest.mark.parametrize("layer", [ChannelFusion(8, 3), ContextFusion(8, 3), HeadFusion(8, 2)])
def test_weights_are_shares(layer: nn.Module) -> None:
    """Sources that are all the same give that map, whatever the weights are."""
    (only,) = maps(1)
    for parameter in layer.parameters():
        nn.init.normal_(parameter, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(layer(only, only, only), only, rtol=1e-3, atol=1e-3)


def test_context_fusion_is_the_formula() -> None:
    layer, sources = ContextFusion(8, 2), maps(2)
    for parameter in layer.parameters():
        nn.init.normal_(parameter, generator=torch.Generator().manual_seed(1))
    weights = [
        functional.softplus(score(torch.cat((part.mean((2, 3), True), part.amax((2, 3), True)), 1)))
        for score, part in zip(layer.score, sources, strict=True)
    ]
    expected = (weights[0] * sources[0] + weights[1] * sources[1]) / (weights[0] + weights[1] + EPS)
    torch.testing.assert_close(layer(*sources), expected)


def test_context_fusion_begins_as_the_mean() -> None:
    sources = maps(2)
    torch.testing.assert_close(ContextFusion(8, 2)(*sources), (sources[0] + sources[1]) / 2, rtol=1e-3, atol=1e-3)


def test_heads_choose_for_themselves() -> None:
    """Where a head's query meets one source alone, the result is that source."""
    layer = HeadFusion(8, 2)
    nn.init.zeros_(layer.query.weight)
    nn.init.zeros_(layer.query.bias)
    layer.query.bias.data[:4] = 100.0  # the first head asks for what its keys are; the second does not care
    layer.key.weight.data = torch.eye(8)[..., None, None]
    high, low = torch.ones(1, 8, 2, 2), torch.zeros(1, 8, 2, 2)
    fused = layer(high, low)
    torch.testing.assert_close(fused[:, :4], high[:, :4])
    torch.testing.assert_close(fused[:, 4:], torch.full((1, 4, 2, 2), 0.5))


@pytest.mark.parametrize("layer", [ChannelGate(8), SpatialGate()])
def test_gates_only_weaken(layer: nn.Module) -> None:
    (features,) = maps(1)
    gated = layer(features)
    assert bool((gated.abs() <= features.abs()).all())
    assert bool((gated * features >= 0).all())


def test_dynamic_convolution_is_the_weighted_sum_of_convolutions() -> None:
    layer = DynamicConv(8, 6, 3).eval()
    (features,) = maps(1)
    mix = (layer.choose(features.mean((2, 3))) / TEMPERATURE).softmax(1)
    assert not torch.allclose(mix[0], mix[1])  # the pictures differ, and so do their kernels
    summed = sum(mix[:, i, None, None, None] * conv(features) for i, conv in enumerate(layer.convs))
    torch.testing.assert_close(layer(features), functional.silu(layer.norm(summed)), rtol=1e-4, atol=1e-5)


def test_flat_maps_have_no_detail() -> None:
    assert not high_frequencies(torch.full((1, 2, 4, 4), 3.0)).any()
    spot = torch.zeros(1, 1, 5, 5)
    spot[..., 2, 2] = 9.0
    assert float(high_frequencies(spot)[0, 0, 2, 2]) == 8.0
