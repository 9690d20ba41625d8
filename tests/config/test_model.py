"""Configs to dictionaries and back, and what is wrong with a config."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from typing import Any

import pytest

from yolov12.config.heads import PoseHeadConfig
from yolov12.config.model import LAYOUTS, ModelConfig
from yolov12.config.tasks import TASK_SUFFIXES, TASKS
from yolov12.config.variants import FAMILIES, SCALES, Variant, model_config
from yolov12.errors import ConfigError

ALL = [
    *((f"yolov12{scale}", layout) for scale in SCALES for layout in LAYOUTS),
    *((Variant(family, "n", task).name, layout) for family in FAMILIES for task in TASKS for layout in LAYOUTS),
]


@pytest.mark.parametrize(("variant", "layout"), ALL)
def test_round_trip(variant: str, layout: str) -> None:
    config = model_config(variant, layout, num_classes=7)
    assert ModelConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def _broken(path: str, value: Any, variant: str = "yolov12n") -> dict[str, Any]:
    """The dictionary of a good config with one field replaced (`...` removes it)."""
    data = model_config(variant).to_dict()
    *parents, last = path.split("/")
    target = data
    for parent in parents:
        target = target[parent]
    if value is ...:
        del target[last]
    else:
        target[last] = value
    return data


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("layout", "v2", "layout 'v2': choose from turbo, v1.0"),
        ("task", "track", "task 'track': choose from detect, segment, classify, pose, obb"),
        ("task", "segment", "no head is named after 'segment'. Heads: detect"),
        ("heads", {}, "no head is named after 'detect'"),
        ("heads", [], "model.heads: expected named fields, got list"),
        ("neck", [], "model.neck: expected named fields, got list"),
        ("neck", None, "neck: missing, but the head 'detect' needs one"),
        ("neck", ..., "model: missing neck"),
        ("variant", ..., "model: missing variant"),
        (
            "backbone/kind",
            "yolov21",
            "model.backbone.kind 'yolov21': choose from hybrid, timm, transformer, yolo11, yolov12, yolov8. Did",
        ),
        ("neck/kind", ["pafpn"], "model.neck.kind ['pafpn']: choose from attention_pan, context_bifpn, pafpn"),
        ("backbone/chanels", [1], "model.backbone.chanels is not a field. Did you mean 'channels'?"),
        ("backbone/repeats", ..., "model.backbone: missing repeats"),
        ("backbone/repeats", "2", "model.backbone.repeats = '2': expected int, got str"),
        ("backbone/repeats", True, "expected int, got bool"),
        ("backbone/use_c3k", 1, "expected bool, got int"),
        ("backbone/channels", [16, 32.0], "expected a list of whole numbers"),
        ("backbone/channels", [16, 32], "expected 9 numbers"),
        ("backbone/channels", [20, 32, 64, 64, 128, 128, 128, 256, 256], "every width must be a multiple of 8"),
        ("backbone/channels", [16, 32, 64, 64, 128, 128, 96, 256, 256], "need multiples of 64"),
        ("backbone/down_groups", [3, 4], "must divide the widths"),
        ("backbone/areas", [8, 1], "must be (1, 1), (2, 1) or (4, 1)"),
        ("backbone/position_kernel", 4, "must be odd"),
        ("backbone/repeats", 0, "must be between 1 and 65536"),
        ("heads/detect/num_classes", 10**9, "must be between 1 and 65536"),
        ("heads/detect/num_classes", -1, "must be between 1 and 65536"),
    ],
)
def test_a_wrong_dictionary_is_refused_by_field(path: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        ModelConfig.from_dict(_broken(path, value))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("variant", "path", "value", "message"),
    [
        ("yolov12n-cls", "neck", model_config("yolov12n").to_dict()["neck"], "neck: a classify model has none"),
        ("yolov12n-seg", "neck", None, "neck: missing, but the head 'segment' needs one"),
        ("yolov12n-seg", "heads/segment/kind", "pose", "model.heads.segment.mask_channels is not a field"),
        ("yolov12n-seg", "heads/segment/mask_channels", ..., "model.heads.segment: missing mask_channels"),
        ("yolov12n-seg", "heads/segment/masks", 0, "segment.masks = 0: must be between 1"),
        ("yolov12n-pose", "heads/pose/keypoints", [17, 4], "need K keypoints of 2 values (x, y) or 3"),
        ("yolov12n-pose", "heads/pose/keypoints", [17, 3, 1], "[17, 3, 1]: expected 2 whole numbers"),
        ("yolov12n-pose", "heads/pose/keypoints", [60_000, 2], "65536 in all at most"),
        ("yolov12n-pose", "heads/pose/keypoints", 51, "expected a list of whole numbers"),
        ("yolov12n-obb", "heads/obb/angle_channels", "1", "expected int, got str"),
        ("yolov12n-cls", "heads/classify/hidden", 0, "classify.hidden = 0: must be between 1"),
        ("yolov8n", "backbone/channels", [16, 16], "yolov8.channels: expected 10 numbers"),
        ("yolo11n-cls", "backbone/channels", [8] * 9, "the last, which attention works on, must be a multiple of 128"),
    ],
)
def test_a_wrong_dictionary_of_other_tasks_is_refused_by_field(
    variant: str, path: str, value: Any, message: str
) -> None:
    with pytest.raises(ConfigError) as error:
        ModelConfig.from_dict(_broken(path, value, variant))
    assert message in str(error.value)


def test_fields_that_a_base_gives_a_default_may_be_left_out() -> None:
    data = _broken("heads/pose/bins", ..., "yolov12n-pose")
    assert ModelConfig.from_dict(data) == model_config("yolov12n-pose")


def test_a_head_is_named_after_its_own_task() -> None:
    config = model_config("yolov12n")
    other = PoseHeadConfig.fitted(1, 64, keypoints=(17, 3), class_branch="depthwise")
    with pytest.raises(ConfigError, match="the head 'detect' is of kind 'pose'"):
        dataclasses.replace(config, heads={"detect": other})
    assert list(dataclasses.replace(config, heads={**config.heads, "people": other}).heads) == ["detect", "people"]


def test_batch_norms_of_classifiers_are_others() -> None:
    for suffix, task in TASK_SUFFIXES.items():
        expected = (1e-5, 0.1) if task == "classify" else (1e-3, 0.03)
        assert model_config(f"yolov12n{suffix}").norm == expected


def test_residual_scale_needs_equal_widths() -> None:
    backbone = model_config("yolov12l").backbone
    channels = (*backbone.channels[:5], 256, *backbone.channels[6:])
    with pytest.raises(ConfigError, match="residual_scale"):
        dataclasses.replace(backbone, channels=channels)


def test_no_torch_is_needed() -> None:
    program = "import sys, yolov12.config.variants; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
