"""Processes that make batches ahead of the training loop: forked once, fed through pipes, replaced when they die.

Small on purpose, and instead of torch's DataLoader for four reasons: it draws nothing from the global random
generators, needs nothing from /dev/shm (64 MB in a default container), a killed worker is noticed where the batch is
awaited and not inside an optimizer step, and an unfinished batch can simply be made again, because a batch is a pure
function of its task.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import signal
import sys
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Final, Generic, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from yolov12.data.resized import shared_array
from yolov12.errors import ResourceError, YoloError

TaskT = TypeVar("TaskT")
ResultT = TypeVar("ResultT")
Work = Callable[[TaskT, Callable[[int], None]], ResultT]
"""`work(task, at)` makes one result; it calls `at(image)` before each image, so that a stuck one can be named."""

HANG_SECONDS: Final = 60.0
JOIN_SECONDS: Final = 5.0
REMEDY: Final = "Try --workers 0 (loads in the training process), fewer --workers or a smaller --batch"


def forks_safely() -> bool:
    """Whether this platform has processes that share memory by forking."""
    return sys.platform == "linux"


class _LostError(Exception):
    """A worker died or hangs; the text says which."""


class WorkerPool(Generic[TaskT, ResultT]):
    """`count` processes that turn tasks into results; results come back in the order of the tasks.

    `name` turns the number that `work` reports into something that a person recognises, for messages.
    """

    def __init__(self, work: Work[TaskT, ResultT], count: int, name: Callable[[int], str]) -> None:
        self._work, self._name = work, name
        # Per worker: how many images it has begun, and which one it is at.
        self._progress = shared_array(count * 16).view(np.int64).reshape(count, 2)
        self._pending: deque[tuple[int, TaskT]] = deque()
        self._next = 0
        self._connections: list[Connection] = []
        self._processes: list[BaseProcess] = []
        for number in range(count):
            connection, process = self._start(number)
            self._connections.append(connection)
            self._processes.append(process)

    def submit(self, task: TaskT) -> None:
        """Give a task to the next worker in turn. Tasks must be small (a pipe holds 64 KB)."""
        number = self._next
        self._next = (number + 1) % len(self._processes)
        self._pending.append((number, task))
        self._send(number, task)

    def receive(self) -> ResultT:
        """The result of the oldest pending task; a worker that dies over it is replaced once."""
        number, _ = self._pending[0]
        try:
            result = self._await(number)
        except _LostError:
            self._restart(number)
            try:
                result = self._await(number)
            except _LostError as lost:
                self._pending.popleft()
                at = f" at image {self._name(int(self._progress[number, 1]))}" if self._progress[number, 0] else ""
                raise ResourceError(f"loader worker {number} {lost}{at}, twice for the same batch. {REMEDY}") from None
        self._pending.popleft()
        if isinstance(result, YoloError):
            raise result
        return result

    def discard_pending(self) -> None:
        """Wait for the tasks that are under way and forget what they give."""
        while self._pending:
            with contextlib.suppress(YoloError):
                self.receive()

    def close(self) -> None:
        """Stop the workers at once; they hold nothing that could be lost."""
        for process in self._processes:
            process.terminate()
        for connection, process in zip(self._connections, self._processes, strict=True):
            self._reap(connection, process)
        self._connections.clear()
        self._processes.clear()

    def _start(self, number: int) -> tuple[Connection, BaseProcess]:
        ours, theirs = multiprocessing.Pipe()
        # The child inherits our ends of all pipes and has to close them: a worker ends when nobody holds its pipe.
        arguments = (self._work, theirs, [*self._connections, ours], self._progress[number])
        process = multiprocessing.get_context("fork").Process(
            target=_serve, args=arguments, name=f"yolov12-loader-{number}", daemon=True
        )
        with _ready_to_fork():
            process.start()
        theirs.close()
        return ours, process

    def _restart(self, number: int) -> None:
        self._processes[number].kill()
        self._reap(self._connections[number], self._processes[number])
        self._connections[number], self._processes[number] = self._start(number)
        for owner, task in self._pending:
            if owner == number:
                self._send(number, task)

    def _send(self, number: int, task: TaskT) -> None:
        # Fails where the worker is dead: `receive` finds out, replaces it and sends its tasks again.
        with contextlib.suppress(OSError):
            self._connections[number].send(task)

    def _reap(self, connection: Connection, process: BaseProcess) -> None:
        connection.close()
        process.join(JOIN_SECONDS)
        if process.exitcode is None:
            process.kill()
            process.join(JOIN_SECONDS)

    def _await(self, number: int) -> ResultT | YoloError:
        connection, process = self._connections[number], self._processes[number]
        begun = -1
        while not wait([connection, process.sentinel], HANG_SECONDS):
            if self._progress[number, 0] == begun:
                raise _LostError(f"(process {process.pid}) has been stuck for {HANG_SECONDS:g} s")
            begun = int(self._progress[number, 0])
        try:
            if connection.poll():
                result: ResultT | YoloError = connection.recv()
                return result
        except (EOFError, ConnectionResetError):
            pass
        process.join(JOIN_SECONDS)
        raise _LostError(f"(process {process.pid}) {_ending(process.exitcode)}")


@contextlib.contextmanager
def _ready_to_fork() -> Iterator[None]:
    """What a child inherits of threads and garbage must not stop it."""
    threads, collecting = cv2.getNumThreads(), gc.isenabled()
    cv2.setNumThreads(0)  # ends OpenCV's threads: a child that inherits their locks could wait for them forever
    gc.disable()  # a child must not collect what is not its own: destructors of libraries wait for threads it has not
    try:
        with warnings.catch_warnings():
            # Python warns of forking beside threads. Workers use NumPy and OpenCV on one thread, and nothing of torch.
            warnings.filterwarnings("ignore", ".*multi-threaded.*fork", DeprecationWarning)
            yield
    finally:
        cv2.setNumThreads(threads)
        if collecting:
            gc.enable()


def _ending(exit_code: int | None) -> str:
    """How a process ended, in words."""
    if exit_code is not None and exit_code < 0:
        name = signal.Signals(-exit_code).name
        return f"was killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
    return f"ended with exit code {exit_code} (its traceback is above)"


def _serve(
    work: Work[TaskT, ResultT], connection: Connection, inherited: list[Connection], progress: npt.NDArray[np.int64]
) -> None:
    """A worker's life: tasks in, results out, until the pipe closes."""
    gc.freeze()  # what is inherited is never collected here, see `_ready_to_fork`
    gc.enable()
    for other in inherited:
        other.close()
    # Ctrl-C reaches the whole process group: only the training process decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def at(image: int) -> None:
        progress[1] = image
        progress[0] += 1

    while True:
        try:
            task = connection.recv()
        except (EOFError, ConnectionResetError):  # the run has ended, in order or not
            return
        try:
            result: ResultT | YoloError = work(task, at)
        except YoloError as error:
            result = error
        try:
            connection.send(result)
        except OSError:
            return  # the training process is gone
