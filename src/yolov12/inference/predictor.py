"""From a source to results: decode, place on the canvas, run, suppress, map back to the original image.

The predictor keeps no state: every call carries its options, so that many threads may share one. Images are decoded by
a few threads while the network runs. Over many images it looks ahead over a window and runs those of equal canvas
together, because changing shapes cost time; the network runs on the next batch while the results of one are made and
used. Which images share a batch depends on their order alone, never on timing, batches run one after the other, and
results come out in input order.
"""

from __future__ import annotations

import itertools
import os
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from yolov12.config.run import PredictConfig
from yolov12.config.tasks import TASKS
from yolov12.data.center_crop import CenterCrop
from yolov12.data.letterbox import Letterbox
from yolov12.data.sources import Item, Source, SourceOptions, open_source
from yolov12.detections import Decoded, Detections
from yolov12.errors import ConfigError, SourceError, did_you_mean
from yolov12.inference.looks import Looks, look_closely
from yolov12.inference.progress import with_progress
from yolov12.inference.runtime import Runtime
from yolov12.postprocess import POSTPROCESS, NmsOptions, Placement
from yolov12.results import OBB, Boxes, Keypoints, Pixels, Probs, Result

WINDOW: Final = 64
"""Images ahead of the one that is due: enough to find batches of equal canvas among mixed sizes."""
KEPT_BYTES: Final = 4 * 2**20
"""Larger images of files are not kept while they wait, nor in their results, but read again when asked for."""
LIST_BYTES: Final = 512 * 2**20
"""Pixels that the results of one call keep when they are collected in a list; later ones read again, or have none."""


View = Letterbox | CenterCrop


@dataclass(frozen=True, eq=False)
class Placed:
    """An image on its canvas. `pixels` is the original, unless it is large and can be read again."""

    item: Item
    view: View
    canvas: Pixels
    pixels: Pixels | None
    milliseconds: float


@dataclass(frozen=True, eq=False)
class Failed:
    """An item that cannot be decoded."""

    item: Item
    error: SourceError


Ready = Placed | Failed


@dataclass(eq=False)
class Slot:
    """One place of the window: first being decoded, then part of a batch, then its result."""

    ready: Future[Ready]
    waits: bool = True
    result: Result | None = None


@dataclass(frozen=True, eq=False)
class Running:
    """A batch under way: its slots, and what the network will say of each image of it, with milliseconds per image."""

    slots: Sequence[Slot]
    decoded: Future[tuple[Sequence[Decoded], float]]


class Predictor:
    """Finds what `task` asks for with one runtime. `names` are the classes in the order of the network's outputs."""

    def __init__(self, runtime: Runtime, names: Mapping[int, str], task: str = "detect") -> None:
        if task not in POSTPROCESS:
            raise ConfigError(f"task {task!r}: choose one of {', '.join(POSTPROCESS)}")
        self.runtime, self.names, self.task = runtime, dict(names), task

    def predict(self, source: Any, config: PredictConfig) -> Iterator[Result]:
        """Results in input order, made as they are asked for; `source` and `config` are checked at once.

        Raises SourceError for a source that cannot be used, ConfigError for an unknown class. An image that cannot be
        decoded raises if it is the only one, else it becomes a Result with `.error`; so does the end of a cut video.
        """
        options = NmsOptions(
            conf=config.conf,
            iou=config.iou,
            max_det=config.max_det,
            classes=class_numbers(config.classes, self.names),
            agnostic=config.agnostic_nms,
        )
        if (config.tile or config.augment) and not TASKS[self.task].boxes:
            raise ConfigError("--tile and --augment are about objects: a classifier looks at whole pictures, once")
        opened = open_source(source, source_options(config))
        call = _Call(self.runtime, self.names, self.task, config, options)
        results = _bounded(_start(call, opened), config)
        return with_progress(results, opened.count) if config.verbose and opened.kind in ("many", "video") else results


def source_options(config: PredictConfig) -> SourceOptions:
    """What a call says of its source."""
    return SourceOptions(config.max_pixels, config.vid_stride)


