"""RandAugment's operations, one by one, and that the list in the documentation is the list in the code."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from yolov12.data import randaugment as module
from yolov12.data.randaugment import MAGNITUDE, OPERATIONS, STRONGEST, randaugment

DOCS = Path(__file__).parents[2] / "docs" / "augmentation.md"
GRADIENT = np.stack(np.broadcast_arrays(np.arange(60)[:, None] * 4, np.arange(80) * 3, 30), axis=2).astype(np.uint8)


def apply(name: str, value: float, pixels: npt.NDArray[np.uint8] = GRADIENT) -> npt.NDArray[np.uint8]:
    picture = OPERATIONS[name].apply(Image.fromarray(pixels), value)
    assert picture.size == (pixels.shape[1], pixels.shape[0])
    return np.asarray(picture)


@pytest.mark.parametrize("name", sorted(set(OPERATIONS) - {"autocontrast", "equalize"}))
def test_without_strength_nothing_changes(name: str) -> None:
    np.testing.assert_array_equal(apply(name, 0.0), GRADIENT)


@pytest.mark.parametrize("sign", [1, -1])
def test_translation_is_a_part_of_the_side(sign: int) -> None:
    by = round(0.1 * 80)
    moved = apply("translate_x", sign * 0.1)
    if sign > 0:
        np.testing.assert_array_equal(moved[:, :-by], GRADIENT[:, by:])
        assert not moved[:, -by:].any()  # what comes in is black
    else:
        np.testing.assert_array_equal(moved[:, by:], GRADIENT[:, :-by])
        assert not moved[:, :by].any()
    np.testing.assert_array_equal(apply("translate_y", 0.15)[:-9], GRADIENT[9:])


def test_shear_shifts_each_row_by_its_height() -> None:
    sheared = apply("shear_x", 0.25)
    assert sheared[40, 20].tolist() == pytest.approx(GRADIENT[40, 30], abs=1)
    assert apply("shear_y", 0.25)[20, 40].tolist() == pytest.approx(GRADIENT[30, 40], abs=1)


def test_rotation_keeps_the_center() -> None:
    square = GRADIENT[:, :60]
    np.testing.assert_array_equal(apply("rotate", 90.0, square), np.rot90(square))
    assert np.abs(apply("rotate", 9.0)[29:31, 39:41].astype(int) - GRADIENT[29:31, 39:41]).max() <= 2
    assert not apply("rotate", 9.0)[0, 0].any()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("brightness", -0.27, [73, 36, 146]),  # times 0.73
        ("brightness", 0.9, [190, 95, 255]),
        ("color", -1.0, [82, 82, 82]),  # 0.299 R + 0.587 G + 0.114 B
        ("contrast", -1.0, [82, 82, 82]),  # the mean grey of a picture of one colour
        ("sharpness", 0.9, [100, 50, 200]),  # nothing to sharpen
        ("posterize", 4.0, [96, 48, 192]),
        ("posterize", 1.2, [100, 50, 200]),  # one bit is lost
        ("posterize", 1.5, [100, 48, 200]),  # two are: half rounds to even
        ("solarize", 76.5, [100, 50, 55]),  # from 179 on inverted
        ("solarize", 255.0, [155, 205, 55]),
    ],
)
def test_colours(name: str, value: float, expected: list[int]) -> None:
    flat = np.full((8, 8, 3), (100, 50, 200), np.uint8)
    assert apply(name, value, flat)[4, 4].tolist() == expected


def test_autocontrast_and_equalize_use_the_whole_range() -> None:
    dull = (GRADIENT // 4 + 60).astype(np.uint8)
    for name in ("autocontrast", "equalize"):
        changed = apply(name, 0.0, dull)
        assert changed[..., :2].min() == 0
        assert changed[..., :2].max() == 255


def test_sharpness_below_zero_blurs() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    assert apply("sharpness", -0.9, noise).std() < 0.8 * noise.std() < apply("sharpness", 0.9, noise).std()


def test_two_operations_of_magnitude_nine_with_either_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    applied: list[tuple[str, float]] = []

    def noted(name: str) -> module.Operation:
        operation = OPERATIONS[name]

        def apply(picture: Image.Image, value: float) -> Image.Image:
            applied.append((name, value))
            return operation.apply(picture, value)

        return operation._replace(apply=apply)

    monkeypatch.setattr(module, "OPERATIONS", {name: noted(name) for name in OPERATIONS})
    for seed in range(300):
        before = len(applied)
        randaugment(GRADIENT, np.random.default_rng(seed))
        assert len(applied) == before + 2
    for name, operation in OPERATIONS.items():
        values = {value for other, value in applied if other == name}
        strength = operation.limit * MAGNITUDE / STRONGEST
        assert values == ({strength, -strength} if operation.signed else {strength})
        assert 20 < sum(other == name for other, _ in applied) < 70  # 43 expected


def test_result_follows_from_the_generator() -> None:
    one, same, other = (randaugment(GRADIENT, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    assert one.dtype == np.uint8
    assert one.shape == GRADIENT.shape


def test_channels_are_blue_green_red(monkeypatch: pytest.MonkeyPatch) -> None:
    grey = module.Operation(lambda picture, _: picture.convert("L").convert("RGB"))
    monkeypatch.setattr(module, "OPERATIONS", {"grey": grey})
    blue = np.zeros((4, 4, 3), np.uint8)
    blue[..., 0] = 200
    assert (randaugment(blue, np.random.default_rng(0)) == round(0.114 * 200)).all()


def test_documentation_lists_every_operation_with_its_range() -> None:
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\| ([^|]*) \| (yes|no) \| ([^|]*) \|$", DOCS.read_text("utf8"), re.MULTILINE)
    listed = {name: (limit, signed == "yes", used) for name, limit, signed, used in rows}
    assert list(listed) == list(OPERATIONS)
    for name, operation in OPERATIONS.items():
        limit, signed, used = listed[name]
        assert signed == operation.signed
        if operation.limit:
            assert as_number(limit) == pytest.approx(operation.limit)
            assert as_number(used) == pytest.approx(operation.limit * MAGNITUDE / STRONGEST, abs=5e-4)
        else:
            assert (limit, used) == ("-", "-")


def as_number(text: str) -> float:
    """`150 / 331` or `0.3`."""
    above, _, below = text.partition("/")
    return float(above) / float(below or 1)
