"""One rule for every image, wherever it comes from: (H, W, 3) uint8, BGR, upright, whole, within the pixel limit.

* The first bytes decide the format, never the name: JPEG, PNG, WebP, BMP, TIFF, AVIF, and the first frame of a GIF.
* The header decides the size before any pixel is allocated.
* A cut file is an error and never half grey: a JPEG needs its end marker (and restart markers in order), the other
  formats go through Pillow's strict decoders, each called directly so that no other plugin is ever reached.
* EXIF orientation is applied. Alpha is dropped, grey and palette become colour, 16-bit samples are divided by 257,
  floating-point samples are refused: their range is unknown.

An ordinary JPEG goes straight to `cv2.imdecode`; the checks cost about a hundredth of the decoding.
"""

from __future__ import annotations

import io
import logging
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageOps,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)
from PIL.ImageFile import ImageFile

from yolov12.config.run import MAX_PIXELS
from yolov12.data.files import read_regular_file, reason
from yolov12.data.image_headers import Header, HeaderError, exif_orientation, read_header, sniff
from yolov12.errors import ImageError, printable

SUFFIXES = frozenset((".jpg", ".jpeg", ".jpe", ".png", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".avif", ".gif"))
"""Suffixes that a folder listing takes for images; content decides afterwards."""
FOREIGN_SUFFIXES = frozenset(
    (".jp2", ".j2k", ".heic", ".heif", ".mpo", ".jxl", ".dng", ".pfm", ".ppm", ".pgm", ".psd", ".exr", ".hdr")
)
"""Suffixes of pictures that a listing does not overlook, though most of them cannot be decoded here."""

Pixels = npt.NDArray[np.uint8]

_log = logging.getLogger(__name__)

_PLUGINS: dict[str, Any] = {
    "PNG": PngImagePlugin.PngImageFile,
    "WebP": WebPImagePlugin.WebPImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "AVIF": AvifImagePlugin.AvifImageFile,
    "GIF": GifImagePlugin.GifImageFile,
}
_FOREIGN = (
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 image"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL image"),
    (b"8BPS", "a Photoshop file"),
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript file"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"<svg", "an SVG drawing"),
    (b"<", "markup text (a saved error page?)"),
    (b"version https://git-lfs", "a git-lfs pointer (run git lfs pull)"),
    (b"\0" * 16, "zeros (a download that never finished?)"),
)
# What Pillow's decoders are known to raise on damaged files; Warning, in case the caller turned warnings into errors.
_DECODER_ERRORS = (
    OSError, SyntaxError, ValueError, TypeError, EOFError, struct.error, LookupError, ArithmeticError, RuntimeError,
    AttributeError, zlib.error, Warning, Image.DecompressionBombError,
)  # fmt: skip


def read_image(path: Path | str, *, max_pixels: int = MAX_PIXELS) -> Pixels:
    """The image in a file: (H, W, 3) uint8 BGR, upright. Raises ImageError that names the file."""
    return decode_image(read_image_bytes(path, max_pixels=max_pixels), name=str(path), max_pixels=max_pixels)


def read_image_bytes(path: Path | str, *, max_pixels: int = MAX_PIXELS) -> bytes:
    """The bytes of an image file, at most what `max_pixels` can need. Raises ImageError that names the file."""
    try:
        return read_regular_file(path, (64 << 20) + 8 * max_pixels)  # 8 bytes a pixel: uncompressed 16-bit RGBA
    except OSError as error:
        raise ImageError(f"{printable(path)}: {reason(error)}") from error


def decode_image(data: bytes, *, name: str, max_pixels: int = MAX_PIXELS) -> Pixels:
    """The image in `data`: (H, W, 3) uint8 BGR, upright. Raises ImageError that begins with `name`."""
    image, notes = decode_with_notes(data, name=name, max_pixels=max_pixels)
    _log_notes(name, notes)
    return image


def from_pil(picture: Image.Image, *, name: str, max_pixels: int = MAX_PIXELS) -> Pixels:
    """A PIL image by the rules for files: (H, W, 3) uint8 BGR, upright. Raises ImageError that begins with `name`."""
    notes: list[str] = []
    try:
        _check_size(*picture.size, max_pixels)
        image = _to_bgr(ImageOps.exif_transpose(picture), notes)
    except HeaderError as error:
        raise ImageError(f"{printable(name)}: {error}") from error
    except _DECODER_ERRORS as error:
        raise ImageError(f"{printable(name)}: cannot be decoded ({printable(error)[:120]})") from error
    _log_notes(name, notes)
    return image


def _log_notes(name: str, notes: list[str]) -> None:
    for note in notes:
        _log.warning("%s: %s", printable(name), note)