def class_numbers(classes: Iterable[int | str] | None, names: Mapping[int, str]) -> tuple[int, ...] | None:
    """Class ids of ids and names; ConfigError for one that the model does not know."""
    if classes is None:
        return None
    numbers = {name: number for number, name in names.items()}
    found = []
    for wanted in classes:
        number = numbers.get(wanted, int(wanted) if wanted.isdecimal() else -1) if isinstance(wanted, str) else wanted
        if number not in names:
            hint = did_you_mean(wanted, numbers) or f" Known: 0..{len(names) - 1}, {', '.join(list(numbers)[:20])}"
            raise ConfigError(f"--classes {wanted!r}: the model has no such class.{hint}")
        found.append(number)
    return tuple(found)


def view_of(image: NDArray[np.uint8], task: str, config: PredictConfig) -> View:
    """Where a picture (H, W, 3) lies on the network's canvas."""
    shape = image.shape[0], image.shape[1]
    if not TASKS[task].boxes:
        return CenterCrop.fit(shape, config.imgsz)
    return Letterbox.fit(shape, config.imgsz, rect=config.rect)


@dataclass(frozen=True)
class _Call:
    """What one call of `predict` carries through its steps."""

    runtime: Runtime
    names: Mapping[int, str]
    task: str
    config: PredictConfig
    options: NmsOptions

    def prepare(self, item: Item) -> Ready:
        """Decode one item and draw it on its canvas; runs in a worker thread."""
        started = time.perf_counter()
        try:
            image = item.load()
        except SourceError as error:
            return Failed(item, error)
        view = view_of(image, self.task, self.config)
        canvas = view.apply(image)
        keep = image.nbytes <= KEPT_BYTES or not item.again
        return Placed(item, view, canvas, image if keep else None, _since(started))

    @property
    def looks(self) -> Looks:
        """How many times, and where, each picture is looked at."""
        return Looks.of(self.config)

    def look(self, item: Item, *, alone: bool) -> Result:
        """The result of several looks at one picture; an error is raised if it is the only one."""
        started = time.perf_counter()
        try:
            image = item.load()
        except SourceError as error:
            if alone:
                raise
            return Result.failed(item.name, self.names, str(error), item.frame)
        loaded = _since(started)
        started = time.perf_counter()
        found = look_closely(image, self.runtime, self.task, len(self.names), self.options, self.looks)
        speed = {"preprocess": loaded, "inference": _since(started), "postprocess": 0.0}
        keep = image.nbytes <= KEPT_BYTES or not item.again
        return self._result(item, found, (image.shape[0], image.shape[1]), image if keep else None, speed)

    def _result(
        self, item: Item, found: Detections, shape: tuple[int, int], pixels: Pixels | None, speed: dict[str, float]
    ) -> Result:
        return Result(
            path=item.name,
            names=self.names,
            orig_shape=shape,
            **_parts(found, shape),
            pixels=pixels,
            reload=item.load if item.again else None,
            frame=item.frame,
            speed=speed,
            runtime=self.runtime.name,
            precision=self.runtime.precision,
        )

    def run(self, batch: Sequence[Ready]) -> tuple[Sequence[Decoded], float]:
        """What the network says of images of equal canvases, none for items that failed; milliseconds per image."""
        canvases = [one.canvas for one in batch if isinstance(one, Placed)]
        if not canvases:
            return [], 0.0
        started = time.perf_counter()
        decoded = list(self.runtime(np.stack(canvases), self.options.conf).images())
        return decoded, _since(started) / len(canvases)

    def results(self, batch: Sequence[Ready], decoded: Sequence[Decoded], milliseconds: float) -> list[Result]:
        """Results of a batch, in which either all items failed or none."""
        failed = [one for one in batch if isinstance(one, Failed)]
        if failed:
            return [Result.failed(one.item.name, self.names, str(one.error), one.item.frame) for one in failed]
        placed = [one for one in batch if isinstance(one, Placed)]
        return [self.finish(one, found, milliseconds) for one, found in zip(placed, decoded, strict=True)]

    def finish(self, placed: Placed, decoded: Decoded, inference: float) -> Result:
        """Suppress, map back to the original image, wrap up."""
        started = time.perf_counter()
        view = cast(Placement, placed.view)  # a picture to classify has no way back, and needs none
        found = POSTPROCESS[self.task](decoded, view, len(self.names), self.options)
        speed = {"preprocess": placed.milliseconds, "inference": inference, "postprocess": _since(started)}
        return self._result(placed.item, found, placed.view.source, placed.pixels, speed)


