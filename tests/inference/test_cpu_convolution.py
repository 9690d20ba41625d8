"""The fused operator equals the layers that it stands for."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from yolov12.inference.cpu_convolution import FusedConv, available, fuse_activations
from yolov12.models.layers import ConvNormAct, DepthwiseConv, fold_batch_norm

pytestmark = pytest.mark.skipif(not available(), reason="this build of torch lacks the fused operator")


def features(channels: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, channels, 13, 17, generator=generator).contiguous(memory_format=torch.channels_last)


UNITS = {
    "1x1": lambda: ConvNormAct(8, 12),
    "3x3, stride 2": lambda: ConvNormAct(8, 12, 3, stride=2),
    "grouped": lambda: ConvNormAct(8, 16, 3, groups=4),
    "depthwise, own bias": lambda: DepthwiseConv(8, 7, activation=False, bias=True),
    "no activation": lambda: ConvNormAct(8, 12, activation=False),
}


@pytest.mark.parametrize("name", UNITS)
def test_equals_convolution_norm_activation(name: str) -> None:
    unit = UNITS[name]().eval()
    with torch.inference_mode():
        expected = unit(features(8))
        fold_batch_norm(unit)
        holder = nn.Sequential(unit)
        fuse_activations(holder)
        found = holder(features(8))
    assert isinstance(holder[0], FusedConv)
    assert found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_plain_convolutions_are_replaced_too() -> None:
    conv = nn.Conv2d(8, 5, 1)
    holder = nn.Sequential(nn.Sequential(conv), nn.Identity())
    fuse_activations(holder)
    with torch.inference_mode():
        torch.testing.assert_close(holder(features(8)), conv(features(8)), rtol=1e-5, atol=1e-5)
    assert not any(isinstance(part, nn.Conv2d) for part in holder.modules())


def test_convolutions_that_are_not_plain_stay_what_they_are() -> None:
    class Own(nn.Conv2d):
        pass

    layers = nn.Sequential(
        Own(3, 4, 3), nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"), nn.Conv2d(4, 4, 3, padding="same")
    )
    images = torch.rand(1, 3, 8, 8)
    expected = layers(images)
    fuse_activations(layers)
    assert not any(isinstance(layer, FusedConv) for layer in layers)
    torch.testing.assert_close(layers(images), expected)
