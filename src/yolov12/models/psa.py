"""Partial self-attention, as YOLO11 has it at stride 32 (from YOLOv10: Wang et al. 2024, arXiv:2405.14458).

Half of the channels pass attention blocks, half go past them. Children are created in the order of the published state
dicts, and so are the rows of `query_key_value`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from yolov12.config.backbones import PSA_HEAD_DIM
from yolov12.models.layers import Attention, ConvNormAct, DepthwiseConv

KEY_DIM, VALUE_DIM = 32, PSA_HEAD_DIM


class SelfAttention(Attention):
    """Attention of all positions to all, with a 3x3 depthwise position term on the values: (B, C, H, W) -> the same.

    Heads of 32 query, 32 key and 64 value channels; C is a multiple of 64.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels, self.heads = channels, channels // VALUE_DIM
        self.query_key_value = ConvNormAct(channels, self.heads * (2 * KEY_DIM + VALUE_DIM), activation=False)
        self.projection = ConvNormAct(channels, channels, activation=False)
        self.position = DepthwiseConv(channels, 3, activation=False)

    def forward(self, features: Tensor) -> Tensor:
        """Attend, add the position term, project."""
        batch, channels, height, width = features.shape
        # (B, heads * 128, H, W) -> (B, heads, 128, H*W) -> (B, heads, H*W, 128)
        tokens = self.query_key_value(features).reshape(batch, self.heads, -1, height * width).transpose(2, 3)
        query, key, value = tokens.split((KEY_DIM, KEY_DIM, VALUE_DIM), 3)
        attended = functional.scaled_dot_product_attention(query, key, value)
        value_map, attended_map = (
            part.transpose(2, 3).reshape(batch, channels, height, width)  # (B, heads, H*W, 64) -> (B, C, H, W)
            for part in (value, attended)
        )
        projected: Tensor = self.projection(attended_map + self.position(value_map))
        return projected

    def products(self, positions: int) -> int:
        """Multiply-accumulates of queries times keys and weights times values, for one image."""
        return positions * positions * self.heads * (KEY_DIM + VALUE_DIM)


class SelfAttentionBlock(nn.Module):
    """Self-attention, then a two-layer MLP of 1x1 convolutions, each with a shortcut: (B, C, H, W) -> the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.attention = SelfAttention(channels)
        self.ffn = nn.Sequential(
            ConvNormAct(channels, 2 * channels), ConvNormAct(2 * channels, channels, activation=False)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Mix positions, then channels."""
        features = features + self.attention(features)
        mixed: Tensor = self.ffn(features)
        return features + mixed


class C2PSA(nn.Module):
    """Attention blocks on half of the channels, the other half goes past them: (B, C, H, W) -> the same shape."""

    def __init__(self, channels: int, *, repeats: int) -> None:
        super().__init__()
        hidden = channels // 2
        self.conv1 = ConvNormAct(channels, 2 * hidden)
        self.conv2 = ConvNormAct(2 * hidden, channels)
        self.units = nn.Sequential(*(SelfAttentionBlock(hidden) for _ in range(repeats)))

    def forward(self, features: Tensor) -> Tensor:
        """Refine one half, join both."""
        past, through = self.conv1(features).chunk(2, 1)
        joined: Tensor = self.conv2(torch.cat((past, self.units(through)), 1))
        return joined
