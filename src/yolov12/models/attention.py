"""Area attention and R-ELAN, the two ideas of YOLOv12 (Tian et al. 2025, arXiv:2502.12524).

The depthwise position term on the values stands in for a position encoding; there are no layer norms, all projections
are convolutions with batch norm. Children are created in the order of the published state dicts.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from yolov12.config.backbones import HEAD_DIM
from yolov12.models.blocks import C3k
from yolov12.models.layers import Attention, ConvNormAct, DepthwiseConv


@dataclass(frozen=True)
class AttentionOptions:
    """What the attention blocks of one stage share."""

    areas: int
    mlp_hidden: int
    position_kernel: int
    position_bias: bool


class AreaAttention(Attention):
    """Self-attention inside `areas` equal runs of the row-major flattened map, plus a depthwise position term.

    (B, C, H, W) -> the same shape; heads of 32 channels. Its cost falls by the number of areas; where H is divisible
    by it an area is a full-width strip. H * W must be a multiple of it. The output rows of `qkv` are all queries, all
    keys, all values, each head by head; the published layouts differ from that only by a permutation of rows.
    """

    def __init__(self, channels: int, options: AttentionOptions) -> None:
        super().__init__()
        self.channels, self.areas, self.heads = channels, options.areas, channels // HEAD_DIM
        self.qkv = ConvNormAct(channels, 3 * channels, activation=False)
        self.projection = ConvNormAct(channels, channels, activation=False)
        self.position = DepthwiseConv(channels, options.position_kernel, activation=False, bias=options.position_bias)

    def forward(self, features: Tensor) -> Tensor:
        """Attend within areas; the position term sees the whole map of values."""
        batch, channels, height, width = features.shape
        positions = height * width
        # (B, 3C, H, W) -> (B, H*W, 3C): free in channels_last, one copy otherwise, and what the fused kernels want.
        tokens = self.qkv(features).flatten(2).transpose(1, 2).contiguous()
        parts = tokens.split(channels, 2)
        query, key, value = (
            # (B, H*W, C) -> (B*areas, H*W/areas, heads, 32) -> (B*areas, heads, H*W/areas, 32), a view
            part.view(batch * self.areas, positions // self.areas, self.heads, HEAD_DIM).transpose(1, 2)
            for part in parts
        )
        attended = functional.scaled_dot_product_attention(query, key, value)
        # (B*areas, heads, H*W/areas, 32) -> (B, H*W, C), a view as the kernels lay their result out
        attended = attended.transpose(1, 2).reshape(batch, positions, channels)
        value_map, attended_map = (
            part.transpose(1, 2).unflatten(2, (height, width))  # (B, H*W, C) -> (B, C, H, W), a view
            for part in (parts[2], attended)
        )
        projected: Tensor = self.projection(self.position(value_map) + attended_map)
        return projected

    def products(self, positions: int) -> int:
        """Multiply-accumulates of queries times keys and weights times values, for one image."""
        return 2 * positions * (positions // self.areas) * self.channels


class AttentionBlock(nn.Module):
    """Area attention, then a two-layer MLP of 1x1 convolutions, each with a shortcut: (B, C, H, W) -> the same."""

    def __init__(self, channels: int, options: AttentionOptions) -> None:
        super().__init__()
        self.attention = AreaAttention(channels, options)
        self.mlp = nn.Sequential(
            ConvNormAct(channels, options.mlp_hidden),
            ConvNormAct(options.mlp_hidden, channels, activation=False),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Mix positions, then channels."""
        features = features + self.attention(features)
        mixed: Tensor = self.mlp(features)
        return features + mixed


class RELAN(nn.Module):
    """Residual efficient layer aggregation: units in a row, the output of each handed on to the joint `conv2`.

    (B, in, H, W) -> (B, out, H, W). A unit is a pair of attention blocks, or a C3k when `attention` is None. With
    `residual_scale` the input is added to the scaled result (in = out), which lets the large models converge.
    """

    INITIAL_SCALE = 0.01

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        repeats: int,
        attention: AttentionOptions | None = None,
        residual_scale: bool = False,
    ) -> None:
        super().__init__()
        hidden = out_channels // 2
        self.residual_scale = nn.Parameter(torch.full((out_channels,), self.INITIAL_SCALE)) if residual_scale else None
        self.conv1 = ConvNormAct(in_channels, hidden)
        self.conv2 = ConvNormAct((1 + repeats) * hidden, out_channels)
        self.units = nn.ModuleList(
            C3k(hidden)
            if attention is None
            else nn.Sequential(AttentionBlock(hidden, attention), AttentionBlock(hidden, attention))
            for _ in range(repeats)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Refine step by step, join everything, optionally add the input."""
        parts = [self.conv1(features)]
        for unit in self.units:
            parts.append(unit(parts[-1]))
        joined: Tensor = self.conv2(torch.cat(parts, 1))
        if self.residual_scale is None:
            return joined
        return features + self.residual_scale[:, None, None] * joined
