"""Instance masks whose prototypes are made by dynamic convolutions; otherwise the head of `segment`."""

from __future__ import annotations

from functools import partial

from yolov12.config.heads import DynamicMaskHeadConfig
from yolov12.models.dynamic import DynamicConv
from yolov12.models.heads.segment import MakeConv, SegmentHead
from yolov12.models.registry import HEADS


@HEADS.register(DynamicMaskHeadConfig)
class DynamicMaskHead(SegmentHead):
    """Feature maps of any number of levels -> SegmentOutputs; the first has stride 8."""

    config: DynamicMaskHeadConfig

    def conv(self) -> MakeConv:
        """Kernels that adapt to the picture."""
        return partial(DynamicConv, kernels=self.config.kernels)
