"""What can be predicted on, turned into a sequence of items that decode to (H, W, 3) uint8 BGR pixels.

File, folder, glob pattern, list, NumPy array (BGR, as OpenCV gives it), PIL image, tensor (RGB, 0..1), video file,
camera number, https address. Content decides what a file is; in folders the suffix decides what is taken for an image
or a video. Nothing is decoded here before an item is loaded, so that a folder of any length costs no memory.
"""

from __future__ import annotations

import difflib
import functools
import glob
import itertools
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.ImageFile import ImageFile

from yolov12.config.run import MAX_PIXELS
from yolov12.data.image_headers import sniff
from yolov12.data.image_io import FOREIGN_SUFFIXES, SUFFIXES, decode_image, from_pil, read_image, to_8_bits
from yolov12.data.remote import fetch
from yolov12.data.video import VIDEO_SUFFIXES, is_video, read_camera, read_video
from yolov12.errors import SourceError, printable

Pixels = npt.NDArray[np.uint8]
LISTED: Final = SUFFIXES | FOREIGN_SUFFIXES | VIDEO_SUFFIXES
HEAD_BYTES: Final = 512
MAX_LOOKED_AT: Final = 10_000


@runtime_checkable
class TensorLike(Protocol):
    """A torch tensor, without importing torch."""

    def detach(self) -> TensorLike:
        """Without its gradient history."""

    def cpu(self) -> TensorLike:
        """In main memory."""

    def is_floating_point(self) -> bool:
        """Whether the elements are of any floating-point type, also of those that NumPy does not know."""

    def float(self) -> TensorLike:
        """As 32-bit floats."""

    def numpy(self) -> npt.NDArray[Any]:
        """As an array over the same memory."""


@dataclass(frozen=True, eq=False)
class Item:
    """One image or frame. `load` decodes it, raising SourceError; `again` says that it may be called repeatedly."""

    name: str
    load: Callable[[], Pixels]
    again: bool = False
    frame: int | None = None


@dataclass(frozen=True)
class SourceOptions:
    """max_pixels: largest image or frame. vid_stride: take every n-th frame of a video."""

    max_pixels: int = MAX_PIXELS
    vid_stride: int = 1


@dataclass(frozen=True, eq=False)
class Source:
    """An opened source.

    items   what to predict on, in order; may be walked once
    count   how many there are, None when only the end will tell
    kind    'single' (one image: its error is the caller's), 'many' (images), 'video' (there are frames of a file among
            them, which cannot be read again), 'camera' (each frame matters at once)
    """

    items: Iterator[Item]
    count: int | None
    kind: str


def open_source(source: Any, options: SourceOptions | None = None) -> Source:
    """Find out what `source` is; one that is open already stays as it is.

    SourceError when it cannot be anything, is missing, or is empty.
    """
    options = options or SourceOptions()
    if isinstance(source, Source):
        return source
    if isinstance(source, bool):
        raise SourceError(f"{source!r} is not something to predict on")
    if isinstance(source, int) or (isinstance(source, str) and source.isdecimal() and not Path(source).exists()):
        return Source(_frames(f"camera {source}", read_camera(int(source), options.vid_stride)), None, "camera")
    if isinstance(source, list | tuple):
        return _open_list(source, options)
    if isinstance(source, np.ndarray):
        return _of_images("image", _array_images(source))
    if isinstance(source, Image.Image):
        name = printable(source.filename) if isinstance(source, ImageFile) and source.filename else "image0"
        load = functools.partial(from_pil, source, name=name, max_pixels=options.max_pixels)
        return Source(iter([Item(name, load)]), 1, "single")
    if isinstance(source, TensorLike):
        return _of_images("image", _tensor_images(source))
    if isinstance(source, str | Path):
        return _open_text(source, options)
    raise SourceError(
        f"a {type(source).__name__} cannot be predicted on: pass a path, https address, camera number, "
        "array, PIL image, tensor, or a list of these"
    )


