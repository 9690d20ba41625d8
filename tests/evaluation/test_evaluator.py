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
from yolov12.errors import ConfigError, DataError, ImageError
from yolov12.evaluation import evaluator
from yolov12.evaluation.evaluator import evaluate, match_classes, plan

CONFIG = ValConfig(imgsz=128, batch=3, verbose=False)
SHAPES = [(60, 80), (80, 60), (60, 80), (64, 64), (300, 401), (60, 80), (31, 200), (60, 80)]


class WhiteBoxRuntime:
    """Finds the one white rectangle of each canvas; remembers the shapes it was called with."""

    name, precision = "white box", "fp32"

    def __init__(self, num_classes: int = 2) -> None:
        self.num_classes = num_classes
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, images: np.ndarray, min_score: float = 0.0) -> np.ndarray:
        assert images.dtype == np.uint8
        self.shapes.append(images.shape)
        decoded = np.zeros((len(images), 4 + self.num_classes, 5), np.float32)
        for answer, image in zip(decoded, images, strict=True):
            y, x = (image.min(axis=2) > 200).nonzero()
            if len(x):
                x1, y1, x2, y2 = x.min(), y.min(), x.max() + 1, y.max() + 1
                answer[:4, 0] = (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1
                answer[4, 0] = 0.9
        return decoded


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


@pytest.mark.parametrize(
    ("shapes", "imgsz", "canvases"),
    [
        pytest.param([(640, 640)], 640, [(672, 672)], id="square"),
        pytest.param([(480, 640)], 320, [(256, 352)], id="landscape"),
        pytest.param([(640, 480)], 320, [(352, 256)], id="portrait"),
        pytest.param([(480, 640), (640, 480)], 320, [(352, 352)], id="mixed"),
        pytest.param([(640, 480), (480, 640), (481, 640)], 320, [(288, 352), (352, 256)], id="sorted, two batches"),
    ],
)
def test_reference_canvases(shapes: list[tuple[int, int]], imgsz: int, canvases: list[tuple[int, int]]) -> None:
    batches = plan(
        make_index([[]] * len(shapes), sizes=shapes), replace(CONFIG, imgsz=imgsz, batch=2, protocol="reference")
    )
    assert [batch[0].letterbox.canvas for batch in batches] == canvases
    assert all(len({placement.letterbox.canvas for placement in batch}) == 1 for batch in batches)
    assert sorted(placement.index for batch in batches for placement in batch) == list(range(len(shapes)))


def test_reference_needs_one_side() -> None:
    with pytest.raises(ConfigError, match="--protocol reference"):
        plan(make_index([[]]), replace(CONFIG, imgsz=(64, 96), protocol="reference"))


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


def test_an_empty_index() -> None:
    assert evaluate(WhiteBoxRuntime(), make_index([]), CONFIG).images == 0


def test_classes_are_matched_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    index = make_index([[(0, 0, 9, 9, 0), (0, 0, 5, 5, 2)], [(1, 1, 4, 4, 1)]], names=("x", "y", "z"))
    assert match_classes(index, {0: "x", 1: "y", 2: "z"}) is index
    found = match_classes(index, {0: "z", 1: "x", 2: "y"})
    assert found.names == ("z", "x", "y")
    assert [found.names[label] for label in found.labels] == [index.names[label] for label in index.labels]
    assert match_classes(index, {0: "0", 1: "1", 2: "2"}) is index  # a model without names of its own
    assert capsys.readouterr().err == ""
    assert match_classes(index, {0: "x", 1: "q", 2: "z"}) is index
    assert capsys.readouterr().err == "warning: class names differ (model / data set): q / y\n"
    with pytest.raises(ConfigError, match="3 classes, the model knows 2: x, y"):
        match_classes(index, {0: "x", 1: "y"})
