"""The cache of training images in memory."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import cv2
import numpy as np
import pytest

from index_factory import make_index
from yolov12.config.run import MAX_PIXELS
from yolov12.data import resized
from yolov12.data.index import ImageIndex
from yolov12.data.resized import ResizedImages, covering_shapes, fitting_shapes, memory_bytes, shared_array
from yolov12.errors import ImageError, ResourceError


@pytest.fixture
def index(tmp_path: Path) -> ImageIndex:
    sizes = [(30, 60), (60, 30), (64, 64)]
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for number, (path, size) in enumerate(zip(paths, sizes, strict=True)):
        cv2.imwrite(str(path), np.full((*size, 3), 10 * number + 10, np.uint8))
    return make_index([[], [], []], sizes=sizes, paths=paths)


@pytest.mark.parametrize(
    ("size", "expected"),
    [((30, 60), (32, 64)), ((60, 30), (64, 32)), ((640, 427), (64, 43)), ((1, 4000), (1, 64)), ((64, 64), (64, 64))],
)
def test_long_side_is_the_training_size(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert tuple(fitting_shapes(np.array([size], np.int32), 64)[0]) == expected


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((640, 480), (86, 64)),
        ((480, 640), (64, 86)),
        ((500, 500), (64, 64)),
        ((64, 100), (64, 100)),
        ((63, 100), (63, 100)),  # never enlarged
        ((1, 4000), (1, 4000)),
        ((192, 600), (64, 200)),
    ],
)
def test_short_side_shrinks_to_the_wanted_one(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert tuple(covering_shapes(np.array([size], np.int32), 64)[0]) == expected


@pytest.mark.parametrize(("budget", "cached"), [(0, 0), (32 * 64 * 3, 1), (2 * 32 * 64 * 3 + 5, 2), (10**6, 3)])
def test_as_many_images_as_fit_are_kept(index: ImageIndex, budget: int, cached: int) -> None:
    images = ResizedImages(index, fitting_shapes(index.sizes, 64), budget, MAX_PIXELS)
    assert images.cached == cached
    for _ in range(2):
        assert [int(images.read(i).mean()) for i in range(3)] == [10, 20, 30]
        assert [images.read(i).shape for i in range(3)] == [(32, 64, 3), (64, 32, 3), (64, 64, 3)]
    assert images.filled.tolist() == [1] * cached


def test_kept_images_need_no_file(index: ImageIndex) -> None:
    images = ResizedImages(index, fitting_shapes(index.sizes, 64), 10**6, MAX_PIXELS)
    images.read(0)
    for path in index.paths:
        path.unlink()
    assert int(images.read(0).mean()) == 10
    with pytest.raises(ImageError, match=r"1\.png"):
        images.read(1)


def test_image_of_another_size_is_refused(index: ImageIndex) -> None:
    cv2.imwrite(str(index.paths[1]), np.zeros((30, 60, 3), np.uint8))
    with pytest.raises(ImageError, match=r"1\.png: the image has 60x30 pixels, but had 30x60"):
        ResizedImages(index, fitting_shapes(index.sizes, 64), 0, MAX_PIXELS).read(1)


def test_the_pixel_limit_is_that_of_the_run(index: ImageIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ImageError, match="pixels 4096 > 4095"):
        ResizedImages(index, fitting_shapes(index.sizes, 64), 0, 4095).read(2)
    monkeypatch.setitem(resized.read_image.__kwdefaults__, "max_pixels", 1)
    assert ResizedImages(index, fitting_shapes(index.sizes, 64), 0, 4096).read(2).shape == (64, 64, 3)


def test_forked_processes_share_what_they_decode(index: ImageIndex) -> None:
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("this platform does not fork")
    images = ResizedImages(index, fitting_shapes(index.sizes, 64), 10**6, MAX_PIXELS)
    process = multiprocessing.get_context("fork").Process(target=images.read, args=(2,))
    process.start()
    process.join()
    assert images.filled.tolist() == [0, 0, 1]
    index.paths[2].unlink()
    assert int(images.read(2).mean()) == 30


def test_memory_that_is_not_there() -> None:
    with pytest.raises(ResourceError, match="--no-cache"):
        shared_array(2**55)
    assert shared_array(0, 5).shape == (0, 5)


def test_memory_of_this_machine() -> None:
    assert memory_bytes() == 0 or memory_bytes() > 2**26
    assert resized.CACHE_SHARE > 1


def test_interpolation_is_that_of_the_task(index: ImageIndex) -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::4] = 200  # every fourth column: what lies between two samples is only seen by averaging
    cv2.imwrite(str(index.paths[2]), stripes)
    shapes = fitting_shapes(index.sizes, 16)
    averaged = ResizedImages(index, shapes, 0, MAX_PIXELS, cv2.INTER_AREA).read(2)
    assert (averaged == 50).all()
    assert (ResizedImages(index, shapes, 0, MAX_PIXELS).read(2) == 0).all()
