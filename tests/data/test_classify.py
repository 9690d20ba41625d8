"""Training samples of classifiers: which part of a picture they show, and what is done to it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from yolov12.config.run import AugmentConfig
from yolov12.data.classify import (
    ERASED_AREA,
    draw_crop,
    draw_erased,
    erased,
    resized_crop,
    training_sample,
)
from yolov12.data.sample import Sample

SIZE = 64
NOTHING = AugmentConfig(hsv_h=0, hsv_s=0, hsv_v=0, scale=0, fliplr=0, erasing=0, auto_augment="none")
SIDES = st.integers(1, 600)


def picture(height: int = 90, width: int = 120) -> Sample:
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return Sample(image, np.array([[1, 2, 3, 4]], np.float32), np.array([5, 6]))


def sample_of(config: AugmentConfig, seed: int = 0) -> Sample:
    return training_sample(picture(), np.random.default_rng(seed), config, SIZE)


@given(st.integers(0, 10**6), SIDES, SIDES, st.floats(0, 1))
@settings(max_examples=200, deadline=None)
def test_crops_lie_in_the_picture(seed: int, height: int, width: int, least_area: float) -> None:
    top, left, rows, columns = draw_crop(np.random.default_rng(seed), (height, width), least_area)
    assert 0 <= top <= top + rows <= height
    assert 0 <= left <= left + columns <= width
    assert rows > 0
    assert columns > 0
    assert columns <= rows * 4 / 3 + 1.2  # each side is rounded
    assert rows <= columns * 4 / 3 + 1.2


def test_crops_have_the_area_and_the_aspect_that_were_asked_for() -> None:
    crops = np.array([draw_crop(np.random.default_rng(seed), (300, 400), 0.5) for seed in range(400)])
    share, aspect = crops[:, 2] * crops[:, 3] / (300 * 400), crops[:, 3] / crops[:, 2]
    assert share.min() == pytest.approx(0.5, abs=0.02)
    assert share.max() > 0.9
    assert aspect.min() < 0.85
    assert aspect.max() == pytest.approx(4 / 3, abs=0.02)
    assert np.ptp(crops[:, 0]) > 60
    assert np.ptp(crops[:, 1]) > 60


@pytest.mark.parametrize(
    ("shape", "crop"),
    [((30, 300), (0, 130, 30, 40)), ((300, 30), (130, 0, 40, 30)), ((1, 4000), (0, 1999, 1, 1))],
)
def test_the_middle_of_a_picture_that_is_too_long(shape: tuple[int, int], crop: tuple[int, ...]) -> None:
    assert draw_crop(np.random.default_rng(0), shape, 1.0) == crop


def test_a_crop_is_stretched_onto_the_canvas() -> None:
    part = picture().image[10:50, 20:50]
    expected = np.asarray(Image.fromarray(part).resize((SIZE, SIZE), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(resized_crop(part, SIZE), expected)
    stripes = np.zeros((4 * SIZE, 4 * SIZE, 3), np.uint8)
    stripes[:, ::4] = 200  # every fourth column: smoothing sees it, taking every fourth pixel would not
    assert abs(int(resized_crop(stripes, SIZE).mean()) - 50) <= 1


def test_the_whole_picture_is_the_object() -> None:
    sample = sample_of(AugmentConfig())
    assert sample.image.shape == (SIZE, SIZE, 3)
    assert sample.image.dtype == np.uint8
    assert sample.boxes.tolist() == [[0, 0, SIZE, SIZE]]
    assert sample.labels.tolist() == [5]


def test_options_switched_off_give_the_stretched_middle() -> None:
    square = dataclasses.replace(picture(), image=picture().image[:, :90])
    sample = training_sample(square, np.random.default_rng(0), NOTHING, SIZE)
    # The area is that of the picture: no aspect but one fits, so after ten attempts it is taken whole.
    np.testing.assert_array_equal(sample.image, resized_crop(square.image, SIZE))


@pytest.mark.parametrize(
    ("change", "acts"),
    [
        ({"scale": 0.5}, True),
        ({"fliplr": 1.0}, True),
        ({"flipud": 1.0}, True),
        ({"erasing": 1.0}, True),
        ({"auto_augment": "randaugment"}, True),
        ({"hsv_h": 0.5, "hsv_s": 0.5, "hsv_v": 0.5}, True),
        ({"hsv_h": 0.5, "auto_augment": "randaugment"}, False),  # one or the other
        ({"mosaic": 1.0, "mixup": 1.0, "degrees": 90.0, "copy_paste": 1.0}, False),  # not for classifiers
    ],
)
def test_which_options_act(change: dict[str, object], acts: bool) -> None:
    base = dataclasses.replace(NOTHING, auto_augment=change.get("auto_augment", "none") if not acts else "none")
    config = dataclasses.replace(base, **change)  # type: ignore[arg-type]
    changed = [not np.array_equal(sample_of(config, seed).image, sample_of(base, seed).image) for seed in range(4)]
    assert any(changed) == acts


def test_flips_mirror_the_crop() -> None:
    plain = sample_of(NOTHING).image
    np.testing.assert_array_equal(sample_of(dataclasses.replace(NOTHING, fliplr=1.0)).image, plain[:, ::-1])
    np.testing.assert_array_equal(sample_of(dataclasses.replace(NOTHING, flipud=1.0)).image, plain[::-1])


def test_erased_rectangle_is_black_and_within_its_limits() -> None:
    shares, aspects = [], []
    for seed in range(300):
        top, left, height, width = rectangle = draw_erased(np.random.default_rng(seed), SIZE)
        assert 0 <= top <= top + height <= SIZE
        assert 0 <= left <= left + width <= SIZE
        image = np.full((SIZE, SIZE, 3), 9, np.uint8)
        blank = erased(image, rectangle)
        assert (image == 9).all()
        assert (blank == 0).sum() == 3 * height * width
        assert not blank[top : top + height, left : left + width].any()
        shares.append(height * width / SIZE**2)
        aspects.append(height / width)
    assert ERASED_AREA[0] - 0.01 < min(shares) < 0.06
    assert 0.28 < max(shares) < ERASED_AREA[1] + 0.01
    assert 0.25 < min(aspects) < 0.45
    assert 2.2 < max(aspects) < 3.9


def test_erasing_has_its_probability() -> None:
    config = dataclasses.replace(NOTHING, erasing=0.4)
    plain = sample_of(NOTHING).image
    hit = [not np.array_equal(sample_of(config, seed).image, plain) for seed in range(200)]
    assert 0.3 < np.mean(hit) < 0.5


@pytest.mark.parametrize("auto_augment", ["randaugment", "none"])
def test_sample_follows_from_the_generator_and_leaves_the_picture_alone(auto_augment: str) -> None:
    source = picture()
    before = source.image.copy()
    config = AugmentConfig(auto_augment=auto_augment)
    one, same, other = (training_sample(source, np.random.default_rng(seed), config, SIZE) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.image, same.image)
    assert not np.array_equal(one.image, other.image)
    np.testing.assert_array_equal(source.image, before)


def test_small_pictures() -> None:
    for shape in ((1, 1), (2, 9), (5, 5)):
        sample = training_sample(picture(*shape), np.random.default_rng(0), AugmentConfig(), SIZE)
        assert sample.image.shape == (SIZE, SIZE, 3)
