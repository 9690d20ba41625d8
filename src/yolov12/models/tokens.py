"""Transformer blocks on feature maps: layer norm, attention of one of three reaches, layer norm, an MLP.

Global attention: Vaswani et al. 2017 (arXiv:1706.03762) with the norms in front (Xiong et al. 2020, arXiv:2002.04745).
Shifted windows with a learned relative position bias: Swin (Liu et al. 2021, arXiv:2103.14030). Windows that take turns
with attention to one summary per window: Twins (Chu et al. 2021, arXiv:2104.13840). Maps of any size: windows that
reach over the edge are padded, and nothing attends to padding.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from yolov12.config.backbones import HEAD_DIM
from yolov12.models.layers import Attention


class GlobalAttention(Attention):
    """Every position to every other: tokens (B, H*W, C) -> the same shape; heads of 32 channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels, self.heads = channels, channels // HEAD_DIM
        self.qkv = nn.Linear(channels, 3 * channels)
        self.projection = nn.Linear(channels, channels)

    def forward(self, tokens: Tensor, size: tuple[int, int]) -> Tensor:
        """`size` is (H, W)."""
        batch, positions, channels = tokens.shape
        # (B, N, 3C) -> (B, N, 3, heads, 32) -> 3 x (B, heads, N, 32)
        query, key, value = self.qkv(tokens).view(batch, positions, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(query, key, value)
        projected: Tensor = self.projection(attended.transpose(1, 2).reshape(batch, positions, channels))
        return projected

    def products(self, positions: int) -> int:
        """Multiply-accumulates of queries times keys and weights times values, for one image."""
        return 2 * positions * positions * self.channels


class WindowAttention(Attention):
    """Attention inside windows of `window` x `window` positions, whose grid is moved by `shift`; a bias per offset.

    Tokens (B, H*W, C) -> the same shape. The map is padded to whole windows; with a shift, windows that would join
    opposite edges are split by a mask.
    """

    def __init__(self, channels: int, window: int, shift: int) -> None:
        super().__init__()
        self.channels, self.heads, self.window, self.shift = channels, channels // HEAD_DIM, window, shift
        self.qkv = nn.Linear(channels, 3 * channels)
        self.projection = nn.Linear(channels, channels)
        self.offset_bias = nn.Parameter(torch.zeros((2 * window - 1) ** 2, self.heads))
        self.offsets: Tensor
        self.register_buffer("offsets", _offset_index(window), persistent=False)

    def forward(self, tokens: Tensor, size: tuple[int, int]) -> Tensor:
        """`size` is (H, W)."""
        batch, _, channels = tokens.shape
        window, (height, width) = self.window, size
        rows, columns = (-(-side // window) for side in size)  # windows
        shifts = self.shift * (rows > 1), self.shift * (columns > 1)  # one window has nothing to be moved against
        padded = rows * window, columns * window
        # (B, H*W, 3C) -> (B, H', W', 3C)
        maps = self.qkv(tokens).view(batch, height, width, -1)
        maps = functional.pad(maps, (0, 0, 0, padded[1] - width, 0, padded[0] - height))
        if any(shifts):
            maps = maps.roll((-shifts[0], -shifts[1]), (1, 2))
        # (B, H', W', 3C) -> (B, R, w, S, w, 3, heads, 32) -> 3 x (B, R*S*heads, w*w, 32)
        parts = maps.view(batch, rows, window, columns, window, 3, self.heads, -1).permute(5, 0, 1, 3, 6, 2, 4, 7)
        query, key, value = parts.reshape(3, batch, rows * columns * self.heads, window**2, -1)
        attended = functional.scaled_dot_product_attention(query, key, value, self._mask(size, padded, shifts))
        # (B, R*S*heads, w*w, 32) -> (B, R, S, heads, w, w, 32) -> (B, R, w, S, w, heads, 32) -> (B, H', W', C)
        attended = attended.view(batch, rows, columns, self.heads, window, window, -1).permute(0, 1, 4, 2, 5, 3, 6)
        joined = attended.reshape(batch, *padded, channels)
        if any(shifts):
            joined = joined.roll(shifts, (1, 2))
        projected: Tensor = self.projection(joined[:, :height, :width].reshape(batch, height * width, channels))
        return projected

    def products(self, positions: int) -> int:
        """Multiply-accumulates of queries times keys and weights times values, for one image; padding left out."""
        return 2 * positions * self.window**2 * self.channels

    def _mask(self, size: tuple[int, int], padded: tuple[int, int], shifts: tuple[int, int]) -> Tensor:
        """What is added to the products: (1, R*S*heads, w*w, w*w)."""
        tokens = self.window**2
        bias = self.offset_bias[self.offsets].view(tokens, tokens, self.heads).permute(2, 0, 1)  # (heads, w*w, w*w)
        windows = padded[0] * padded[1] // tokens
        if not any(shifts) and size == padded:
            return bias.expand(windows, -1, -1, -1).reshape(1, -1, tokens, tokens)
        same_rows, same_columns = (
            _same_region(*sides, self.window, bias.device) for sides in zip(size, padded, shifts, strict=True)
        )
        # (R, 1, w, 1, w, 1) and (1, S, 1, w, 1, w) -> (R*S, 1, w*w, w*w)
        apart = ~(same_rows[:, None, :, None, :, None] & same_columns[None, :, None, :, None, :])
        closed = torch.zeros(apart.shape, dtype=bias.dtype, device=bias.device).masked_fill(apart, -torch.inf)
        return (bias + closed.view(windows, 1, tokens, tokens)).reshape(1, -1, tokens, tokens)


class SubsampledAttention(Attention):
    """Every position to one summary of each `window` x `window` square: tokens (B, H*W, C) -> the same shape."""

    def __init__(self, channels: int, window: int) -> None:
        super().__init__()
        self.channels, self.heads, self.window = channels, channels // HEAD_DIM, window
        self.query = nn.Linear(channels, channels)
        self.summary = nn.Conv2d(channels, channels, window, window, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.key_value = nn.Linear(channels, 2 * channels)
        self.projection = nn.Linear(channels, channels)

    def forward(self, tokens: Tensor, size: tuple[int, int]) -> Tensor:
        """`size` is (H, W)."""
        batch, positions, channels = tokens.shape
        maps = tokens.transpose(1, 2).reshape(batch, channels, *size)
        bottom, right = (-side % self.window for side in size)
        summaries = self.summary(functional.pad(maps, (0, right, 0, bottom)))  # (B, C, R, S)
        summaries = self.norm(summaries.flatten(2).transpose(1, 2))  # (B, R*S, C)
        query = self.query(tokens).view(batch, positions, self.heads, -1).transpose(1, 2)  # (B, heads, N, 32)
        # (B, R*S, 2C) -> 2 x (B, heads, R*S, 32)
        key, value = self.key_value(summaries).view(batch, -1, 2, self.heads, HEAD_DIM).permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(query, key, value)
        projected: Tensor = self.projection(attended.transpose(1, 2).reshape(batch, positions, channels))
        return projected

    def products(self, positions: int) -> int:
        """Multiply-accumulates of queries times keys and weights times values, for one image."""
        return 2 * positions * -(-positions // self.window**2) * self.channels


class TransformerBlock(nn.Module):
    """Attention, then an MLP, each behind a layer norm and beside a shortcut: (B, C, H, W) -> the same shape."""

    def __init__(self, channels: int, attention: Attention, mlp_ratio: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.attention = attention
        self.norm2 = nn.LayerNorm(channels)
        hidden = mlp_ratio * channels
        self.mlp = nn.Sequential(nn.Linear(channels, hidden), nn.GELU(), nn.Linear(hidden, channels))

    def forward(self, features: Tensor) -> Tensor:
        """Mix positions, then channels."""
        size = features.shape[2], features.shape[3]
        tokens = features.flatten(2).transpose(1, 2)  # (B, C, H, W) -> (B, H*W, C)
        tokens = tokens + self.attention(self.norm1(tokens), size)
        tokens = tokens + self.mlp(self.norm2(tokens))
        mixed: Tensor = tokens.transpose(1, 2).unflatten(2, size)  # (B, H*W, C) -> (B, C, H, W), a view
        return mixed


def _offset_index(window: int) -> Tensor:
    """(w^4,): for each pair of positions of a window the row of its offset in the table of biases."""
    steps = torch.arange(window)
    apart = steps[:, None] - steps + window - 1  # (w, w), 0 ... 2w - 2
    return (apart[:, None, :, None] * (2 * window - 1) + apart[None, :, None, :]).flatten()


def _same_region(size: int, padded: int, shift: int, window: int, device: torch.device) -> Tensor:
    """(windows, w, w): whether two places of a window may see each other along one axis.

    Not those that only the shift brought together, and not a place of the map and one of the padding.
    """
    place = torch.arange(padded, device=device)
    region = (place >= padded - shift).long() * 2 if shift else torch.zeros_like(place)
    region = (region + ((place + shift) % padded >= size).long()).view(-1, window)
    return region[:, :, None] == region[:, None, :]