def _parts(found: Detections, shape: tuple[int, int]) -> dict[str, Any]:
    """The parts of a result that one image's detections are."""
    rows = found.rows
    rotated = None if found.rotated is None else np.concatenate((found.rotated, rows[:, 4:]), axis=1)
    return {
        "boxes": Boxes(rows, shape),
        "masks": found.masks,
        "keypoints": None if found.keypoints is None else Keypoints(found.keypoints, shape),
        "obb": None if rotated is None else OBB(rotated, shape),
        "probs": None if found.scores is None else Probs(found.scores),
    }


def _start(call: _Call, source: Source) -> Iterator[Result]:
    """The way of working that fits the kind of source."""
    if source.kind == "single":
        item = next(source.items)
        return iter([call.look(item, alone=True)]) if call.looks.several else _single(call, item)
    if source.kind == "camera" and not call.looks.several:
        return (_at_once(call, call.prepare(item)) for item in source.items)
    if call.looks.several:
        return (call.look(item, alone=False) for item in source.items)
    batch = call.config.batch
    # Frames are of one size and cannot be read again: no more of them wait than run, and follow.
    return _many(call, source.items, 2 * batch if source.kind == "video" else max(WINDOW, batch))


def _single(call: _Call, item: Item) -> Iterator[Result]:
    """One image in the caller's thread; its error is raised."""
    ready = call.prepare(item)
    if isinstance(ready, Failed):
        raise ready.error
    yield _at_once(call, ready)


def _at_once(call: _Call, ready: Ready) -> Result:
    """The result of one image, without a second thread."""
    return call.results([ready], *call.run([ready]))[0]


def _many(call: _Call, items: Iterator[Item], limit: int) -> Iterator[Result]:
    """Images in batches of equal canvas, results in order; at most `limit` wait."""
    decoders = ThreadPoolExecutor(min(4, os.cpu_count() or 1), "decode")
    runner = ThreadPoolExecutor(1, "network")  # one: batches run in their order, each with all cores
    window: deque[Slot] = deque()
    under_way: deque[Running] = deque()
    ahead = 2 * call.config.batch  # grows with every batch: the first results need not wait for a full window
    try:
        while True:
            fresh = itertools.islice(items, max(min(ahead, limit) - len(window), 0))
            window.extend(Slot(decoders.submit(call.prepare, item)) for item in fresh)
            if not window:
                return
            if window[0].result is None:  # it will be in the oldest batch
                while len(under_way) < 2 and (slots := _next_batch(window, call.config.batch)):
                    under_way.append(_begin(call, slots, runner))
                _finish(call, under_way.popleft())
                ahead = min(2 * ahead, limit)
            finished = window.popleft().result
            if finished is not None:
                yield finished
    finally:
        for pool in (runner, decoders):
            pool.shutdown(cancel_futures=True)


def _begin(call: _Call, slots: Sequence[Slot], runner: ThreadPoolExecutor) -> Running:
    """Let the network run on a batch once it is free."""
    return Running(slots, runner.submit(call.run, [slot.ready.result() for slot in slots]))


def _finish(call: _Call, running: Running) -> None:
    """Wait for a batch, put its results into its slots, let go of its canvases."""
    ready = [slot.ready.result() for slot in running.slots]
    for slot, result in zip(running.slots, call.results(ready, *running.decoded.result()), strict=True):
        slot.result = result
        slot.ready = Future()


def _next_batch(window: Iterable[Slot], size: int) -> list[Slot]:
    """The oldest slot that waits, and up to `size` in all that can run together with it; none where none waits."""
    waiting = [slot for slot in window if slot.waits]
    if not waiting:
        return []
    first = _canvas_shape(waiting[0].ready.result())
    batch = list(itertools.islice((slot for slot in waiting if _canvas_shape(slot.ready.result()) == first), size))
    for slot in batch:
        slot.waits = False
    return batch


def _canvas_shape(ready: Ready) -> tuple[int, int] | None:
    return ready.view.canvas if isinstance(ready, Placed) else None


def _bounded(results: Iterator[Result], config: PredictConfig) -> Iterator[Result]:
    """`results`, with a limit to the pixels that they keep if the caller will collect them all."""
    kept = 0
    for result in results:
        if not config.stream and result.pixels is not None:
            kept += result.pixels.nbytes
            if kept > LIST_BYTES:
                result.pixels = None
        yield result


def _since(started: float) -> float:
    return (time.perf_counter() - started) * 1000.0
