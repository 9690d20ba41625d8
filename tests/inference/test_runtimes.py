"""The torch runtime equals the model; half precision is used only where it agrees."""

from __future__ import annotations

import copy
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from model_factory import tiny_file
from yolov12.errors import ConfigError, SetupError
from yolov12.inference import cpu_convolution, runtimes
from yolov12.inference.runtimes import AutoPrecision, TorchRuntime, faster_precision, torch_runtime, within_tolerance
from yolov12.models.detector import Detector, build_model
from yolov12.models.heads.detect import decode


@pytest.fixture(scope="module")
def model() -> Detector:
    file = tiny_file()
    network = build_model(file.config, seed=0)
    network.load_state_dict(file.state)
    return network.eval()


def canvases(count: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, 64, 96, 3), dtype=np.uint8)


def expected(model: Detector, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """The unfolded model on RGB 0..1."""
    planes = torch.from_numpy(images[..., ::-1].copy()).permute(0, 3, 1, 2).float() / 255
    with torch.inference_mode():
        found: npt.NDArray[np.float32] = decode(model(planes)["detect"], model.config.strides).numpy()
    return found


@pytest.mark.parametrize("count", [1, 2, 5])
def test_equals_the_model(model: Detector, count: int) -> None:
    images = canvases(count)
    found, wanted = TorchRuntime(model)(images), expected(model, images)
    assert found.dtype == np.float32
    assert found.shape == wanted.shape == (count, 4 + 3, (64 * 96) // 64 * 21 // 16)
    np.testing.assert_allclose(found[:, :4], wanted[:, :4], atol=2e-3)
    np.testing.assert_allclose(found[:, 4:], wanted[:, 4:], atol=1e-5)


@pytest.mark.parametrize("share", [0.0, 0.002, 0.05, 0.6])
def test_boxes_may_be_left_out_where_scores_are_low(model: Detector, share: float) -> None:
    images = canvases(3)
    wanted = expected(model, images)
    best = wanted[:, 4:].max(axis=1)
    threshold = float(np.quantile(best, 1 - share))
    found = TorchRuntime(model)(images, threshold)
    np.testing.assert_allclose(found[:, 4:], wanted[:, 4:], atol=1e-5)
    for image in range(len(images)):
        shown = best[image] > threshold + 1e-5
        np.testing.assert_allclose(found[image, :4, shown], wanted[image, :4, shown], atol=2e-3)
        hidden = best[image] < threshold - 1e-5
        assert not found[image, :4, hidden].any()


def test_plain_layers_serve_where_the_fused_operator_is_absent(
    model: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    fused = TorchRuntime(model)(canvases(2))
    monkeypatch.setattr(cpu_convolution, "available", lambda: False)
    plain = TorchRuntime(model)(canvases(2))
    np.testing.assert_allclose(fused, plain, atol=2e-3)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_neighbours_in_a_batch_do_not_matter(model: Detector, threads: int) -> None:
    """Exactly with one thread; with more, an image alone gets all of them, which may change the last bit of a sum."""
    runtime, images = TorchRuntime(model), canvases(5)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        batch = runtime(images)
        alone = np.concatenate([runtime(image[None]) for image in images])
        np.testing.assert_array_equal(runtime(images), batch)
        np.testing.assert_array_equal(runtime(images[::-1])[::-1], batch)
        np.testing.assert_allclose(alone, batch, rtol=0, atol=0 if threads == 1 else 1e-4)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


def test_the_model_is_copied(model: Detector) -> None:
    trained = copy.deepcopy(model)
    runtime = TorchRuntime(trained)
    before = runtime(canvases(1))
    with torch.no_grad():
        for parameter in trained.parameters():
            parameter.zero_()
    np.testing.assert_array_equal(runtime(canvases(1)), before)
    assert not any(isinstance(unit, torch.nn.BatchNorm2d) for unit in runtime._model.modules())
    assert any(isinstance(unit, torch.nn.BatchNorm2d) for unit in model.modules())


def test_threads_share_a_runtime(model: Detector) -> None:
    runtime = TorchRuntime(model)
    inputs = [canvases(1 + i % 3, seed=i) for i in range(12)]
    wanted = [runtime(images) for images in inputs]
    with ThreadPoolExecutor(6) as pool:
        for found, want in zip(pool.map(runtime, inputs), wanted, strict=True):
            np.testing.assert_array_equal(found, want)


def test_read_only_and_strided_canvases(model: Detector) -> None:
    images = canvases(2)
    wanted = TorchRuntime(model)(images)
    strided = np.repeat(images, 2, axis=2)[:, :, ::2]
    np.testing.assert_array_equal(TorchRuntime(model)(strided), wanted)


def test_precisions_that_cannot_be(model: Detector) -> None:
    with pytest.raises(ConfigError, match="fp8"):
        TorchRuntime(model, precision="fp8")
    with pytest.raises(SetupError, match="GPU"):
        TorchRuntime(model, precision="fp16")


def test_bf16_when_asked_for(model: Detector) -> None:
    runtime = TorchRuntime(model, precision="bf16")
    found = runtime(canvases(1))
    assert (runtime.precision, found.dtype) == ("bf16", np.float32)
    np.testing.assert_allclose(found[:, 4:], expected(model, canvases(1))[:, 4:], atol=0.05)


class Fixed:
    """A runtime with one answer, which counts its calls."""

    name = "fixed"

    def __init__(self, precision: str, answer: npt.NDArray[np.float32]) -> None:
        self.precision, self.answer, self.calls = precision, answer, 0

    def __call__(self, images: npt.NDArray[np.uint8], min_score: float = 0.0) -> npt.NDArray[np.float32]:
        self.calls += 1
        return self.answer


BASE = np.array([[[50], [50], [20], [20], [0.8]]], np.float32)


def moved(row: int, by: float) -> npt.NDArray[np.float32]:
    other = BASE.copy()
    other[0, row, 0] += by
    return other


@pytest.mark.parametrize(
    ("found", "agrees"),
    [
        (BASE, True),
        (moved(0, 0.9), True),
        (moved(0, 1.1), False),
        (moved(2, 1.8), True),  # a width moves each corner by half
        (moved(2, 2.2), False),
        (moved(4, 0.009), True),
        (moved(4, -0.011), False),
        (moved(4, np.nan), False),
        (moved(1, np.nan), False),
    ],
)
def test_the_tolerance_decides(found: npt.NDArray[np.float32], agrees: bool) -> None:
    assert within_tolerance(BASE, found) is agrees
    full, half = Fixed("fp32", BASE), Fixed("bf16", found)
    auto = AutoPrecision(full, half)
    assert auto.precision == "fp32"
    for _ in range(3):
        np.testing.assert_array_equal(auto(canvases(1)), found if agrees else BASE)
    assert auto.precision == ("bf16" if agrees else "fp32")
    assert (full.calls, half.calls) == ((1, 3) if agrees else (3, 1))


def test_only_the_best_anchors_boxes_count() -> None:
    expected_all = np.zeros((1, 5, 100), np.float32)
    expected_all[0, 4] = np.linspace(0.9, 0.1, 100)
    found = expected_all.copy()
    found[0, 0, 50] = 300  # the 51st best is off
    assert within_tolerance(expected_all, found)
    found[0, 0, 3] = 300
    assert not within_tolerance(expected_all, found)


def test_the_decision_is_made_once_by_many_threads() -> None:
    full, half = Fixed("fp32", BASE), Fixed("bf16", BASE)
    auto = AutoPrecision(full, half)
    start = threading.Barrier(8)

    def ask(_: int) -> Any:
        start.wait()
        return auto(canvases(1))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))
    assert full.calls == 1


@pytest.mark.parametrize(
    ("device", "half", "expected_precision"),
    [
        ("cpu", None, None),
        ("cpu", torch.bfloat16, "bf16"),
        ("cuda", torch.bfloat16, "fp16"),
        ("cuda", torch.float16, "fp16"),
    ],
)
def test_faster_precision(
    device: str, half: torch.dtype | None, expected_precision: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtimes, "native_half", lambda _: half)
    assert faster_precision(torch.device(device)) == expected_precision


def test_auto_on_hardware_with_and_without_half(model: Detector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtimes, "faster_precision", lambda _: None)
    assert isinstance(torch_runtime(model), TorchRuntime)
    monkeypatch.setattr(runtimes, "faster_precision", lambda _: "bf16")
    auto = torch_runtime(model)
    assert isinstance(auto, AutoPrecision)
    found = auto(canvases(1))
    assert auto.precision in ("fp32", "bf16")
    np.testing.assert_array_equal(auto(canvases(1)), found)
