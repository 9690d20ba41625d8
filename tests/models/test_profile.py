"""Counts per layer and in total against the published ones."""

from __future__ import annotations

import pytest
import torch

from yolov12.config.model import LAYOUTS
from yolov12.config.variants import SCALES, model_config
from yolov12.models.checkpoint_map import official_layer_prefixes
from yolov12.models.detector import Detector, fuse
from yolov12.models.profile import ModelProfile, attention_report, profile

# Published GFLOPs at 640 px: norms folded, attention products not counted.
GFLOPS = {
    "turbo": {"n": 5.99, "s": 19.43, "m": 59.81, "l": 82.41, "x": 184.61},
    "v1.0": {"n": 6.49, "s": 21.38, "m": 67.45, "l": 88.89, "x": 199.04},
}
# The same with attention products, as far as published.
WITH_ATTENTION = {"n": 7.47, "s": 23.34, "m": 70.72, "l": 95.43, "x": 208.85}

TURBO = {
    # layer: n, s, m, l, x
    0: (464, 928, 1_856, 1_856, 2_784),
    1: (2_368, 9_344, 37_120, 37_120, 83_328),
    2: (6_640, 26_080, 111_872, 173_824, 389_760),
    3: (9_344, 37_120, 147_968, 147_968, 332_544),
    4: (26_080, 103_360, 444_928, 691_712, 1_553_664),
    5: (147_712, 590_336, 2_360_320, 2_360_320, 5_309_952),
    6: (174_720, 677_120, 2_664_960, 4_540_416, 10_152_960),
    7: (295_424, 1_180_672, 2_360_320, 2_360_320, 5_309_952),
    8: (677_120, 2_664_960, 2_664_960, 4_540_416, 10_152_960),
    11: (86_912, 345_856, 1_248_768, 2_102_784, 4_727_040),
    14: (24_000, 95_104, 378_624, 592_640, 1_331_328),
    15: (36_992, 147_712, 590_336, 590_336, 1_327_872),
    17: (74_624, 296_704, 1_183_232, 2_037_248, 4_579_584),
    18: (147_712, 590_336, 2_360_320, 2_360_320, 5_309_952),
    20: (378_880, 1_511_424, 1_642_496, 2_496_512, 5_612_544),
    21: (464_912, 850_368, 1_472_704, 1_472_704, 3_237_952),
}
PAPER = TURBO | {
    1: (4_672, 18_560, 73_984, 73_984, 166_272),
    3: (36_992, 147_712, 590_336, 590_336, 1_327_872),
    6: (180_864, 689_408, 2_689_536, 4_272_944, 9_512_128),
    8: (689_408, 2_689_536, 2_689_536, 4_272_944, 9_512_128),
}
PARAMETERS = {"turbo": TURBO, "v1.0": PAPER}


def profile_of(layout: str, scale: str, imgsz: int | tuple[int, int] = 640) -> ModelProfile:
    with torch.device("meta"):
        return profile(Detector(model_config(f"yolov12{scale}", layout)), imgsz)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_published_counts(layout: str, scale: str) -> None:
    counted = profile_of(layout, scale)
    column = list(SCALES).index(scale)
    layers = official_layer_prefixes(model_config(f"yolov12{scale}", layout))
    expected = {layers[index]: row[column] for index, row in PARAMETERS[layout].items()}
    assert {layer.name: layer.parameters for layer in counted.layers} == expected
    assert counted.gflops == pytest.approx(GFLOPS[layout][scale], rel=0.01)
    if layout == "v1.0":
        assert counted.gflops_with_attention == pytest.approx(WITH_ATTENTION[scale], rel=0.01)


# The families to compare with: parameters, GFLOPs with attention products (fused).
OTHERS = {
    "yolo11": {
        "n": (2_624_080, 6.54), "s": (9_458_752, 21.59), "m": (20_114_688, 68.10), "l": (25_372_160, 87.16),
        "x": (56_966_176, 195.27),
    },
    "yolov8": {
        "n": (3_157_200, 8.74), "s": (11_166_560, 28.60), "m": (25_902_640, 78.94), "l": (43_691_520, 165.15),
        "x": (68_229_648, 257.80),
    },
}  # fmt: skip


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("family", OTHERS)
def test_counts_of_the_other_families(family: str, scale: str) -> None:
    with torch.device("meta"):
        counted = profile(Detector(model_config(f"{family}{scale}")))
    parameters, gflops = OTHERS[family][scale]
    assert counted.parameters == parameters
    assert counted.gflops_with_attention == pytest.approx(gflops, rel=0.01)


def test_operations_grow_with_the_image() -> None:
    small, large = profile_of("turbo", "n", 320), profile_of("turbo", "n", (320, 640))
    assert large.gflops == pytest.approx(2 * small.gflops)
    assert large.gflops_with_attention - large.gflops > 2 * (small.gflops_with_attention - small.gflops)


def test_a_fused_model_reports_the_same() -> None:
    model = Detector(model_config("yolov12n", num_classes=3))
    assert profile(fuse(model), 64) == profile(model, 64)


def test_table() -> None:
    counted = profile_of("turbo", "n", 64)
    lines = counted.table().splitlines()
    assert len(lines) == 1 + len(TURBO) + 1
    assert "16x32x32" in lines[1]
    assert "+5" in lines[-2]  # three levels of boxes and of classes, one shown
    assert f"{counted.parameters:,}" in lines[-1]


def test_attention_report_names_device_type_and_kernel() -> None:
    report = attention_report("cpu")
    assert report.startswith("attention kernel on cpu in float32: ")
    assert report.rpartition(": ")[2] in ("math", "flash_attention")
