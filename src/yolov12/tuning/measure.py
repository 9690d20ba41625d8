"""Measuring the candidates in turns, and choosing among those that are exact enough."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from yolov12.checkpoint import ModelFile
from yolov12.config.run import ExportConfig, PredictConfig
from yolov12.config.variants import usual_size
from yolov12.data.image_io import read_image
from yolov12.detections import Decoded
from yolov12.errors import ExportError, SetupError, UserError, YoloError, printable
from yolov12.export.plan import FORMATS, ExportPlan
from yolov12.export.run import Origin, check_pictures, describe, run_export
from yolov12.extras import is_installed
from yolov12.folders import remove
from yolov12.inference.backends.base import Opened
from yolov12.inference.exported import ExportedRuntime, open_exported
from yolov12.inference.lazy_boxes import suits
from yolov12.inference.predictor import view_of
from yolov12.inference.runtime import Runtime
from yolov12.inference.tolerance import LIMITS, agree, differences, least_compared
from yolov12.inference.torch_runtime import TorchRuntime, torch_runtime
from yolov12.loading import trained_size
from yolov12.models.detector import Detector, build_model
from yolov12.samples import sample_images
from yolov12.tuning.choice import Choice, write_choice

ROUNDS: Final = 15
WARM_UP: Final = 2
PICTURES: Final = 16
"""Of the check that an artefact passes before it may be chosen."""
CLEARLY: Final = 1.05
"""How many times as fast as torch a candidate has to be, to be worth a change."""
CANDIDATES: Final = ("openvino", "onnx")
"""Formats that may turn out faster than torch on a processor."""


def tune(file: ModelFile, folder: Path, imgsz: int, *, only: str = "") -> Choice:
    """Write the artefacts of the installed runtimes into `folder`, measure them, and remember the fastest.

    `only` one format: it is chosen if it is exact, however fast it is. Raises what the export of that one raises.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{printable(folder)}: the cache cannot be written: {error.strerror}") from error
    model = build_model(file.config, seed=0)
    model.load_state_dict(file.state)
    model.eval()
    made: dict[str, Path] = {}
    failed: list[str] = []
    for name in [only] if only else installed():
        try:
            made[name] = artefact(model, file, folder, name)
        except YoloError as error:
            if only:
                raise
            failed.append(f"{name}: {error}")
    pictures = samples(file.config.task, imgsz)
    candidates: dict[str, tuple[Runtime, Path | None]] = {"torch": (torch_runtime(model), None)}
    measured: dict[str, float | None] = {}
    task, classes = file.config.task, file.config.num_classes
    exact = TorchRuntime(model, "cpu", "fp32")
    expected = [exact(picture) for picture in pictures]
    for label, opened, path in opened_ones(made, failed):
        try:
            found = [apart(opened, *pair, task, classes) for pair in zip(pictures, expected, strict=True)]
        except YoloError as error:
            failed.append(f"{label}: {error}")
            continue
        if all(agree(one, LIMITS) for one in found):
            candidates[label] = opened, path
        else:
            measured[label] = None
    if only and len(candidates) == 1:
        raise ExportError(f"{only}: {'; '.join(failed) or 'its answers are not exact enough on this processor'}")
    times = in_turns({name: runtime for name, (runtime, _) in candidates.items()}, pictures)
    measured |= times
    fastest = min((name for name in times if not only or name != "torch"), key=times.__getitem__, default="torch")
    if not only and times[fastest] * CLEARLY > times["torch"]:
        fastest = "torch"
    runtime, chosen = candidates[fastest]
    choice = Choice(
        runtime=fastest.split()[0],
        precision=runtime.precision,
        file=chosen.name if chosen is not None else "",
        imgsz=imgsz,
        why=reason(fastest, times, imgsz, failed + [f"{name}: not exact" for name in measured if name not in times]),
        measured={name: None if value is None else round(value, 3) for name, value in measured.items()},
    )
    for path in made.values():
        if path != chosen:
            remove(path)
    write_choice(folder, choice)  # last: whoever waits for it may end this process then
    return choice


def apart(
    runtime: Runtime, picture: NDArray[np.uint8], expected: Decoded, task: str, classes: int
) -> Mapping[str, float]:
    """How far a runtime's answer to a picture, run as predictions run, is from the expected one."""
    return differences(expected, runtime(picture, least_compared(expected, task, classes)), task, classes)


def opened_ones(made: Mapping[str, Path], failed: list[str]) -> Iterator[tuple[str, ExportedRuntime, Path]]:
    """Artefacts in every precision of this processor, with labels; why one cannot be opened joins `failed`."""
    for name, path in made.items():
        for precision in ("auto", "bf16"):
            try:
                opened = open_exported(path, Opened("cpu", precision))
            except SetupError:  # a precision that this processor has not
                continue
            except YoloError as error:
                failed.append(f"{name}: {error}")
                break
            yield f"{name} {opened.precision}", opened, path


def installed() -> list[str]:
    """Formats that can be written and run here, on the processor."""
    return [name for name in CANDIDATES if all(map(is_installed, FORMATS[name].packages))]


def artefact(model: Detector, file: ModelFile, folder: Path, name: str) -> Path:
    """The artefact of a format at the model's own size, checked; written once."""
    wanted = FORMATS[name]
    target = folder / f"model{wanted.suffix}"
    if not target.exists():
        size = trained_size(file.metadata) or usual_size(file.config.variant, file.config.task)
        lazy = wanted.lazy and suits(model.head)
        config = ExportConfig(format=name, imgsz=size, images=PICTURES, lazy=lazy, verbose=False)
        plan = ExportPlan(wanted, describe(file, config, wanted, trained_size(file.metadata)), target)
        with check_pictures(config, file, Origin()) as check:
            run_export(model, plan, check)
    return target


def samples(task: str, imgsz: int) -> list[NDArray[np.uint8]]:
    """The package's own pictures for a task on squares, (1, imgsz, imgsz, 3) uint8 BGR each."""
    options = PredictConfig(imgsz=imgsz, rect=False)
    pictures = [read_image(path) for path in sorted(sample_images(task).iterdir())]
    return [view_of(picture, task, options).apply(picture)[None] for picture in pictures]


def in_turns(runtimes: Mapping[str, Runtime], pictures: Sequence[NDArray[np.uint8]]) -> dict[str, float]:
    """Median milliseconds of each runtime on these canvases."""
    times: dict[str, list[float]] = {name: [] for name in runtimes}
    for picture in itertools.islice(itertools.cycle(pictures), WARM_UP + ROUNDS):
        for name, runtime in runtimes.items():
            started = time.perf_counter()
            runtime(picture, 0.25)
            times[name].append(1000 * (time.perf_counter() - started))
    return {name: statistics.median(values[WARM_UP:]) for name, values in times.items()}


def reason(fastest: str, times: Mapping[str, float], imgsz: int, failed: Sequence[str]) -> str:
    """One line: what was chosen and why."""
    if len(times) < 2:
        return "torch: " + ("; ".join(failed) or "no other runtime is installed (pip install 'yolov12[openvino]')")
    listed = ", ".join(f"{name} {value:.1f} ms" for name, value in sorted(times.items(), key=lambda item: item[1]))
    return f"{fastest}: {times['torch'] / times[fastest]:.2f} times as fast as torch at {imgsz} pixels here ({listed})"
