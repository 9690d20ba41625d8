"""One decoding rule: formats, colours, orientation, limits, and nothing half decoded."""

from __future__ import annotations

import io
import logging
import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from yolov12.data.image_headers import HeaderError, exif_orientation, read_header
from yolov12.data.image_io import decode_image, read_image
from yolov12.errors import ImageError

LOSSLESS = {"PNG": {}, "WEBP": {"lossless": True}, "BMP": {}, "TIFF": {}}
LOSSY = {"JPEG": {"quality": 95}, "AVIF": {"quality": 95}}


def scene(width: int = 48, height: int = 32) -> np.ndarray:
    """A smooth RGB picture without any symmetry."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 5, y * 7, np.full_like(x, 40)], axis=-1).astype(np.uint8)


def encode(image: np.ndarray | Image.Image, kind: str, **options: object) -> bytes:
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def exif(orientation: int) -> bytes:
    block = Image.Exif()
    block[274] = orientation
    return block.tobytes()


def png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


@pytest.mark.parametrize("kind", LOSSLESS)
def test_lossless_formats_give_the_exact_pixels(kind: str, tmp_path: Path) -> None:
    data = encode(scene(), kind, **LOSSLESS[kind])
    path = tmp_path / "misleading.name"
    path.write_bytes(data)
    image = read_image(path)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    np.testing.assert_array_equal(image[..., ::-1], scene())
    np.testing.assert_array_equal(image, decode_image(data, name="bytes"))


@pytest.mark.parametrize("kind", LOSSY)
def test_lossy_formats_are_close(kind: str) -> None:
    image = decode_image(encode(scene(), kind, **LOSSY[kind]), name="x")
    assert np.abs(image[..., ::-1].astype(int) - scene()).mean() < 4


UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
    8: lambda a: np.rot90(a),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "JPEG"])
def test_orientation_is_applied(kind: str, orientation: int) -> None:
    options = LOSSLESS.get(kind) or {}
    data = encode(scene(), kind, exif=exif(orientation), **options)
    reference = scene() if kind != "JPEG" else decode_image(encode(scene(), kind), name="x")[..., ::-1]
    image = decode_image(data, name="x")
    np.testing.assert_array_equal(image[..., ::-1], UPRIGHT[orientation](reference))


def test_orientation_of_a_16_bit_tiff_is_applied() -> None:
    samples = scene().astype(np.uint16) * 257
    ok, data = cv2.imencode(".tiff", samples)
    assert ok
    tiff = data.tobytes()
    entry = tiff.find(struct.pack("<HHI", 274, 3, 1))
    if entry < 0:
        assert exif_orientation(tiff) == 1
        np.testing.assert_array_equal(decode_image(tiff, name="x"), scene())
    else:
        turned = tiff[: entry + 8] + struct.pack("<H", 6) + tiff[entry + 10 :]
        np.testing.assert_array_equal(decode_image(turned, name="x"), np.rot90(scene(), -1))


@pytest.mark.parametrize("value", [0, 9, 99])
def test_invalid_orientation_counts_as_upright(value: int) -> None:
    data = encode(scene(), "PNG", exif=exif(value))
    np.testing.assert_array_equal(decode_image(data, name="x")[..., ::-1], scene())


@pytest.mark.parametrize(
    "block", [b"", b"II", b"Exif\0\0", b"MM\0*" + b"\xff" * 20, b"junk" * 9, b"II*\0\x08\0\0\0\xff\xff"]
)
def test_garbage_exif_counts_as_upright(block: bytes) -> None:
    assert exif_orientation(block) == 1


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "1", "CMYK"])
def test_every_mode_becomes_colour_and_alpha_is_dropped(mode: str) -> None:
    grey = Image.fromarray(np.where(scene()[..., 0] > 100, 255, 0).astype(np.uint8))
    picture = grey.convert("RGBA" if mode == "LA" else mode)
    if mode == "RGBA":
        picture.putalpha(0)
    picture = picture.convert("LA") if mode == "LA" else picture
    kind = "TIFF" if mode == "CMYK" else "PNG"
    image = decode_image(encode(picture, kind), name="x")
    np.testing.assert_array_equal(image, np.repeat(np.asarray(grey)[..., None], 3, axis=2))


def test_palette_transparency_is_dropped() -> None:
    picture = Image.fromarray(scene()).convert("P", palette=Image.Palette.ADAPTIVE, colors=16)
    plain, transparent = encode(picture, "PNG"), encode(picture, "PNG", transparency=bytes(range(16)))
    np.testing.assert_array_equal(decode_image(plain, name="x"), decode_image(transparent, name="x"))


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
@pytest.mark.parametrize("channels", [1, 3])
def test_16_bits_are_divided_by_257(suffix: str, channels: int) -> None:
    samples = np.random.default_rng(0).integers(0, 65536, (9, 7, channels), dtype=np.uint16)
    samples[0, 0] = 65535
    ok, data = cv2.imencode(suffix, samples)
    assert ok
    expected = np.round(samples / 257).astype(np.uint8)
    np.testing.assert_array_equal(decode_image(data.tobytes(), name="x"), np.broadcast_to(expected, (9, 7, 3)))


def test_dark_16_bits_are_noted(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        decode_image(encode(Image.fromarray(np.full((4, 4), 4095, np.uint16)), "PNG"), name="dark.png")
    assert "dark.png" in caplog.text
    assert "12-bit" in caplog.text


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_first_frame_is_used_and_the_rest_noted(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    first, others = Image.fromarray(scene()), [Image.new("RGB", (48, 32), c) for c in ("white", "black")]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encode(first, kind, save_all=True, append_images=others, **options)
    with caplog.at_level(logging.WARNING):
        image = decode_image(data, name="a")
    assert np.abs(image[..., ::-1].astype(int) - scene()).mean() < 12  # GIF has 256 colours
    assert "3 " in caplog.text


@pytest.mark.parametrize("kind", [*LOSSLESS, *LOSSY])
@pytest.mark.parametrize("part", [0, 0.05, 0.5, 0.9, 0.99])
def test_cut_files_are_errors(kind: str, part: float) -> None:
    data = encode(np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8), kind)
    with pytest.raises(ImageError, match=r"^cut\.file: "):
        decode_image(data[: int(len(data) * part)], name="cut.file")


@pytest.mark.parametrize(("progressive", "restart"), [(False, 0), (True, 0), (False, 2), (True, 2)])
def test_jpeg_flavours_pass_and_their_cuts_do_not(progressive: bool, restart: int) -> None:
    data = encode(scene(64, 64), "JPEG", progressive=progressive, restart_marker_rows=restart)
    plain = decode_image(data, name="x")
    np.testing.assert_array_equal(plain, cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))
    np.testing.assert_array_equal(decode_image(data + b"\0" * 64 + b"PK\x03\x04", name="x"), plain)
    for end in range(2, len(data) - 1):
        with pytest.raises(ImageError):
            decode_image(data[:end], name="x")


def test_thumbnail_end_marker_does_not_hide_a_cut() -> None:
    thumbnail = encode(scene(8, 8), "JPEG")
    data = encode(scene(64, 64), "JPEG", exif=b"Exif\0\0" + thumbnail)
    assert decode_image(data, name="x").shape == (64, 64, 3)
    with pytest.raises(ImageError, match="no end marker"):
        decode_image(data[:-2], name="x")


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (b"", "empty"),
        (b"this is text\n", "no known format"),
        (b"<html>", "markup"),
        (b"<svg xmlns=''/>", "SVG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "PostScript"),
        (b"%PDF-1.7", "PDF"),
        (b"PK\x03\x04" + bytes(30), "zip"),
        (bytes(64), "zeros"),
        (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"SIMPLE  =                    T", "no known format"),
    ],
)
def test_what_is_no_image_is_named(head: bytes, reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        decode_image(head, name="x.jpg")


def png_of(width: int, height: int, extra: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = png_chunk(b"IDAT", zlib.compress(b"\0" * 100))
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + extra + body + png_chunk(b"IEND", b"")


HUGE = {
    "png": png_of(100_000, 100_000),
    "bmp": b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 60_000, 60_000, 1, 24, 0, 0, 0, 0, 0, 0),
    "gif": b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0) + b";",
    "webp": b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + b"\xff\xff\0\xff\xff\0",
    "tiff": b"II*\0\x08\0\0\0\x02\0" + struct.pack("<HHIIHHII", 256, 4, 1, 60_000, 257, 4, 1, 60_000) + bytes(4),
}


@pytest.mark.parametrize("kind", HUGE)
def test_size_is_refused_from_the_header(kind: str) -> None:
    with pytest.raises(ImageError, match=r"pixels \d+ > 50000000 .*max_pixels"):
        decode_image(HUGE[kind], name="bomb")


def test_limit_is_an_option() -> None:
    data = encode(scene(), "JPEG")
    assert decode_image(data, name="x", max_pixels=48 * 32).shape == (32, 48, 3)
    with pytest.raises(ImageError, match="pixels 1536 > 1535"):
        decode_image(data, name="x", max_pixels=48 * 32 - 1)


def test_pillow_limits_do_not_interfere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    np.testing.assert_array_equal(decode_image(encode(scene(), "PNG"), name="x")[..., ::-1], scene())


@pytest.mark.parametrize(("width", "height"), [(0, 0), (0, 9), (9, 0)])
def test_empty_images_are_errors(width: int, height: int) -> None:
    with pytest.raises(ImageError, match=f"{width}x{height}"):
        decode_image(png_of(width, height), name="x")


def test_text_bomb_in_a_png_is_never_inflated() -> None:
    bomb = png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(1 << 24), 9))
    data = encode(scene(), "PNG")
    np.testing.assert_array_equal(decode_image(data[:33] + bomb + data[33:], name="x")[..., ::-1], scene())


def test_float_samples_are_refused_by_name() -> None:
    with pytest.raises(ImageError, match="floating point"):
        decode_image(encode(Image.fromarray(np.zeros((4, 4), np.float32)), "TIFF"), name="x")


def test_restart_markers_out_of_order_are_refused() -> None:
    data = bytearray(encode(np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8), "JPEG"))
    data[len(data) // 2 : len(data) // 2 + 4] = b"\xff\xd0\xff\xd0"
    with pytest.raises(ImageError, match="restart marker"):
        decode_image(bytes(data), name="x")


def test_too_many_scans_are_refused() -> None:
    data = encode(scene(), "JPEG", progressive=True)
    scan = data.rfind(b"\xff\xda")
    with pytest.raises(HeaderError, match="scans"):
        read_header("JPEG", data[:-2] + data[scan:-2] * 600 + b"\xff\xd9")


def test_special_files_are_refused_without_blocking(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.jpg")
    (tmp_path / "zero.jpg").symlink_to("/dev/zero")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    (tmp_path / "folder.jpg").mkdir()
    for name in ("fifo.jpg", "zero.jpg", "loop.jpg", "folder.jpg", "absent.jpg"):
        with pytest.raises(ImageError, match=name):
            read_image(tmp_path / name)


def test_names_are_escaped_in_messages(tmp_path: Path) -> None:
    path = tmp_path / "line\nbreak.jpg"
    path.write_bytes(b"text")
    with pytest.raises(ImageError) as caught:
        read_image(path)
    assert "\n" not in str(caught.value)
    assert r"line\nbreak.jpg" in str(caught.value)