def _open_text(source: str | Path, options: SourceOptions) -> Source:
    text = str(source)
    if not text.strip():
        raise SourceError("the source is empty: name an image, a folder, a video, a pattern or an address")
    if isinstance(source, str) and "://" in text:
        return Source(iter([Item(text, functools.partial(_from_url, text, options.max_pixels))]), 1, "single")
    path = Path(source)
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        if glob.has_magic(text):
            return _open_pattern(text, options)
        why = "no such file or folder" if isinstance(error, FileNotFoundError) else printable(error)
        raise SourceError(f"{printable(text)}: {why}.{_similar(path)}".rstrip(".")) from error
    if stat.S_ISDIR(mode):
        return _open_paths(path, _listing(path), options)
    if stat.S_ISREG(mode) and is_video(_head(path)):
        return Source(_frames(text, read_video(path, options.vid_stride, options.max_pixels)), None, "video")
    return Source(iter([_file(path, options)]), 1, "single")


def _open_pattern(pattern: str, options: SourceOptions) -> Source:
    found = sorted(Path(name) for name in glob.iglob(pattern, recursive=True))
    return _open_paths(pattern, [path for path in found if not path.is_dir()], options)


def _deeper(place: str | Path) -> str:
    """How to name what lies in the subfolders of a folder, if that is where the images are."""
    if not isinstance(place, Path):
        return ""
    below = itertools.islice(place.rglob("*"), MAX_LOOKED_AT)
    suffixes = sorted({path.suffix for path in below if path.suffix.lower() in LISTED})
    patterns = " ".join(f"'{printable(place)}/**/*{suffix}'" for suffix in suffixes)
    return f"; for those of its subfolders name {patterns}" if patterns else ""


def _open_paths(place: str | Path, paths: Sequence[Path], options: SourceOptions) -> Source:
    """Images and videos of a folder or pattern, in order."""
    if not paths:
        looked = f"looked for {' '.join(sorted(LISTED))}{_deeper(place)}"
        raise SourceError(f"{printable(place)}: no images or videos there ({looked})")
    videos = any(path.suffix.lower() in VIDEO_SUFFIXES for path in paths)
    items = itertools.chain.from_iterable(_guarded(str(path), _file_or_frames(path, options)) for path in paths)
    return Source(items, None, "video") if videos else Source(items, len(paths), "many")


def _file_or_frames(path: Path, options: SourceOptions) -> Iterable[Item]:
    if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file() and is_video(_head(path)):
        return _frames(str(path), read_video(path, options.vid_stride, options.max_pixels))
    return [_file(path, options)]


def _guarded(name: str, items: Iterable[Item]) -> Iterator[Item]:
    """`items`; what breaks between them (a video that does not open) becomes an item that fails."""
    try:
        yield from items
    except SourceError as error:
        yield Item(name, functools.partial(_fail, str(error)))


def _open_list(sources: Sequence[Any], options: SourceOptions) -> Source:
    """The items of every element in turn; what cannot be opened becomes an item that fails, so that indices align."""
    count: int | None = 0
    parts: list[Iterator[Item]] = []
    for position, source in enumerate(sources):
        try:
            part = open_source(source, options)
        except SourceError as error:
            name = str(source) if isinstance(source, str | Path) else f"image{position}"
            part = Source(iter([Item(name, functools.partial(_fail, str(error)))]), 1, "single")
        named = part.kind == "single" and not isinstance(source, str | Path)
        parts.append(_renamed(part.items, position) if named else _guarded(str(source), part.items))
        count = None if count is None or part.count is None else count + part.count
    if not parts:
        raise SourceError("the list of sources is empty")
    return Source(itertools.chain.from_iterable(parts), count, "many" if count is not None else "video")


def _renamed(items: Iterator[Item], position: int) -> Iterator[Item]:
    """Nameless pixels get the number of their place in the list."""
    for item in items:
        yield Item(f"image{position}", item.load) if item.name == "image0" else item


def _fail(message: str) -> Pixels:
    raise SourceError(message)


def _file(path: Path, options: SourceOptions) -> Item:
    return Item(str(path), functools.partial(read_image, path, max_pixels=options.max_pixels), again=True)


