"""Decode every image once: what training could stumble over is found before it starts.

Threads suffice, because OpenCV and Pillow decode without holding the interpreter's lock.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from yolov12.data.cache import Arrays, Cache, fingerprint, stamp
from yolov12.data.image_io import decode_with_notes, read_image_bytes
from yolov12.data.index import Int32
from yolov12.errors import ImageError

Progress = Callable[[int, int], None]
"""Called with (images done, images in all)."""


@dataclass(frozen=True)
class Scan:
    """What the files of N images turned out to be."""

    sizes: Int32
    """(N, 2) height and width after EXIF rotation; 0, 0 if the image cannot be used."""
    digests: npt.NDArray[np.uint8]
    """(N, 16) hash of the file's bytes."""
    problems: dict[int, str]
    """Image number: why it cannot be used (begins with the path)."""
    notes: dict[int, str]
    """Image number: what is odd about it (begins with the path)."""

    @property
    def texts(self) -> str:
        """Problems and notes as JSON."""
        return json.dumps([self.problems, self.notes])


def scan_images(paths: Sequence[Path], *, workers: int, max_pixels: int, progress: Progress | None = None) -> Scan:
    """Read and decode all of `paths` in `workers` threads."""
    sizes = np.zeros((len(paths), 2), np.int32)
    digests = np.zeros((len(paths), 16), np.uint8)
    problems: dict[int, str] = {}
    notes: dict[int, str] = {}

    def look(i: int) -> None:
        try:
            data = read_image_bytes(paths[i], max_pixels=max_pixels)
            image, found = decode_with_notes(data, name=str(paths[i]), max_pixels=max_pixels)
        except ImageError as error:
            problems[i] = str(error)
            return
        sizes[i] = image.shape[:2]
        digests[i] = np.frombuffer(hashlib.blake2b(data, digest_size=16).digest(), np.uint8)
        if found:
            notes[i] = f"{paths[i]}: {'; '.join(found)}"

    with ThreadPoolExecutor(max(workers, 1)) as pool:
        for done, _ in enumerate(pool.map(look, range(len(paths))), 1):
            if progress is not None:
                progress(done, len(paths))
    return Scan(sizes, digests, dict(sorted(problems.items())), dict(sorted(notes.items())))


def cached_scan(
    paths: Sequence[Path], name: str, cache: Cache, *, workers: int, max_pixels: int, progress: Progress | None = None
) -> tuple[Scan, str | None]:
    """As `scan_images`, but taken from the cache if all stamps are the same; and a warning if it cannot be stored."""
    key = fingerprint(["scan", str(max_pixels), *map(stamp, paths)])
    stored = cache.load(name, key)
    if stored is not None:
        texts = json.loads(str(stored["texts"]))
        problems, notes = ({int(i): text for i, text in part.items()} for part in texts)
        return Scan(stored["sizes"], stored["digests"], problems, notes), None
    scan = scan_images(paths, workers=workers, max_pixels=max_pixels, progress=progress)
    arrays: Arrays = {"sizes": scan.sizes, "digests": scan.digests, "texts": np.array(scan.texts)}
    return scan, cache.save(name, key, arrays)
