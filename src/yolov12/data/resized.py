"""Training images at training size, decoded once: a cache in memory that forked loader processes share.

The cache is one anonymous memory map whose layout is known before any image is read, because the index holds every
size. Whoever needs an image first decodes it there; the others find it. It takes nothing from /dev/shm, which is tiny
in containers, and goes away with the last process.
"""

from __future__ import annotations

import mmap
import os
import sys
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from yolov12.data.image_io import read_image
from yolov12.data.index import ImageIndex
from yolov12.errors import ImageError, ResourceError

CACHE_SHARE = 4
"""The cache takes at most one part in so many of the memory."""


def memory_bytes() -> int:
    """Memory that this process may use: the machine's, or less where a container sets a limit. 0: unknown."""
    if sys.platform != "linux":
        return 0
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit in (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")):
        if limit.is_file():
            text = limit.read_text(encoding="ascii").strip()
            if text.isdigit():
                total = min(total, int(text))
    return total


def shared_array(*shape: int) -> npt.NDArray[np.uint8]:
    """Zeros that this process and every process forked from it later see and change together."""
    count = int(np.prod(shape, dtype=np.int64))
    try:
        memory = mmap.mmap(-1, max(count, 1))
    except OSError as error:
        raise ResourceError(
            f"no {count / 2**20:.0f} MB of memory for images: {error.strerror}. Use a smaller --batch or --no-cache"
        ) from error
    return np.frombuffer(memory, np.uint8, count).reshape(shape)


def fitting_shapes(sizes: npt.NDArray[np.int32], imgsz: int) -> npt.NDArray[np.int64]:
    """(N, 2) height, width with the long side at `imgsz` and the other rounded up."""
    scaled = sizes * (imgsz / sizes.max(axis=1, keepdims=True, initial=1))
    return np.asarray(np.minimum(np.ceil(scaled), imgsz), np.int64)


def covering_shapes(sizes: npt.NDArray[np.int32], side: int) -> npt.NDArray[np.int64]:
    """(N, 2) height, width with the short side shrunk to `side`, the other rounded up; small images stay as they are.

    For tasks that cut parts out of an image: a part has its full detail as long as it is `side` / canvas of the image.
    """
    gain = np.minimum(side / np.maximum(sizes.min(axis=1, keepdims=True), 1), 1.0)
    return np.asarray(np.ceil((sizes * gain).round(6)), np.int64)


class ResizedImages:
    """Image i of an index as (height, width, 3) uint8 BGR, resized to row i of `shapes` (N, 2) by `interpolation`.

    As many images as `budget` bytes hold are kept, from the first on. The arrays are shared: do not write to them.
    An image of more than `max_pixels` is refused.
    """

    def __init__(
        self,
        index: ImageIndex,
        shapes: npt.NDArray[np.int64],
        budget: int,
        max_pixels: int,
        interpolation: int = cv2.INTER_LINEAR,
    ) -> None:
        self.paths, self.max_pixels, self.interpolation = index.paths, max_pixels, interpolation
        self.sources, self.shapes = index.sizes, shapes
        ends = np.cumsum(self.shapes.prod(axis=1) * 3)
        self.cached = int(np.searchsorted(ends, budget, side="right"))
        self.starts = np.concatenate([[0], ends])
        self.pixels = shared_array(int(self.starts[self.cached]))
        self.filled = shared_array(self.cached)

    def read(self, position: int) -> npt.NDArray[np.uint8]:
        """The image; raises ImageError where its file is gone, damaged, or no longer the one that was indexed."""
        height, width = self.shapes[position].tolist()
        if position >= self.cached:
            return self._decode(position)
        start = self.starts[position]
        slot = self.pixels[start : start + height * width * 3].reshape(height, width, 3)
        if not self.filled[position]:
            # Two processes may do this at the same time: they write the same pixels, and the mark comes last.
            slot[:] = self._decode(position)
            self.filled[position] = 1
        return slot

    def _decode(self, position: int) -> npt.NDArray[np.uint8]:
        path, size = self.paths[position], tuple(self.sources[position].tolist())
        image = read_image(path, max_pixels=self.max_pixels)
        if image.shape[:2] != size:
            raise ImageError(
                f"{path}: the image has {image.shape[1]}x{image.shape[0]} pixels, "
                f"but had {size[1]}x{size[0]} when the data set was read"
            )
        height, width = self.shapes[position].tolist()
        if (height, width) == size:
            return image
        return cv2.resize(image, (width, height), interpolation=self.interpolation).astype(np.uint8, copy=False)
