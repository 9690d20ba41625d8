"""Building, seeding, fusing, and the sizes that a detector takes."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from yolov12.config.heads import ClassifyHeadConfig
from yolov12.config.model import LAYOUTS
from yolov12.config.variants import SCALES, model_config
from yolov12.errors import ConfigError
from yolov12.models.attention import AttentionBlock
from yolov12.models.detector import Detector, build_model, fuse
from yolov12.models.heads.detect import DetectOutputs
from yolov12.models.layers import ConvNormAct

# Published: every tensor that is a parameter, unfused, 80 classes.
PARAMETERS = {
    "turbo": {"n": 2_553_904, "s": 9_127_424, "m": 19_670_784, "l": 26_506_496, "x": 59_414_176},
    "v1.0": {"n": 2_602_288, "s": 9_284_096, "m": 20_199_168, "l": 26_450_784, "x": 59_210_784},
}
FUSED_N = {"turbo": 2_542_440, "v1.0": 2_590_824}


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_parameters_and_odd_multiples_of_32(layout: str, scale: str) -> None:
    with torch.device("meta"):
        model = Detector(model_config(f"yolov12{scale}", layout)).eval()
        assert sum(parameter.numel() for parameter in model.parameters()) == PARAMETERS[layout][scale]
        for height, width in [(32, 32), (96, 160), (224, 32)]:
            outputs = model(torch.empty(2, 3, height, width))["detect"]
            for stride, box, classes in zip((8, 16, 32), *outputs, strict=True):
                assert box.shape == (2, 64, height // stride, width // stride)
                assert classes.shape == (2, 80, height // stride, width // stride)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("height", "width"), [(32, 32), (96, 160)])
def test_small_and_uneven_sizes_are_computed(layout: str, height: int, width: int) -> None:
    model = build_model(model_config("yolov12n", layout, 3), seed=0).eval()
    with torch.inference_mode():
        outputs = model(torch.rand(1, 3, height, width))["detect"]
    assert all(level.isfinite().all() for levels in outputs for level in levels)


@pytest.mark.parametrize(
    ("height", "width", "nearest"), [(100, 64, "96x64"), (640, 639, "640x640"), (10, 20, "32x32"), (0, 32, "32x32")]
)
def test_other_sizes_are_refused_with_the_nearest(height: int, width: int, nearest: str) -> None:
    with torch.device("meta"), pytest.raises(ConfigError, match=f"multiples of 32; the nearest is {nearest}"):
        Detector(model_config("yolov12n"))(torch.empty(1, 3, height, width))


def test_a_seed_decides_the_weights_and_leaves_the_global_generator_alone() -> None:
    config = model_config("yolov12n", num_classes=3)
    state = torch.get_rng_state()
    first, second, third = (build_model(config, seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not torch.equal(first["backbone.stem.conv.weight"], third["backbone.stem.conv.weight"])


def test_initial_weights() -> None:
    config = model_config("yolov12n")
    config = dataclasses.replace(config, backbone=dataclasses.replace(config.backbone, position_bias=True))
    model = build_model(config, seed=0)
    blocks = [module for module in model.modules() if isinstance(module, AttentionBlock)]
    assert len(blocks) == 8
    for layer in (layer for block in blocks for layer in block.modules() if isinstance(layer, nn.Conv2d)):
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.15)
        assert layer.bias is None or not layer.bias.any()
    stem = model.get_parameter("backbone.stem.conv.weight")
    assert stem.abs().max().item() == pytest.approx((3 * 3 * 3) ** -0.5, rel=0.02)  # uniform, +- 1 / sqrt(fan-in)
    for norm in (module for module in model.modules() if isinstance(module, nn.BatchNorm2d)):
        assert norm.running_mean is not None
        assert not norm.running_mean.any()
        assert norm.num_batches_tracked == 0


@pytest.mark.parametrize("layout", LAYOUTS)
def test_fuse(layout: str) -> None:
    model = build_model(model_config("yolov12n", layout), seed=0)
    images = torch.rand(2, 3, 64, 64)
    model(images)  # moves the running statistics
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    fused = fuse(model)
    assert model.training
    assert all(torch.equal(before[key], tensor) for key, tensor in model.state_dict().items())
    assert not fused.training
    assert sum(parameter.numel() for parameter in fused.parameters()) == FUSED_N[layout]
    assert not any(parameter.requires_grad for parameter in fused.parameters())
    assert all(isinstance(unit.norm, nn.Identity) for unit in fused.modules() if isinstance(unit, ConvNormAct))
    with torch.inference_mode():
        for levels, expected in zip(fused(images)["detect"], model.eval()(images)["detect"], strict=True):
            torch.testing.assert_close(levels, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("suffix", ["-seg", "-cls", "-pose", "-obb"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_fuse_of_other_tasks(layout: str, suffix: str) -> None:
    """Also with a transposed convolution, which has no norm, and with the norms of classifiers."""
    model = build_model(model_config(f"yolov12n{suffix}", layout, 3), seed=0)
    model(torch.rand(2, 3, 64, 64))  # moves the running statistics
    images, task = torch.rand(2, 3, 64, 64), model.config.task
    fused = fuse(model)
    assert not [module for module in fused.modules() if isinstance(module, nn.BatchNorm2d)]
    with torch.inference_mode():
        found, expected = fused.head.decode(fused(images)[task]), model.eval().head.decode(model(images)[task])
    torch.testing.assert_close(found.dense, expected.dense, rtol=1e-3, atol=1e-3)
    if expected.prototypes is not None:
        torch.testing.assert_close(found.prototypes, expected.prototypes, rtol=1e-4, atol=1e-4)


def test_the_norms_of_a_network_are_those_of_its_config() -> None:
    for suffix, numbers in (("", (1e-3, 0.03)), ("-seg", (1e-3, 0.03)), ("-cls", (1e-5, 0.1))):
        model = build_model(model_config(f"yolov12n{suffix}"))
        norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
        assert len(norms) > 50
        assert all((norm.eps, norm.momentum) == numbers for norm in norms)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (224, 224), (96, 160)])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_classifiers_take_multiples_of_32(layout: str, height: int, width: int) -> None:
    with torch.device("meta"):
        model = Detector(model_config("yolov12n-cls", layout, 7)).eval()
        assert model(torch.empty(2, 3, height, width))["classify"].logits.shape == (2, 7)
        with pytest.raises(ConfigError, match="multiples of 32"):
            model(torch.empty(2, 3, height, width + 8))


def test_a_classifier_beside_a_detector_sees_the_backbone() -> None:
    config = model_config("yolov12n", num_classes=3)
    both = dataclasses.replace(config, heads={**config.heads, "scene": ClassifyHeadConfig(4, hidden=16)})
    model = build_model(both, seed=0).eval()
    seen: list[torch.Tensor] = []
    model.heads["scene"].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0][-1]))
    images = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        outputs = model(images)
        assert torch.equal(seen[0], model.backbone(images)[-1])
    assert outputs["scene"].logits.shape == (1, 4)
    assert isinstance(outputs["detect"], DetectOutputs)


def test_outputs_are_named_after_the_heads() -> None:
    config = model_config("yolov12n", num_classes=3)
    with torch.device("meta"):
        model = Detector(dataclasses.replace(config, heads={**config.heads, "second": config.heads["detect"]})).eval()
        outputs = model(torch.empty(1, 3, 64, 64))
    assert list(outputs) == ["detect", "second"]
    assert all(isinstance(output, DetectOutputs) for output in outputs.values())


def test_strides_must_agree() -> None:
    with torch.device("meta"), pytest.raises(ConfigError, match="strides"):
        Detector(dataclasses.replace(model_config("yolov12n"), strides=(4, 8, 16)))
