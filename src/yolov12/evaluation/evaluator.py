"""From a runtime and a data set to metrics: read, letterbox, run, suppress, score.

Two protocols decide the canvas; scores depend on it, so every claim says which one it used:

* "predict": each image on the canvas that `predict` would give it; images with equal canvases share a batch;
* "reference": the published models' own validation: images sorted by aspect ratio, one canvas for each batch, half a
  stride larger than needed, and an image is never enlarged by the letterbox (only by the loading that precedes it).
"""

from __future__ import annotations

import dataclasses
import math
import os
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt
from rich.progress import TextColumn

from yolov12.config.parse import STRIDE
from yolov12.config.run import ImageSize, ValConfig
from yolov12.data.image_io import read_image
from yolov12.data.index import ImageIndex
from yolov12.data.letterbox import Letterbox
from yolov12.errors import ConfigError, DataError, ImageError, printable
from yolov12.inference.progress import new_bar
from yolov12.inference.runtimes import Runtime
from yolov12.metrics import DetectionMetrics, evaluate_detections
from yolov12.postprocess import NmsOptions, select

T = TypeVar("T")
Pixels = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.float64]

BATCHES_AHEAD = 2
"""Batches that are read while the network runs, and as many whose boxes may still wait for their suppression."""


@dataclass(frozen=True)
class Placement:
    """How one image gets onto its canvas: resized to `loaded` (height, width) first, then letterboxed."""

    index: int
    shape: tuple[int, int]
    loaded: tuple[int, int]
    letterbox: Letterbox

    def to_original(self, boxes_input: npt.NDArray[Any]) -> Rows:
        """Boxes (n, 4) of the canvas in pixels of the original image, cut at its edges."""
        boxes = self.letterbox.to_original(boxes_input, clip=False)
        if self.loaded != self.shape:
            boxes = boxes / (self.loaded[0] / self.shape[0])  # the reference divides both axes by the height's gain
        height, width = self.shape
        return np.clip(boxes, 0.0, (width, height, width, height))


@dataclass
class Speed:
    """Seconds that the three steps took, summed over threads."""

    preprocess: float = 0.0
    inference: float = 0.0
    postprocess: float = 0.0

    def per_image(self, images: int) -> dict[str, float]:
        """Milliseconds per image."""
        return {name: 1000.0 * seconds / max(images, 1) for name, seconds in vars(self).items()}


def evaluate(runtime: Runtime, index: ImageIndex, config: ValConfig) -> DetectionMetrics:
    """Metrics of `runtime` on all images of `index`.

    An image that cannot be read raises ImageError, or is left out and counted with `on_bad_label="skip"`. A runtime
    with another number of classes than the data set is a ConfigError (with `single_cls` its best score counts).
    """
    options = NmsOptions(
        conf=config.conf, iou=config.iou, max_det=config.max_det, multi_label=True, agnostic=config.single_cls
    )
    detections: list[Rows | None] = [None] * len(index)
    speed = Speed()
    threads = min(4, os.cpu_count() or 1)
    bar = new_bar(TextColumn("{task.description}"), shown=config.verbose and len(index) > 0)
    with ThreadPoolExecutor(threads, thread_name_prefix="evaluate") as pool, bar as progress:
        task = progress.add_task(index.report.split, total=len(index))
        waiting: deque[list[tuple[int, Future[tuple[Rows, float]]]]] = deque()
        for placements, canvases in _read_ahead(pool, index, config, speed):
            if placements:
                started = time.perf_counter()
                decoded = _class_scores(runtime(canvases), len(index.names), single_cls=config.single_cls)
                speed.inference += time.perf_counter() - started
                pairs = zip(placements, decoded, strict=True)
                waiting.append([(p.index, pool.submit(_detections, p, d, len(index.names), options)) for p, d in pairs])
            while len(waiting) > BATCHES_AHEAD:
                _collect(waiting.popleft(), detections, speed)
            progress.advance(task, len(placements))
        while waiting:
            _collect(waiting.popleft(), detections, speed)
    metrics = evaluate_detections(index, detections)
    metrics.speed = speed.per_image(metrics.images)
    return metrics


def match_classes(index: ImageIndex, names: Mapping[int, str]) -> ImageIndex:
    """`index` with its classes in the order of the model's `names`, told by name.

    Names that differ are compared by number, with a warning unless one side has numbers for names. Raises ConfigError
    when there are not as many.
    """
    ours, theirs = tuple(names[number] for number in sorted(names)), index.names
    if len(ours) != len(theirs):
        raise ConfigError(
            f"the data set has {len(theirs)} classes, the model knows {len(ours)}: {', '.join(map(printable, ours))}"
        )
    if ours == theirs:
        return index
    if len(set(ours)) == len(ours) and set(ours) == set(theirs):
        order = np.array([ours.index(name) for name in theirs], dtype=index.labels.dtype)
        return dataclasses.replace(index, names=ours, labels=order[index.labels])
    numbers = tuple(map(str, range(len(ours))))
    if numbers not in (ours, theirs):
        pairs = (f"{printable(a)} / {printable(b)}" for a, b in zip(ours, theirs, strict=True) if a != b)
        print(f"warning: class names differ (model / data set): {', '.join(list(pairs)[:5])}", file=sys.stderr)
    return index


