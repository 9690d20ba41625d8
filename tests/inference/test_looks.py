"""Several looks at one picture: where tiles lie, what becomes of objects on their borders, and of mirror images."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from yolov12 import YOLO
from yolov12.config.run import PredictConfig, ValConfig
from yolov12.data.dataset import load_index
from yolov12.detections import Decoded, Detections
from yolov12.errors import ConfigError
from yolov12.evaluation.evaluator import evaluate
from yolov12.inference.looks import (
    AUTO,
    WANTED_SIDE,
    Look,
    Looks,
    cut_by,
    fitting_tile,
    look_closely,
    moved,
    tiles_of,
)
from yolov12.inference.predictor import Predictor
from yolov12.postprocess import NmsOptions
from yolov12.results import Masks
from yolov12.samples import sample_images

LOOKS = Looks(64, rect=True, tile=64, overlap=0.25)
NAMES = {0: "square"}
OPTIONS = NmsOptions(conf=0.2, iou=0.7)


class Squares:
    """Finds the white squares of a black picture that are large enough on the canvas: the box around each."""

    name, precision = "squares", "fp32"
    smallest = 10

    def __init__(self) -> None:
        self.canvases: list[tuple[int, ...]] = []

    def __call__(self, images: NDArray[np.uint8], min_score: float = 0.0) -> Decoded:
        self.canvases.append(images.shape)
        dense = np.zeros((len(images), 5, 40), np.float32)
        for found, image in zip(dense, images, strict=True):
            _, _, stats, centres = cv2.connectedComponentsWithStats((image[..., 0] > 200).astype(np.uint8))
            boxes = [row for row in zip(stats[1:], centres[1:], strict=True) if min(row[0][2:4]) >= self.smallest]
            for column, ((left, top, width, height, _), _) in enumerate(boxes):
                score = 0.9 if abs(width - height) < 3 else 0.95  # pieces look surer than they should
                found[:, column] = left + width / 2, top + height / 2, width, height, score
        return Decoded(dense)


def scene(shape: tuple[int, int], squares: list[tuple[int, int, int]]) -> NDArray[np.uint8]:
    """Squares at (left, top, side)."""
    image = np.zeros((*shape, 3), np.uint8)
    for left, top, side in squares:
        image[top : top + side, left : left + side] = 255
    return image


@given(st.integers(1, 400), st.integers(1, 400), st.integers(32, 200), st.floats(0, 0.5))
def test_tiles_cover_the_picture(height: int, width: int, side: int, overlap: float) -> None:
    looks = LOOKS._replace(overlap=overlap)
    tiles = tiles_of((height, width), side, looks)
    covered = np.zeros((height, width), bool)
    for tile in tiles:
        assert tile.top >= 0
        assert tile.left >= 0
        assert tile.height <= side
        covered[tile.top : tile.top + tile.height, tile.left : tile.left + tile.width] = True
        assert tile.top + tile.height <= height
        assert tile.left + tile.width <= width
    assert covered.all()
    lefts = sorted({tile.left for tile in tiles})
    assert all(b - a <= max(math.ceil(side * (1 - overlap)), 1) for a, b in itertools.pairwise(lefts))


def test_too_many_tiles_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"--tile 8: a picture of 2000x2000 would take .* at most 1024"):
        tiles_of((2000, 2000), 8, LOOKS)


def test_small_objects_are_found_in_tiles() -> None:
    squares = [(20, 20, 12), (200, 100, 12), (52, 150, 12)]  # on the whole picture's canvas they are 3 pixels
    image = scene((200, 256), squares)
    whole = look_closely(image, Squares(), "detect", 1, OPTIONS, LOOKS._replace(tile=0))
    tiled = look_closely(image, Squares(), "detect", 1, OPTIONS, LOOKS)
    assert len(whole.rows) == 0
    expected = sorted([left, top, left + side, top + side] for left, top, side in squares)
    np.testing.assert_allclose(sorted(tiled.rows[:, :4].tolist()), expected, atol=0.6)


def test_pieces_of_an_object_give_way_to_it() -> None:
    image = scene((200, 256), [(40, 40, 80)])  # larger than a tile, and seen whole in the whole picture
    found = look_closely(image, Squares(), "detect", 1, OPTIONS, LOOKS)
    assert len(found.rows) == 1
    np.testing.assert_allclose(found.rows[0, :4], (40, 40, 120, 120), atol=3)


def test_what_is_found_at_once_in_two_tiles_is_one() -> None:
    image = scene((64, 112), [(50, 20, 12)])  # wholly in both tiles
    found = look_closely(image, Squares(), "detect", 1, OPTIONS, LOOKS)
    assert len(found.rows) == 1


def test_cut_boxes_touch_an_inner_border() -> None:
    boxes = np.array([[0, 10, 20, 30, 1, 0], [50, 10, 64, 30, 1, 0], [10, 0, 20, 9, 1, 0], [5, 5, 9, 9, 1, 0]])
    found = Detections(boxes.astype(float))
    assert cut_by(found, Look(0, 0, 64, 64, 64), (64, 64)).tolist() == [False] * 4
    assert cut_by(found, Look(0, 0, 64, 64, 64), (64, 99)).tolist() == [False, True, False, False]
    assert cut_by(found, Look(0, 0, 64, 64, 64, mirrored=True), (64, 99)).tolist() == [True, False, False, False]
    assert cut_by(found, Look(9, 35, 64, 64, 64), (99, 99)).tolist() == [True, False, True, False]


def test_tiles_follow_the_objects() -> None:
    looks = LOOKS._replace(imgsz=480, tile=AUTO)
    rows = np.array([[0, 0, 24, 24, 1, 0], [9, 9, 33, 33, 1, 0]], float)
    assert fitting_tile([Detections(rows)], looks) == round(480 * 24 / WANTED_SIDE)
    assert fitting_tile([Detections(np.empty((0, 6)))], looks) == 480


def test_a_mirrored_look_comes_back() -> None:
    rng = np.random.default_rng(0)
    mask = rng.random((2, 40, 60)) > 0.5
    mask[:, :5] = False
    rows = np.array([[3, 4, 20, 30, 0.9, 1], [10, 5, 60, 40, 0.5, 0]], float)
    rotated = np.array([[20, 20, 15, 5, 0.3], [30, 10, 9, 4, 2.5]])
    found = Detections(rows, Masks.from_data(mask), None, rotated)
    look = Look(7, 11, 40, 60, 64, mirrored=True)
    got = moved(found, look, (100, 120))
    assert got.masks is not None
    np.testing.assert_array_equal(got.masks.data[:, 7:47, 11:71], mask[:, :, ::-1])
    np.testing.assert_allclose(got.rows[0, :4], (60 - 20 + 11, 4 + 7, 60 - 3 + 11, 30 + 7))
    assert got.rotated is not None
    np.testing.assert_allclose(got.rotated[:, 4], np.pi - rotated[:, 4])
    np.testing.assert_allclose(got.rotated[:, 0], 60 - rotated[:, 0] + 11)


def test_looks_of_one_canvas_run_together() -> None:
    runtime = Squares()
    look_closely(scene((200, 256), []), runtime, "detect", 1, OPTIONS, LOOKS._replace(batch=4))
    assert [shape[0] for shape in runtime.canvases] == [1, 4, 4, 4, 4, 4]


def test_predict_and_val_look_closely(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    image = scene((200, 256), [(20, 20, 12), (200, 100, 12)])
    cv2.imwrite(str(tmp_path / "images" / "a.png"), image)
    rows = [(left + 6) / 256 for left in (20, 200)], [(top + 6) / 200 for top in (20, 100)]
    lines = [f"0 {x} {y} {12 / 256} {12 / 200}" for x, y in zip(*rows, strict=True)]
    (tmp_path / "labels" / "a.txt").write_text("\n".join(lines), encoding="utf8")
    (tmp_path / "data.yaml").write_text("train: images\nval: images\nnames: [square]\n", encoding="utf8")
    index = load_index(str(tmp_path / "data.yaml"), "val")
    assert evaluate(Squares(), index, ValConfig(imgsz=64, verbose=False)).box.map50 == 0
    assert evaluate(Squares(), index, ValConfig(imgsz=64, tile=64, verbose=False)).box.map50 == pytest.approx(1)
    predictor = Predictor(Squares(), NAMES)
    config = PredictConfig(imgsz=64, tile=64, verbose=False)
    alone = next(predictor.predict(image, config))
    listed = list(predictor.predict([image, str(tmp_path / "none.png")], config))
    assert len(alone.boxes) == len(listed[0].boxes) == 2
    assert listed[1].error
    with pytest.raises(ConfigError, match="a classifier looks at whole pictures"):
        Predictor(Squares(), NAMES, "classify").predict(image, config)


@pytest.mark.parametrize(("suffix", "task"), [("seg", "segment"), ("pose", "pose"), ("obb", "obb")])
def test_every_task_keeps_its_parts(suffix: str, task: str) -> None:
    """Test-time augmentation and tiles find something, and as much of every part."""
    model = YOLO(f"yolov12n-{suffix}-shapes")
    picture = str(sorted(sample_images(task).iterdir())[0])
    for extra in ({"augment": True}, {"tile": 256}):
        result = model.predict(picture, imgsz=192, verbose=False, **extra)[0]
        counts = {len(part) for part in (result.boxes, result.masks, result.keypoints, result.obb) if part is not None}
        assert len(counts) == 1
        assert counts.pop() > 0
