"""The loss of the anchor-based head: that of detection, with a level for each anchor and bins of its size."""

from __future__ import annotations

from collections.abc import Sequence

from yolov12.config.heads import AnchorHeadConfig, HeadConfig
from yolov12.errors import ConfigError
from yolov12.losses.choices import DEFAULT_CHOICES, LossChoices
from yolov12.losses.detect import DEFAULT_GAINS, DetectionLoss, FlatOutputs, Gains, flatten_outputs
from yolov12.models.heads.anchor import anchor_cells
from yolov12.models.heads.detect import DetectOutputs


class AnchorLoss(DetectionLoss):
    """Loss of an anchor-based head on one batch; which anchors answer for an object is learnt, as without anchors."""

    def __init__(
        self,
        strides: Sequence[int],
        gains: Gains = DEFAULT_GAINS,
        rules: str = "r8363",
        head: HeadConfig | None = None,
        choices: LossChoices = DEFAULT_CHOICES,
    ) -> None:
        """`head` is the AnchorHeadConfig that says how large the anchors are."""
        if not isinstance(head, AnchorHeadConfig):
            raise ConfigError(f"the loss of anchors needs the config of an anchor head, not {head!r}")
        per_level = len(head.anchors) // (2 * len(strides))
        super().__init__([stride for stride in strides for _ in range(per_level)], gains, rules, head, choices)
        self.head = head

    def flatten(self, outputs: DetectOutputs) -> FlatOutputs:
        """All anchors of all cells in one row."""
        points, steps = anchor_cells(outputs, self.strides, self.head)
        return flatten_outputs(outputs, self.strides)._replace(points=points, steps=steps)
