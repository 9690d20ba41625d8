"""The network as one traceable module: fused, decoded, with float32 in and out whatever it computes in."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from yolov12.inference.lazy_boxes import LazyBoxes, suits
from yolov12.models.detector import Detector, fuse

CANVAS = (2, 256, 320)
"""Batch, height and width of the example where shapes are free: with a batch of 1 tracers would fix it."""


class ExportGraph(nn.Module):
    """RGB images (B, 3, H, W) float32 in 0..1 -> dense (B, 4 + C + E, A), with masks also prototypes (B, M, H/4, W/4).

    See `models.registry.Decoded`. `halved` makes the weights and the arithmetic in between 16 bits wide. With `lazy`
    there is a second input, a score: only anchors with a higher one have boxes (see `inference.lazy_boxes`).
    """

    def __init__(self, model: Detector, *, lazy: bool = False) -> None:
        super().__init__()
        self.dtype = torch.float32
        self.network = fuse(model).cpu().float()
        self.task = model.config.task
        self.boxes: LazyBoxes | None = None
        if lazy:
            if not suits(self.network.head):
                raise TypeError(f"boxes of a {type(self.network.head).__name__} are computed together")
            self.boxes = LazyBoxes(self.network.head, traced=True)

    def halved(self) -> ExportGraph:
        """Itself, in half precision from now on; not for a lazy one, whose products keep weights of their own."""
        if self.boxes is not None:
            raise TypeError("a lazy graph has no half precision")
        self.dtype = torch.float16
        self.network.half()
        return self

    def forward(self, images: Tensor, min_score: Tensor | None = None) -> tuple[Tensor, ...]:
        """Outputs in the order of `Artefact.outputs`."""
        images = images.to(self.dtype)
        if self.boxes is None:
            decoded = self.network.head.decode(self.network(images)[self.task])
        elif min_score is not None:
            decoded = self.boxes.decode(self.network.neck(self.network.backbone(images)), min_score)
        else:
            raise TypeError("a lazy graph takes a score, too")
        if decoded.prototypes is None:
            return (decoded.dense.float(),)
        return decoded.dense.float(), decoded.prototypes.float()
