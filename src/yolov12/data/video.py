"""Frames of video files and cameras through OpenCV: in order, one at a time, never invented.

A file is opened only if it begins like one of the common containers: play lists, which could name other files or
addresses, are never handed to the decoder.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from yolov12.errors import SourceError

Pixels = npt.NDArray[np.uint8]
VIDEO_SUFFIXES: Final = frozenset(
    (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ts", ".wmv", ".flv", ".3gp", ".ogv")
)
_ATOMS: Final = (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip", b"pnot")
_STILL_BRANDS: Final = (b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1")
_STARTS: Final = (
    b"\x1a\x45\xdf\xa3",  # Matroska, WebM
    b"FLV\x01",
    b"OggS",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",  # ASF, WMV
    b"\x00\x00\x01\xba",  # MPEG program stream
    b"\x00\x00\x01\xb3",  # MPEG video
)
_TS_PACKET: Final = 188
# A header that promises more frames than any file holds is a lie or a sign of a live recording: no promise at all.
_CREDIBLE_FRAMES: Final = 10_000_000

Frame = tuple[int, Pixels | str]
"""Frame number from 0, and its pixels (H, W, 3) BGR or a text that says what went wrong there."""


def is_video(head: bytes) -> bool:
    """Whether the first bytes of a file (at least 189) are those of a video container."""
    if head[4:8] in _ATOMS:
        return head[8:12] not in _STILL_BRANDS
    if head[:4] == b"RIFF":
        return head[8:12] == b"AVI "
    transport = head[:1] == b"\x47" and head[_TS_PACKET : _TS_PACKET + 1] == b"\x47"
    return transport or head.startswith(_STARTS)


def read_video(path: Path, stride: int, max_pixels: int) -> Iterator[Frame]:
    """Every `stride`-th frame of a file. A file that ends before its header says ends with a text.

    Raises SourceError when it cannot be opened, is over the pixel limit or has no frame.
    """
    capture = cv2.VideoCapture(str(path.resolve()))
    try:
        if not capture.isOpened():
            raise SourceError(f"{path}: cannot be opened as a video (cut, damaged, or a codec that is not supported)")
        width, height = (int(capture.get(key)) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        if width * height > max_pixels:
            raise SourceError(f"{path}: pixels {width * height} > {max_pixels} ({width}x{height} frames)")
        promised = int(max(capture.get(cv2.CAP_PROP_FRAME_COUNT), 0))
        count = 0
        for count, pixels in _grab(capture, stride):
            if pixels is not None:
                yield count - 1, pixels
        if not count:
            raise SourceError(f"{path}: no frames in it")
        if count < promised <= _CREDIBLE_FRAMES:
            yield count, f"read {count} of {promised} frames: the file is cut or damaged"
    finally:
        capture.release()


def read_camera(number: int, stride: int) -> Iterator[Frame]:
    """Every `stride`-th frame of a camera until it stops. SourceError when it cannot be opened."""
    capture = cv2.VideoCapture(number)
    try:
        # One buffered frame: what is shown should be what is in front of the camera now.
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        if not capture.isOpened():
            raise SourceError(f"camera {number}: cannot be opened; is it connected, and free?")
        for count, pixels in _grab(capture, stride):
            if pixels is not None:
                yield count - 1, pixels
    finally:
        capture.release()


def _grab(capture: cv2.VideoCapture, stride: int) -> Iterator[tuple[int, Pixels | None]]:
    """(frames so far, pixels of this one or None where the stride skips it) to the end."""
    count = 0
    while capture.grab():
        pixels: Pixels | None = None
        if count % stride == 0:
            decoded, frame = capture.retrieve()
            if not decoded or frame is None:
                return
            pixels = np.asarray(frame, dtype=np.uint8)
        count += 1
        yield count, pixels
