"""What a model runs on: torch at once, and from the next call on what was measured to be faster.

A choice that is remembered is used from the first call. Otherwise the second call starts the measuring in a process of
its own, which ends with this one, and later calls look whether it is done. One call, or one stream, keeps its runtime.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from yolov12.checkpoint import ModelFile, read_model_file, write_model_file
from yolov12.errors import YoloError
from yolov12.export.run import identity_of
from yolov12.folders import cache_folder, remove
from yolov12.inference.backends.base import Opened
from yolov12.inference.exported import ExportedRuntime, open_exported
from yolov12.inference.runtime import Runtime
from yolov12.tuning.choice import Choice, is_allowed, is_remembered, place, read_choice, remember_file
from yolov12.tuning.lock import claim, release
from yolov12.tuning.measure import installed, tune

PAUSE: Final = 0.5
"""Seconds between two looks at whether others still measure."""


class Chooser:
    """The runtimes of one set of weights on the processor; `file` makes those weights when they are needed.

    `path`: the file that they were read from.
    """

    def __init__(self, file: Callable[[], ModelFile], path: Path | None = None) -> None:
        self._file, self._path = file, path
        self._lock = threading.Lock()  # held for moments
        self._making = threading.Lock()  # held while artefacts are made
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._kill: weakref.finalize[..., Chooser] | None = None
        self._finish: weakref.finalize[..., Chooser] | None = None
        self._opened: dict[tuple[str, str], ExportedRuntime] = {}
        self._calls = 0
        self._settled = not is_allowed()
        self._chosen: ExportedRuntime | None = None
        self.choice: Choice | None = None

    def fastest(self, otherwise: Callable[[], Runtime], precision: str, imgsz: int, *, verbose: bool) -> Runtime:
        """The chosen runtime, or torch (`otherwise`) while there is no choice or it is of another precision."""
        with self._lock:
            if not self._settled:
                self._look(imgsz, verbose=verbose)
            if self._chosen is not None and precision in ("auto", self._chosen.precision):
                return self._chosen.for_one_call()
        return otherwise()

    def tune(self, imgsz: int) -> Choice:
        """Measure now, whatever is remembered; the choice holds from the next call on.

        Waits while others measure. Predictions of other threads go on, and are measured, too.
        """
        with self._making:
            with self._lock:
                self._stop()
                self._settled = True
            try:
                with measuring():
                    choice = tune(self._file(), self._home, imgsz)
            except BaseException:
                self._settled = not is_allowed()
                raise
            with self._lock:
                self.choice = choice
                self._settle(verbose=False)
            return choice

    def wanted(self, name: str, precision: str, imgsz: int) -> Runtime:
        """The runtime that was asked for by name; its artefact is made, and checked, where there is none yet."""
        if (name, precision) not in self._opened:
            with self._making:
                if (name, precision) not in self._opened:
                    folder = self._home / name
                    choice = read_choice(folder) or tune(self._file(), folder, imgsz, only=name)
                    self._opened[name, precision] = open_exported(folder / choice.file, Opened("cpu", precision))
        return self._opened[name, precision]

    @property
    def _home(self) -> Path:
        if self._folder is None:
            self._folder = place(identity_of(self._file()))
        return self._folder

    def _look(self, imgsz: int, *, verbose: bool) -> None:
        """Use the remembered choice; else have one made, from the second call on."""
        self._calls += 1
        self.choice = read_choice(self._home)
        if self.choice is not None:
            self._settle(verbose=verbose)
        elif self._process is not None:
            if self._process.poll() is not None:  # it failed, or its choice would be there
                self._stop()
                self._settled = True
        elif not installed():
            self._settled = True
        elif self._calls > 1:  # a program that asks once would not live to see the answer
            self._start(imgsz)

    def _settle(self, *, verbose: bool) -> None:
        choice = self.choice
        self._stop()
        self._settled, self._chosen = True, None
        if choice is None or not choice.file:
            return
        if self._path is not None:
            self._note_file(self._path)
        try:
            precision = choice.precision if choice.precision == "bf16" else "auto"
            self._chosen = open_exported(self._home / choice.file, Opened("cpu", precision))
        except YoloError as error:
            print(f"warning: the remembered runtime cannot be used: {error}", file=sys.stderr)
            return
        if verbose:
            print(f"runtime {choice.why}", file=sys.stderr)

    def _note_file(self, path: Path) -> None:
        """Let the choice be found by the file alone, if the weights still are those of the file."""
        with contextlib.suppress(YoloError, OSError):
            if not is_remembered(path) and place(identity_of(read_model_file(path))) == self._home:
                remember_file(path, self._home)

    def _start(self, imgsz: int) -> None:
        """Begin to measure in a process of its own. While others measure, later calls ask again."""
        if not sys.executable or getattr(sys, "frozen", False):  # a program of its own would start itself again
            self._settled = True
            return
        try:
            lock = claim(lock_file())
            if lock is None:
                return
            scratch = tempfile.TemporaryDirectory()
            self._finish = weakref.finalize(self, _clean, scratch, lock, self._home, os.getpid())
            _remove_unfinished(self._home)
            model = Path(scratch.name) / "model.safetensors"
            write_model_file(model, self._file())
            words = [str(model), str(self._home), str(imgsz), str(os.getpid())]
            temporary = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), scratch.name)  # what is killed leaves nothing behind
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "yolov12.tuning.job", *words], stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **temporary},
            )  # fmt: skip
            self._kill = weakref.finalize(self, _end, self._process, os.getpid())
        except (OSError, YoloError):
            self._settled = True
            self._stop()
        except BaseException:
            self._stop()
            raise

    def close(self) -> None:
        """End what still runs."""
        with self._lock:
            self._settled = True
            self._stop()

    def _stop(self) -> None:
        self._process = None
        for ending in (self._kill, self._finish):
            if ending is not None:
                ending()
        self._kill = self._finish = None


def lock_file() -> Path:
    """Whoever measures holds it."""
    path = cache_folder() / "runtimes" / "measuring.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@contextlib.contextmanager
def measuring() -> Iterator[None]:
    """Hold the lock inside the block, as soon as nobody else does; do without where files cannot be locked."""
    lock = None
    with contextlib.suppress(OSError):
        while (lock := claim(lock_file())) is None:
            time.sleep(PAUSE)
    try:
        yield
    finally:
        if lock is not None:
            release(lock)


def _end(process: subprocess.Popen[bytes], owner: int) -> None:
    if os.getpid() != owner:  # a forked process has inherited this
        return
    if process.poll() is None:
        process.kill()
    process.wait()


def _clean(scratch: tempfile.TemporaryDirectory[str], lock: BinaryIO, home: Path, owner: int) -> None:
    """Remove what a measuring that was ended has left."""
    if os.getpid() != owner:
        return
    _remove_unfinished(home)
    with contextlib.suppress(OSError):
        scratch.cleanup()
    release(lock)


def _remove_unfinished(home: Path) -> None:
    for left in home.glob(".*.tmp.*"):
        remove(left)
