"""Names, the table of sizes, and configs to dictionaries and back."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from typing import Any

import pytest

from yolov12.config.model import LAYOUTS, SCALES, ModelConfig, Variant, check_layout, model_config, parse_variant
from yolov12.errors import ConfigError

ALL = [(f"yolov12{scale}", layout) for scale in SCALES for layout in LAYOUTS]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("yolov12n", Variant("yolov12", "n", "detect")),
        ("yolo12x", Variant("yolov12", "x", "detect")),
        ("yolov12s.pt", Variant("yolov12", "s", "detect")),
        ("yolo12m.yaml", Variant("yolov12", "m", "detect")),
    ],
)
def test_names(name: str, expected: Variant) -> None:
    assert parse_variant(name) == expected


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("yolov12", "no scale ''"),
        ("yolov12k", "no scale 'k'"),
        ("yolov12n-seg", "task segment is not available yet. Available: detect"),
        ("yolo12n-cls.pt", "task classify is not available yet"),
        ("yolov12n-pose", "task pose is not available yet"),
        ("yolov12n-obb", "task obb is not available yet"),
        ("yolov8n", "family yolov8 is not available yet. Available: yolov12n"),
        ("yolo11n.pt", "family yolov11 is not available yet"),
        ("yolovl2n", "is not a model name. Did you mean 'yolov12n'?"),
        ("yolov12n-box", "is not a model name"),
        ("best.pt", "is not a model name"),
        ("", "is not a model name"),
    ],
)
def test_names_that_are_refused(name: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_variant(name)
    assert message in str(error.value)


@pytest.mark.parametrize(("given", "expected"), [("turbo", "turbo"), ("v1.0", "v1.0"), ("v1", "v1.0")])
def test_layouts(given: str, expected: str) -> None:
    assert check_layout(given) == expected
    assert model_config("yolov12n", given).layout == expected


def test_an_unknown_layout_lists_the_choices() -> None:
    with pytest.raises(ConfigError, match=r"layout 'turbp': choose from turbo, v1\.0\. Did you mean 'turbo'\?"):
        model_config("yolov12n", "turbp")


@pytest.mark.parametrize(
    ("variant", "layout", "channels", "mlp_hidden", "repeats"),
    [
        ("yolov12n", "turbo", (16, 32, 64, 64, 128, 128, 128, 256, 256), (128, 256), (1, 2)),
        ("yolov12s", "v1.0", (32, 64, 128, 128, 256, 256, 256, 512, 512), (256, 512), (1, 2)),
        ("yolov12m", "turbo", (64, 128, 256, 256, 512, 512, 512, 512, 512), (512, 512), (1, 2)),
        ("yolov12l", "turbo", (64, 128, 256, 256, 512, 512, 512, 512, 512), (384, 384), (2, 4)),
        ("yolov12l", "v1.0", (64, 128, 256, 256, 512, 512, 512, 512, 512), (307, 307), (2, 4)),
        ("yolov12x", "turbo", (96, 192, 384, 384, 768, 768, 768, 768, 768), (576, 576), (2, 4)),
        ("yolov12x", "v1.0", (96, 192, 384, 384, 768, 768, 768, 768, 768), (460, 460), (2, 4)),
    ],
)
def test_widths(
    variant: str, layout: str, channels: tuple[int, ...], mlp_hidden: tuple[int, int], repeats: tuple[int, int]
) -> None:
    backbone = model_config(variant, layout).backbone
    assert backbone.channels == channels
    assert backbone.mlp_hidden == mlp_hidden
    assert (backbone.repeats, backbone.attention_repeats) == repeats


@pytest.mark.parametrize(
    ("variant", "num_classes", "box_channels", "class_channels"),
    [
        ("yolov12n", 80, 64, 80),
        ("yolov12n", 3, 64, 64),
        ("yolov12n", 300, 64, 100),
        ("yolov12l", 80, 64, 256),
        ("yolov12x", 80, 96, 384),
    ],
)
def test_head_widths(variant: str, num_classes: int, box_channels: int, class_channels: int) -> None:
    config = model_config(variant, num_classes=num_classes)
    head = config.heads["detect"]
    assert (head.num_classes, head.box_channels, head.class_channels) == (num_classes, box_channels, class_channels)
    assert config.num_classes == num_classes


@pytest.mark.parametrize(("variant", "layout"), ALL)
def test_round_trip(variant: str, layout: str) -> None:
    config = model_config(variant, layout, num_classes=7)
    assert ModelConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def _broken(path: str, value: Any) -> dict[str, Any]:
    """The dictionary of a good config with one field replaced (`...` removes it)."""
    data = model_config("yolov12n").to_dict()
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
        ("task", "segment", "task 'segment' is not available yet"),
        ("heads", {}, "no head is named after 'detect'"),
        ("heads", [], "model.heads: expected named fields, got list"),
        ("neck", None, "model.neck: expected named fields, got NoneType"),
        ("neck", ..., "model.neck: expected named fields"),
        ("variant", ..., "model: missing variant"),
        ("backbone/kind", "yolov21", "model.backbone.kind 'yolov21': choose from yolov12. Did you mean 'yolov12'?"),
        ("neck/kind", ["pafpn"], "model.neck.kind ['pafpn']: choose from pafpn"),
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


def test_residual_scale_needs_equal_widths() -> None:
    backbone = model_config("yolov12l").backbone
    channels = (*backbone.channels[:5], 256, *backbone.channels[6:])
    with pytest.raises(ConfigError, match="residual_scale"):
        dataclasses.replace(backbone, channels=channels)


def test_no_torch_is_needed() -> None:
    program = "import sys, yolov12.config.model; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
