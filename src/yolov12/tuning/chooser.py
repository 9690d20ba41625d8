"""What a model runs on: torch at once, and from the next call on what was measured to be faster.

A choice that is remembered is used from the first call. Otherwise the first call starts the measuring in a process of
its own, which ends with this one, and later calls look whether it is done. One call, or one stream, keeps its runtime.
"""

from __future__ import annotations

import atexit
import contextlib
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from yolov12.checkpoint import ModelFile, read_model_file, write_model_file
from yolov12.errors import YoloError
from yolov12.export.run import digest_of
from yolov12.inference.backends.base import Opened
from yolov12.inference.exported import ExportedRuntime, open_exported
from yolov12.inference.runtime import Runtime
from yolov12.tuning.choice import Choice, is_allowed, place, read_choice, remember_file
from yolov12.tuning.measure import installed, tune


class Chooser:
    """The runtimes of one set of weights on the processor; `file` makes those weights when they are needed.

    `path`: the file that they were read from.
    """

    def __init__(self, file: Callable[[], ModelFile], path: Path | None = None) -> None:
        self._file, self._path = file, path
        self._lock = threading.Lock()
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
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
                return self._chosen
        return otherwise()

    def tune(self, imgsz: int) -> Choice:
        """Measure now, whatever is remembered; the choice holds from the next call on."""
        with self._lock:
            self._stop()
            self.choice = tune(self._file(), self._home, imgsz)
            self._settle(verbose=False)
            return self.choice

    def wanted(self, name: str, precision: str, imgsz: int) -> Runtime:
        """The runtime that was asked for by name; its artefact is made, and checked, where there is none yet."""
        with self._lock:
            if (name, precision) not in self._opened:
                folder = self._home / name
                choice = read_choice(folder) or tune(self._file(), folder, imgsz, only=name)
                self._opened[name, precision] = open_exported(folder / choice.file, Opened("cpu", precision))
            return self._opened[name, precision]

    @property
    def _home(self) -> Path:
        if self._folder is None:
            self._folder = place(digest_of(self._file()))
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
        self._settled = True
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
            if place(digest_of(read_model_file(path))) == self._home:
                remember_file(path, self._home)

    def _start(self, imgsz: int) -> None:
        self._scratch = tempfile.TemporaryDirectory()
        model = Path(self._scratch.name) / "model.safetensors"
        write_model_file(model, self._file())
        command = [sys.executable, "-m", "yolov12.tuning.job", str(model), str(self._home), str(imgsz)]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                         stderr=subprocess.DEVNULL)  # fmt: skip
        atexit.register(self._stop)

    def close(self) -> None:
        """End what still runs."""
        with self._lock:
            self._settled = True
            self._stop()

    def _stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._process = None
        if self._scratch is not None:
            self._scratch.cleanup()
            self._scratch = None
