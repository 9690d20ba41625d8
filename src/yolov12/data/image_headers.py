"""What the headers of image files say, read before any pixel is decoded: size, orientation, frames, wholeness.

Written from the formats' specifications: ITU-T T.81 (JPEG), W3C PNG, RIFF/WebP container, TIFF 6.0, EXIF 2.3, GIF89a,
ISO 14496-12 (AVIF). Every reader takes the whole file and raises `HeaderError` with a reason, or returns a `Header`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

MAX_SCANS = 500
"""More scans than any progressive JPEG needs; each one costs a full decoding pass."""
_TAG_ORIENTATION, _TAG_SAMPLE_FORMAT = 274, 339
_SAMPLE_FORMATS = {2: "signed integer", 3: "floating point", 4: "undefined", 5: "complex integer", 6: "complex float"}
_TIFF_TYPE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}


class HeaderError(Exception):
    """The file is damaged, cut or of a kind that is not supported; the text says how."""


@dataclass(frozen=True)
class Header:
    """Size as stored (before rotation), EXIF orientation 1..8, frames, and the bytes to hand to the decoder."""

    width: int
    height: int
    data: bytes
    orientation: int = 1
    frames: int = 1
    bits: int = 8


def sniff(data: bytes) -> str | None:
    """Name of the image format that `data` begins like, or None."""
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WebP"
    if data.startswith((b"II*\0", b"MM\0*")):
        return "TIFF"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if data[4:8] == b"ftyp" and any(brand in data[8:64] for brand in (b"avif", b"avis")):
        return "AVIF"
    return "BMP" if data.startswith(b"BM") else None


def read_header(kind: str, data: bytes) -> Header:
    """Header of `data`, a file of format `kind` as `sniff` named it. Raises HeaderError."""
    try:
        return _READERS[kind](data)
    except (struct.error, IndexError) as error:
        raise HeaderError(f"cut or damaged {kind} file: it ends inside its header") from error


def _jpeg(data: bytes) -> Header:
    """Walk the segments up to the first scan, then check that every scan runs to the end marker."""
    width = height = bits = restart = 0
    orientation = 1
    position = 2
    while True:
        marker, position = _next_marker(data, position)
        if marker == 0x01 or 0xD0 <= marker <= 0xD7:
            continue
        if marker == 0xD9:
            raise HeaderError("JPEG file without an image")
        length = int.from_bytes(data[position : position + 2], "big")
        if length < 2 or position + length > len(data):
            raise HeaderError("cut or damaged JPEG file: a segment ends outside of it")
        body = data[position + 2 : position + length]
        position += length
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            bits, height, width = struct.unpack_from(">BHH", body)
        elif marker == 0xE1 and body.startswith(b"Exif\0\0") and orientation == 1:
            orientation = exif_orientation(body)
        elif marker == 0xDD:
            (restart,) = struct.unpack_from(">H", body)
        elif marker == 0xDA:
            break
    if not width or not height:
        raise HeaderError(f"JPEG file of {width}x{height} pixels")
    if bits != 8:
        raise HeaderError(f"JPEG file with {bits} bits per sample; 8 are supported")
    _check_jpeg_scans(data, position, restart)
    return Header(width, height, data, orientation)


def _next_marker(data: bytes, position: int) -> tuple[int, int]:
    """(marker code, position behind it) of the segment that starts at `position`."""
    if data[position] != 0xFF:
        raise HeaderError("damaged JPEG file: a marker is missing")
    while data[position] == 0xFF:  # any number of fill bytes
        position += 1
    return data[position], position + 1


def _check_jpeg_scans(data: bytes, start: int, restart: int) -> None:
    """Follow the markers behind the first scan header at `start` up to the end marker. Raises HeaderError.

    Inside a scan, 0xFF is followed by 0 (a literal 0xFF) or by restart markers 0..7 in turn, these only if a restart
    interval was set. A decoder fills what is missing with grey and says nothing; here it is an error.
    """
    stream = np.frombuffer(data, np.uint8, offset=start)
    at_ff = np.flatnonzero(stream[:-1] == 0xFF)
    codes = stream[at_ff + 1]
    is_marker = (codes != 0) & (codes != 0xFF)
    markers = zip(at_ff[is_marker].tolist(), codes[is_marker].tolist(), strict=True)
    skip_to, scans, expected = 0, 1, 0
    for at, code in markers:
        if at < skip_to:
            continue
        if code == 0xD9:
            return
        if 0xD0 <= code <= 0xD7:
            if not restart or code - 0xD0 != expected:
                raise HeaderError("damaged JPEG file: a restart marker out of order")
            expected = (expected + 1) % 8
            continue
        length = int.from_bytes(data[start + at + 2 : start + at + 4], "big")
        skip_to = at + 2 + length
        if code == 0xDD:
            restart = int.from_bytes(data[start + at + 4 : start + at + 6], "big")
        elif code == 0xDA:
            scans, expected = scans + 1, 0
            if scans > MAX_SCANS:
                raise HeaderError(f"JPEG file with more than {MAX_SCANS} scans")
    raise HeaderError("cut JPEG file: it has no end marker")


def _png(data: bytes) -> Header:
    """Walk the chunks; keep those that hold pixels, so that text bombs are never inflated."""
    parts, position, orientation, frames, name = [data[:8]], 8, 1, 1, b""
    width = height = bits = 0
    while name != b"IEND":
        length, name = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if end > len(data):
            raise HeaderError("cut PNG file: a chunk ends outside of it")
        if position == 8 and (name != b"IHDR" or length != 13):
            raise HeaderError("damaged PNG file: its first chunk is not IHDR")
        if name == b"IHDR":
            width, height, bits = struct.unpack_from(">IIB", data, position + 8)
        elif name == b"eXIf":
            orientation = exif_orientation(data[position + 8 : end - 4])
        elif name == b"acTL":
            (frames,) = struct.unpack_from(">I", data, position + 8)
        if name == b"tRNS" or not name[0] & 0x20:  # an upper-case first letter means: needed for the pixels
            parts.append(data[position:end])
        position = end
    return Header(width, height, b"".join(parts), orientation, frames, bits)


def _webp(data: bytes) -> Header:
    """Walk the RIFF chunks: canvas of VP8X, or the size in the one bit stream."""
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        raise HeaderError("cut WebP file: it is shorter than it says")
    size, orientation, frames, position = (0, 0), 1, 0, 12
    while position + 8 <= end:
        name, length = struct.unpack_from("<4sI", data, position)
        body = data[position + 8 : position + 8 + length]
        if name == b"VP8X":
            size = (1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little"))
        elif name == b"VP8L" and size == (0, 0):
            packed = int.from_bytes(body[1:5], "little")
            size = (1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF))
        elif name == b"VP8 " and size == (0, 0):
            w, h = struct.unpack_from("<HH", body, 6)
            size = (w & 0x3FFF, h & 0x3FFF)
        elif name == b"EXIF":
            orientation = exif_orientation(body)
        frames += name == b"ANMF"
        position += 8 + length + length % 2
    return Header(*size, data, orientation, max(frames, 1))


def _tiff(data: bytes) -> Header:
    """First directory. Pillow applies the orientation of a TIFF itself, so 1 is returned for it."""
    tags = _tiff_tags(data, strict=True)
    sample_format = tags.get(_TAG_SAMPLE_FORMAT, 1)
    bits = tags.get(258, 1)
    if sample_format != 1:
        kind = _SAMPLE_FORMATS.get(sample_format, "unknown")
        raise HeaderError(f"TIFF file with {bits}-bit {kind} samples (SampleFormat {sample_format}); unsigned integers "
                          "of up to 16 bits are supported")  # fmt: skip
    width, height = tags.get(256, 0), tags.get(257, 0)
    return Header(width, height, data, 1, _tiff_pages(data), bits)


def _tiff_pages(data: bytes, most: int = 1000) -> int:
    """Number of directories in the chain, at most `most` (the chain may be a loop)."""
    order = "<" if data.startswith(b"II") else ">"
    (position,) = struct.unpack_from(order + "I", data, 4)
    pages = 0
    while position and pages < most and position + 2 <= len(data):
        (count,) = struct.unpack_from(order + "H", data, position)
        if position + 6 + 12 * count > len(data):
            break
        (position,) = struct.unpack_from(order + "I", data, position + 2 + 12 * count)
        pages += 1
    return max(pages, 1)


def _tiff_tags(data: bytes, *, strict: bool) -> dict[int, int]:
    """{tag: first integer value} of the first directory; with `strict`, every value must lie inside the file."""
    order = "<" if data.startswith(b"II") else ">"
    magic, position = struct.unpack_from(order + "2xHI", data)
    (count,) = struct.unpack_from(order + "H", data, position)
    if magic != 42 or position + 2 + 12 * count > len(data):
        raise HeaderError("cut or damaged TIFF directory")
    tags: dict[int, int] = {}
    for entry in range(position + 2, position + 2 + 12 * count, 12):
        tag, kind, values, inline = struct.unpack_from(order + "HHII", data, entry)
        size = _TIFF_TYPE_SIZES.get(kind, 0) * values
        at = entry + 8 if size <= 4 else inline
        if strict and (not size or at + size > len(data)):
            raise HeaderError(f"cut or damaged TIFF file: tag {tag} is not inside of it")
        if values and kind in (1, 3, 4) and at + _TIFF_TYPE_SIZES[kind] <= len(data):
            (tags[tag],) = struct.unpack_from(order + {1: "B", 3: "H", 4: "I"}[kind], data, at)
    return tags


def exif_orientation(block: bytes) -> int:
    """Orientation 1..8 of an EXIF block (with or without its `Exif` prefix); 1 for anything absent or damaged."""
    block = block.removeprefix(b"Exif\0\0")
    if not block.startswith((b"II", b"MM")):
        return 1
    try:
        orientation = _tiff_tags(block, strict=False).get(_TAG_ORIENTATION, 1)
    except (HeaderError, struct.error):
        return 1
    return orientation if 1 <= orientation <= 8 else 1


def _bmp(data: bytes) -> Header:
    (header_size,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if header_size == 12 else "<ii", data, 18)
    return Header(width, abs(height), data)


def _gif(data: bytes) -> Header:
    width, height = struct.unpack_from("<HH", data, 6)
    return Header(width, height, data)


def _avif(data: bytes) -> Header:
    """The largest `ispe` (image spatial extents) box: the image itself, a grid's tiles and thumbnails are smaller."""
    sizes, position = [(0, 0)], data.find(b"ispe")
    while position >= 0 and len(sizes) < 1000:
        if position + 16 <= len(data):
            sizes.append(struct.unpack_from(">II", data, position + 8))
        position = data.find(b"ispe", position + 4)
    if len(sizes) == 1:
        raise HeaderError("cut or damaged AVIF file: it does not say its size")
    return Header(*max(sizes, key=lambda size: size[0] * size[1]), data)


_READERS: dict[str, Callable[[bytes], Header]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "WebP": _webp,
    "TIFF": _tiff,
    "GIF": _gif,
    "AVIF": _avif,
    "BMP": _bmp,
}
