"""Attention on tokens against sums written out place by place."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from yolov12.models.tokens import GlobalAttention, SubsampledAttention, TransformerBlock, WindowAttention

CHANNELS = 32


def tokens(height: int, width: int) -> Tensor:
    return torch.randn(2, height * width, CHANNELS, generator=torch.Generator().manual_seed(0))


def place_in_window(index: int, side: int, window: int, shift: int) -> tuple[int, bool, int]:
    """Which window a place of an axis falls into, whether it came around the edge, and where in the window it is."""
    windows = -(-side // window)
    shift = shift if windows > 1 else 0
    moved = (index - shift) % (windows * window)
    return moved // window, moved >= windows * window - shift, moved % window


def written_out(layer: WindowAttention, inputs: Tensor, size: tuple[int, int]) -> Tensor:
    height, width = size
    window, shift = layer.window, layer.shift
    query, key, value = layer.qkv(inputs).view(len(inputs), height * width, 3, CHANNELS).unbind(2)
    rows = [place_in_window(place, height, window, shift) for place in range(height)]
    columns = [place_in_window(place, width, window, shift) for place in range(width)]
    places = [(row, column) for row in rows for column in columns]
    attended = torch.zeros_like(inputs)
    for i, (row, column) in enumerate(places):
        seen = [j for j, (r, c) in enumerate(places) if r[:2] == row[:2] and c[:2] == column[:2]]
        offsets = [
            (row[2] - places[j][0][2] + window - 1) * (2 * window - 1) + column[2] - places[j][1][2] + window - 1
            for j in seen
        ]
        logits = (key[:, seen] @ query[:, i, :, None])[..., 0] / CHANNELS**0.5 + layer.offset_bias[offsets, 0]
        attended[:, i] = (logits.softmax(1)[..., None] * value[:, seen]).sum(1)
    return layer.projection(attended)


@pytest.mark.parametrize("size", [(6, 6), (7, 8), (3, 3), (2, 7), (1, 1), (9, 2)])
@pytest.mark.parametrize("shift", [0, 1])
def test_windows(size: tuple[int, int], shift: int) -> None:
    layer = WindowAttention(CHANNELS, 3, shift)
    torch.nn.init.normal_(layer.offset_bias)
    inputs = tokens(*size)
    torch.testing.assert_close(layer(inputs, size), written_out(layer, inputs, size), rtol=1e-4, atol=1e-5)


def test_one_window_over_the_whole_map_is_global_attention() -> None:
    window, whole = WindowAttention(CHANNELS, 4, 0), GlobalAttention(CHANNELS)
    whole.load_state_dict({name: value for name, value in window.state_dict().items() if name != "offset_bias"})
    inputs = tokens(4, 4)
    torch.testing.assert_close(window(inputs, (4, 4)), whole(inputs, (4, 4)), rtol=1e-5, atol=1e-6)
    assert window.products(16) == whole.products(16) == 2 * 16 * 16 * CHANNELS


def test_global_attention_is_that_of_torch() -> None:
    ours = GlobalAttention(64)
    theirs = torch.nn.MultiheadAttention(64, 2, batch_first=True)
    theirs.load_state_dict(
        {
            "in_proj_weight": ours.qkv.weight,
            "in_proj_bias": ours.qkv.bias,
            "out_proj.weight": ours.projection.weight,
            "out_proj.bias": ours.projection.bias,
        }
    )
    inputs = torch.randn(2, 6, 64, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(ours(inputs, (2, 3)), theirs(inputs, inputs, inputs)[0], rtol=1e-4, atol=1e-5)


def test_every_place_sees_every_summary() -> None:
    """A change anywhere reaches all places; the sizes need not be multiples of the window."""
    layer = SubsampledAttention(CHANNELS, 2)
    inputs = tokens(5, 3)
    changed = inputs.clone()
    changed[:, -1] += 1
    apart = (layer(changed, (5, 3)) - layer(inputs, (5, 3))).abs().amax((0, 2))
    assert apart.shape == (15,)
    assert bool((apart > 0).all())


def test_a_block_adds_what_attention_makes_of_normed_tokens() -> None:
    block = TransformerBlock(CHANNELS, GlobalAttention(CHANNELS), 2)
    torch.nn.init.zeros_(block.mlp[2].weight)
    torch.nn.init.zeros_(block.mlp[2].bias)
    features = torch.randn(2, CHANNELS, 3, 5, generator=torch.Generator().manual_seed(0))
    small, large = block(features) - features, block(features * 100) - features * 100
    assert block(features).shape == features.shape
    torch.testing.assert_close(small, large, rtol=1e-3, atol=1e-3)
