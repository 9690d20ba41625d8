"""The loss of the anchor-based head: that of detection, with a level for each anchor and bins of its size."""

from __future__ import annotations

from yolov12.config.heads import AnchorHeadConfig
from yolov12.errors import ConfigError
from yolov12.losses.detect import DetectionLoss, FlatOutputs, flatten_outputs
from yolov12.models.heads.anchor import anchor_cells
from yolov12.models.heads.detect import DetectOutputs


class AnchorLoss(DetectionLoss):
    """Loss of an anchor-based head on one batch; which anchors answer for an object is learnt, as without anchors."""

    def prepare(self) -> None:
        """`head` is the AnchorHeadConfig that says how large the anchors are."""
        if not isinstance(self.head, AnchorHeadConfig):
            raise ConfigError(f"the loss of anchors needs the config of an anchor head, not {self.head!r}")
        self.anchors = self.head
        per_level = len(self.head.anchors) // (2 * len(self.strides))
        self.strides = tuple(stride for stride in self.strides for _ in range(per_level))
        super().prepare()

    def flatten(self, outputs: DetectOutputs) -> FlatOutputs:
        """All anchors of all cells in one row."""
        points, steps = anchor_cells(outputs, self.strides, self.anchors)
        return flatten_outputs(outputs, self.strides)._replace(points=points, steps=steps)
