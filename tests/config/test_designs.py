"""Other parts for a named model, and the presets of the designs."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from yolov12.config.backbones import HybridBackboneConfig, TransformerBackboneConfig
from yolov12.config.designs import read_design, with_parts
from yolov12.config.heads import AnchorHeadConfig, DynamicMaskHeadConfig, HeatmapPoseHeadConfig, MultiHeadConfig
from yolov12.config.model import STANDARD, ModelConfig
from yolov12.config.necks import NECK_CONFIGS, AttentionPANConfig, ContextBiFPNConfig, PAFPNConfig
from yolov12.config.variants import model_config, parse_variant, usual_size
from yolov12.errors import ConfigError, did_you_mean


def test_a_kind_comes_at_the_size_of_the_model() -> None:
    for scale in "nsmlx":
        config = with_parts(model_config(f"yolov12{scale}"), {"backbone": "hybrid", "neck": "context_bifpn"})
        assert config.backbone == HybridBackboneConfig.at_scale(scale)
        assert config.neck == ContextBiFPNConfig.at_scale(scale)
        assert config.layout == STANDARD
        assert config.heads["detect"].num_classes == 80
        assert ModelConfig.from_dict(config.to_dict()) == config


def test_a_published_kind_is_that_of_its_family() -> None:
    config = with_parts(model_config("yolov12s"), {"backbone": "yolov8"})
    assert config.backbone == model_config("yolov8s").backbone
    assert config.neck == model_config("yolov12s").neck
    assert with_parts(model_config("yolov12s"), {"backbone": "yolov12"}).backbone == model_config("yolov12s").backbone


def test_nothing_said_is_nothing_changed() -> None:
    config = model_config("yolov12n")
    assert with_parts(config, {}) is config
    assert with_parts(config, {"backbone": "", "neck": None}) is config


def test_a_mapping_changes_fields() -> None:
    parts: dict[str, object] = {
        "backbone": {"kind": "hybrid", "window": 8, "attention": "twins"},
        "neck": {"kind": "pafpn", "upsample": "transposed"},
    }
    config = with_parts(model_config("yolov12n"), parts)
    assert isinstance(config.backbone, HybridBackboneConfig)
    assert (config.backbone.window, config.backbone.attention) == (8, "twins")
    assert isinstance(config.neck, PAFPNConfig)
    assert (config.neck.upsample, config.neck.block) == ("transposed", "relan")


def test_a_config_is_taken_as_it_is() -> None:
    neck = AttentionPANConfig(channels=(32, 64, 96))
    assert with_parts(model_config("yolov12n"), {"neck": neck}).neck is neck
    with pytest.raises(ConfigError, match=r"--model\.backbone: AttentionPANConfig is not the config of a backbone"):
        with_parts(model_config("yolov12n"), {"backbone": neck})


def test_a_family_is_named() -> None:
    config = with_parts(model_config("yolov12s"), {"backbone": "csp"})
    assert config.backbone == model_config("yolo11s").backbone


def test_the_head_follows_the_neck_and_keeps_what_it_knows() -> None:
    pose = model_config("yolov12n-pose", num_classes=2, keypoints=(5, 2))
    config = with_parts(pose, {"neck": "context_bifpn", "head": "heatmap_pose"})
    head = config.heads["pose"]
    assert isinstance(head, HeatmapPoseHeadConfig)
    assert (head.num_classes, head.keypoints, head.heatmap_channels) == (2, (5, 2), 96)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"backbone": "hybird"}, "--model.backbone 'hybird': choose from hybrid, timm, transformer, yolo11, "),
        ({"nek": "pafpn"}, "'nek' is not a part. Did you mean 'neck'? Parts: backbone, neck, head"),
        ({"neck": {"kind": "context_bifpn", "widht": 64}}, "--model.neck.context_bifpn.widht is not a field. Did you"),
        ({"neck": {"width": 64}}, "--model.neck None: choose from attention_pan, context_bifpn, pafpn."),
        ({"head": "pose"}, "--model.head 'pose' is for pose, the model is for detect: name yolov12n-pose, or one of"),
        ({"head": "ancor"}, "--model.head 'ancor': choose from anchor, detect. Did you mean 'anchor'?"),
        ({"neck": 5}, "--model.neck: expected named fields, got int"),
        ({"backbone": {"kind": "hybrid", "window": 0}}, "hybrid.window = 0: must be between 1"),
        (
            {"backbone": {"kind": "hybrid", "attention": "swin"}},
            "backbone.attention 'swin': choose from shifted",
        ),
        ({"backbone": {"kind": "transformer", "patch_size": 12}}, "transformer.patch_size 12: choose from 8, 16, 32"),
        ({"backbone": {"kind": "transformer", "stages": []}}, "transformer.stages: expected at least one"),
        (
            {"neck": {"kind": "attention_pan", "num_heads": 5}},
            "attention_pan.num_heads = 5: must divide the channels (64, 128, 192)",
        ),
    ],
)
def test_wrong_parts(parts: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        with_parts(model_config("yolov12n"), parts)
    assert message in str(error.value)


def test_a_classifier_has_no_neck() -> None:
    with pytest.raises(ConfigError, match="a classify model has none"):
        with_parts(model_config("yolov12n-cls"), {"neck": "pafpn"})
    assert with_parts(model_config("yolov12n-cls"), {"backbone": "hybrid"}).neck is None


def test_a_yaml_of_ours() -> None:
    config = read_design({"model": "yolov12s-seg", "num_classes": 7, "head": "dynamic_mask", "backbone": "transformer"})
    assert config.backbone == TransformerBackboneConfig.at_scale("s")
    assert (config.heads["segment"].kind, config.num_classes) == ("dynamic_mask", 7)
    assert isinstance(read_design({"head": "anchor"}).heads["detect"], AnchorHeadConfig)
    for values, message in (
        ({"modle": "yolov12n"}, "modle is not a field. Did you mean 'model'?"),
        ({"model": 12}, "model 12: expected the name of a model"),
        ({"num_classes": "3"}, "num_classes '3': expected a whole number"),
        ({"model": "yolov12q"}, "no scale 'q'"),
    ):
        with pytest.raises(ConfigError) as error:
            read_design(values)
        assert message in str(error.value)


def test_presets() -> None:
    """The sizes of the input are those that the design asks for; parameters are counted in tests/models."""
    assert parse_variant("yolo12-hybrid-m-pose.yaml").name == "yolov12-hybrid-m-pose"
    sizes = [usual_size(f"yolov12-hybrid-{scale}", "detect") for scale in "nsmx"]
    assert sizes == [640, 640, 800, 1280]
    assert usual_size("yolov12-hybrid-n-cls", "classify") == 224
    assert usual_size("custom", "detect") == 640
    with pytest.raises(ConfigError, match="no scale 'l'"):
        parse_variant("yolov12-hybrid-l")
    with pytest.raises(ConfigError, match="there is no family 12-swin"):
        parse_variant("yolov12-swin-n")


def test_no_torch_is_needed() -> None:
    program = "import sys, yolov12.config.designs; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_several_heads_are_one_task() -> None:
    config = with_parts(model_config("yolov12s", num_classes=2), {"heads": ["detect", "segment", "pose"]})
    assert (config.task, config.variant, config.num_classes) == ("multi", "yolov12s-multi", 2)
    assert with_parts(model_config("yolov12s"), {"heads": ["segment", "detect"]}).task == "segment"
    assert with_parts(model_config("yolov12s-pose"), {"heads": "pose"}).task == "pose"
    assert read_design({"heads": ["segment", "pose"], "neck": "context_bifpn"}).heads["multi"].kind == "multi"
    assert with_parts(model_config("yolov12s"), {"heads": ["detect", "obb"]}).task == "obb"
    assert with_parts(model_config("yolov12s"), {"heads": ["classify"]}).task == "classify"
    for heads in (["obb", "segment"], ["detect", "classify"]):
        with pytest.raises(ConfigError, match=rf"--model\.heads {' '.join(heads)}: these do not go together"):
            with_parts(model_config("yolov12s"), {"heads": heads})
    with pytest.raises(ConfigError, match=r"'posse': choose from detect, .*\. Did you mean 'pose'"):
        with_parts(model_config("yolov12s"), {"heads": ["posse"]})


def test_the_joint_network_takes_what_is_said_of_its_heads() -> None:
    words = with_parts(model_config("yolov12n"), {"heads": ["detect", "segment=dynamic_mask", "pose=heatmap_pose"]})
    fields = {
        "detect": {"num_classes": 3},
        "segment": {"kind": "dynamic_mask", "kernels": 2},
        "pose": {"keypoints": [5, 2]},
    }
    said = with_parts(model_config("yolov12n"), {"heads": fields})
    first, second = words.heads["multi"], said.heads["multi"]
    assert isinstance(first, MultiHeadConfig)
    assert isinstance(second, MultiHeadConfig)
    assert (first.kernels, first.heatmap_channels, first.num_classes) == (4, 64, 80)
    assert (second.kernels, second.heatmap_channels, second.num_classes) == (2, 0, 3)
    assert second.keypoints == (5, 2)
    alone = with_parts(
        model_config("yolov12n"), {"heads": {"detect": {"dilations": [1, 2, 3]}, "segment": "dynamic_mask"}}
    )
    head = alone.heads["segment"]
    assert isinstance(head, DynamicMaskHeadConfig)
    assert head.dilations == (1, 2, 3)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"heads": {"detect": "anchor", "pose": None}}, "--model.heads detect: a head 'anchor' goes with no other one"),
        ({"heads": {"detect": 1, "pose": None}}, "--model.head: expected named fields, got int"),
        ({"heads": ["segment=mask", "pose"]}, "--model.head 'mask': choose from dynamic_mask, segment"),
        (
            {"heads": ["segment", "pose"], "head": "heatmap_pose"},
            "say --model.heads detect segment pose=heatmap_pose, or one of multi",
        ),
        ({"heads": ["pose", "segment", "pose"]}, "--model.heads pose segment pose: a head is named twice"),
        (
            {"heads": {"detect": {"num_classes": 3}, "segment": {"num_classes": 5}, "pose": None}},
            "--model.heads: num_classes is 3 for one head and 5 for another",
        ),
        ({"heads": ["pose=heatmap_pose"], "head": "pose"}, "--model.head contradicts the parts of --model.heads"),
    ],
)
def test_heads_that_do_not_fit(parts: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        with_parts(model_config("yolov12n"), parts)
    assert message in str(error.value)


def test_other_heads_leave_chosen_parts_alone() -> None:
    chosen = with_parts(model_config("yolov12n", num_classes=3), {"backbone": "hybrid", "neck": "attention_pan"})
    config = with_parts(chosen, {"heads": ["detect", "segment"]})
    assert (config.backbone, config.neck) == (chosen.backbone, chosen.neck)
    assert (config.task, config.num_classes) == ("segment", 3)
    plain = with_parts(model_config("yolov12n-pose", num_classes=1, keypoints=(5, 3)), {"heads": ["segment", "pose"]})
    assert plain.backbone == model_config("yolov12n-multi").backbone
    assert plain.heads["multi"].keypoints == (5, 3)  # type: ignore[attr-defined]


def test_the_published_network_stays_one_however_it_is_said() -> None:
    config = model_config("yolov12n")
    assert with_parts(config, {"head": "detect"}) == config
    assert with_parts(config, {"heads": ["segment"]}) == model_config("yolov12n-seg")
    assert with_parts(config, {"backbone": "yolov12", "neck": "pafpn"}) == config


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"backbone": {"kind": "hybrid", "window": 33}}, "hybrid.window 33: at most 32"),
        ({"head": {"kind": "anchor", "bins": 1}}, "anchor.bins 1: a distribution needs 2 or more"),
    ],
)
def test_numbers_that_no_network_can_have(parts: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        with_parts(model_config("yolov12n"), parts)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("said", "hint"), [("bifpn", "context_bifpn"), ("BiFPN", "context_bifpn"), ("pafnp", "pafpn"), ("zzz", "")]
)
def test_hints_know_a_part_of_a_name(said: str, hint: str) -> None:
    assert did_you_mean(said, NECK_CONFIGS) == (f" Did you mean {hint!r}?" if hint else "")
