from __future__ import annotations

import dataclasses

import torch

from yolov12.config.variants import model_config
from yolov12.data.sample import Targets
from yolov12.losses.base import Gains
from yolov12.losses.criterion import Criterion
from yolov12.losses.detect import DetectionLoss
from yolov12.models.heads.detect import DetectOutputs

OUTPUTS = DetectOutputs(
    tuple(torch.ones(1, 64, side, side) for side in (8, 4, 2)),
    tuple(torch.zeros(1, 3, side, side) for side in (8, 4, 2)),
)
TARGETS = Targets(torch.tensor([0]), torch.tensor([1]), torch.tensor([[4.0, 4, 50, 40]]))


def test_a_single_head_has_plain_names() -> None:
    config = model_config("yolov12n", num_classes=3)
    gains = Gains(1, 2, 3)
    terms = Criterion(config, gains, "r84190")({"detect": OUTPUTS}, TARGETS)
    expected = DetectionLoss(config.strides, gains, "r84190")(OUTPUTS, TARGETS)
    assert list(terms) == ["box", "cls", "dfl"]
    assert terms == expected


def test_several_heads_have_their_name_in_front() -> None:
    config = model_config("yolov12n", num_classes=3)
    two = dataclasses.replace(config, heads={"detect": config.heads["detect"], "other": config.heads["detect"]})
    terms = Criterion(two)({"detect": OUTPUTS, "other": OUTPUTS}, TARGETS)
    assert list(terms) == [f"{head}.{term}" for head in ("detect", "other") for term in ("box", "cls", "dfl")]
    assert terms["detect.box"] == terms["other.box"]


def test_terms_come_in_their_own_order_whatever_the_order_of_a_saved_state() -> None:
    pose = Criterion(model_config("yolov12n-pose"))
    reported = {"box": 1.0, "pose": 2.0, "kobj": 3.0, "cls": 4.0, "dfl": 5.0}
    assert list(pose.in_order(dict(sorted(reported.items())))) == list(reported)
    assert pose.in_order(reported) == reported
    config = model_config("yolov12n", num_classes=3)
    two = dataclasses.replace(config, heads={"detect": config.heads["detect"], "a": config.heads["detect"]})
    names = [f"{head}.{term}" for head in ("detect", "a") for term in ("box", "cls", "dfl")]
    assert list(Criterion(two).in_order(dict.fromkeys(sorted(names), 0.0))) == names
