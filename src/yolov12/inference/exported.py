"""A runtime on an exported file: the backend's outputs as `Decoded`, in batches that the file allows. No torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from yolov12.artefact import Artefact
from yolov12.config.tasks import TASKS
from yolov12.detections import Decoded
from yolov12.errors import CheckpointError, ConfigError
from yolov12.inference.backends import open_backend
from yolov12.inference.backends.base import Backend, Canvases, Opened, Outputs, reason_of


class ExportedRuntime:
    """Runs an exported file; may be called from many threads."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.artefact: Artefact = backend.artefact
        self.name, self.precision = backend.name, backend.precision

    def __call__(self, images: NDArray[np.uint8], min_score: float = 0.0) -> Decoded:
        """Decoded output of canvases (B, H, W, 3); ConfigError for a canvas that the file was not made for."""
        artefact, shape = self.artefact, images.shape[1:3]
        if not artefact.dynamic and shape != artefact.imgsz:
            raise ConfigError(
                f"this file takes canvases of {artefact.imgsz[0]}x{artefact.imgsz[1]} (height x width), "
                f"not {shape[0]}x{shape[1]}: leave --imgsz and --augment out, or export with --dynamic"
            )
        if artefact.dynamic:
            return self._decoded(self._run(images, min_score), len(images))
        return self._decoded(self._in_batches(images, min_score), len(images))

    def whole(self, images: NDArray[np.uint8]) -> Decoded:
        """The same, by one call of the graph: batches that a file of fixed shape does not take are its own errors."""
        return self._decoded(self._run(images, 0.0, whole=True), len(images))

    def for_one_call(self) -> ExportedRuntime:
        """What one call or stream runs on, unchanged to its end; the backend may become faster between calls."""
        return ExportedRuntime(self._backend.for_one_call())

    def _run(self, images: Canvases, min_score: float, *, whole: bool = False) -> Outputs:
        try:
            return self._backend.run(images, min_score, whole=whole)
        except (RuntimeError, ValueError, TypeError, KeyError) as error:  # a graph that is not what it is said to be
            raise CheckpointError(f"this {self.artefact.format} file cannot be run ({reason_of(error)})") from error

    def _decoded(self, found: Outputs, count: int) -> Decoded:
        artefact = self.artefact
        dense, prototypes = found[0], found[1] if len(found) > 1 else None
        check_shape(dense, prototypes, artefact)
        if len(dense) != count:
            raise CheckpointError(f"this {artefact.format} file answers for {len(dense)} pictures, not for {count}")
        if artefact.suppression is not None:
            dense = dense_of_rows(dense, len(artefact.names))
        return Decoded(dense, prototypes, artefact.keypoint_shape)

    def _in_batches(self, images: Canvases, min_score: float) -> Outputs:
        """Outputs of any number of images from a graph that takes a few; the last batch is filled up."""
        size = self.artefact.batch
        rest = -len(images) % size
        filled = np.concatenate((images, np.repeat(images[-1:], rest, axis=0))) if rest else images
        parts = [self._run(filled[start : start + size], min_score) for start in range(0, len(filled), size)]
        return tuple(np.concatenate(outputs)[: len(images)] for outputs in zip(*parts, strict=True))


def check_shape(dense: NDArray[np.float32], prototypes: NDArray[np.float32] | None, artefact: Artefact) -> None:
    """Raise CheckpointError for outputs that the task and the classes of the description do not explain."""
    task, classes = TASKS[artefact.task], len(artefact.names)
    extras = prototypes.shape[1] if prototypes is not None else 0
    extras += int(np.prod(artefact.keypoint_shape)) if artefact.keypoint_shape is not None else 0
    extras += int(task.rotated)
    if not task.boxes:
        fits, expected = dense.ndim == 2 and dense.shape[1] == classes, f"(B, {classes})"
    elif artefact.suppression is not None:
        fits, expected = dense.ndim == 3 and dense.shape[2] == 6 + extras, f"(B, M, {6 + extras})"
    else:
        fits, expected = dense.ndim == 3 and dense.shape[1] == 4 + classes + extras, f"(B, {4 + classes + extras}, A)"
    if not fits or (prototypes is not None) != task.masks:
        raise CheckpointError(f"this {artefact.format} file answers {dense.shape}, but is described as {expected}")


def open_exported(path: Path, opened: Opened | None = None) -> ExportedRuntime:
    """The runtime of an exported file; CheckpointError for one that is damaged, SetupError for what is missing."""
    return ExportedRuntime(open_backend(path, opened or Opened()))


def dense_of_rows(rows: NDArray[np.float32], num_classes: int) -> NDArray[np.float32]:
    """Rows (B, M, 6 + E) of x1, y1, x2, y2, score, class, extras as dense output (B, 4 + C + E, M).

    Suppressing them once more keeps them all, so that whatever follows need not know of it.
    """
    x1, y1, x2, y2, scores, labels = np.moveaxis(rows[..., :6], -1, 0)  # each (B, M)
    boxes = np.stack(((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1), 1)  # (B, 4, M)
    classes = np.arange(num_classes)[None, :, None] == labels[:, None]  # (B, C, M)
    return np.concatenate((boxes, classes * scores[:, None], np.moveaxis(rows[..., 6:], -1, 1)), 1).astype(np.float32)
