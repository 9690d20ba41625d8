"""Backends that run the pictures of a batch side by side, each on a thread of its own, once that pays."""

from __future__ import annotations

import contextlib
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from yolov12.artefact import Artefact
from yolov12.inference.backends.base import Backend, Canvases, Outputs, Steady, one_by_one

FEW = 64
"""Pictures in batches for which making a second graph, for batches, does not pay."""


Together = tuple[Any, ThreadPoolExecutor]
"""A graph that computes on one thread, or in one stream for each, and a pool that gives it a batch's pictures."""


class ForBatches:
    """Runs the pictures of batches side by side, by a graph of its own, made once it pays; `ready` is None before."""

    def __init__(self, threads: int) -> None:
        self._threads, self._lock = threads, threading.Lock()
        self._seen, self._asked = 0, False
        self.ready: Together | None = None

    def at_once(self, pictures: int, open_graph: Callable[[], Any]) -> Together | None:
        """The graph for a batch that has come; made in place, always at the same picture."""
        with self._lock:
            self._seen += pictures
            if self._seen > FEW and self.ready is None:
                self.ready = self._made(open_graph)
            return self.ready

    def note(self, pictures: int, open_graph: Callable[[], Any]) -> None:
        """A batch has come; begin to make the graph beside it if there have been enough of them."""
        with self._lock:
            self._seen += pictures
            due = self._seen > FEW and not self._asked
            self._asked |= due
        if due:
            with contextlib.suppress(RuntimeError):  # no thread to be had: the other graph goes on
                threading.Thread(target=self._prepare, args=(open_graph,), name="for-batches").start()

    def _prepare(self, open_graph: Callable[[], Any]) -> None:
        with contextlib.suppress(Exception):  # of types of the library's own
            self.ready = self._made(open_graph)

    def _made(self, open_graph: Callable[[], Any]) -> Together:
        return open_graph(), ThreadPoolExecutor(self._threads, "batch")


class SideBySide(ABC):
    """A backend with a graph on all threads for single pictures; for batches, once it pays, one with a stream for each.

    A subclass sets `name`, `precision`, `artefact` and `alone`, the graph on all threads.
    """

    name: str
    precision: str
    artefact: Artefact
    alone: Any
    takes_batches = False
    """Whether the graph on all threads is as good for batches."""

    def __init__(self, threads: int) -> None:
        self.threads, self.batches = threads, ForBatches(threads)

    @abstractmethod
    def open_for_batches(self) -> Any:
        """A graph that several threads can use at the same time."""

    @abstractmethod
    def run_on(self, graph: Any, min_score: float, images: Canvases) -> Outputs:
        """Outputs of a graph."""

    def run(self, images: Canvases, min_score: float = 0.0, *, whole: bool = False) -> Outputs:
        """Outputs of a batch."""
        return self.run_general(images, min_score, self._for_batch, whole=whole)

    def _for_batch(self, pictures: int) -> Together | None:
        return self.batches.at_once(pictures, self.open_for_batches)

    def for_one_call(self) -> Backend:
        """What one call or stream runs on."""
        return OneCall(self)

    def run_general(
        self, images: Canvases, min_score: float, for_batch: Callable[[int], Together | None], *, whole: bool
    ) -> Outputs:
        """Outputs of a batch by the graphs for all sizes; `for_batch` gives the one for so many pictures at once."""
        alone = partial(self.run_on, self.alone, min_score)
        if whole or self.takes_batches:
            return alone(images)
        if len(images) == 1 or self.threads == 1 or not self.artefact.dynamic:
            return one_by_one(alone, images) if self.artefact.batch == 1 else alone(images)
        together = for_batch(len(images))
        if together is None:
            return one_by_one(alone, images)
        graph, pool = together
        return one_by_one(partial(self.run_on, graph, min_score), images, pool)


class OneCall(Steady):
    """A backend for one call or stream, which keeps to the graphs that it began with."""

    def __init__(self, backend: SideBySide) -> None:
        self.name, self.precision, self.artefact = backend.name, backend.precision, backend.artefact
        self._backend, self._together = backend, backend.batches.ready

    def run(self, images: Canvases, min_score: float = 0.0, *, whole: bool = False) -> Outputs:
        """Outputs of a batch."""
        return self._backend.run_general(images, min_score, self._for_batch, whole=whole)

    def _for_batch(self, pictures: int) -> Together | None:
        """What is ready; where nothing is, later calls may have a graph for it."""
        self._backend.batches.note(pictures, self._backend.open_for_batches)
        return self._together
