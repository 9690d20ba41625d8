"""What a backend promises, and what the backends share."""

from __future__ import annotations

import contextlib
import os
import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from yolov12.artefact import Artefact, read_artefact
from yolov12.errors import CheckpointError, ConfigError, SetupError, printable

Canvases = NDArray[np.uint8]
"""(B, H, W, 3) uint8 BGR."""
Outputs = tuple[NDArray[np.float32], ...]
"""As the artefact names them, each with the batch in front."""
DESCRIPTION = "yolov12"
"""Name of the entry that holds the description, where a format has named entries."""
DESCRIPTION_FILE = "yolov12.json"
"""Name of the file that holds it, where the format is a folder."""


@dataclass(frozen=True)
class Opened:
    """How to run: 'auto', 'cpu', 'cuda' ...; 'auto', 'fp32', 'bf16' ...; 0 threads: as many as there are cores."""

    device: str = "auto"
    precision: str = "auto"
    threads: int = 0

    @property
    def cores(self) -> int:
        """The number of threads: as said, else as OMP_NUM_THREADS says (torch heeds it too), else one for each core."""
        said = os.environ.get("OMP_NUM_THREADS", "")
        return self.threads or (int(said) if said.isdecimal() and int(said) else available_cores())


class Backend(Protocol):
    """An exported file, ready to run from many threads; `name` and `precision` are what results say of it."""

    name: str
    precision: str
    artefact: Artefact

    def __init__(self, path: Path, opened: Opened) -> None: ...

    def run(self, images: Canvases, min_score: float = 0.0, *, whole: bool = False) -> Outputs:
        """Outputs of a batch of canvases that the artefact allows; `whole`: in one call of the graph.

        Anchors that have no score above `min_score` may have zeros for everything but their scores.
        """

    def for_one_call(self) -> Backend:
        """What one call or stream runs on, unchanged to its end; the backend may become faster between calls."""


class Steady:
    """A backend that stays as it is."""

    def for_one_call(self) -> Self:
        """The same."""
        return self


class TakingTurns(Steady, ABC):
    """A backend for the CPU whose library keeps outputs inside: calls from several threads use it in turns."""

    name: str
    title: str
    """The library's name as its makers write it."""

    def __init__(self, path: Path, opened: Opened) -> None:
        self.require()
        cpu_only(opened, self.title)
        with reading(path):
            self.artefact = self.load(path, opened)
        self._turn = threading.Lock()
        self.precision = fixed_precision(opened, self.artefact, self.title)

    def run(self, images: Canvases, min_score: float = 0.0, *, whole: bool = False) -> Outputs:
        """Outputs of a batch of the size that the file is for."""
        with self._turn:
            return float_outputs(self.infer(blob(images)))

    @abstractmethod
    def require(self) -> None:
        """Import the library; SetupError where it is missing or this system cannot run it."""

    @abstractmethod
    def load(self, path: Path, opened: Opened) -> Artefact:
        """Make the file ready to run, and say what it is."""

    @abstractmethod
    def infer(self, images: NDArray[np.float32]) -> Sequence[Any]:
        """What the library finds in (B, 3, H, W), in the artefact's order."""


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def device_name(device: str) -> str:
    """'cuda:1' of '1'; ConfigError for what is no device."""
    name = f"cuda:{device}" if device.isdecimal() else device
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
        raise ConfigError(f"--device {device!r}: expected auto, cpu, cuda, cuda:N or a GPU number")
    return name


def as_rgb(images: Canvases) -> Canvases:
    """The same canvases in the other order of colours."""
    flat = np.ascontiguousarray(images).reshape(-1, images.shape[2], 3)  # (B * H, W, 3)
    return cv2.cvtColor(flat, cv2.COLOR_BGR2RGB).reshape(images.shape).astype(np.uint8, copy=False)


def blob(images: Canvases) -> NDArray[np.float32]:
    """Canvases as networks take them: (B, 3, H, W) float32 RGB, 0..1."""
    return cv2.dnn.blobFromImages(list(images), 1 / 255, swapRB=True).astype(np.float32, copy=False)


def one_by_one(run: Callable[[Canvases], Outputs], images: Canvases, pool: ThreadPoolExecutor | None = None) -> Outputs:
    """Each image by itself, so that its outputs do not depend on its neighbours; side by side on a pool."""
    singles = np.split(images, len(images))
    found: Sequence[Outputs] = list(pool.map(run, singles) if pool is not None else map(run, singles))
    return tuple(np.concatenate(parts) for parts in zip(*found, strict=True))


def float_outputs(outputs: Sequence[Any]) -> Outputs:
    """Whatever arrays a library hands out, as float32 arrays of our own."""
    return tuple(np.array(output, dtype=np.float32) for output in outputs)


def described(folder: Path) -> Artefact:
    """The description in an exported folder; CheckpointError where there is none."""
    file = folder / DESCRIPTION_FILE
    return read_artefact(file.read_text(encoding="utf8") if file.is_file() else None)


def check_inputs(ranks: Sequence[int], artefact: Artefact) -> None:
    """Raise CheckpointError for a graph whose inputs have other numbers of axes than its description says."""
    expected = [4, 0][: len(artefact.inputs)]  # images and, where the graph is lazy, a score
    if list(ranks) != expected:
        raise CheckpointError(f"the graph takes inputs of {list(ranks)} axes, but is described as taking {expected}")


def contents(file: Path, magic: bytes) -> bytes:
    """The bytes of a file of a format that has `magic` behind four others; CheckpointError for any other file."""
    if not file.is_file():
        raise CheckpointError(f"{file.name} is missing")
    data = file.read_bytes()
    if data[4 : 4 + len(magic)] != magic:
        raise CheckpointError(f"{file.name} is damaged, or of another format")
    return data


def cpu_only(opened: Opened, what: str) -> None:
    """Raise SetupError for a device that `what` does not run on."""
    if device_name(opened.device) not in ("auto", "cpu"):
        raise SetupError(f"--device {opened.device}: {what} runs on the CPU here")


def fixed_precision(opened: Opened, artefact: Artefact, what: str) -> str:
    """The precision of the file; SetupError when another one is wanted."""
    if opened.precision not in ("auto", artefact.precision):
        raise SetupError(f"--precision {opened.precision}: {what} computes this file in {artefact.precision}")
    return artefact.precision


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn whatever a library raises over a damaged file into a CheckpointError that names it."""
    try:
        yield
    except (SetupError, ConfigError, MemoryError):
        raise
    except CheckpointError as error:
        raise CheckpointError(f"{printable(path)}: {error}") from error
    except Exception as error:  # libraries raise types of their own, RuntimeError, even ValueError
        advice = "if it is damaged or cut short, copy or export it again"
        raise CheckpointError(f"{printable(path)}: cannot be read ({reason_of(error)}); {advice}") from error


def reason_of(error: Exception) -> str:
    """What a library says, in one line without the places in its own source that come first."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith(("Exception from ", "Check '"))]
    return (telling or lines or [type(error).__name__])[0][:200]
