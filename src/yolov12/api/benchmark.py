"""Benchmarks of models as they run here, and the choice of a setting for a time budget."""

from __future__ import annotations

import dataclasses
import itertools
import platform
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Unpack

import numpy as np

from yolov12.api.exported import ExportedModel
from yolov12.api.opening import open_predicting
from yolov12.api.output import say
from yolov12.api.predicting import Predicting
from yolov12.atomic import write_atomic
from yolov12.config.options import BenchmarkOptions
from yolov12.config.parse import resolve, round_up_to_stride
from yolov12.config.run import PRECISIONS, RUNTIMES, BenchmarkConfig, ImageSize, ValConfig
from yolov12.data.dataset import load_index
from yolov12.data.index import ImageIndex
from yolov12.data.letterbox import canvas_sides
from yolov12.errors import ConfigError, YoloError, did_you_mean
from yolov12.evaluation.benchmark import (
    Benchmark,
    Entrant,
    Line,
    Setting,
    accuracy_of,
    measure,
    resident_bytes,
    within_budget,
)
from yolov12.evaluation.benchmark_plot import draw_benchmark
from yolov12.evaluation.labels import suited
from yolov12.folders import new_run_folder, write_json
from yolov12.inference.backends.base import Opened
from yolov12.inference.backends.side_by_side import FEW
from yolov12.samples import sample_images
from yolov12.tuning.choice import processor, versions
from yolov12.version import __version__

DEFAULT_RUNTIMES = ["torch", "openvino", "onnx"]


def benchmark_models(
    models: Sequence[str | Path], *, offline: bool | None = None, **options: Unpack[BenchmarkOptions]
) -> Benchmark:
    """Measure models by runtime, precision, size and batch; also accuracy, where `data` is named.

    A combination that cannot run here has a line that says why. The run's folder gets JSON, CSV, Markdown and a plot.
    """
    config = resolve(BenchmarkConfig, options).config
    opened = {str(name): open_predicting(name, offline=offline) for name in models}
    if len({model.task for model in opened.values()}) != 1:
        listed = ", ".join(f"{name} ({model.task})" for name, model in opened.items())
        raise ConfigError(f"models of different tasks cannot be benchmarked together: {listed}")
    task = next(iter(opened.values())).task
    index = read_index(config, task)
    paths = index.paths if index is not None else sorted(sample_images(task).iterdir())
    entrants, lines = entered(opened, config)
    if entrants:
        measured = measure(entrants, [str(path) for path in paths], task, config.rounds)
        for line, entrant in zip(measured, entrants, strict=True):
            if index is not None:
                score(line, entrant, index, config, opened[entrant.setting.model])
        lines += measured
    benchmark = Benchmark(task, machine(), command_of(models, options), config.rounds, config.data, lines)
    folder = new_run_folder(task, config.project, config.name, exist_ok=config.exist_ok)
    benchmark.save_dir = folder
    write_json(folder / "benchmark.json", benchmark.to_dict())
    write_atomic(folder / "benchmark.csv", benchmark.csv().encode())
    write_atomic(folder / "benchmark.md", (benchmark.markdown() + "\n").encode())
    if config.plots:
        draw_benchmark(benchmark, folder / "benchmark.png")
    return benchmark


def select_setting(
    models: Sequence[str | Path], budget: float, *, offline: bool | None = None, **options: Unpack[BenchmarkOptions]
) -> tuple[Line, Benchmark]:
    """The most accurate setting whose median time per picture is within `budget` milliseconds, and the benchmark.

    ConfigError without a data set to be accurate on, or if nothing is fast enough.
    """
    if not options.get("data"):
        raise ConfigError("--data is missing: name the data set that the setting has to be accurate on")
    benchmark = benchmark_models(models, offline=offline, **options)
    found = within_budget(benchmark, budget)
    if found is None:
        times = [line.milliseconds[0] for line in benchmark.lines if line.milliseconds is not None]
        fastest = f"the fastest setting takes {min(times):.1f} ms" if times else "nothing could be measured"
        raise ConfigError(f"--budget {budget:g} ms: {fastest}; allow more, or add smaller models or sizes")
    return found, benchmark


def read_index(config: BenchmarkConfig, task: str) -> ImageIndex | None:
    """The data set to score on, if one is named."""
    if not config.data:
        return None
    index = load_index(config.data, config.split, task=task, fraction=config.fraction)
    say(index)
    return index


