"""From a runtime and a data set to metrics: read, place on the canvas, run, postprocess, compare, score.

What is found in an image is compared with its labels as soon as it is known, in a worker thread, and only what the
scores need is kept: a mask lives as run lengths. So memory does not grow with what the network puts out.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from rich.progress import TextColumn

from yolov12.config.run import ValConfig
from yolov12.config.tasks import TASKS
from yolov12.data.image_io import read_image
from yolov12.data.index import ImageIndex
from yolov12.detections import Decoded
from yolov12.errors import ConfigError, DataError, ImageError
from yolov12.evaluation.plan import Pixels, Placed, plan
from yolov12.inference.looks import Looks, look_closely
from yolov12.inference.progress import new_bar
from yolov12.inference.runtime import Runtime
from yolov12.matching import MAX_DETECTIONS
from yolov12.metrics import Metrics, compare_image, score
from yolov12.postprocess import POSTPROCESS, NmsOptions, Placement

BATCHES_AHEAD = 2
"""Batches that are read while the network runs, and as many whose output may still wait for its postprocessing."""


@dataclass
class Speed:
    """Seconds that the three steps took, summed over threads."""

    preprocess: float = 0.0
    inference: float = 0.0
    postprocess: float = 0.0

    def per_image(self, images: int) -> dict[str, float]:
        """Milliseconds per image."""
        return {name: 1000.0 * seconds / max(images, 1) for name, seconds in vars(self).items()}


@dataclass(frozen=True)
class _Job:
    """What the worker threads share."""

    index: ImageIndex
    config: ValConfig
    task: str
    options: NmsOptions

    def read(self, placed: Placed, out: Pixels) -> float | ImageError:
        """Draw one image on its canvas; returns the seconds it took, or why it cannot be read."""
        started = time.perf_counter()
        path = self.index.paths[placed.index]
        try:
            image = read_image(path, max_pixels=self.config.max_pixels)
        except ImageError as error:
            return error
        expected = tuple(self.index.sizes[placed.index].tolist())
        if image.shape[:2] != expected:
            now, then = (f"{width}x{height}" for height, width in (image.shape[:2], expected))
            raise DataError(
                f"{path}: is {now} pixels, but was {then} when the data set was read; do not change it meanwhile"
            )
        placed.view.apply(image, out)
        return time.perf_counter() - started

    def finish(self, placed: Placed, decoded: Decoded) -> tuple[Any, float]:
        """What the metrics need to know of one image, and the seconds that its postprocessing took."""
        started = time.perf_counter()
        view = cast(Placement, placed.view)  # a picture to classify has no way back, and needs none
        found = POSTPROCESS[self.task](decoded, view, len(self.index.names), self.options)
        seconds = time.perf_counter() - started
        return compare_image(self.index, placed.index, found, self.task), seconds


def evaluate(runtime: Runtime, index: ImageIndex, config: ValConfig, task: str = "detect") -> Metrics:
    """Metrics of `runtime` on all images of `index`: ClassificationMetrics for "classify", else DetectionMetrics.

    An image that cannot be read raises ImageError, or is left out and counted with `on_bad_label="skip"`. A runtime
    with another number of classes than the data set is a ConfigError (with `single_cls` its best score counts).
    """
    options = NmsOptions(
        conf=config.conf,
        iou=config.iou,
        max_det=min(config.max_det, MAX_DETECTIONS * max(len(index.names), 1)),  # more than count need no masks
        multi_label=True,
        agnostic=config.single_cls,
    )
    job = _Job(index, config, task, options)
    compared: list[Any] = [None] * len(index)
    speed = Speed()
    bar = new_bar(TextColumn("{task.description}"), shown=config.verbose and len(index) > 0)
    with bar as progress:
        shown = progress.add_task(index.report.split, total=len(index))
        work = _look_closely if config.tile or config.augment else _in_batches
        for done in work(runtime, job, compared, speed):
            progress.advance(shown, done)
    metrics = score(index, compared, task)
    metrics.speed = speed.per_image(metrics.images)
    return metrics


def _in_batches(runtime: Runtime, job: _Job, compared: list[Any], speed: Speed) -> Iterator[int]:
    """Fill `compared`, reading ahead; yields how many images were done each time."""
    threads = min(4, os.cpu_count() or 1)
    with ThreadPoolExecutor(threads, thread_name_prefix="evaluate") as pool:
        waiting: deque[list[tuple[int, Future[tuple[Any, float]]]]] = deque()
        for batch, canvases in _read_ahead(pool, job, speed):
            if batch:
                started = time.perf_counter()
                decoded = _with_classes(runtime(canvases), job)
                speed.inference += time.perf_counter() - started
                pairs = zip(batch, decoded.images(), strict=True)
                waiting.append([(placed.index, pool.submit(job.finish, placed, one)) for placed, one in pairs])
            while len(waiting) > BATCHES_AHEAD:
                _collect(waiting.popleft(), compared, speed)
            yield len(batch)
        while waiting:
            _collect(waiting.popleft(), compared, speed)


def _look_closely(runtime: Runtime, job: _Job, compared: list[Any], speed: Speed) -> Iterator[int]:
    """Fill `compared` with several looks at each picture (see `inference.looks`); yields 1 for each."""
    index, config = job.index, job.config
    if not TASKS[job.task].boxes or config.protocol != "predict" or config.single_cls:
        raise ConfigError("--tile and --augment: not for classifiers, --protocol reference or --single_cls")
    looks = Looks.of(config)
    for i in range(len(index)):
        started = time.perf_counter()
        try:
            image = read_image(index.paths[i], max_pixels=config.max_pixels)
        except ImageError:
            if config.on_bad_label == "error":
                raise
        else:
            found = look_closely(image, runtime, job.task, len(index.names), job.options, looks)
            speed.inference += time.perf_counter() - started
            compared[i] = compare_image(index, i, found, job.task)
        yield 1


def _read_ahead(pool: ThreadPoolExecutor, job: _Job, speed: Speed) -> Iterator[tuple[list[Placed], Pixels]]:
    """Yield (images, canvases (B, H, W, 3) uint8 BGR) of each batch, without the images that cannot be read."""
    reading: deque[tuple[list[Placed], Pixels, list[Future[float | ImageError]]]] = deque()
    batches = iter(plan(job.index, job.config, job.task))

    def start_next() -> None:
        batch = next(batches, None)
        if batch is not None:
            canvases = np.empty((len(batch), *batch[0].view.canvas, 3), np.uint8)
            futures = [pool.submit(job.read, placed, out) for placed, out in zip(batch, canvases, strict=True)]
            reading.append((batch, canvases, futures))

    for _ in range(BATCHES_AHEAD):
        start_next()
    while reading:
        batch, canvases, futures = reading.popleft()
        outcomes = [future.result() for future in futures]
        start_next()
        readable = []
        for k, outcome in enumerate(outcomes):
            if isinstance(outcome, float):
                speed.preprocess += outcome
                readable.append(k)
            elif job.config.on_bad_label == "error":
                raise outcome
        yield [batch[k] for k in readable], canvases if len(readable) == len(futures) else canvases[readable]


def _with_classes(decoded: Decoded, job: _Job) -> Decoded:
    """`decoded` of a batch with exactly the data set's classes."""
    dense, wanted = decoded.dense, len(job.index.names)
    if not TASKS[job.task].boxes:
        first, found = 0, dense.shape[1]
    else:
        first, found = 4, dense.shape[1] - 4 - _extras(decoded, job)
    if job.config.single_cls and found > 1:
        best = dense[:, first : first + found].max(axis=1, keepdims=True)
        return decoded._replace(dense=np.concatenate((dense[:, :first], best, dense[:, first + found :]), axis=1))
    if found != wanted:
        raise ConfigError(
            f"the model knows {found} classes, the data set has {wanted}: they must be the same to be compared"
        )
    return decoded


def _extras(decoded: Decoded, job: _Job) -> int:
    """Channels behind the class scores."""
    count, values = decoded.keypoint_shape or job.index.keypoint_shape or (0, 0)
    masks = TASKS[job.task].masks and decoded.prototypes is not None
    return (
        (decoded.prototypes.shape[1] if masks and decoded.prototypes is not None else 0)
        + TASKS[job.task].keypoints * count * values
        + TASKS[job.task].rotated
    )


def _collect(batch: list[tuple[int, Future[tuple[Any, float]]]], compared: list[Any], speed: Speed) -> None:
    for i, future in batch:
        compared[i], seconds = future.result()
        speed.postprocess += seconds
