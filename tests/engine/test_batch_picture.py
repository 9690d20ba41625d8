"""Pictures of training batches: a grid, true colours, and every label of every task."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from yolov12.data.sample import Batch, Targets
from yolov12.engine.batch_picture import draw_batch

BLUE, ORANGE = [31, 119, 180], [255, 127, 14]  # of the first two classes


@pytest.mark.parametrize(
    ("count", "side", "size", "name"),
    [(1, 64, (64, 64), "one.jpg"), (5, 64, (192, 128), "grid.png"), (20, 1024, (1920, 1920), "many.jpg")],
)
def test_draw_batch_makes_a_grid(tmp_path: Path, count: int, side: int, size: tuple[int, int], name: str) -> None:
    images = torch.full((count, 3, side, side), 128, dtype=torch.uint8)
    targets = Targets(torch.tensor([0, 0]), torch.tensor([0, 1]), torch.tensor([[8.0, 20, 40, 60], [-9, -9, 999, 999]]))
    draw_batch(Batch(images, targets, torch.arange(count)), {0: "cost $5 to $6", 1: "血"}, tmp_path / name)
    with Image.open(tmp_path / name) as picture:
        assert picture.size == size
        assert picture.format == ("PNG" if name.endswith("png") else "JPEG")


def test_draw_batch_keeps_the_colours_and_marks_the_boxes(tmp_path: Path) -> None:
    images = torch.zeros((1, 3, 64, 64), dtype=torch.uint8)
    images[:, 0] = 200  # red
    targets = Targets(torch.tensor([0]), torch.tensor([0]), torch.tensor([[10.0, 30, 50, 60]]))
    draw_batch(Batch(images, targets, torch.arange(1)), {0: "x"}, tmp_path / "batch.png")
    with Image.open(tmp_path / "batch.png") as picture:
        pixels = np.asarray(picture)
    assert pixels[45, 30].tolist() == [200, 0, 0]
    assert pixels[45, 10].tolist() == [31, 119, 180]


def test_draw_batch_without_objects(tmp_path: Path) -> None:
    nothing = Targets(torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64), torch.zeros(0, 4))
    draw_batch(Batch(torch.zeros((2, 3, 32, 64), dtype=torch.uint8), nothing, torch.arange(2)), {}, tmp_path / "b.jpg")
    with Image.open(tmp_path / "b.jpg") as picture:
        assert picture.size == (128, 32)


def drawn(targets: Targets, path: Path) -> np.ndarray:
    """A black picture of 64 px with the labels of two objects."""
    draw_batch(Batch(torch.zeros((1, 3, 64, 64), dtype=torch.uint8), targets, torch.arange(1)), {0: "x", 1: "y"}, path)
    with Image.open(path) as picture:
        return np.asarray(picture)


def test_draw_batch_tints_masks(tmp_path: Path) -> None:
    masks = torch.zeros((1, 16, 16), dtype=torch.int16)
    masks[0, 8:, :4], masks[0, 8:, 12:] = 1, 2
    boxes = torch.tensor([[0.0, 32, 16, 64], [48, 32, 64, 64]])
    pixels = drawn(Targets(torch.tensor([0, 0]), torch.tensor([0, 1]), boxes, masks), tmp_path / "m.png")
    half = [[int(0.45 * value) for value in color] for color in (BLUE, ORANGE)]
    assert [pixels[50, 8].tolist(), pixels[50, 56].tolist(), pixels[50, 32].tolist()] == [*half, [0, 0, 0]]


def test_draw_batch_marks_keypoints_that_are_labelled(tmp_path: Path) -> None:
    keypoints = torch.tensor([[[20.0, 40, 2], [40, 40, 1], [30, 50, 0]]])
    targets = Targets(torch.tensor([0]), torch.tensor([0]), torch.tensor([[10.0, 30, 50, 60]]), None, keypoints)
    pixels = drawn(targets, tmp_path / "k.png")
    assert pixels[40, 20].tolist() == BLUE  # visible: filled
    assert pixels[40, 40].tolist() == [0, 0, 0]  # hidden: a ring
    assert pixels[40, 43].tolist() == [255, 255, 255]
    assert not pixels[47:54, 27:34].any()


def test_draw_batch_turns_rotated_boxes(tmp_path: Path) -> None:
    rotated = torch.tensor([[32.0, 40, 28.28427, 14.142136, math.pi / 4]])  # corners (37, 55), (47, 45), (27, 25), ...
    boxes = torch.tensor([[17.0, 25, 47, 55]])
    pixels = drawn(Targets(torch.tensor([0]), torch.tensor([0]), boxes, rotated_input=rotated), tmp_path / "r.png")
    middles = [(42, 50), (32, 35 + 15), (22, 30), (37, 35)]  # of the four sides, x y
    corners = np.array([(37, 55), (47, 45), (27, 25), (17, 35)])
    assert all(pixels[y - 2 : y + 3, x - 2 : x + 3].any() for x, y in corners)
    assert pixels[middles[0][1], middles[0][0]].tolist() == BLUE
    assert not pixels[54:58, 18:28].any()  # the upright corners stay empty
