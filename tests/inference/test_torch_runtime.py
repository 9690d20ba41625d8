"""The torch runtime equals the model; half precision is used only where it agrees."""

from __future__ import annotations

import copy
import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from model_factory import tiny_file
from yolov12.config.tasks import PUBLISHED
from yolov12.detections import Decoded
from yolov12.errors import ConfigError, SetupError
from yolov12.inference import cpu_convolution
from yolov12.inference import torch_runtime as runtimes
from yolov12.inference.torch_runtime import AutoPrecision, TorchRuntime, faster_precision, torch_runtime
from yolov12.models.detector import Detector, build_model

LOCATING = tuple(task for task in PUBLISHED if task != "classify")


def network(task: str, keypoints: tuple[int, int] = (4, 3)) -> Detector:
    file = tiny_file(task=task, keypoints=keypoints)
    found = build_model(file.config, seed=0)
    found.load_state_dict(file.state)
    return found.eval()


@pytest.fixture(scope="module")
def model() -> Detector:
    return network("detect")


@pytest.fixture(scope="module")
def models() -> dict[str, Detector]:
    return {task: network(task) for task in PUBLISHED}


def canvases(count: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, 64, 96, 3), dtype=np.uint8)


def expected(model: Detector, images: npt.NDArray[np.uint8]) -> Decoded:
    """The unfolded model on RGB 0..1."""
    planes = torch.from_numpy(images[..., ::-1].copy()).permute(0, 3, 1, 2).float() / 255
    with torch.inference_mode():
        dense, prototypes = model.head.decode(model(planes)[model.config.task])
    return Decoded(dense.numpy(), None if prototypes is None else prototypes.numpy())


EXTRAS = {"detect": 0, "segment": 6, "pose": 12, "obb": 1}


@pytest.mark.parametrize("task", LOCATING)
@pytest.mark.parametrize("count", [1, 2, 5])
def test_equals_the_model(models: dict[str, Detector], task: str, count: int) -> None:
    images = canvases(count)
    found, wanted = TorchRuntime(models[task])(images), expected(models[task], images)
    assert found.dense.dtype == np.float32
    anchors = (64 * 96) // 64 * 21 // 16
    assert found.dense.shape == wanted.dense.shape == (count, 4 + 3 + EXTRAS[task], anchors)
    np.testing.assert_allclose(found.dense[:, :4], wanted.dense[:, :4], atol=2e-3)
    np.testing.assert_allclose(found.dense[:, 4:7], wanted.dense[:, 4:7], atol=1e-5)
    np.testing.assert_allclose(found.dense[:, 7:], wanted.dense[:, 7:], atol=2e-3)
    assert (found.prototypes is None) == (task != "segment")
    if found.prototypes is not None and wanted.prototypes is not None:
        assert found.prototypes.shape == (count, 6, 16, 24)
        np.testing.assert_allclose(found.prototypes, wanted.prototypes, atol=1e-4)
    assert found.keypoint_shape == ((4, 3) if task == "pose" else None)


@pytest.mark.parametrize("count", [1, 3])
def test_a_classifier(models: dict[str, Detector], count: int) -> None:
    runtime, images = TorchRuntime(models["classify"]), canvases(count)
    found = runtime(images, 0.25)
    assert (found.dense.shape, found.dense.dtype) == ((count, 3), np.float32)
    np.testing.assert_allclose(found.dense, expected(models["classify"], images).dense, atol=1e-5)
    np.testing.assert_allclose(found.dense.sum(axis=1), 1, atol=1e-5)


def test_the_runtime_says_what_keypoints_are() -> None:
    """Twelve values could be four keypoints with visibility."""
    assert TorchRuntime(network("pose", (6, 2)))(canvases(2)).keypoint_shape == (6, 2)


@pytest.mark.parametrize("task", LOCATING)
@pytest.mark.parametrize("share", [0.0, 0.002, 0.05, 0.6])
def test_boxes_may_be_left_out_where_scores_are_low(models: dict[str, Detector], task: str, share: float) -> None:
    images = canvases(3)
    wanted = expected(models[task], images)
    best = wanted.dense[:, 4:7].max(axis=1)
    threshold = float(np.quantile(best, 1 - share))
    found = TorchRuntime(models[task])(images, threshold)
    np.testing.assert_allclose(found.dense[:, 4:7], wanted.dense[:, 4:7], atol=1e-5)
    rest = [0, 1, 2, 3, *range(7, found.dense.shape[1])]
    for image in range(len(images)):
        shown = best[image] > threshold + 1e-5
        pairs = (one.dense[image][rest][:, shown] for one in (found, wanted))
        np.testing.assert_allclose(*pairs, atol=2e-3)
        hidden = best[image] < threshold - 1e-5
        assert not found.dense[image][rest][:, hidden].any()
    if found.prototypes is not None and wanted.prototypes is not None:
        np.testing.assert_allclose(found.prototypes, wanted.prototypes, atol=1e-4)


DILATED = (1, 2, 3)


@pytest.mark.parametrize("task", LOCATING)
def test_heads_that_look_farther_are_not_cut_short(task: str) -> None:
    file = tiny_file(task=task)
    head = dataclasses.replace(file.config.heads[task], dilations=DILATED)
    found = build_model(dataclasses.replace(file.config, heads={task: head}), seed=0)
    found.load_state_dict(file.state)
    images = canvases(1)
    wanted = expected(found.eval(), images).dense[0]
    best = wanted[4:7].max(axis=0)
    ranked = np.sort(best)
    threshold = float(ranked[-4] + ranked[-3]) / 2
    dense = TorchRuntime(found)(images, threshold).dense[0]
    shown = best > threshold
    assert shown.sum() == 3
    np.testing.assert_allclose(dense[:, shown], wanted[:, shown], atol=2e-3)


