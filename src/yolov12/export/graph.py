"""The network as one traceable module: fused, decoded, with float32 in and out whatever it computes in."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from yolov12.models.detector import Detector, fuse

CANVAS = (2, 256, 320)
"""Batch, height and width of the example where shapes are free: with a batch of 1 tracers would fix it."""


class ExportGraph(nn.Module):
    """RGB images (B, 3, H, W) float32 in 0..1 -> dense (B, 4 + C + E, A), with masks also prototypes (B, M, H/4, W/4).

    See `models.registry.Decoded`. `halved` makes the weights and the arithmetic in between 16 bits wide.
    """

    def __init__(self, model: Detector) -> None:
        super().__init__()
        self.dtype = torch.float32
        self.network = fuse(model).cpu().float()
        self.task = model.config.task

    def halved(self) -> ExportGraph:
        """Itself, in half precision from now on."""
        self.dtype = torch.float16
        self.network.half()
        return self

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Outputs in the order of `Artefact.outputs`."""
        outputs = self.network(images.to(self.dtype))[self.task]
        decoded = self.network.head.decode(outputs)
        if decoded.prototypes is None:
            return (decoded.dense.float(),)
        return decoded.dense.float(), decoded.prototypes.float()
