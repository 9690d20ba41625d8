"""What is refused before a run has a folder."""

from __future__ import annotations

import pytest

from yolov12.config.parse import resolve
from yolov12.config.run import TrainConfig
from yolov12.config.variants import model_config
from yolov12.engine.run import check_trainable
from yolov12.errors import ConfigError
from yolov12.losses.base import OPTIONS, LossChoices
from yolov12.losses.criterion import LOSSES

OTHER = {
    "cls_loss": "focal",
    "iou_loss": "giou",
    "mask_loss": "dice_bce",
    "iou_aware": False,
    "negatives": 3.0,
    "label_smoothing": 0.1,
}
HEEDED = {
    "": {"cls_loss", "iou_loss", "iou_aware", "negatives", "label_smoothing"},
    "-seg": set(OTHER),
    "-pose": set(OTHER) - {"mask_loss"},
    "-multi": set(OTHER),
    "-obb": {"cls_loss", "iou_aware", "negatives", "label_smoothing"},
    "-cls": {"label_smoothing"},
}


@pytest.mark.parametrize("option", OTHER)
@pytest.mark.parametrize("suffix", HEEDED)
def test_options_that_a_loss_does_not_heed_are_refused(suffix: str, option: str) -> None:
    model, config = model_config(f"yolov12n{suffix}"), resolve(TrainConfig, {option: OTHER[option]}).config
    if option in HEEDED[suffix]:
        check_trainable(model, config)
        return
    with pytest.raises(ConfigError, match=f"--{option} {OTHER[option]}: has no effect on the loss of "):
        check_trainable(model, config)


def test_all_choices_are_options() -> None:
    assert set(OTHER) == set(OPTIONS)
    assert len(OPTIONS) == len(LossChoices._fields)
    assert all(loss.options <= OPTIONS for loss in LOSSES.values())
