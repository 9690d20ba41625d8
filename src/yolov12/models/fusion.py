"""Ways to join maps of the same shape with weights that depend on what is in them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

EPS = 1e-4
REDUCTION = 4
SMALLEST = 8


class ChannelFusion(nn.Module):
    """Each channel chooses between its sources: S maps (B, C, H, W) -> (B, C, H, W).

    The choice is a softmax over the sources of what a small network makes of the mean of their sum (selective kernels,
    Li et al. 2019, arXiv:1903.06586).
    """

    def __init__(self, channels: int, sources: int = 2) -> None:
        super().__init__()
        self.sources = sources
        hidden = max(channels // REDUCTION, SMALLEST)
        self.squeeze = nn.Conv2d(channels, hidden, 1)
        self.choose = nn.Conv2d(hidden, sources * channels, 1)

    def forward(self, *maps: Tensor) -> Tensor:
        """As many maps as the module was made for."""
        stacked = torch.stack(maps, 1)  # (B, S, C, H, W)
        mean = stacked.sum(1).mean((2, 3), keepdim=True)  # (B, C, 1, 1)
        logits = self.choose(functional.silu(self.squeeze(mean)))
        # (B, S * C, 1, 1) -> (B, S, C, 1, 1)
        weights = logits.view(len(logits), self.sources, -1, 1, 1).softmax(1)
        fused: Tensor = (stacked * weights).sum(1)
        return fused


class ContextFusion(nn.Module):
    """Normalised attention over the sources: sum(w_i F_i) / (sum(w_i) + eps), S maps (B, C, H, W) -> (B, C, H, W).

    As in BiFPN (Tan et al. 2020, arXiv:1911.09070) a weight is a number >= 0 per source; here it is what a linear map
    makes of the source's own mean and maximum, so it depends on the picture, and on nothing but its source.
    """

    def __init__(self, channels: int, sources: int) -> None:
        super().__init__()
        self.score = nn.ModuleList(_constant_score(2 * channels) for _ in range(sources))

    def forward(self, *maps: Tensor) -> Tensor:
        """As many maps as the module was made for."""
        weights = [
            # (B, 2C, 1, 1) -> (B, 1, 1, 1)
            functional.softplus(layer(torch.cat((part.mean((2, 3), keepdim=True), part.amax((2, 3), keepdim=True)), 1)))
            for layer, part in zip(self.score, maps, strict=True)
        ]
        total = torch.stack(weights).sum(0) + EPS
        return torch.stack([weight * part for weight, part in zip(weights, maps, strict=True)]).sum(0) / total


def _constant_score(channels: int) -> nn.Conv2d:
    """A linear map that starts as the constant 1, so that all sources weigh the same."""
    layer = nn.Conv2d(channels, 1, 1)
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.ones_(layer.bias)
    return layer


class HeadFusion(nn.Module):
    """At every place, groups of channels attend to the sources: S maps (B, C, H, W) -> (B, C, H, W).

    Multi-head attention (Vaswani et al. 2017, arXiv:1706.03762) whose tokens are the S vectors of one place, and whose
    query is made of their sum.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Conv2d(channels, channels, 1)
        self.key = nn.Conv2d(channels, channels, 1, bias=False)  # a bias would be the same for all sources

    def forward(self, *maps: Tensor) -> Tensor:
        """Any number of maps."""
        query = self._grouped(self.query(torch.stack(maps).sum(0)))
        scale = query.shape[2] ** -0.5
        products = [(query * self._grouped(self.key(part))).sum(2) * scale for part in maps]
        weights = torch.stack(products).softmax(0)  # (S, B, heads, H, W)
        joined = [weight[:, :, None] * self._grouped(part) for weight, part in zip(weights, maps, strict=True)]
        return torch.stack(joined).sum(0).flatten(1, 2)  # (B, heads, C / heads, H, W) -> (B, C, H, W)

    def _grouped(self, features: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, heads, C / heads, H, W)."""
        batch, channels, height, width = features.shape
        return features.reshape(batch, self.heads, channels // self.heads, height, width)


class ChannelGate(nn.Module):
    """Channel attention: a factor in 0..1 for each channel, from its mean and maximum (CBAM, Woo et al. 2018).

    (B, C, H, W) -> the same shape. arXiv:1807.06521.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(channels // REDUCTION, SMALLEST)
        self.layers = nn.Sequential(nn.Conv2d(channels, hidden, 1), nn.SiLU(), nn.Conv2d(hidden, channels, 1))

    def forward(self, features: Tensor) -> Tensor:
        """Weigh channels."""
        mean, most = mean_and_most(features)
        gate: Tensor = (self.layers(mean) + self.layers(most)).sigmoid()
        return features * gate


class SpatialGate(nn.Module):
    """Spatial attention: a factor in 0..1 for each place, from the mean and maximum of its channels (CBAM).

    (B, C, H, W) -> the same shape.
    """

    def __init__(self, kernel: int = 7) -> None:
        super().__init__()
        self.layer = nn.Conv2d(2, 1, kernel, padding=kernel // 2)

    def forward(self, features: Tensor) -> Tensor:
        """Weigh places."""
        summary = torch.cat((features.mean(1, keepdim=True), features.amax(1, keepdim=True)), 1)  # (B, 2, H, W)
        gate: Tensor = self.layer(summary).sigmoid()
        return features * gate


def mean_and_most(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and maximum over the places of a map (B, C, H, W), each (B, C, 1, 1)."""
    return features.mean((2, 3), keepdim=True), features.amax((2, 3), keepdim=True)