def decode_with_notes(data: bytes, *, name: str, max_pixels: int = MAX_PIXELS) -> tuple[Pixels, list[str]]:
    """As `decode_image`, but what is odd and no error (several frames, a dark 16-bit range) is returned, not logged."""
    kind = sniff(data)
    try:
        if kind is None:
            raise HeaderError(_what_it_is(data))
        header = read_header(kind, data)
        _check_size(header.width, header.height, max_pixels)
        if kind == "JPEG":
            return _decode_jpeg(header), []
        return _decode_with_pillow(kind, header, max_pixels)
    except HeaderError as error:
        raise ImageError(f"{printable(name)}: {error}") from error


def _what_it_is(data: bytes) -> str:
    if not data:
        return "the file is empty"
    what = next((what for start, what in _FOREIGN if data.startswith(start)), "its first bytes are of no known format")
    return f"not an image that can be read: {what}; JPEG, PNG, WebP, BMP, TIFF, AVIF and GIF are"


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width <= 0 or height <= 0:
        raise HeaderError(f"an image of {width}x{height} pixels")
    if width * height > max_pixels:
        raise HeaderError(f"pixels {width * height} > {max_pixels} ({width}x{height}; the limit is max_pixels)")


def _decode_jpeg(header: Header) -> Pixels:
    buffer = np.frombuffer(header.data, np.uint8)
    try:
        image = cv2.imdecode(buffer, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise HeaderError("damaged JPEG file") from error
    if image is None or image.shape[:2] != (header.height, header.width):
        raise HeaderError("damaged JPEG file")
    return _upright(image, header.orientation)


def _upright(image: Any, orientation: int) -> Pixels:
    """Apply EXIF orientation 1..8 to (H, W, 3)."""
    if orientation in (5, 6, 7, 8):
        image = cv2.transpose(image)
    flip = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}.get(orientation)
    return np.asarray(image if flip is None else cv2.flip(image, flip), np.uint8)


def _decode_with_pillow(kind: str, header: Header, max_pixels: int) -> tuple[Pixels, list[str]]:
    notes: list[str] = []
    try:
        picture: ImageFile = _PLUGINS[kind](io.BytesIO(header.data))
        _check_size(*picture.size, max_pixels)  # a second look: this is the size that gets allocated
        frames = max(header.frames, picture.n_frames if kind in ("GIF", "AVIF") else 1)  # type: ignore[attr-defined]
        orientation = exif_orientation(picture.info.get("exif", b"")) if kind == "AVIF" else header.orientation
        picture.load()  # also turns a TIFF upright
        if frames > 1:
            notes.append(f"{frames} {'pages' if kind == 'TIFF' else 'frames'}, using the first")
        if header.bits == 16 and not picture.mode.startswith("I;16"):
            image = _deep_colour(header)
            orientation = exif_orientation(header.data) if kind == "TIFF" else orientation
        else:
            image = _to_bgr(picture, notes)
    except _DECODER_ERRORS as error:
        raise HeaderError(f"cut or damaged {kind} file ({printable(error)[:120]})") from error
    return _upright(image, orientation), notes


def _to_bgr(picture: Image.Image, notes: list[str]) -> Pixels:
    """A decoded Pillow picture of any integer mode as (H, W, 3) uint8 BGR."""
    mode = picture.mode
    if mode.startswith("I;16"):
        samples = np.asarray(picture)
        if samples.max(initial=0) < 4096:
            notes.append("16-bit samples below 4096: a dark image (12-bit data?)")
        return np.asarray(cv2.cvtColor(to_8_bits(samples), cv2.COLOR_GRAY2BGR), np.uint8)
    if mode in ("I", "F") or mode.startswith(("I;", "F;")):
        raise HeaderError(f"32-bit samples (mode {mode}); unsigned integers of up to 16 bits are supported")
    if mode in ("LAB", "HSV"):
        raise HeaderError(f"{mode} colours; RGB, grey, palette and CMYK are supported")
    if mode in ("P", "PA"):
        picture = picture.convert("RGBA")  # keeps palette transparency apart from the colours, so it can be dropped
    rgb = np.asarray(picture.convert("RGB"))
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), np.uint8)


def _deep_colour(header: Header) -> Pixels:
    """16-bit colour, which Pillow has no mode for; it has already found the file whole."""
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(np.frombuffer(header.data, np.uint8), flags)
    except cv2.error as error:
        raise HeaderError("16-bit colour that cannot be decoded") from error
    if image is None or image.dtype != np.uint16:
        raise HeaderError("16-bit colour that cannot be decoded")
    return to_8_bits(np.asarray(image, np.uint16))


def to_8_bits(samples: npt.NDArray[np.uint16]) -> Pixels:
    """16 to 8 bits: v / 257, rounded, so that 65535 becomes 255 and 257 * n becomes n."""
    return ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)