def _listing(folder: Path) -> list[Path]:
    """Files of a folder (not of its subfolders) that are or should be images or videos, by name."""
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise SourceError(f"{printable(folder)}: cannot be listed: {error.strerror}") from error
    return [path for path in paths if path.suffix.lower() in LISTED or (not path.suffix and _is_media(path))]


def _is_media(path: Path) -> bool:
    """Whether a file without a suffix holds an image or a video."""
    if not path.is_file():
        return False
    head = _head(path)
    return sniff(head) is not None or is_video(head)


def _head(path: Path) -> bytes:
    """The first bytes of a regular file; nothing if it cannot be read, which loading it will report."""
    try:
        with path.open("rb") as file:
            return file.read(HEAD_BYTES)
    except OSError:
        return b""


def _similar(path: Path) -> str:
    """A hint at a neighbour of nearly the same name."""
    try:
        names = [neighbour.name for neighbour in itertools.islice(path.parent.iterdir(), MAX_LOOKED_AT)]
    except (OSError, ValueError):
        return ""
    close = difflib.get_close_matches(path.name, names, n=1)
    return f" Did you mean {printable(path.parent / close[0])}?" if close else ""


def _frames(name: str, frames: Iterator[tuple[int, Pixels | str]]) -> Iterator[Item]:
    """Items of a video; a text instead of pixels is what went wrong there."""
    for number, pixels in frames:
        load = functools.partial(_fail, f"{printable(name)}: {pixels}") if isinstance(pixels, str) else None
        yield Item(name, load or functools.partial(np.asarray, pixels), frame=number)


def _from_url(url: str, max_pixels: int) -> Pixels:
    return decode_image(fetch(url), name=url, max_pixels=max_pixels)


def _of_images(stem: str, images: Sequence[Pixels]) -> Source:
    """Pixels in memory: one is a single source, a stack is many."""
    items = [Item(f"{stem}{i}", functools.partial(np.asarray, image)) for i, image in enumerate(images)]
    return Source(iter(items), len(items), "single" if len(items) == 1 else "many")


def _array_images(array: npt.NDArray[Any]) -> list[Pixels]:
    """(H, W), (H, W, 1 | 3 | 4) or a stack (B, H, W, 3) of uint8 or uint16 as BGR images; alpha is dropped."""
    if array.dtype == np.uint16:
        array = to_8_bits(array)
    if array.dtype != np.uint8:
        raise SourceError(
            f"an array of {array.dtype} cannot be predicted on, its range is unknown: pass uint8 (BGR, 0..255) or a "
            "float tensor (RGB, 0..1)"
        )
    if array.ndim == 2:
        array = array[:, :, None]
    images = list(array) if array.ndim == 4 else [array]
    if not images or any(image.ndim != 3 or image.shape[2] not in (1, 3, 4) or not image.size for image in images):
        raise SourceError(f"an array of shape {array.shape} is no image: pass (H, W), (H, W, 3) or (B, H, W, 3)")
    return [np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image[:, :, :3] for image in images]


def _tensor_images(tensor: TensorLike) -> list[Pixels]:
    """(3, H, W) or (B, 3, H, W), RGB, floats in 0..1 or uint8, as BGR images; floats are rounded to 8 bits."""
    tensor = tensor.detach().cpu()
    values = np.asarray((tensor.float() if tensor.is_floating_point() else tensor).numpy())
    if values.ndim == 3:
        values = values[None]
    if values.ndim != 4 or values.shape[1] != 3 or not values.size:
        raise SourceError(f"a tensor of shape {tuple(values.shape)} is no image: pass (B, 3, H, W), RGB")
    if values.dtype != np.uint8:
        if not np.issubdtype(values.dtype, np.floating) or not bool(((values >= 0) & (values <= 1)).all()):
            raise SourceError("a tensor must hold RGB values in 0..1: divide 0..255 by 255")
        values = np.rint(values * 255).astype(np.uint8)
    return list(np.ascontiguousarray(values[:, ::-1].transpose(0, 2, 3, 1)))  # (B, H, W, 3) BGR
