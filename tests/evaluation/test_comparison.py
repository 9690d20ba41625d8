"""Several models on the same data: what is said of each, and of the differences between them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from index_factory import make_index
from model_factory import tiny_config
from yolov12.config.run import CompareConfig
from yolov12.data.index import ImageIndex
from yolov12.detections import Decoded
from yolov12.errors import ConfigError, ImageError
from yolov12.evaluation.comparison import Comparison, Contestant, compare, measure_latency
from yolov12.evaluation.comparison_plot import draw_comparison
from yolov12.models.detector import build_model

CONFIG = CompareConfig(data="d.yaml", imgsz=64, batch=4, timed=5, resamples=200, verbose=False)
NAMES = {0: "a", 1: "b"}
IMAGES = 30


class Finder:
    """Finds the one white square of each canvas, but for those whose grey is at least `blind_from`."""

    name, precision = "finder", "fp32"

    def __init__(self, blind_from: int = 256) -> None:
        self.blind_from = blind_from
        self.calls: list[int] = []

    def __call__(self, images: np.ndarray, min_score: float = 0.0) -> Decoded:
        self.calls.append(len(images))
        dense = np.zeros((len(images), 6, 2), np.float32)
        for answer, image in zip(dense, images, strict=True):
            y, x = (image.min(axis=2) > 240).nonzero()
            if len(x) and image[0, 0, 0] < self.blind_from:
                x1, y1, x2, y2 = x.min(), y.min(), x.max() + 1, y.max() + 1
                answer[:5, 0] = (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1, 0.9
        return Decoded(dense)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> ImageIndex:
    """Pictures of 64 px with one white square; their greys rise from 0 to 116."""
    folder = tmp_path_factory.mktemp("squares")
    paths, objects = [], []
    for i in range(IMAGES):
        image = np.full((64, 64, 3), 4 * i, np.uint8)
        x, y = 4 + i % 7, 6 + i % 5
        image[y : y + 20, x : x + 24] = 255
        paths.append(folder / f"{i}.png")
        cv2.imwrite(str(paths[-1]), image)
        objects.append([(x, y, x + 24, y + 20, 0)])
    return make_index(objects, paths=paths, sizes=[(64, 64)] * IMAGES)


def contestant(name: str, runtime: Finder, names: dict[int, str] = NAMES) -> Contestant:
    return Contestant(name, build_model(tiny_config(num_classes=len(names)), seed=0), names, runtime, 64)


@pytest.fixture(scope="module")
def comparison(index: ImageIndex) -> Comparison:
    runners = [contestant("sharp", Finder()), contestant("half", Finder(60)), contestant("twin", Finder())]
    return compare(runners, index, CONFIG, "detect")


def test_scores_and_their_intervals(comparison: Comparison) -> None:
    sharp, half, twin = comparison.standings
    assert sharp.scores["box AP50-95"].value == pytest.approx(1)
    assert (sharp.scores["box AP50-95"].low, sharp.scores["box AP50-95"].high) == (pytest.approx(1), pytest.approx(1))
    interval = half.scores["box AP50"]
    assert interval.value == pytest.approx(51 / 101)  # half of the recalls are reached
    assert 0.2 < interval.low < interval.value < interval.high < 0.8
    assert twin.scores == sharp.scores


def test_a_difference_says_whether_it_is_more_than_chance(comparison: Comparison) -> None:
    found = {(duel.first, duel.second): duel for duel in comparison.duels if duel.score == "box AP50"}
    assert set(found) == {("sharp", "half"), ("sharp", "twin"), ("half", "twin")}
    assert found["sharp", "half"].difference.significant
    assert found["sharp", "half"].sentence().endswith(": significant")
    assert not found["sharp", "twin"].difference.significant
    assert "+0.000 [+0.000, +0.000]: not significant" in found["sharp", "twin"].sentence()


def test_cost_is_that_of_the_network(comparison: Comparison) -> None:
    sharp = comparison.standings[0]
    model = build_model(tiny_config(num_classes=2), seed=0)
    assert sharp.parameters == sum(weight.numel() for weight in model.parameters())
    assert sharp.memory_bytes > 4 * sharp.parameters
    assert sharp.gflops > 0
    assert 0 < sharp.latency_ms[0] <= sharp.latency_ms[1]


def test_models_take_turns(index: ImageIndex) -> None:
    order: list[str] = []

    class Noted(Finder):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.who = name

        def __call__(self, images: np.ndarray, min_score: float = 0.0) -> Decoded:
            order.append(self.who)
            return super().__call__(images)

    pictures = [cv2.imread(str(path)) for path in index.paths[:4]]
    times = measure_latency([contestant(name, Noted(name)) for name in "ab"], pictures, "detect")
    assert [len(mine) for mine in times] == [4, 4]
    assert "".join(order) == "abba" * 3 + "ab"  # three pictures to warm up, then four


def test_the_table_and_the_json_say_the_same(comparison: Comparison) -> None:
    table = comparison.table().splitlines()
    assert table[0].split()[:2] == ["model", "imgsz"]
    assert [line.split()[0] for line in table[1:4]] == ["sharp", "half", "twin"]
    values = json.loads(json.dumps(comparison.to_dict(), allow_nan=False))
    assert values["standings"][1]["scores"]["box AP50"]["value"] == pytest.approx(51 / 101)
    assert values["duels"][1]["difference"]["significant"] is True
    assert (values["images"], values["timed"], values["save_dir"]) == (IMAGES, 5, None)


def test_a_score_that_does_not_exist_is_null(index: ImageIndex) -> None:
    empty = make_index([[]] * IMAGES, paths=index.paths, sizes=[(64, 64)] * IMAGES)
    nothing = compare([contestant("one", Finder()), contestant("two", Finder())], empty, CONFIG, "detect")
    assert math.isnan(nothing.standings[0].scores["box AP50"].value)
    assert nothing.to_dict()["standings"][0]["scores"]["box AP50"]["value"] is None
    assert "nan" not in nothing.table()
    assert nothing.duels[0].sentence() == "one - two, box AP50-95: nothing to measure"


def test_it_can_be_drawn(comparison: Comparison, tmp_path: Path) -> None:
    draw_comparison(comparison, tmp_path / "comparison.png")
    with Image.open(tmp_path / "comparison.png") as picture:
        assert picture.size[0] > 800


def test_classes_that_do_not_fit_name_the_model(index: ImageIndex) -> None:
    odd = contestant("odd one", Finder(), {0: "a"})
    with pytest.raises(ConfigError, match="odd one: the data set has 2 classes, the model knows 1: a"):
        compare([odd], index, CONFIG, "detect")


def test_an_unreadable_image_stops_or_is_left_out(index: ImageIndex, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    boxes = [[(0, 0, 9, 9, 0)]] * 3
    three = make_index(boxes, paths=[index.paths[0], broken, index.paths[2]], sizes=[(64, 64)] * 3)
    with pytest.raises(ImageError, match=r"broken\.png"):
        compare([contestant("one", Finder())], three, CONFIG, "detect")
    left = compare(
        [contestant("one", Finder())], three, CompareConfig(**(vars(CONFIG) | {"on_bad_label": "skip"})), "detect"
    )
    assert (left.images, left.timed) == (2, 2)
