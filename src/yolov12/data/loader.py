"""Training batches: the order of an epoch is a function of (seed, epoch), a sample of (seed, epoch, index).

So the batches of a run do not depend on the number of workers or on where a resumed run starts, and nothing here
touches the global random generators.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import sys
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Final, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch

from yolov12.config.run import TrainConfig
from yolov12.config.tasks import TASKS
from yolov12.data import classify, mosaic
from yolov12.data.augment import hide_outside
from yolov12.data.index import ImageIndex
from yolov12.data.letterbox import canvas_sides
from yolov12.data.outlines import cut_outlines, join_rings, move_outlines
from yolov12.data.resized import (
    CACHE_SHARE,
    ResizedImages,
    covering_shapes,
    fitting_shapes,
    memory_bytes,
    shared_array,
)
from yolov12.data.sample import Batch, Sample, Targets, write_planes
from yolov12.data.targets import MASK_RATIO, TargetArrays, stack_targets
from yolov12.data.workers import WorkerPool, forks_safely
from yolov12.errors import DataError, ImageError, TrainingError

ORDER_STREAM: Final = 0
SAMPLE_STREAM: Final = 1
PREFETCH: Final = 2  # batches that each worker makes ahead
MAX_UNREADABLE: Final = 0.01  # part of the images that may become unreadable during a run (one always may)


def mirrors(index: ImageIndex, task: str) -> bool:
    """Whether pictures of `index` may be mirrored left-right for `task`.

    Not where keypoints are learned and nobody said how left and right pair: `fliplr` and `copy_paste` are off then.
    """
    return not TASKS[task].keypoints or index.flip_idx is not None


class TrainSet:
    """The augmented samples of a data set; `sample(epoch, index)` is a pure function while the files stay."""

    def __init__(self, index: ImageIndex, config: TrainConfig, task: str = "detect") -> None:
        if not len(index):
            raise DataError("the training set has no images")
        if TASKS[task].keypoints and index.keypoints is None:
            raise DataError("the training set has no keypoints, which a pose model learns from")
        self.index, self.task = index, task
        self.config = config if mirrors(index, task) else dataclasses.replace(config, fliplr=0.0, copy_paste=0.0)
        self.imgsz, _ = canvas_sides(config.imgsz)
        budget = memory_bytes() // CACHE_SHARE if config.cache else 0
        if not TASKS[task].boxes:
            shapes, how = covering_shapes(index.sizes, round(classify.CROP_MARGIN * self.imgsz)), cv2.INTER_AREA
        else:
            shapes, how = fitting_shapes(index.sizes, self.imgsz), cv2.INTER_LINEAR
        self.images = ResizedImages(index, shapes, budget, config.max_pixels, how)
        # Original pixels to pixels of the resized image, (N, 2) for x and y.
        self.gains = shapes[:, ::-1] / index.sizes[:, ::-1]
        per_object = np.repeat(self.gains, np.diff(index.offsets), axis=0)  # (M, 2)
        self.boxes = (index.boxes * np.tile(per_object, 2)).astype(np.float32)
        self.unreadable: dict[int, str] = {}
        """Images that could not be read during training, and why."""

    def __len__(self) -> int:
        return len(self.index)

    def sample(self, epoch: int, index: int) -> Sample:
        """The sample made for image `index` in `epoch`: imgsz x imgsz pixels."""
        config = self.config
        if epoch >= config.epochs - config.close_mosaic:
            config = dataclasses.replace(config, mosaic=0.0, mixup=0.0, copy_paste=0.0)
        rng = np.random.default_rng((SAMPLE_STREAM, config.seed, epoch, index))
        if not TASKS[self.task].boxes:
            return classify.training_sample(self.plain(index), rng, config, self.imgsz)
        flip_idx = self.index.flip_idx if TASKS[self.task].keypoints else None
        return mosaic.training_sample(self.plain, len(self), index, rng, config, self.imgsz, flip_idx)

    def plain(self, index: int) -> Sample:
        """Image `index` at its training size with its objects, or the next one that can be read."""
        for position in range(index, index + len(self)):
            position %= len(self)
            try:
                image = self.images.read(position)
            except ImageError as error:
                self.unreadable[position] = str(error)
                self.check_unreadable()
                continue
            return self._labelled(image, position)
        raise self._too_many()

    def check_unreadable(self) -> None:
        """Raise TrainingError when too many images have become unreadable."""
        if len(self.unreadable) > max(1, MAX_UNREADABLE * len(self)):
            raise self._too_many()

    def _too_many(self) -> TrainingError:
        return TrainingError(
            f"{len(self.unreadable)} of {len(self)} training images have become unreadable since the data set was "
            f"checked (limit {MAX_UNREADABLE:.0%}): {next(iter(self.unreadable.values()))}"
        )

    def _labelled(self, image: npt.NDArray[np.uint8], position: int) -> Sample:
        """Image `position`, resized, with its objects.

        Crowd regions teach nothing and are left out; keypoints are taken along only where they are learned.
        """
        index, rows, gain = self.index, self.index.objects(position), self.gains[position]
        single, shape = ~index.crowd[rows], (image.shape[0], image.shape[1])
        sample = Sample(image, self.boxes[rows][single], index.labels[rows][single])
        if index.polygon_offsets[rows.stop] > index.polygon_offsets[rows.start]:
            outlines = [join_rings(index.rings(row)) for row in np.arange(rows.start, rows.stop)[single]]
            # Labels may go on outside the picture, and would lie on the neighbour in a mosaic.
            sample.polygons, _ = cut_outlines(move_outlines(outlines, lambda points: points * gain), shape)
        if TASKS[self.task].keypoints and index.keypoints is not None:
            keypoints = index.keypoints[rows][single]
            keypoints[..., :2] *= gain
            sample.keypoints = hide_outside(keypoints, shape)
        return sample


class _Task(NamedTuple):
    epoch: int
    indices: tuple[int, ...]
    slot: int


class _Made(NamedTuple):
    """What a worker sends back; what is large, the pixels and the masks, is in the shared slot."""

    targets: TargetArrays
    unreadable: dict[int, str]


class _Slots(NamedTuple):
    """Memory for batches under way: S slots of B samples."""

    images: npt.NDArray[np.uint8]  # (S, B, 3, H, W)
    masks: npt.NDArray[np.int16]  # (S, B, H / 4, W / 4); S = 0 for tasks without masks

    @classmethod
    def shared(cls, count: int, batch: int, side: int, *, masks: bool) -> _Slots:
        """Slots that this process and its workers see."""
        small = side // MASK_RATIO
        values = shared_array(count * masks, batch, small, small * 2).view(np.int16)
        return cls(shared_array(count, batch, 3, side, side), values)


def _make(dataset: TrainSet, task: _Task, images: npt.NDArray[np.uint8], at: Callable[[int], None]) -> _Made:
    """Make the samples of `task`, their pixels straight into `images` (B, 3, H, W)."""
    samples = []
    for index, planes in zip(task.indices, images, strict=True):
        at(index)
        sample = dataset.sample(task.epoch, index)
        write_planes(sample.image, planes)
        samples.append(sample)
    return _Made(stack_targets(samples, dataset.task), dict(dataset.unreadable))


def _make_in_slot(dataset: TrainSet, slots: _Slots, task: _Task, at: Callable[[int], None]) -> _Made:
    made = _make(dataset, task, slots.images[task.slot, : len(task.indices)], at)
    if made.targets.masks is None:
        return made
    slots.masks[task.slot, : len(task.indices)] = made.targets.masks
    return made._replace(targets=made.targets._replace(masks=None))


def _path(dataset: TrainSet, image: int) -> str:
    return str(dataset.index.paths[image])


class TrainLoader:
    """Batches of `config.batch` samples (the last one of an epoch may be smaller), made ahead by worker processes.

    Workers start with the first epoch and stay until `close()`, or until the loader is dropped. One epoch is iterated
    at a time. On platforms that cannot fork, batches are made in the calling process. `pin_memory` puts the pixels into
    page-locked memory, from which copies to a GPU run beside the computation. Targets hold what `task` needs.
    """

    def __init__(
        self, index: ImageIndex, config: TrainConfig, *, task: str = "detect", pin_memory: bool = False
    ) -> None:
        self.dataset = TrainSet(index, config, task)
        self.batch, self.seed = config.batch, config.seed
        self.steps_per_epoch = -(-len(index) // config.batch)
        self.pin_memory = pin_memory
        self.workers = min(config.workers, _cpu_count(), self.steps_per_epoch) if forks_safely() else 0
        side = self.dataset.imgsz
        count, most = self.workers * PREFETCH, min(self.batch, len(index))
        self._slots = _Slots.shared(count, most, side, masks=TASKS[task].masks)
        self._pool: WorkerPool[_Task, _Made] | None = None

    @property
    def unreadable(self) -> dict[int, str]:
        """Images that could not be read since the start, by their position in the index, and why."""
        return self.dataset.unreadable

    def order(self, epoch: int) -> npt.NDArray[np.int64]:
        """The order of the images (N,) in `epoch`."""
        return np.random.default_rng((ORDER_STREAM, self.seed, epoch)).permutation(len(self.dataset))

    def epoch(self, epoch: int, start_step: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from `start_step` on."""
        order = self.order(epoch)
        slots = max(len(self._slots.images), 1)
        tasks = [
            _Task(epoch, tuple(order[step * self.batch : (step + 1) * self.batch].tolist()), step % slots)
            for step in range(start_step, self.steps_per_epoch)
        ]
        return self._from_workers(tasks) if self.workers else self._from_here(tasks)

    def _from_here(self, tasks: list[_Task]) -> Iterator[Batch]:
        for task in tasks:
            images = self._empty_images(task)
            made = _make(self.dataset, task, images.numpy(), lambda image: None)
            yield _batch(task, images, made)

    def _from_workers(self, tasks: list[_Task]) -> Iterator[Batch]:
        if self._pool is None:
            # Bound to the parts and not to this object: without a cycle, a loader that is dropped ends its workers.
            work = functools.partial(_make_in_slot, self.dataset, self._slots)
            self._pool = WorkerPool(work, self.workers, functools.partial(_path, self.dataset))
        pool, ahead = self._pool, len(self._slots.images)
        pool.discard_pending()  # left over when an epoch was not iterated to its end
        for task in tasks[:ahead]:
            pool.submit(task)
        for step, task in enumerate(tasks):
            made = pool.receive()
            self.dataset.unreadable.update(made.unreadable)
            self.dataset.check_unreadable()
            # Copied out, so that the worker can go on in this slot while the batch is used.
            images = self._empty_images(task)
            images.copy_(torch.from_numpy(self._slots.images[task.slot, : len(task.indices)]))
            if len(self._slots.masks):
                masks = self._slots.masks[task.slot, : len(task.indices)].copy()
                made = made._replace(targets=made.targets._replace(masks=masks))
            if step + ahead < len(tasks):
                pool.submit(tasks[step + ahead])
            yield _batch(task, images, made)

    def _empty_images(self, task: _Task) -> torch.Tensor:
        side = self.dataset.imgsz
        return torch.empty((len(task.indices), 3, side, side), dtype=torch.uint8, pin_memory=self.pin_memory)

    def close(self) -> None:
        """Stop the workers; a later epoch starts new ones."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def __enter__(self) -> TrainLoader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _batch(task: _Task, images: torch.Tensor, made: _Made) -> Batch:
    targets = Targets._make(None if array is None else torch.from_numpy(array) for array in made.targets)
    return Batch(images, targets, torch.tensor(task.indices, dtype=torch.int64))


def _cpu_count() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else (os.cpu_count() or 1)