def plan(index: ImageIndex, config: ValConfig) -> list[list[Placement]]:
    """The batches of an evaluation: every image once, all images of a batch on canvases of one size."""
    shapes = [(int(height), int(width)) for height, width in index.sizes]
    if config.protocol == "reference":
        return _plan_reference(shapes, config.imgsz, config.batch)
    by_canvas: dict[tuple[int, int], list[Placement]] = {}
    for i, shape in enumerate(shapes):
        letterbox = Letterbox.fit(shape, config.imgsz, rect=config.rect)
        by_canvas.setdefault(letterbox.canvas, []).append(Placement(i, shape, shape, letterbox))
    return [batch for group in by_canvas.values() for batch in _chunks(group, config.batch)]


def _plan_reference(shapes: list[tuple[int, int]], imgsz: ImageSize, batch: int) -> list[list[Placement]]:
    """Sorted by height / width; the canvas of a batch follows from its extreme aspect ratios."""
    if not isinstance(imgsz, int):
        raise ConfigError(f"--imgsz {imgsz}: --protocol reference needs one number, as it derives the canvas from it")
    aspects = [height / width for height, width in shapes]
    batches = []
    for chunk in _chunks(sorted(range(len(shapes)), key=aspects.__getitem__), batch):
        lowest, highest = aspects[chunk[0]], aspects[chunk[-1]]
        factors = (highest, 1.0) if highest < 1 else (1.0, 1 / lowest) if lowest > 1 else (1.0, 1.0)
        height, width = (math.ceil(factor * imgsz / STRIDE + 0.5) * STRIDE for factor in factors)
        batches.append([_place_reference(i, shapes[i], imgsz, (height, width)) for i in chunk])
    return batches


def _place_reference(i: int, shape: tuple[int, int], imgsz: int, canvas: tuple[int, int]) -> Placement:
    ratio = imgsz / max(shape)
    height, width = (min(math.ceil(side * ratio), imgsz) for side in shape)
    return Placement(i, shape, (height, width), Letterbox.fit((height, width), canvas, rect=False, scale_up=False))


def _chunks(items: list[T], size: int) -> Iterator[list[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _read_ahead(
    pool: ThreadPoolExecutor, index: ImageIndex, config: ValConfig, speed: Speed
) -> Iterator[tuple[list[Placement], Pixels]]:
    """Yield (placements, canvases (B, H, W, 3) uint8 BGR) of each batch, without the images that cannot be read."""
    reading: deque[tuple[list[Placement], Pixels, list[Future[float | ImageError]]]] = deque()
    batches = iter(plan(index, config))

    def start_next() -> None:
        placements = next(batches, None)
        if placements is not None:
            canvases = np.empty((len(placements), *placements[0].letterbox.canvas, 3), np.uint8)
            futures = [
                pool.submit(_read, index, p, out, config.max_pixels)
                for p, out in zip(placements, canvases, strict=True)
            ]
            reading.append((placements, canvases, futures))

    for _ in range(BATCHES_AHEAD):
        start_next()
    while reading:
        placements, canvases, futures = reading.popleft()
        outcomes = [future.result() for future in futures]
        start_next()
        readable = []
        for k, outcome in enumerate(outcomes):
            if isinstance(outcome, float):
                speed.preprocess += outcome
                readable.append(k)
            elif config.on_bad_label == "error":
                raise outcome
        yield [placements[k] for k in readable], canvases if len(readable) == len(futures) else canvases[readable]


def _read(index: ImageIndex, placement: Placement, out: Pixels, max_pixels: int) -> float | ImageError:
    """Draw one image on its canvas; returns the seconds it took, or why it cannot be read."""
    started = time.perf_counter()
    path = index.paths[placement.index]
    try:
        image = read_image(path, max_pixels=max_pixels)
    except ImageError as error:
        return error
    if image.shape[:2] != placement.shape:
        now, then = (f"{width}x{height}" for height, width in (image.shape[:2], placement.shape))
        raise DataError(
            f"{path}: is {now} pixels, but was {then} when the data set was read; do not change it meanwhile"
        )
    if placement.loaded != placement.shape:
        image = cv2.resize(image, placement.loaded[::-1], interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)
    placement.letterbox.apply(image, out)
    return time.perf_counter() - started


def _class_scores(decoded: npt.NDArray[np.float32], num_classes: int, *, single_cls: bool) -> npt.NDArray[np.float32]:
    """`decoded` (B, 4 + C, A) with exactly the data set's classes."""
    found = decoded.shape[1] - 4
    if single_cls and found > 1:
        return np.concatenate((decoded[:, :4], decoded[:, 4:].max(axis=1, keepdims=True)), axis=1)
    if found != num_classes:
        raise ConfigError(
            f"the model knows {found} classes, the data set has {num_classes}: they must be the same to be compared"
        )
    return decoded


def _detections(
    placement: Placement, decoded: npt.NDArray[np.float32], num_classes: int, options: NmsOptions
) -> tuple[Rows, float]:
    """Rows (n, 6) in original pixels of one image, and the seconds it took."""
    started = time.perf_counter()
    rows = select(decoded, num_classes, options).astype(np.float64)
    rows[:, :4] = placement.to_original(rows[:, :4])
    return rows, time.perf_counter() - started


def _collect(batch: list[tuple[int, Future[tuple[Rows, float]]]], detections: list[Rows | None], speed: Speed) -> None:
    for i, future in batch:
        detections[i], seconds = future.result()
        speed.postprocess += seconds
