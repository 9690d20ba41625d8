"""Which formula each term of the losses has; the defaults are those that the published models were trained with."""

from __future__ import annotations

from typing import NamedTuple


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
