"""Counts per layer and in total against the published ones."""

from __future__ import annotations

import pytest
import torch

from yolov12.config.model import LAYOUTS
from yolov12.config.tasks import TASK_SUFFIXES
from yolov12.config.variants import SCALES, model_config
from yolov12.models.checkpoint_map import official_layer_prefixes
from yolov12.models.detector import Detector, fuse
from yolov12.models.profile import ModelProfile, _weight_products, attention_report, profile

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


# Published totals of the other tasks, n s m l x: parameters (unfused), GFLOPs (fused), with attention products or not.
TASKS = {
    ("turbo", "-seg", 80): (
        (2_807_056, 9_782_688, 21_978_016, 28_812_704, 64_590_656), (9.25, 30.92, 105.05, 127.65, 286.07), False,
    ),
    ("v1.0", "-seg", 80): (
        (2_855_056, 9_938_592, 22_505_376, 28_756_992, 64_387_264), (10.73, 34.83, 115.97, 140.68, 310.31), True,
    ),
    ("turbo", "-cls", 1000): (
        (2_951_496, 7_229_608, 12_734_248, 16_792_872, 35_554_504), (0.50, 1.52, 4.54, 6.23, 13.75), False,
    ),
    ("v1.0", "-cls", 1000): (
        (2_999_496, 7_385_512, 13_261_608, 16_737_160, 35_351_112), (0.45, 1.66, 5.40, 6.99, 15.53), True,
    ),
    ("v1.0", "-pose", 1): (
        (2_852_670, 9_743_582, 20_996_844, 27_248_460, 61_043_244), (8.40, 24.93, 74.12, 98.83, 216.72), True,
    ),
    ("v1.0", "-pose", 80): ((2_886_715, 9_774_155, 21_057_753, 27_309_369, 61_134_489), None, True),
    ("v1.0", "-obb", 15): (
        (2_642_640, 9_545_120, 20_997_888, 27_249_504, 61_044_864), (7.56, 24.18, 74.13, 98.84, 216.73), True,
    ),
    ("v1.0", "-obb", 80): ((2_673_955, 9_570_275, 21_048_003, 27_299_619, 61_119_939), None, True),
}  # fmt: skip
# The counter of the paper's repository measures an image of 32 pixels and multiplies by its area, and with it the
# classifier's linear layer, which sees one average whatever the size: 48 times too much at 224 pixels.
LINEAR_AGAIN = 48 * 2e-9 * 1280 * 1000
ROUNDED = 0.005
"""The tables have two digits after the point, which matters where a network takes less than one GFLOP."""


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("row", TASKS, ids=lambda row: "".join(map(str, row)))
def test_published_counts_of_the_other_tasks(row: tuple[str, str, int], scale: str) -> None:
    layout, suffix, num_classes = row
    parameters, gflops, attention = TASKS[row]
    column = list(SCALES).index(scale)
    with torch.device("meta"):
        model = Detector(model_config(f"yolov12{scale}{suffix}", layout, num_classes))
    counted = profile(model, 224 if suffix == "-cls" else 640)
    assert counted.parameters == parameters[column]
    if gflops is not None:
        found = counted.gflops_with_attention if attention else counted.gflops
        if suffix == "-cls" and layout == "turbo":
            found += LINEAR_AGAIN
        assert found == pytest.approx(gflops[column], rel=0.01, abs=ROUNDED)


# Parameters after folding the norms: these are what the paper's tables print.
FUSED = {
    ("turbo", "-seg"): (2_795_240, 9_759_952, 21_944_512, 28_760_512, 64_512_384),
    ("v1.0", "-seg"): (2_843_240, 9_915_856, 22_471_872, 28_706_032, 64_310_848),
    ("turbo", "-cls"): (2_942_640, 7_213_176, 12_711_656, 16_755_176, 35_498_600),
    ("v1.0", "-cls"): (2_990_640, 7_369_080, 13_239_016, 16_700_696, 35_297_064),
}


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("row", FUSED, ids="".join)
def test_published_counts_after_folding(row: tuple[str, str], scale: str) -> None:
    with torch.device("meta"):
        model = fuse(Detector(model_config(f"yolov12{scale}{row[1]}", row[0])))
    assert sum(weight.numel() for weight in model.parameters()) == FUSED[row][list(SCALES).index(scale)]


# What the makers of the families to compare with print, in millions, for the classes of each data set.
MILLIONS = {
    "yolo11": {
        "-seg": (2.9, 10.1, 22.4, 27.6, 62.1), "-pose": (2.9, 9.9, 20.9, 26.2, 58.8),
        "-obb": (2.7, 9.7, 20.9, 26.2, 58.8), "-cls": (2.8, 6.7, 11.6, 14.1, 29.6),
    },
    "yolov8": {
        "-seg": (3.4, 11.8, 27.3, 46.0, 71.8), "-pose": (3.3, 11.6, 26.4, 44.4, 69.4),
        "-obb": (3.1, 11.4, 26.4, 44.5, 69.5), "-cls": (2.7, 6.4, 17.0, 37.5, 57.4),
    },
}  # fmt: skip


@pytest.mark.parametrize("suffix", ["-seg", "-pose", "-obb", "-cls"])
@pytest.mark.parametrize("family", MILLIONS)
def test_counts_of_the_other_families_in_the_other_tasks(family: str, suffix: str) -> None:
    """Some are printed with the norms folded, some without: a difference of less than 0.1 million."""
    for scale, millions in zip(SCALES, MILLIONS[family][suffix], strict=True):
        with torch.device("meta"):
            model = Detector(model_config(f"{family}{scale}{suffix}"))
        found = sum(weight.numel() for weight in model.parameters()) / 1e6
        assert found == pytest.approx(millions, abs=0.11), scale


@pytest.mark.parametrize("suffix", TASK_SUFFIXES)
def test_every_task_has_a_table(suffix: str) -> None:
    with torch.device("meta"):
        counted = profile(Detector(model_config(f"yolov12n{suffix}")), 64)
    lines = counted.table().splitlines()
    assert lines[-2].startswith(f"heads.{TASK_SUFFIXES[suffix]}")
    assert any(line.startswith("neck.") for line in lines) == (suffix != "-cls")


def test_a_transposed_convolution_counts_every_product_once() -> None:
    """2x2 steps of 2: each of 4 * 6 input positions meets all of a weight of 3 x 5 x 2 x 2."""
    layer = torch.nn.ConvTranspose2d(3, 5, 2, stride=2)
    assert _weight_products(layer, layer(torch.zeros(1, 3, 4, 6))) == 4 * 6 * 3 * 5 * 2 * 2


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
