"""The way from source to results: one image, a list and a folder agree, order holds, faults stay where they are."""

from __future__ import annotations

import gc
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from model_factory import tiny_file
from stub_runtime import CLASSES, StubRuntime
from yolov12.config.run import PredictConfig
from yolov12.config.tasks import PUBLISHED
from yolov12.detections import Decoded
from yolov12.errors import ConfigError, SourceError, UserError
from yolov12.inference import predictor as predictor_module
from yolov12.inference.predictor import Predictor, class_numbers
from yolov12.inference.torch_runtime import TorchRuntime
from yolov12.models.detector import build_model
from yolov12.results import Result

NAMES = {0: "a", 1: "b", 2: "c"}
QUIET = PredictConfig(verbose=False, imgsz=64, stream=True)
SHAPES = [(48, 64), (64, 48), (43, 64), (64, 64), (36, 64), (48, 64), (64, 48), (120, 160), (1, 300), (300, 1)]


def config(**changes: Any) -> PredictConfig:
    return PredictConfig(**{"verbose": False, "imgsz": 64, "stream": True, **changes})


@pytest.fixture
def stub() -> StubRuntime:
    return StubRuntime()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty images of ten shapes, in an order that mixes them."""
    path = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    for i in range(30):
        height, width = SHAPES[i * 7 % len(SHAPES)]
        image = random.integers(0, 256, (height, width, 3), dtype=np.uint8) // (1 + i % 5)
        (path / f"{i:02d}.png").write_bytes(cv2.imencode(".png", image)[1].tobytes())
    return path


def tiny_runtime(task: str = "detect") -> TorchRuntime:
    """A small real network whose scores are high enough to detect something everywhere."""
    file = tiny_file(task=task)
    model = build_model(file.config, seed=0)
    model.load_state_dict(file.state)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "class_branches" in name and name.endswith("2.bias"):
                parameter.fill_(0.0)
    return TorchRuntime(model)


RUNTIMES: dict[str, Callable[[], Any]] = {"stub": StubRuntime, "torch": tiny_runtime}


def rows(results: Iterator[Result] | list[Result]) -> list[npt.NDArray[np.float32]]:
    return [result.boxes.data.numpy() for result in results]


def assert_same(found: Iterator[Result] | list[Result], expected: list[Result]) -> None:
    """The same results of any task; but for last bits, see `assert_equal`."""
    found = list(found)
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert a.orig_shape == b.orig_shape
        assert_equal([a.boxes.data.numpy()], [b.boxes.data.numpy()])
        for part in ("keypoints", "obb", "probs"):
            one, other = getattr(a, part), getattr(b, part)
            assert (one is None) == (other is None)
            if one is not None:
                np.testing.assert_allclose(one.data, other.data, rtol=0, atol=1e-3)
        assert (a.masks is None) == (b.masks is None)
        if a.masks is not None and b.masks is not None:
            different = (a.masks.data != b.masks.data).sum()
            assert different <= 1e-3 * a.masks.data.size


def assert_equal(found: list[npt.NDArray[np.float32]], expected: list[npt.NDArray[np.float32]]) -> None:
    """The same detections; a batch computes an image on other threads, which may change the last bit of a sum."""
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-4)


@pytest.mark.parametrize("kind", RUNTIMES)
def test_one_by_one_list_folder_and_glob_are_identical(kind: str, folder: Path) -> None:
    predictor = Predictor(RUNTIMES[kind](), NAMES)
    paths = sorted(folder.iterdir())
    one_by_one = [row for path in paths for row in rows(predictor.predict(path, QUIET))]
    assert sum(len(row) for row in one_by_one) >= len(paths)
    for batch in (1, 3, 8, 100) if kind == "stub" else (8,):
        assert_equal(rows(predictor.predict(folder, config(batch=batch))), one_by_one)
    assert_equal(rows(predictor.predict(paths, QUIET)), one_by_one)
    assert_equal(rows(predictor.predict(f"{folder}/*.png", QUIET)), one_by_one)


@pytest.mark.parametrize("task", PUBLISHED)
@pytest.mark.parametrize("make", [StubRuntime, tiny_runtime])
def test_every_task_agrees_with_itself(make: Callable[[str], Any], task: str, folder: Path) -> None:
    """One image, a list and a folder; and something is found."""
    predictor = Predictor(make(task), NAMES, task)
    paths = sorted(folder.iterdir())[:12]
    low = config(conf=0.3, max_det=20)
    one_by_one = [result for path in paths for result in predictor.predict(path, low)]
    assert_same(predictor.predict(paths, low), one_by_one)
    assert_same(list(predictor.predict(folder, config(conf=0.3, max_det=20, batch=3)))[:12], one_by_one)
    assert sum(map(len, one_by_one)) >= len(paths)
    for result in one_by_one:
        found = (result.masks, result.keypoints, result.obb, result.probs)
        expected = {"segment": 0, "pose": 1, "obb": 2, "classify": 3}.get(task)
        assert [part is not None for part in found] == [number == expected for number in range(4)]
        assert result.plot().shape == (*result.orig_shape, 3)


def test_masks_keypoints_and_corners_come_back_to_the_original_image() -> None:
    """A picture of twice the size gives the same, twice as large."""
    image = np.full((48, 64, 3), (250, 100, 10), np.uint8)
    large = np.repeat(np.repeat(image, 2, axis=0), 2, axis=1)
    for task in ("segment", "pose", "obb"):
        small_one, large_one = (
            next(iter(Predictor(StubRuntime(task), NAMES, task).predict(one, QUIET))) for one in (image, large)
        )
        np.testing.assert_allclose(2 * small_one.boxes.xyxy, large_one.boxes.xyxy, atol=1e-3)
        if small_one.keypoints is not None and large_one.keypoints is not None:
            np.testing.assert_allclose(2 * small_one.keypoints.xy, large_one.keypoints.xy, atol=1e-3)
        if small_one.obb is not None and large_one.obb is not None:
            np.testing.assert_allclose(2 * small_one.obb.xyxyxyxy, large_one.obb.xyxyxyxy, atol=1e-3)
        if small_one.masks is not None and large_one.masks is not None:
            doubled = small_one.masks.data.repeat(2, axis=1).repeat(2, axis=2)
            assert doubled.any()
            assert (doubled != large_one.masks.data).mean() < 0.02


def test_a_picture_to_classify_is_cropped_to_its_middle() -> None:
    runtime = StubRuntime("classify")
    image = np.full((60, 200, 3), (255, 0, 0), np.uint8)
    image[:, 70:130] = (0, 0, 255)  # the middle is red
    (result,) = Predictor(runtime, NAMES, "classify").predict(image, config(imgsz=32))
    assert runtime.batches == [(1, 32, 32, 3)]
    assert result.probs is not None
    assert result.probs.top1 == 2
    assert float(result.probs.top1conf) > 0.98
    assert len(result.boxes) == 0


def test_an_unknown_task(stub: StubRuntime) -> None:
    with pytest.raises(ConfigError, match="detect, segment, classify, pose, obb"):
        Predictor(stub, NAMES, "depth")


@pytest.mark.parametrize("kind", RUNTIMES)
def test_file_array_pil_and_tensor_are_identical(kind: str, folder: Path) -> None:
    predictor = Predictor(RUNTIMES[kind](), NAMES)
    path = folder / "03.png"
    pixels = cv2.imread(str(path))
    tensor = torch.from_numpy(pixels[:, :, ::-1].transpose(2, 0, 1).copy())[None] / 255
    found = [rows(predictor.predict(form, QUIET))[0] for form in (path, pixels, Image.open(path), tensor)]
    assert len(found[0])
    assert_equal(found[1:], [found[0]] * 3)


def test_many_threads_share_one_predictor(folder: Path) -> None:
    predictor = Predictor(tiny_runtime(), NAMES)
    paths = sorted(folder.iterdir())
    settings_of = [config(conf=0.3 + 0.05 * (i % 3), imgsz=64 if i % 2 else 96) for i in range(6)]
    expected = [rows(predictor.predict(paths[i : i + 8], settings_of[i])) for i in range(6)]
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda i: rows(predictor.predict(paths[i : i + 8], settings_of[i])), range(6)))
    for a, b in zip(found, expected, strict=True):
        assert_equal(a, b)


def test_order_and_paths(folder: Path, stub: StubRuntime) -> None:
    results = list(Predictor(stub, NAMES).predict(folder, QUIET))
    assert [result.path for result in results] == [str(path) for path in sorted(folder.iterdir())]
    assert all((result.runtime, result.precision, result.error) == ("stub", "fp32", None) for result in results)
    assert all(set(result.speed) == {"preprocess", "inference", "postprocess"} for result in results)
    assert [result.orig_shape for result in results] == [result.orig_img.shape[:2] for result in results]


def test_mixed_shapes_are_batched_by_canvas(folder: Path, stub: StubRuntime) -> None:
    list(Predictor(stub, NAMES).predict(folder, config(batch=8)))
    canvases = [shape[1:] for shape in stub.batches]
    assert sum(shape[0] for shape in stub.batches) == 30
    assert len(stub.batches) < 20
    assert max(shape[0] for shape in stub.batches) > 2
    assert all(side % 32 == 0 for canvas in canvases for side in canvas[:2])


def test_batches_do_not_depend_on_timing(folder: Path) -> None:
    recorded = []
    for _ in range(3):
        runtime = StubRuntime()
        list(Predictor(runtime, NAMES).predict(folder, config(batch=4)))
        recorded.append(runtime.batches)
    assert recorded[0] == recorded[1] == recorded[2]


def test_the_next_batch_runs_while_results_are_used() -> None:
    """One at a time; canvases of a batch go when its results are there."""
    seen: list[weakref.ref[npt.NDArray[np.uint8]]] = []
    second = threading.Event()

    class Watched(StubRuntime):
        def __call__(self, images: npt.NDArray[np.uint8], min_score: float = 0.0) -> Decoded:
            seen.append(weakref.ref(images))
            if len(seen) == 2:
                second.set()
            return super().__call__(images, min_score)

    runtime = Watched()
    pictures = [np.full((64, 64, 3), shade, np.uint8) for shade in range(16)]
    results = Predictor(runtime, NAMES).predict(pictures, config(batch=4))
    first = next(results)
    assert second.wait(60)
    assert seen[0]() is None
    scores = [float(result.boxes.conf[0]) for result in (first, *results)]
    assert scores == sorted(scores)
    assert len(scores) == 16
    assert [shape[0] for shape in runtime.batches] == [4, 4, 4, 4]


def test_an_error_of_the_runtime_reaches_the_caller() -> None:
    class Failing(StubRuntime):
        def __call__(self, images: npt.NDArray[np.uint8], min_score: float = 0.0) -> Decoded:
            if images[0, 0, 0, 0] > 7:
                raise ConfigError("no more")
            return super().__call__(images, min_score)

    before = threading.active_count()
    pictures = [np.full((64, 64, 3), shade, np.uint8) for shade in range(16)]
    results = Predictor(Failing(), NAMES).predict(pictures, config(batch=4))
    assert [next(results).path for _ in range(8)]
    with pytest.raises(ConfigError, match="no more"):
        next(results)
    assert threading.active_count() == before


def test_the_first_result_does_not_wait_for_the_last_image(stub: StubRuntime) -> None:
    loaded = []

    def items() -> Iterator[predictor_module.Item]:
        for i in range(1000):
            loaded.append(i)
            yield predictor_module.Item(f"{i}", lambda: np.zeros((32, 32, 3), np.uint8))

    call = predictor_module._Call(stub, NAMES, "detect", QUIET, predictor_module.NmsOptions())
    results = predictor_module._many(call, items(), predictor_module.WINDOW)
    for i, result in enumerate(results):
        assert result.path == str(i)
        assert len(loaded) <= i + 1 + predictor_module.WINDOW
        if i == 0:
            assert len(loaded) <= 2 * QUIET.batch
        if i == 200:
            break


def test_a_single_bad_source_raises(tmp_path: Path, stub: StubRuntime) -> None:
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(SourceError, match=r"a\.jpg"):
        list(Predictor(stub, NAMES).predict(tmp_path / "a.jpg", QUIET))
    with pytest.raises(SourceError, match="no such"):  # at once, not when the first result is asked for
        Predictor(stub, NAMES).predict(tmp_path / "b.jpg", QUIET)
    (tmp_path / "a.jpg").unlink()
    with pytest.raises(SourceError, match="no images"):
        Predictor(stub, NAMES).predict(tmp_path, QUIET)


def test_bad_items_of_a_list_keep_their_places(folder: Path, tmp_path: Path, stub: StubRuntime) -> None:
    (tmp_path / "cut.png").write_bytes((folder / "03.png").read_bytes()[:200])
    sources = [folder / "00.png", tmp_path / "cut.png", folder / "01.png", "missing.png", np.zeros((4, 4), np.float32)]
    results = list(Predictor(stub, NAMES).predict(sources, QUIET))
    assert [result.error is None for result in results] == [True, False, True, False, False]
    assert "cut.png" in str(results[1].error)
    assert len(results[1].boxes) == 0
    expected = list(Predictor(stub, NAMES).predict([folder / "00.png", folder / "01.png"], QUIET))
    assert_equal(rows([results[0], results[2]]), rows(expected))


@pytest.mark.timeout(30)
def test_a_pipe_in_a_folder_does_not_hang(tmp_path: Path, folder: Path, stub: StubRuntime) -> None:
    (tmp_path / "b.png").write_bytes((folder / "00.png").read_bytes())
    os.mkfifo(tmp_path / "a.png")
    results = list(Predictor(stub, NAMES).predict(tmp_path, QUIET))
    assert [result.error is None for result in results] == [False, True]


def test_a_video_comes_in_order(tmp_path: Path, stub: StubRuntime) -> None:
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48))
    for i in range(20):
        writer.write(np.full((48, 64, 3), 12 * i, np.uint8))
    writer.release()
    results = list(Predictor(stub, NAMES).predict(path, config(batch=8)))
    assert [result.frame for result in results] == list(range(20))
    scores = [float(result.boxes.conf[0]) for result in results]
    assert scores == sorted(scores)
    assert [shape[0] for shape in stub.batches] == [8, 8, 4]
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 4 // 5])
    cut = list(Predictor(stub, NAMES).predict(path, QUIET))
    assert cut[-1].error is not None
    assert f"read {len(cut) - 1} of 20 frames" in cut[-1].error


@pytest.mark.parametrize(
    ("classes", "expected"),
    [(None, None), ([0, 2], (0, 2)), (["c"], (2,)), (["1", "a"], (1, 0)), ([], ())],
)
def test_class_numbers(classes: Any, expected: Any) -> None:
    assert class_numbers(classes, NAMES) == expected


@pytest.mark.parametrize("wanted", [3, -1, "d", "3"])
def test_unknown_classes(wanted: Any, stub: StubRuntime) -> None:
    with pytest.raises(ConfigError, match="no such class"):
        Predictor(stub, NAMES).predict(np.zeros((32, 32, 3), np.uint8), config(classes=(wanted,)))


def test_options_reach_the_suppression(stub: StubRuntime) -> None:
    image = np.full((64, 64, 3), (250, 100, 10), np.uint8)

    def found(**options: Any) -> list[int]:
        (result,) = Predictor(stub, NAMES).predict(image, config(**options))
        return sorted(result.boxes.cls.tolist())

    assert found() == [0, 1, 2]
    assert found(conf=0.5) == [0, 1]
    assert found(classes=("c",)) == [2]
    assert found(max_det=1) == [0]
    assert found(agnostic_nms=True, iou=0.05) == [0]


def test_boxes_come_back_to_the_original_image() -> None:
    """A box that fills the canvas fills the image, whatever its shape."""

    class Filling(StubRuntime):
        def __call__(self, images: npt.NDArray[np.uint8], min_score: float = 0.0) -> Decoded:
            height, width = images.shape[1:3]
            return Decoded(np.array([[[width / 2], [height / 2], [width], [height], [0.9], [0], [0]]], np.float32))

    for shape in ((480, 640), (37, 911), (2000, 3), (64, 64)):
        for rect in (True, False):
            (result,) = Predictor(Filling(), NAMES).predict(np.zeros((*shape, 3), np.uint8), config(rect=rect))
            np.testing.assert_allclose(result.boxes.xyxy.numpy(), [[0, 0, shape[1], shape[0]]], atol=1e-3)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 400), st.integers(1, 400), st.sampled_from([32, 96, (64, 160)]), st.booleans())
def test_any_shape(height: int, width: int, imgsz: Any, rect: bool) -> None:
    image = np.full((height, width, 3), 200, np.uint8)
    (result,) = Predictor(StubRuntime(), NAMES).predict(image, config(imgsz=imgsz, rect=rect))
    boxes = result.boxes.xyxy.numpy()
    assert len(boxes) == CLASSES
    assert bool((boxes >= 0).all() and (boxes <= np.array([width, height, width, height])).all())


def test_large_files_are_not_kept_but_read_again(
    tmp_path: Path, stub: StubRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predictor_module, "KEPT_BYTES", 1000)
    image = np.full((30, 40, 3), 7, np.uint8)
    (tmp_path / "a.png").write_bytes(cv2.imencode(".png", image)[1].tobytes())
    (result,) = Predictor(stub, NAMES).predict(tmp_path / "a.png", QUIET)
    assert result.pixels is None
    np.testing.assert_array_equal(result.orig_img, image)
    (held,) = Predictor(stub, NAMES).predict(image, QUIET)
    assert held.pixels is not None


def test_a_list_of_results_keeps_a_bounded_amount_of_pixels(stub: StubRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictor_module, "LIST_BYTES", 10_000)
    images = [np.zeros((32, 32, 3), np.uint8) for _ in range(5)]
    collected = list(Predictor(stub, NAMES).predict(images, config(stream=False)))
    assert [result.pixels is not None for result in collected] == [True, True, True, False, False]
    with pytest.raises(UserError, match="stream=True"):
        collected[-1].plot()
    streamed = list(Predictor(stub, NAMES).predict(images, QUIET))
    assert all(result.pixels is not None for result in streamed)


def test_leaving_early_ends_the_threads_and_lets_go(folder: Path, stub: StubRuntime) -> None:
    before = threading.active_count()
    results = Predictor(stub, NAMES).predict(folder, QUIET)
    first = weakref.ref(next(results))
    results.close()  # type: ignore[attr-defined]
    gc.collect()
    assert threading.active_count() == before
    assert first() is None


def test_progress_names_what_was_skipped(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.png").write_text("text")
    list(Predictor(StubRuntime(), NAMES).predict([folder, tmp_path / "bad.png"], config(verbose=True)))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "bad.png" in captured.err
    assert "31 images, 1 skipped" in captured.err
    assert "images/s" in captured.err
    list(Predictor(StubRuntime(), NAMES).predict(folder, QUIET))
    assert capsys.readouterr().err == ""


def test_hostile_images(hostile: Callable[[str], Path], stub: StubRuntime) -> None:
    """Every sample alone and all of them as a folder: a result or an error that names the file, and both the same."""
    folder = hostile("gen_images.py")
    predictor = Predictor(stub, NAMES)
    quiet = config(imgsz=32)
    together = {result.path: result for result in predictor.predict(folder, quiet)}
    assert len(together) > 80
    for path, result in together.items():
        try:
            alone = list(predictor.predict(path, quiet))
        except SourceError:
            assert result.error is not None, path
            continue
        if len(alone) == 1:
            assert result.error is None, result.error
            np.testing.assert_array_equal(result.boxes.data, alone[0].boxes.data)
