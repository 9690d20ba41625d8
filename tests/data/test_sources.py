"""Every kind of source becomes the same pixels; what cannot be used is refused by name."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from yolov12.data import sources
from yolov12.data.sources import SourceOptions, open_source
from yolov12.errors import ImageError, SourceError

Pixels = npt.NDArray[np.uint8]


@pytest.fixture
def pixels() -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)


def write(path: Path, pixels: Pixels) -> Path:
    path.write_bytes(cv2.imencode(path.suffix, pixels)[1].tobytes())
    return path


def outcome(load: Callable[[], Pixels]) -> Pixels | str:
    try:
        return load()
    except SourceError as error:
        return str(error)


def test_file_array_pil_and_tensor_are_the_same(tmp_path: Path, pixels: Pixels) -> None:
    path = write(tmp_path / "a.png", pixels)
    planes = torch.from_numpy(pixels[:, :, ::-1].transpose(2, 0, 1).copy())
    forms: list[Any] = [
        path, str(path), pixels, Image.open(path), Image.fromarray(pixels[:, :, ::-1]), planes[None] / 255,
        planes / 255, (planes / 255).double().requires_grad_(), (planes / 255).bfloat16(), planes,
        np.dstack((pixels, pixels[:, :, 0])), pixels.astype(np.uint16) * 257,
    ]  # fmt: skip
    for form in forms:
        opened = open_source(form)
        (item,) = opened.items
        assert (opened.kind, opened.count) == ("single", 1)
        np.testing.assert_array_equal(item.load(), pixels)


def test_grey_arrays_become_colour(pixels: Pixels) -> None:
    for grey in (pixels[:, :, 0], pixels[:, :, :1]):
        (item,) = open_source(grey).items
        np.testing.assert_array_equal(item.load(), np.repeat(pixels[:, :, :1], 3, axis=2))


def test_stacks_are_many(pixels: Pixels) -> None:
    for stack in (np.stack([pixels, pixels]), torch.rand(2, 3, 32, 32)):
        opened = open_source(stack)
        assert (opened.kind, opened.count) == ("many", 2)
        assert [item.name for item in opened.items] == ["image0", "image1"]


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1", "CMYK", "LA", "PA", "I;16"])
def test_pil_modes(mode: str, pixels: Pixels) -> None:
    picture = Image.fromarray(pixels)
    picture = Image.fromarray(pixels[:, :, 0].astype(np.uint16) * 257) if mode == "I;16" else picture.convert(mode)
    (item,) = open_source(picture).items
    assert item.load().shape == pixels.shape
    assert item.load().dtype == np.uint8


def test_pil_orientation_is_applied(tmp_path: Path, pixels: Pixels) -> None:
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(pixels[:, :, ::-1]).save(tmp_path / "turned.png", exif=exif)
    forms = (tmp_path / "turned.png", Image.open(tmp_path / "turned.png"))
    loads = [next(open_source(form).items).load() for form in forms]
    np.testing.assert_array_equal(loads[0], np.rot90(pixels, -1))
    np.testing.assert_array_equal(loads[0], loads[1])


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (np.zeros((4, 4, 3), np.float32), "array of float32"),
        (np.zeros((4, 4, 3), bool), "array of bool"),
        (np.zeros((4, 4, 2), np.uint8), "shape"),
        (np.zeros((0, 4, 3), np.uint8), "shape"),
        (np.zeros((0, 4, 4, 3), np.uint8), "shape"),
        (np.zeros(4, np.uint8), "shape"),
        (torch.zeros(1, 4, 32, 32), "RGB"),
        (torch.zeros(32, 32), "RGB"),
        (torch.full((1, 3, 4, 4), 255.0), "divide"),
        (torch.full((1, 3, 4, 4), float("nan")), "0..1"),
        (torch.zeros(1, 3, 4, 4, dtype=torch.int64), "0..1"),
        ([], "empty"),
        (None, "NoneType"),
        (3.5, "float"),
        (True, "True"),
        ({"a": 1}, "dict"),
        ("", "the source is empty"),
        ("no/such/file.jpg", "no such file"),
        ("no/such/*.jpg", "no images"),
        ("a\0b.jpg", "null"),
    ],
)
def test_refused(source: Any, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match=words):
        open_source(source)


def test_a_typing_error_gets_a_hint(tmp_path: Path, pixels: Pixels) -> None:
    write(tmp_path / "blood.png", pixels)
    with pytest.raises(SourceError, match=r"Did you mean .*blood\.png"):
        open_source(tmp_path / "blod.png")


@pytest.mark.parametrize("mode", ["F", "I"])
def test_pil_without_a_known_range(mode: str) -> None:
    (item,) = open_source(Image.new(mode, (4, 4))).items
    with pytest.raises(ImageError, match=rf"32-bit samples \(mode {mode}\)"):
        item.load()


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "I", "F", "I;16", "I;16B"]
)
def test_pil_images_follow_the_rule_for_files(tmp_path: Path, pixels: Pixels, mode: str) -> None:
    path = tmp_path / "a.tiff"
    if mode.startswith("I;16"):
        picture = Image.fromarray(pixels[:, :, 0].astype(np.uint16) * 257).convert(mode)
    elif mode == "LAB":
        picture = Image.frombytes(mode, (40, 30), pixels.tobytes())
    else:
        picture = Image.fromarray(pixels).convert("L" if mode in "IF" else "RGB").convert(mode)
    picture.save(path)
    by_path, by_file, in_memory = (
        outcome(next(open_source(form).items).load) for form in (path, Image.open(path), picture)
    )
    if mode in ("LAB", "I", "F"):
        assert all(isinstance(result, str) for result in (by_path, by_file, in_memory))
    else:
        np.testing.assert_array_equal(by_file, by_path)
        np.testing.assert_array_equal(in_memory, by_path)


def test_pil_over_the_pixel_limit() -> None:
    (item,) = open_source(Image.new("RGB", (40, 30)), SourceOptions(max_pixels=1000)).items
    with pytest.raises(ImageError, match="pixels 1200"):
        item.load()


def test_a_folder_is_sorted_and_leaves_other_files_out(tmp_path: Path, pixels: Pixels) -> None:
    for name in ("b.png", "a.JPG", "c.webp"):
        write(tmp_path / name, pixels)
    (tmp_path / "labels.txt").write_text("0 0 0 0 0")
    (tmp_path / "noext").write_bytes((tmp_path / "b.png").read_bytes())
    (tmp_path / "README").write_text("no image")
    (tmp_path / "sub").mkdir()
    opened = open_source(tmp_path)
    assert (opened.kind, opened.count) == ("many", 4)
    assert [Path(item.name).name for item in opened.items] == ["a.JPG", "b.png", "c.webp", "noext"]
    found = open_source(str(tmp_path / "*.[Jp]*"))
    assert [Path(item.name).name for item in found.items] == ["a.JPG", "b.png"]


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no images or videos"):
        open_source(tmp_path)
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c.png").write_bytes(b"")
    with pytest.raises(SourceError, match=r"for those of its subfolders name '.*/\*\*/\*\.png'"):
        open_source(tmp_path)


@pytest.mark.timeout(20)
def test_special_files_in_a_folder_never_block(tmp_path: Path, pixels: Pixels) -> None:
    write(tmp_path / "good.png", pixels)
    os.mkfifo(tmp_path / "fifo.jpg")
    os.mkfifo(tmp_path / "fifo.mp4")
    os.mkfifo(tmp_path / "nosuffix")
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "zero.jpg").symlink_to("/dev/zero")
    outcomes = {Path(item.name).name: outcome(item.load) for item in open_source(tmp_path).items}
    np.testing.assert_array_equal(outcomes.pop("good.png"), pixels)
    assert set(outcomes) == {"fifo.jpg", "fifo.mp4", "loop.jpg", "folder.jpg", "zero.jpg"}
    assert all(isinstance(text, str) and name in text for name, text in outcomes.items())
    with pytest.raises(SourceError, match="regular file"):
        next(open_source(tmp_path / "fifo.jpg").items).load()


def test_a_list_keeps_places(tmp_path: Path, pixels: Pixels) -> None:
    good = write(tmp_path / "good.png", pixels)
    (tmp_path / "bad.jpg").write_text("text")
    (tmp_path / "none").mkdir()
    opened = open_source([good, tmp_path / "bad.jpg", "missing.jpg", pixels, 1.5, str(tmp_path / "none"), pixels])
    items = list(opened.items)
    assert opened.count == len(items) == 7
    assert [isinstance(outcome(item.load), str) for item in items] == [False, True, True, False, True, True, False]
    assert [item.name for item in items][3:] == ["image3", "image4", str(tmp_path / "none"), "image6"]


def test_a_folder_in_a_list_is_expanded(tmp_path: Path, pixels: Pixels) -> None:
    for name in ("a.png", "b.png"):
        write(tmp_path / name, pixels)
    assert len(list(open_source([tmp_path, pixels]).items)) == 3


def test_an_url_is_fetched_when_it_is_loaded(tmp_path: Path, pixels: Pixels, monkeypatch: pytest.MonkeyPatch) -> None:
    body = write(tmp_path / "a.png", pixels).read_bytes()
    asked: list[str] = []

    def fetch(url: str) -> bytes:
        asked.append(url)
        return body

    monkeypatch.setattr(sources, "fetch", fetch)
    (item,) = open_source("https://example.org/a.png").items
    assert not asked
    np.testing.assert_array_equal(item.load(), pixels)
    assert asked == ["https://example.org/a.png"]


@pytest.mark.parametrize("url", ["http://example.org/a.jpg", "rtsp://example.org/x", "file:///etc/passwd"])
def test_only_https(url: str) -> None:
    (item,) = open_source(url).items
    with pytest.raises(SourceError, match="only https"):
        item.load()


def test_inputs_stay_untouched(tmp_path: Path, pixels: Pixels) -> None:
    path = write(tmp_path / "a.png", pixels)
    before = (path.read_bytes(), path.stat().st_mtime_ns, pixels.copy())
    for source in (path, pixels):
        next(open_source(source).items).load()
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before[:2]
    np.testing.assert_array_equal(pixels, before[2])
