"""Published state dicts to ours and back: every bit, or an error that names the tensors."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from yolov12.config.model import LAYOUTS, ModelConfig
from yolov12.config.tasks import PUBLISHED, TASKS
from yolov12.config.variants import PUBLISHED_FAMILIES, model_config
from yolov12.errors import CheckpointError
from yolov12.models.checkpoint_map import (
    is_published_form,
    official_key,
    official_layer_prefixes,
    official_to_ours,
    ours_to_official,
)
from yolov12.models.detector import Detector, build_model

SUFFIXES = [TASKS[task].suffix for task in PUBLISHED]


def numbered(config: ModelConfig) -> dict[str, Tensor]:
    """A published state dict in which every number is different."""
    official = ours_to_official(Detector(config).state_dict(), config)
    start, state = 0, {}
    for key, tensor in official.items():
        state[key] = torch.arange(start, start + tensor.numel(), dtype=tensor.dtype).view(tensor.shape)
        start += tensor.numel()
        if key.endswith("num_batches_tracked"):
            state[key].fill_(7)  # all norms of a network have seen the same batches
    return state


def config_of(layout: str, *, position_bias: bool = False) -> ModelConfig:
    config = model_config("yolov12n", layout, 3)
    return dataclasses.replace(config, backbone=dataclasses.replace(config.backbone, position_bias=position_bias))


@pytest.mark.parametrize("position_bias", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_round_trip(layout: str, position_bias: bool) -> None:
    config = config_of(layout, position_bias=position_bias)
    official = numbered(config)
    ours = official_to_ours(official, config)
    Detector(config).load_state_dict(ours)  # strict
    back = ours_to_official(ours, config)
    assert list(back) == list(official)
    assert all(torch.equal(back[key], official[key]) for key in official)
    assert sum(key.endswith("attn.pe.conv.bias") for key in back) == 8 * position_bias


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("variant", ["turbo", "v1.0", "yolo11", "yolov8"])
def test_round_trip_of_every_task_and_family(variant: str, suffix: str) -> None:
    family, layout = ("yolov12", variant) if variant in LAYOUTS else (variant, "turbo")
    config = model_config(f"{family}n{suffix}", layout, 3)
    official = numbered(config)
    ours = official_to_ours(official, config)
    Detector(config).load_state_dict(ours)  # strict
    back = ours_to_official(ours, config)
    assert list(back) == list(official)
    assert all(torch.equal(back[key], official[key]) for key in official)
    lean = {key: value for key, value in official.items() if not key.endswith("dfl.conv.weight")}
    assert list(official_to_ours(lean, config)) == list(ours)


HEAD_KEYS = {
    "yolov12n-seg": (21, "segment", ["detect.box_branches", "detect.class_branches", "detect.bins", "prototypes",
                                     "coefficient_branches"], ["cv2", "cv3", "dfl", "proto", "cv4"]),
    "yolo11n-pose": (23, "pose", ["detect.box_branches", "detect.class_branches", "detect.bins", "keypoint_branches"],
                     ["cv2", "cv3", "dfl", "cv4"]),
    "yolov8n-obb": (22, "obb", ["detect.box_branches", "detect.class_branches", "detect.bins", "angle_branches"],
                    ["cv2", "cv3", "dfl", "cv4"]),
    "yolov12n-cls": (9, "classify", ["mixer", "classifier"], ["conv", "linear"]),
    "yolo11n-cls": (10, "classify", ["mixer", "classifier"], ["conv", "linear"]),
    "yolov8n-cls": (9, "classify", ["mixer", "classifier"], ["conv", "linear"]),
}  # fmt: skip


@pytest.mark.parametrize("variant", HEAD_KEYS)
def test_heads_have_the_published_names_in_the_published_order(variant: str) -> None:
    layer, task, ours, theirs = HEAD_KEYS[variant]
    config = model_config(variant, num_classes=3)
    with torch.device("meta"):
        names = [name for name in Detector(config).state_dict() if name.startswith("heads.")]
    found = [official_key(name, config) for name in names]
    assert all(key.startswith(f"model.{layer}.") for key in found)
    assert list(dict.fromkeys(key.split(".")[2] for key in found)) == theirs
    parts = [name.removeprefix(f"heads.{task}.") for name in names]
    assert all(part.startswith(tuple(ours)) for part in parts)
    assert all(any(part.startswith(own) for part in parts) for own in ours)


def test_several_heads_have_no_published_form() -> None:
    config = model_config("yolov12n")
    two = dataclasses.replace(config, heads={**config.heads, "second": config.heads["detect"]})
    with pytest.raises(CheckpointError, match=r"several heads \(detect, second\) has no published form"):
        official_layer_prefixes(two)


def test_dilated_heads_have_no_published_form() -> None:
    """Their tensors are those of plain ones: nothing in the file would say how far apart the taps are."""
    config = model_config("yolov12n")
    head = config.heads["detect"]
    for dilations, plain in (((), True), ((1, 1, 1), True), ((1, 2, 3), False)):
        changed = dataclasses.replace(config, heads={"detect": dataclasses.replace(head, dilations=dilations)})
        assert is_published_form(changed) is plain
    with pytest.raises(CheckpointError, match="has no published form; save it as"):
        official_layer_prefixes(changed)


def test_turbo_rows() -> None:
    """`qk` holds queries then keys, `v` the values: ours is one after the other."""
    config = config_of("turbo")
    official = numbered(config)
    ours = official_to_ours(official, config)["backbone.stage_p4.units.0.0.attention.qkv.norm.bias"]
    prefix = "model.6.m.0.0.attn"
    assert torch.equal(ours, torch.cat((official[f"{prefix}.qk.bn.bias"], official[f"{prefix}.v.bn.bias"])))


def test_paper_rows() -> None:
    """`qkv` holds query, key and value of each head in turn: ours has all queries, all keys, all values."""
    config = config_of("v1.0")
    official = numbered(config)
    ours = official_to_ours(official, config)["backbone.stage_p4.units.1.1.attention.qkv.conv.weight"]
    theirs = official["model.6.m.1.1.attn.qkv.conv.weight"]
    for part in range(3):
        for head in range(2):
            expected = theirs[96 * head + 32 * part : 96 * head + 32 * part + 32]
            assert torch.equal(ours[64 * part + 32 * head : 64 * part + 32 * head + 32], expected)


def test_counters_and_the_bins_may_be_missing() -> None:
    config = config_of("turbo")
    official = numbered(config)
    absent = ("num_batches_tracked", "dfl.conv.weight")
    lean = {key: value for key, value in official.items() if not key.endswith(absent)}
    ours = official_to_ours(lean, config)
    assert ours["heads.detect.bins.weight"].flatten().tolist() == list(range(16))
    assert ours["backbone.stem.norm.num_batches_tracked"] == 0
    Detector(config).load_state_dict(ours)


def test_precision_is_kept_on_reading_and_float32_on_writing() -> None:
    config = config_of("turbo")
    model = build_model(config, seed=0)
    half = {key: value.half() if value.is_floating_point() else value for key, value in model.state_dict().items()}
    official = ours_to_official(half, config)
    assert {value.dtype for value in official.values()} == {torch.float32, torch.int64}
    narrow = {key: value.half() if value.is_floating_point() else value for key, value in official.items()}
    ours = official_to_ours(narrow, config)
    assert all(torch.equal(ours[key], half[key]) and ours[key].dtype == half[key].dtype for key in half)


def test_errors_name_the_tensors() -> None:
    config = config_of("turbo")
    official = numbered(config)
    del official["model.0.bn.bias"]
    official["model.22.extra"] = torch.zeros(1)
    official["model.5.bn.bias"] = torch.zeros(3)
    with pytest.raises(CheckpointError) as error:
        official_to_ours(official, config)
    assert str(error.value) == (
        "the tensors do not fit the model; 1 missing: model.0.bn.bias; 1 unexpected: model.22.extra; "
        "1 of another shape: model.5.bn.bias [3], expected [128]"
    )


def test_errors_stay_short() -> None:
    config = config_of("turbo")
    with pytest.raises(CheckpointError, match=r"missing: model\.0\.conv\.weight.* and \d+ more$"):
        official_to_ours({}, config)


def test_the_bias_of_an_old_file_is_not_dropped_silently() -> None:
    official = numbered(config_of("v1.0", position_bias=True))
    with pytest.raises(CheckpointError, match=r"8 unexpected: model\.6\.m\.0\.0\.attn\.pe\.conv\.bias"):
        official_to_ours(official, config_of("v1.0"))


def test_our_own_state_dict_is_checked_too() -> None:
    with pytest.raises(CheckpointError, match=r"missing: backbone\.stem\.conv\.weight"):
        ours_to_official({}, config_of("turbo"))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("family", PUBLISHED_FAMILIES)
def test_layer_prefixes_cover_every_parameter_once(family: str, suffix: str) -> None:
    config = model_config(f"{family}n{suffix}")
    prefixes = official_layer_prefixes(config)
    assert list(prefixes) == sorted(prefixes)
    with torch.device("meta"):
        model = Detector(config)
    for name, _ in model.named_parameters():
        assert sum(name.startswith(f"{prefix}.") for prefix in prefixes.values()) == 1
    assert all(model.get_submodule(prefix) for prefix in prefixes.values())
