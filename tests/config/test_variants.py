"""Names, layouts, and the widths that the table of sizes gives."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from yolov12.config.backbones import Yolov12BackboneConfig
from yolov12.config.heads import DetectHeadConfig, ObbHeadConfig, PoseHeadConfig, SegmentHeadConfig
from yolov12.config.refit import fit_to_data, with_num_classes
from yolov12.config.tasks import TASK_SUFFIXES, TASKS
from yolov12.config.variants import (
    FAMILIES,
    Variant,
    check_layout,
    model_config,
    parse_variant,
)
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
        ("yolov12n-seg", Variant("yolov12", "n", "segment")),
        ("yolo12x-cls.pt", Variant("yolov12", "x", "classify")),
        ("yolo11m-pose.yaml", Variant("yolo11", "m", "pose")),
        ("yolov8l-obb", Variant("yolov8", "l", "obb")),
    ],
)
def test_names(name: str, expected: Variant) -> None:
    assert parse_variant(name) == expected


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("yolov12", "no scale ''"),
        ("yolov12k", "no scale 'k'"),
        ("yolov12-seg", "no scale ''"),
        ("yolov12k-cls.pt", "no scale 'k'"),
        ("yolov9n", "there is no family 9. Available: yolov12n"),
        ("yolo26n.pt", "there is no family 26"),
        ("yolovl2n", "is not a model name. Did you mean 'yolov12n'?"),
        ("yolov12n-box", "is not a model name"),
        ("yolov12n-segment", "; for other tasks with -seg, -cls, -pose, -obb"),
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


@pytest.mark.parametrize("family", FAMILIES)
def test_names_are_put_together_as_they_are_taken_apart(family: str) -> None:
    for scale, task in itertools.product(FAMILIES[family].scales, TASKS):
        name = Variant(family, scale, task).name
        assert parse_variant(name) == Variant(family, scale, task)
        assert model_config(name).variant == name


def test_every_task_has_the_classes_of_its_data_set() -> None:
    classes = {task: model_config(f"yolov12n{suffix}").num_classes for suffix, task in TASK_SUFFIXES.items()}
    assert classes == {"detect": 80, "segment": 80, "classify": 1000, "pose": 1, "obb": 15, "multi": 1}
    assert model_config("yolov12n-cls", num_classes=7).num_classes == 7


@pytest.mark.parametrize(
    ("variant", "layout", "areas", "scaled"),
    [
        ("yolov12n", "turbo", (4, 1), False),
        ("yolov12l", "turbo", (4, 1), True),
        ("yolov12n-seg", "turbo", (4, 1), True),
        ("yolov12n-seg", "v1.0", (4, 1), False),
        ("yolov12l-seg", "v1.0", (4, 1), True),
        ("yolov12m-cls", "turbo", (1, 1), True),
        ("yolov12m-cls", "v1.0", (4, 1), False),
        ("yolov12s-pose", "turbo", (4, 1), False),
        ("yolov12x-obb", "turbo", (4, 1), True),
    ],
)
def test_what_the_tasks_change_in_the_backbone(variant: str, layout: str, areas: tuple[int, int], scaled: bool) -> None:
    backbone = model_config(variant, layout).backbone
    assert isinstance(backbone, Yolov12BackboneConfig)
    assert (backbone.areas, backbone.residual_scale) == (areas, scaled)


@pytest.mark.parametrize(
    ("scale", "masks", "prototypes", "keypoints", "angles"),
    [("n", 32, 64, 51, 16), ("s", 32, 128, 51, 32), ("m", 64, 256, 64, 64), ("x", 96, 384, 96, 96)],
)
def test_widths_of_the_other_heads(scale: str, masks: int, prototypes: int, keypoints: int, angles: int) -> None:
    segment, pose, obb = (model_config(f"yolov12{scale}{suffix}").heads for suffix in ("-seg", "-pose", "-obb"))
    assert isinstance(segment["segment"], SegmentHeadConfig)
    assert (segment["segment"].mask_channels, segment["segment"].prototype_channels) == (masks, prototypes)
    assert isinstance(pose["pose"], PoseHeadConfig)
    assert (pose["pose"].keypoints, pose["pose"].keypoint_channels) == ((17, 3), keypoints)
    assert isinstance(obb["obb"], ObbHeadConfig)
    assert obb["obb"].angle_channels == angles


@pytest.mark.parametrize("suffix", ["", "-seg", "-pose", "-obb"])
def test_yolov8_keeps_its_class_branch(suffix: str) -> None:
    for family, expected in (("yolov8", "plain"), ("yolo11", "depthwise"), ("yolov12", "depthwise")):
        (head,) = model_config(f"{family}n{suffix}").heads.values()
        assert isinstance(head, DetectHeadConfig)
        assert head.class_branch == expected


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("family", FAMILIES)
def test_classes_of_every_task_change_both_ways(family: str, task: str) -> None:
    name = Variant(family, "n", task).name
    config = model_config(name, num_classes=3)
    wide = with_num_classes(config, 90)
    assert wide == model_config(name, num_classes=90)
    assert with_num_classes(wide, 3) == config
    assert with_num_classes(config, 3) is config


def test_a_data_set_brings_its_keypoints() -> None:
    config = model_config("yolov12n-pose")
    found = fit_to_data(config, 2, (30, 2))
    assert found == model_config("yolov12n-pose", num_classes=2, keypoints=(30, 2))
    assert fit_to_data(found, 1, (17, 3)) == config
    assert fit_to_data(config, 1) is config
    assert fit_to_data(config, 1, (17, 3)) is config


def test_keypoints_of_the_data_leave_an_odd_width_and_other_tasks_as_they_are() -> None:
    config = model_config("yolov12n-pose")
    head = config.heads["pose"]
    assert isinstance(head, PoseHeadConfig)
    odd = dataclasses.replace(config, heads={"pose": dataclasses.replace(head, keypoint_channels=40)})
    (found,) = fit_to_data(odd, 1, (30, 2)).heads.values()
    assert found == dataclasses.replace(head, keypoint_channels=40, keypoints=(30, 2))
    assert fit_to_data(model_config("yolov12n-seg"), 80, (30, 2)) == model_config("yolov12n-seg")