def entered(opened: dict[str, Predicting], config: BenchmarkConfig) -> tuple[list[Entrant], list[Line]]:
    """What can run, and lines for what cannot."""
    asked = words("runtimes", config.runtimes, RUNTIMES[1:]) if config.runtimes else []
    precisions = words("precisions", config.precisions, PRECISIONS)
    batches = numbers("batches", config.batches, 1) or [1]
    entrants, lines = [], []
    chosen = [
        (name, model, runtime)
        for name, model in opened.items()
        for runtime in asked or ([model.artefact.format] if isinstance(model, ExportedModel) else DEFAULT_RUNTIMES)
    ]
    for (name, model, runtime), precision in itertools.product(chosen, precisions):
        sizes: list[ImageSize] = [*numbers("sizes", config.sizes, 32)] or [model.size_to_use(verbose=False)]
        for size, batch in itertools.product(sizes, batches):
            setting = Setting(name, runtime, precision, round_up_to_stride(size), batch)
            before = resident_bytes()
            try:
                made = model.runtime(config.device, precision, runtime)
                side = canvas_sides(setting.imgsz)
                warm = FEW // batch + 2 if batch > 1 else 1  # what batches make a runtime prepare is not timed
                for _ in range(warm):
                    made(np.zeros((batch, *side, 3), np.uint8))
            except YoloError as error:
                lines.append(Line(setting, note=str(error)))
                continue
            memory = max(resident_bytes() - before, 0)
            entrants.append(Entrant(setting, made, model.names, model.rect(True), memory, model.cost(setting.imgsz)))
    return entrants, lines


def score(line: Line, entrant: Entrant, index: ImageIndex, config: BenchmarkConfig, model: Predicting) -> None:
    """Put the accuracy into a line."""
    try:
        fitting = suited(index, model.names, model.keypoint_shape, blame=entrant.setting.model)
    except ConfigError as error:
        line.note = str(error)
        return
    options = ValConfig(data=config.data, split=config.split, verbose=config.verbose)
    line.accuracy, line.note = accuracy_of(entrant, fitting, options, model.task)


def words(option: str, text: str, known: Sequence[str]) -> list[str]:
    """A list that was typed with commas; ConfigError for a word that is not known."""
    found = [word.strip() for word in text.split(",") if word.strip()]
    if not found:
        raise ConfigError(f"--{option}: is empty; choose from {', '.join(known)}")
    for word in found:
        if word not in known:
            raise ConfigError(f"--{option} {word!r}: choose from {', '.join(known)}.{did_you_mean(word, known)}")
    return found


def numbers(option: str, text: str, low: int) -> list[int]:
    """Whole numbers that were typed with commas."""
    found = [word.strip() for word in text.split(",") if word.strip()]
    for word in found:
        if not word.isdecimal() or not low <= int(word) <= 8192:
            raise ConfigError(f"--{option} {word!r}: expected whole numbers from {low} to 8192, with commas between")
    return [int(word) for word in found]


def command_of(models: Sequence[str | Path], options: Mapping[str, object]) -> str:
    """The command line that measures the same."""
    typed = ["yolov12", "benchmark", *map(str, models)]
    for name, value in options.items():
        flag = name.replace("_", "-")
        typed += [f"--{'' if value else 'no-'}{flag}"] if isinstance(value, bool) else [f"--{flag}", str(value)]
    return shlex.join(typed)


def machine() -> dict[str, str]:
    """What was measured on."""
    name = next((line.split(":")[1].strip() for line in processor().splitlines() if line.startswith("model name")), "")
    return {
        "processor": name or platform.processor() or platform.machine(),
        "threads": str(Opened().cores),
        "Python": platform.python_version(),
        "yolov12": __version__,
        "system": platform.platform(terse=True),
        **versions(),
    }


def command_for(line: Line, device: str) -> str:
    """How the setting is used on the device that it was measured on."""
    setting = dataclasses.asdict(line.setting)
    size = setting["imgsz"] if isinstance(setting["imgsz"], int) else " ".join(map(str, setting["imgsz"]))
    return (
        f"yolov12 predict --model {shlex.quote(setting['model'])} --imgsz {size} --runtime {setting['runtime']} "
        f"--precision {setting['precision']} --batch {setting['batch']} --device {device} SOURCE"
    )
