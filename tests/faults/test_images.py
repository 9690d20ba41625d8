"""Every hostile image of the kit: decoded or refused by name, quickly, in little memory, and never changed."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from yolov12.data.image_io import decode_image, read_image
from yolov12.errors import ImageError

Hostile = Callable[[str], Path]

DECODED = """
ok.jpg ok.png ok.webp ok.bmp ok.tiff ok.avif exif_1.jpg exif_99.jpg exif_garbage.jpg gray.jpg gray.png
gray_alpha.png cmyk.jpg cmyk_no_adobe.jpg rgba.png palette.png palette_trns.png palette.gif onebit.png
gray16.png gray16_low.png rgb16.png rgb16.tiff multipage.tiff animated.gif animated.webp animated.png
animated.avif icc_wrong.jpg progressive.jpg jpeg_trailing.jpg jpeg_trailing_zip.jpg wrong_ext_png.jpg
upper.JPG no_ext 1x1.png 9x9.png 1x100000.png 100000x1.png 65500x8.jpg bomb_ztxt.png
""".split()  # noqa: SIM905
TURNED = [f"exif_{o}.jpg" for o in range(2, 9)] + ["exif_6.png", "exif_6.webp", "exif_6.tiff"]
NOT_UPRIGHT = {"perm.jpg"}  # readable for root
REFUSED = """
0x0.png 0x100.png bomb_20k.png bomb_lie.png bomb_int.png bomb_lie.bmp bomb_lie.gif bomb_tiff_tags.tiff ok.jp2
float32.tiff float_nan.tiff lab.tiff jpeg_no_eoi.jpg jpeg_corrupt_scan.jpg png_bad_idat.png png_bad_crc.png
text.jpg html.png svg.png eps.jpg zip.jpg nul.png vp8l_random.webp isdir.jpg devzero.jpg fifo.jpg loop.jpg
""".split()  # noqa: SIM905
CUT = [f"trunc_{p}.{e}" for p in ("00", "05", "50", "99") for e in ("jpg", "png", "webp", "avif", "tiff", "bmp", "jp2")]


@pytest.fixture(scope="module")
def images(hostile: Hostile) -> Path:
    return hostile("gen_images.py")


def memory_kb() -> int:
    """Resident memory of this process; of Linux only, 0 elsewhere."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


@pytest.mark.parametrize("name", [*DECODED, *TURNED])
def test_decoded_by_path_and_by_bytes_alike(images: Path, name: str) -> None:
    path = images / name
    stamp = path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).digest()
    image = read_image(path)
    assert image.dtype == np.uint8
    assert image.ndim == 3
    np.testing.assert_array_equal(image, decode_image(path.read_bytes(), name=name))
    assert (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).digest()) == stamp


@pytest.mark.parametrize("name", [n for n in DECODED if not n[0].isdigit() and "low" not in n])
def test_colours_are_those_of_the_reference(images: Path, name: str) -> None:
    reference, image = read_image(images / "ok.png").astype(int), read_image(images / name).astype(int)
    if "gray" in name or name == "onebit.png":
        reference = np.repeat((reference @ [0.114, 0.587, 0.299])[..., None], 3, axis=2)
    if name == "onebit.png":  # black and white dots, right on average
        assert abs(image.mean() - reference.mean()) < 4
        return
    assert np.abs(image - reference).mean() < 4
    if name == "cmyk.jpg":
        assert np.abs(image - reference)[30:60, 30:90].max() <= 40


@pytest.mark.parametrize("name", TURNED)
def test_orientation(images: Path, name: str) -> None:
    upright = read_image(images / "ok.png").astype(int)
    turns: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "2": lambda a: a[:, ::-1],
        "3": lambda a: a[::-1, ::-1],
        "4": lambda a: a[::-1],
        "5": lambda a: a.transpose(1, 0, 2),
        "6": lambda a: np.rot90(a, -1),
        "7": lambda a: np.rot90(a, 2).transpose(1, 0, 2),
        "8": lambda a: np.rot90(a),
    }
    assert np.abs(read_image(images / name) - turns[name[5]](upright)).mean() < 4


@pytest.mark.parametrize("name", [*REFUSED, *CUT])
def test_refused_by_name_at_once(images: Path, name: str) -> None:
    before, start = memory_kb(), time.perf_counter()
    with pytest.raises(ImageError) as caught:
        read_image(images / name)
    assert time.perf_counter() - start < 2
    assert memory_kb() - before < 20_000
    assert name in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", [name for name in REFUSED if name.startswith("bomb") and "tags" not in name])
def test_bombs_are_refused_from_the_header(images: Path, name: str) -> None:
    data = (images / name).read_bytes()
    fastest = min(_seconds(lambda: decode_image(data, name=name)) for _ in range(5))
    assert fastest < 0.05


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    with pytest.raises(ImageError, match=r"pixels \d+ > 50000000"):
        call()
    return time.perf_counter() - start


def test_hostile_names(images: Path) -> None:
    for name in ("ünï cödé 图.jpg", "line\nbreak.jpg", "'; rm -rf x;'.jpg"):
        assert read_image(images / name).shape == (240, 320, 3)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable(images: Path) -> None:
    with pytest.raises(ImageError, match=r"perm\.jpg: Permission denied"):
        read_image(images / "perm.jpg")


def test_mutated_images_are_decoded_or_refused(images: Path) -> None:
    decoded = named = 0
    for path in sorted((images / "fuzz").iterdir())[:50]:
        start = time.perf_counter()
        try:
            image = read_image(path)
        except ImageError as error:
            named += path.name in str(error)
        else:
            decoded += 1
            assert image.dtype == np.uint8
            assert image.shape[2] == 3
        assert time.perf_counter() - start < 2
    assert decoded + named == 50
    assert 10 < decoded < 50


def test_the_table_names_every_sample(images: Path) -> None:
    names = {sample["file"] for sample in json.loads((images / "MANIFEST_images.json").read_text())}
    odd = {"ünï cödé 图.jpg", "line\nbreak.jpg", "'; rm -rf x;'.jpg", "fuzz"}
    assert names == {*DECODED, *TURNED, *REFUSED, *CUT, *odd, *NOT_UPRIGHT}
