"""The choice that was made for some weights on some hardware, and where it is remembered. No torch."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import importlib.metadata
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from yolov12.config.fields import from_fields
from yolov12.errors import ConfigError
from yolov12.folders import cache_folder, write_json
from yolov12.inference.backends.base import Opened, available_cores
from yolov12.version import __version__

CHOICE_FILE = "choice.json"
PACKAGES = (
    "torch", "openvino", "onnx", "onnxscript", "onnxruntime", "onnxruntime-gpu", "numpy",
    "opencv-python-headless", "opencv-python",
)  # fmt: skip
"""Whose versions decide what can be measured and how fast it is."""


@dataclass(frozen=True)
class Choice:
    """What runs these weights on this machine.

    file      of the compiled artefact, in the folder of the choice; empty for torch
    measured  milliseconds per picture by candidate, the median of turns; those that were not exact enough have none
    imgsz     side of the square that was measured
    why       one line for people
    """

    runtime: str
    precision: str
    file: str
    imgsz: int
    why: str
    measured: dict[str, float | None] = field(default_factory=dict)


def place(digest: str) -> Path:
    """The folder for weights of a digest on this hardware with these versions."""
    return cache_folder() / "runtimes" / f"{digest[:16]}-{hardware_key()}"


def hardware_key() -> str:
    """A short name of the processor, the cores and threads that may be used, and the versions that matter."""
    return _hardware_key(Opened().cores)


@functools.cache
def _hardware_key(threads: int) -> str:
    installed = [f"{package} {version}" for package, version in versions().items()]
    described = [__version__, processor(), f"{threads} of {available_cores()}", *installed]
    return hashlib.sha256("\n".join(described).encode()).hexdigest()[:12]


def versions() -> dict[str, str]:
    """Of the packages that matter, as far as they are installed."""
    found = {}
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def processor() -> str:
    """Name and abilities of the processor."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf8", errors="replace").splitlines()
        wanted = [line for line in lines if line.startswith(("model name", "flags", "Features"))]
        if wanted:
            return "\n".join(sorted(set(wanted)))
    return f"{platform.machine()} {platform.processor()}"


def read_choice(folder: Path) -> Choice | None:
    """The remembered choice; None if there is none that can be used."""
    try:
        values = json.loads((folder / CHOICE_FILE).read_text(encoding="utf8"))
        choice = from_fields("choice", Choice, values)
    except (OSError, ValueError, ConfigError, TypeError):
        return None
    if Path(choice.file).name != choice.file or (choice.file and not (folder / choice.file).exists()):
        return None
    return choice


def write_choice(folder: Path, choice: Choice) -> None:
    """Remember a choice."""
    write_json(folder / CHOICE_FILE, values_of(choice))


def is_remembered(model: Path) -> bool:
    """Whether it is noted where the choice for a model file is."""
    link = _link(model)
    return link is not None and link.exists()


def remember_file(model: Path, folder: Path) -> None:
    """Note that the choice for a model file is in `folder`, so that the file need not be read to find it."""
    link = _link(model)
    if link is not None and not link.exists():
        link.parent.mkdir(parents=True, exist_ok=True)
        write_json(link, {"folder": folder.name})


def artefact_for(model: Path) -> tuple[Path, str] | None:
    """The artefact that was chosen for a model file and why, None if torch was, or nobody has chosen."""
    link = _link(model)
    try:
        name = json.loads(link.read_text(encoding="utf8"))["folder"] if link is not None else ""
    except (OSError, ValueError, KeyError, TypeError):
        return None
    folder = cache_folder() / "runtimes" / str(name)
    choice = read_choice(folder) if Path(str(name)).name == name and name else None
    if choice is None or not choice.file or choice.precision == "bf16":  # which the file alone does not say
        return None
    return folder / choice.file, choice.why


def _link(model: Path) -> Path | None:
    """Where it is noted; None for a file that cannot be read."""
    try:
        digest = hashlib.sha256(model.read_bytes()).hexdigest()
    except OSError:
        return None
    return cache_folder() / "runtimes" / "files" / f"{digest[:16]}-{hardware_key()}.json"


def values_of(choice: Choice) -> Mapping[str, object]:
    """The choice as plain values."""
    return dataclasses.asdict(choice)


def is_allowed() -> bool:
    """Whether runtimes may be measured unasked: YOLOV12_TUNING=off says no."""
    return os.environ.get("YOLOV12_TUNING", "").lower() not in ("0", "off", "no", "false")
