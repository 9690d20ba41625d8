"""What all losses have in common: gains, formulas, and how one is made. The default formulas are the published ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

from torch import Tensor

from yolov12.config.heads import HeadConfig
from yolov12.data.sample import Targets

LossTerms = dict[str, Tensor]


class Gains(NamedTuple):
    """Factors of the terms of all losses; the masks' is that of the boxes."""

    box: float = 7.5
    cls: float = 0.5
    dfl: float = 1.5
    pose: float = 12.0
    kobj: float = 1.0
    angle: float = 1.0
    heatmap: float = 1.0


DEFAULT_GAINS = Gains()


class LossChoices(NamedTuple):
    """Names of formulas, as `TrainConfig` offers them.

    cls        of class scores: bce, focal, qfl, varifocal, ghm
    iou        of boxes: ciou, diou, giou, ghm
    mask       of masks: bce, dice_bce
    iou_aware  class scores learn how well the box fits, too; otherwise that there is an object
    negatives  of the logits without an object only the hardest so many times the foreground's number; 0: all
    smoothing  share of a foreground's class target that is spread over all classes
    """

    cls: str = "bce"
    iou: str = "ciou"
    mask: str = "bce"
    iou_aware: bool = True
    negatives: float = 0.0
    smoothing: float = 0.0


DEFAULT_CHOICES = LossChoices()
CLASS_OPTIONS = frozenset({"cls_loss", "iou_aware", "negatives", "label_smoothing"})
BOX_OPTIONS = CLASS_OPTIONS | {"iou_loss"}
OPTIONS = BOX_OPTIONS | {"mask_loss"}
"""Names of the choices as options of training."""


class Loss:
    """Loss of one head on one batch; `prepare` makes what a kind of loss needs beside its settings.

    `head` matters only to those whose outputs do not say all about themselves.
    """

    scales_with_batch: ClassVar[bool] = True
    """The sum of the terms counts once for every image of the batch."""
    options: ClassVar[frozenset[str]] = BOX_OPTIONS
    """Those that it heeds."""

    def __init__(
        self,
        strides: Sequence[int] = (),
        gains: Gains = DEFAULT_GAINS,
        rules: str = "r8363",
        head: HeadConfig | None = None,
        choices: LossChoices = DEFAULT_CHOICES,
    ) -> None:
        self.strides, self.head = tuple(strides), head
        self.gains, self.rules, self.choices = gains, rules, choices
        self.prepare()

    def prepare(self) -> None:
        """Called once, when the settings are known. Raises ConfigError for a head that the loss is not for."""

    @property
    def settings(self) -> tuple[Sequence[int], Gains, str, HeadConfig | None, LossChoices]:
        """What another loss of the same head is made with."""
        return self.strides, self.gains, self.rules, self.head, self.choices

    def __call__(self, outputs: Any, targets: Targets) -> LossTerms:
        """Gained terms by name, each a scalar."""
        raise NotImplementedError
