"""The evaluator with runtimes that read their answer from the pixels: batching, canvases, coordinates, bad images."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from index_factory import make_index
from yolov12.config.run import ValConfig
from yolov12.data.index import ImageIndex
from yolov12.detections import Decoded
from yolov12.errors import ConfigError, DataError, ImageError
from yolov12.evaluation import evaluator
from yolov12.evaluation.evaluator import evaluate
from yolov12.metrics import ClassificationMetrics

CONFIG = ValConfig(imgsz=128, batch=3, verbose=False)
SHAPES = [(60, 80), (80, 60), (60, 80), (64, 64), (300, 401), (60, 80), (31, 200), (60, 80)]


class WhiteBoxRuntime:
    """Finds the one white rectangle of each canvas, as `task` wants it; remembers the shapes it was called with.

    Masks are its pixels (one prototype), keypoints two opposite corners, and the class of a picture is 1 if its middle
    is white, else 0.
    """

    name, precision = "white box", "fp32"

    def __init__(self, num_classes: int = 2, task: str = "detect") -> None:
        self.num_classes, self.task = num_classes, task
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, images: np.ndarray, min_score: float = 0.0) -> Decoded:
        assert images.dtype == np.uint8
        self.shapes.append(images.shape)
        white = images.min(axis=3) > 200  # (B, H, W)
        if self.task == "classify":
            middle = white[:, images.shape[1] // 2, images.shape[2] // 2]
            scores = np.stack([~middle, middle, *[np.zeros_like(middle)] * (self.num_classes - 2)], axis=1)
            return Decoded(scores.astype(np.float32))
        extras = {"segment": 1, "pose": 6, "obb": 1}.get(self.task, 0)
        dense = np.zeros((len(images), 4 + self.num_classes + extras, 5), np.float32)
        for answer, mask in zip(dense, white, strict=True):
            y, x = mask.nonzero()
            if len(x):
                x1, y1, x2, y2 = x.min(), y.min(), x.max() + 1, y.max() + 1
                answer[:4, 0] = (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1
                answer[4, 0] = 0.9
                answer[4 + self.num_classes :, 0] = {
                    "segment": [1], "pose": [x1, y1, 0.9, x2, y2, 0.8], "obb": [0],
                }.get(self.task, [])  # fmt: skip
        quarter = white[:, 2::4, 2::4, None].transpose(0, 3, 1, 2).astype(np.float32) * 2 - 1
        return Decoded(dense, quarter if self.task == "segment" else None, (2, 3) if self.task == "pose" else None)


@pytest.fixture
def index(tmp_path: Path) -> ImageIndex:
    """Black images of mixed shapes with one white rectangle of class 0 each."""
    paths, objects = [], []
    for i, (height, width) in enumerate(SHAPES):
        image = np.zeros((height, width, 3), np.uint8)
        box = (width // 4, height // 4, width // 2, (3 * height) // 4)
        image[box[1] : box[3], box[0] : box[2]] = 255
        path = tmp_path / f"{i}.png"
        cv2.imwrite(str(path), image)
        paths.append(path)
        objects.append([(*map(float, box), 0)])
    return make_index(objects, sizes=SHAPES, paths=paths)


@pytest.mark.parametrize(
    "changes",
    [{}, {"rect": False}, {"protocol": "reference"}, {"imgsz": (96, 128)}, {"batch": 1}, {"batch": 100}],
)
def test_boxes_come_back_in_original_pixels(index: ImageIndex, changes: dict[str, object]) -> None:
    metrics = evaluate(WhiteBoxRuntime(), index, replace(CONFIG, **changes))
    assert metrics.box.map50 == 1.0
    assert metrics.box.map > 0.8
    assert metrics.images == len(SHAPES)
    assert set(metrics.speed) == {"preprocess", "inference", "postprocess"}
    assert all(value > 0 for value in metrics.speed.values())


def test_the_batch_size_does_not_matter(index: ImageIndex) -> None:
    stats = {evaluate(WhiteBoxRuntime(), index, replace(CONFIG, batch=batch)).box.stats for batch in (1, 2, 16)}
    assert len(stats) == 1


def test_equal_canvases_share_a_batch(index: ImageIndex) -> None:
    runtime = WhiteBoxRuntime()
    evaluate(runtime, index, CONFIG)
    assert sorted(shape[:3] for shape in runtime.shapes) == sorted(
        [(3, 96, 128), (2, 96, 128), (1, 128, 96), (1, 128, 128), (1, 32, 128)]
    )


def test_a_bad_image_stops_or_is_skipped(index: ImageIndex) -> None:
    index.paths[2].write_bytes(b"no image")
    with pytest.raises(ImageError, match=r"2\.png"):
        evaluate(WhiteBoxRuntime(), index, CONFIG)
    metrics = evaluate(WhiteBoxRuntime(), index, replace(CONFIG, on_bad_label="skip"))
    assert (metrics.images, metrics.skipped) == (len(SHAPES) - 1, 1)
    assert metrics.box.map50 == 1.0


def test_the_pixel_limit_is_an_option(index: ImageIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    largest = 300 * 401
    with pytest.raises(ImageError, match=rf"4\.png: pixels {largest} > {largest - 1}"):
        evaluate(WhiteBoxRuntime(), index, replace(CONFIG, max_pixels=largest - 1))
    monkeypatch.setitem(evaluator.read_image.__kwdefaults__, "max_pixels", 1)
    assert evaluate(WhiteBoxRuntime(), index, replace(CONFIG, max_pixels=largest)).images == len(SHAPES)


def test_a_whole_batch_of_bad_images_is_skipped(index: ImageIndex) -> None:
    for path in index.paths:
        path.unlink()
    metrics = evaluate(WhiteBoxRuntime(), index, replace(CONFIG, on_bad_label="skip"))
    assert metrics.images == 0


def test_an_image_that_changed_since_the_scan_is_an_error(index: ImageIndex) -> None:
    cv2.imwrite(str(index.paths[0]), np.zeros((50, 50, 3), np.uint8))
    with pytest.raises(DataError, match=r"0\.png: is 50x50 pixels, but was 80x60"):
        evaluate(WhiteBoxRuntime(), index, CONFIG)


def test_the_number_of_classes_must_agree(index: ImageIndex) -> None:
    with pytest.raises(ConfigError, match="model knows 80 classes, the data set has 2"):
        evaluate(WhiteBoxRuntime(80), index, CONFIG)


def test_single_cls_takes_the_best_score_of_any_class(index: ImageIndex) -> None:
    one_class = replace(index, names=("object",))
    assert evaluate(WhiteBoxRuntime(3), one_class, replace(CONFIG, single_cls=True)).box.map50 == 1.0


def test_nothing_is_printed_and_no_thread_stays(index: ImageIndex, capsys: pytest.CaptureFixture[str]) -> None:
    evaluate(WhiteBoxRuntime(), index, replace(CONFIG, verbose=True))  # stderr is no terminal here
    assert capsys.readouterr() == ("", "")
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("evaluate")]


@pytest.mark.parametrize("task", ["detect", "segment", "pose", "obb", "classify"])
def test_an_empty_index(task: str) -> None:
    assert evaluate(WhiteBoxRuntime(), make_index([]), CONFIG, task).images == 0


@pytest.mark.parametrize("protocol", ["predict", "reference"])
@pytest.mark.parametrize(("task", "part"), [("segment", "mask"), ("pose", "pose"), ("obb", "box")])
def test_masks_keypoints_and_rotated_boxes_come_back_in_original_pixels(
    index: ImageIndex, task: str, part: str, protocol: str
) -> None:
    opposite = np.insert(index.boxes.reshape(-1, 2, 2), 2, 2, axis=2).astype(np.float32)
    index = replace(index, keypoints=opposite, keypoint_shape=(2, 3))
    metrics = evaluate(WhiteBoxRuntime(task=task), index, replace(CONFIG, imgsz=256, protocol=protocol), task)
    assert metrics.task == task
    scores = metrics.parts[part]
    assert scores.map50 == 1.0
    assert scores.map > 0.75
    assert metrics.box.map > 0.85


@pytest.mark.parametrize("task", ["segment", "pose", "obb"])
def test_extras_are_no_classes(index: ImageIndex, task: str) -> None:
    index = replace(index, keypoints=np.zeros((len(index.labels), 2, 3), np.float32), keypoint_shape=(2, 3))
    with pytest.raises(ConfigError, match="model knows 80 classes, the data set has 2"):
        evaluate(WhiteBoxRuntime(80, task), index, CONFIG, task)
    one_class = replace(index, names=("object",))
    metrics = evaluate(WhiteBoxRuntime(3, task), one_class, replace(CONFIG, single_cls=True), task)
    assert metrics.box.map50 == 1.0


def test_pictures_are_classified(index: ImageIndex) -> None:
    """Every white rectangle of the fixture ends before the middle; one picture here is all white."""
    cv2.imwrite(str(index.paths[4]), np.full((*SHAPES[4], 3), 255, np.uint8))
    labels = np.array([0, 0, 1, 0, 1, 0, 0, 0])
    runtime = WhiteBoxRuntime(task="classify")
    metrics = evaluate(runtime, replace(index, labels=labels), replace(CONFIG, imgsz=64), "classify")
    assert isinstance(metrics, ClassificationMetrics)
    assert (metrics.top1, metrics.images) == (7 / 8, 8)
    assert metrics.confusion_matrix.tolist() == [[6, 0], [1, 1]]
    assert {shape[1:3] for shape in runtime.shapes} == {(64, 64)}
    assert all(value > 0 for value in metrics.speed.values())
    with pytest.raises(ConfigError, match="model knows 5 classes"):
        evaluate(WhiteBoxRuntime(5, "classify"), index, CONFIG, "classify")


def test_nothing_found_anywhere(index: ImageIndex) -> None:
    class Broken(WhiteBoxRuntime):
        def __call__(self, images: np.ndarray, min_score: float = 0.0) -> Decoded:
            return Decoded(*(None if a is None else np.full_like(a, np.nan) for a in super().__call__(images)[:2]))

    for task in ("detect", "segment", "obb"):
        assert evaluate(Broken(task=task), index, CONFIG, task).box.map == 0.0
    assert evaluate(Broken(task="classify"), replace(index, labels=index.labels + 1), CONFIG, "classify").top1 == 0.0