def test_plain_layers_serve_where_the_fused_operator_is_absent(
    model: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    fused = TorchRuntime(model)(canvases(2)).dense
    monkeypatch.setattr(cpu_convolution, "available", lambda: False)
    plain = TorchRuntime(model)(canvases(2)).dense
    np.testing.assert_allclose(fused, plain, atol=2e-3)


@pytest.mark.parametrize("task", PUBLISHED)
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_neighbours_in_a_batch_do_not_matter(models: dict[str, Detector], task: str, threads: int) -> None:
    """Exactly with one thread; with more, an image alone gets all of them, which may change the last bit of a sum."""
    runtime, images = TorchRuntime(models[task]), canvases(5)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        batch = runtime(images).dense
        alone = np.concatenate([runtime(image[None]).dense for image in images])
        np.testing.assert_array_equal(runtime(images).dense, batch)
        np.testing.assert_array_equal(runtime(images[::-1]).dense[::-1], batch)
        np.testing.assert_allclose(alone, batch, rtol=0, atol=0 if threads == 1 else 1e-4)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


def test_the_model_is_copied(model: Detector) -> None:
    trained = copy.deepcopy(model)
    runtime = TorchRuntime(trained)
    before = runtime(canvases(1)).dense
    with torch.no_grad():
        for parameter in trained.parameters():
            parameter.zero_()
    np.testing.assert_array_equal(runtime(canvases(1)).dense, before)
    assert not any(isinstance(unit, torch.nn.BatchNorm2d) for unit in runtime._model.modules())
    assert any(isinstance(unit, torch.nn.BatchNorm2d) for unit in model.modules())


def test_threads_share_a_runtime(model: Detector) -> None:
    runtime = TorchRuntime(model)
    inputs = [canvases(1 + i % 3, seed=i) for i in range(12)]
    wanted = [runtime(images) for images in inputs]
    with ThreadPoolExecutor(6) as pool:
        for found, want in zip(pool.map(runtime, inputs), wanted, strict=True):
            np.testing.assert_array_equal(found.dense, want.dense)


def test_read_only_and_strided_canvases(model: Detector) -> None:
    images = canvases(2)
    wanted = TorchRuntime(model)(images).dense
    strided = np.repeat(images, 2, axis=2)[:, :, ::2]
    np.testing.assert_array_equal(TorchRuntime(model)(strided).dense, wanted)


def test_precisions_that_cannot_be(model: Detector) -> None:
    with pytest.raises(ConfigError, match="fp8"):
        TorchRuntime(model, precision="fp8")
    with pytest.raises(SetupError, match="GPU"):
        TorchRuntime(model, precision="fp16")


@pytest.mark.parametrize("task", PUBLISHED)
def test_bf16_when_asked_for(models: dict[str, Detector], task: str) -> None:
    runtime = TorchRuntime(models[task], precision="bf16")
    for found in (runtime(canvases(1)), runtime(canvases(1), 1e-9)):
        assert (runtime.precision, found.dense.dtype) == ("bf16", np.float32)
        scores = slice(None) if task == "classify" else slice(4, 7)
        np.testing.assert_allclose(
            found.dense[:, scores], expected(models[task], canvases(1)).dense[:, scores], atol=0.05
        )


class Fixed:
    """A runtime with one answer, which counts its calls."""

    name = "fixed"

    def __init__(self, precision: str, answer: Decoded) -> None:
        self.precision, self.answer, self.calls = precision, answer, 0

    def __call__(self, images: npt.NDArray[np.uint8], min_score: float = 0.0) -> Decoded:
        self.calls += 1
        return self.answer


ANSWERS = Decoded(np.zeros((1, 5, 1), np.float32)), Decoded(np.ones((1, 5, 1), np.float32))


@pytest.mark.parametrize("agrees", [True, False])
def test_agreement_decides_once(agrees: bool) -> None:
    full, half = Fixed("fp32", ANSWERS[0]), Fixed("bf16", ANSWERS[1])
    asked = []

    def agree(expected: Decoded, found: Decoded) -> bool:
        asked.append((expected, found))
        return agrees

    auto = AutoPrecision(full, half, agree)
    assert auto.precision == "fp32"
    for _ in range(3):
        assert auto(canvases(1)) is ANSWERS[agrees]
    assert asked == [ANSWERS]
    assert auto.precision == ("bf16" if agrees else "fp32")
    assert (full.calls, half.calls) == ((1, 3) if agrees else (3, 1))


def test_the_decision_is_made_once_by_many_threads() -> None:
    full, half = Fixed("fp32", ANSWERS[0]), Fixed("bf16", ANSWERS[0])
    auto = AutoPrecision(full, half, lambda *_: True)
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


@pytest.mark.parametrize("task", PUBLISHED)
def test_auto_on_hardware_with_and_without_half(
    models: dict[str, Detector], task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtimes, "faster_precision", lambda _: None)
    assert isinstance(torch_runtime(models[task]), TorchRuntime)
    monkeypatch.setattr(runtimes, "faster_precision", lambda _: "bf16")
    auto = torch_runtime(models[task])
    assert isinstance(auto, AutoPrecision)
    found = auto(canvases(1))
    assert auto.precision in ("fp32", "bf16")
    np.testing.assert_array_equal(auto(canvases(1)).dense, found.dense)
