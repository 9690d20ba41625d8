"""Names, layouts, and the widths that the table of sizes gives."""

from __future__ import annotations

import dataclasses

import pytest

from yolov12.config.variants import Variant, check_layout, model_config, parse_variant, with_num_classes
from yolov12.errors import ConfigError


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("yolov12n", Variant("yolov12", "n", "detect")),
        ("yolo12x", Variant("yolov12", "x", "detect")),
        ("yolov12s.pt", Variant("yolov12", "s", "detect")),
        ("yolo12m.yaml", Variant("yolov12", "m", "detect")),
        ("yolo11l", Variant("yolo11", "l", "detect")),
        ("yolov11n.pt", Variant("yolo11", "n", "detect")),
        ("yolov8s.pt", Variant("yolov8", "s", "detect")),
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
        ("yolov9n", "there is no family 9. Available: yolov12n"),
        ("yolo26n.pt", "there is no family 26"),
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


def test_other_classes_follow_the_published_widths_both_ways() -> None:
    config = model_config("yolov12n", num_classes=3)
    assert with_num_classes(config, 80) == model_config("yolov12n", num_classes=80)
    assert with_num_classes(with_num_classes(config, 80), 3) == config


def test_other_classes_leave_every_odd_width_of_a_head_as_it_is() -> None:
    config = model_config("yolov12n", num_classes=3)
    odd = dataclasses.replace(config.heads["detect"], box_channels=48, class_channels=72, bins=8)
    found = with_num_classes(dataclasses.replace(config, heads={"detect": odd}), 80)
    assert found.heads["detect"] == dataclasses.replace(odd, num_classes=80)
