"""Several models on the same data, in one run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

from yolov12.api.model import YOLO
from yolov12.api.output import say
from yolov12.atomic import write_atomic
from yolov12.config.options import CompareOptions
from yolov12.config.parse import report_rounding, resolve
from yolov12.config.run import CompareConfig
from yolov12.data.dataset import load_index
from yolov12.errors import ConfigError
from yolov12.evaluation.comparison import Comparison, Contestant, compare
from yolov12.evaluation.comparison_plot import draw_comparison
from yolov12.folders import new_run_folder, write_json
from yolov12.loading import is_single_class, size_to_use


def compare_models(
    models: Sequence[str | Path],
    *,
    layout: str = "turbo",
    offline: bool | None = None,
    **options: Unpack[CompareOptions],
) -> Comparison:
    """Score and time several models of one task on a split of `data`, in one run.

    `models` are given as to `YOLO`. Each runs at the size of its training unless `imgsz` is given. The comparison, as
    text, JSON and a plot, goes into the run's folder.
    """
    config = resolve(CompareConfig, options).config
    if not config.data:
        raise ConfigError("--data is missing: name the data set's YAML file")
    loaded = [YOLO(model, layout=layout, offline=offline) for model in models]
    for name, model in zip(models, loaded, strict=True):
        if not isinstance(model, YOLO):
            raise ConfigError(f"{name}: is an exported file; `yolov12 benchmark` compares those")
    task, single_cls = common_kind(models, loaded)
    index = load_index(
        config.data,
        config.split,
        task=task,
        on_bad_label=config.on_bad_label,
        single_cls=single_cls,
        max_pixels=config.max_pixels,
    )
    say(index)
    said = report_rounding(config.imgsz) if "imgsz" in options else None
    contestants = [
        Contestant(
            str(name),
            model.model,
            model.names,
            model.runtime(config.device, config.precision),
            said or size_to_use(model.config, model.metadata, verbose=False),
        )
        for name, model in zip(models, loaded, strict=True)
    ]
    comparison = compare(contestants, index, config, task)
    folder = new_run_folder(task, config.project, config.name, exist_ok=config.exist_ok)
    comparison.save_dir = folder
    write_json(folder / "comparison.json", comparison.to_dict())
    write_json(folder / "report.json", {config.split: index.report.to_dict()})
    write_atomic(folder / "comparison.txt", (comparison.table() + "\n").encode())
    if config.plots:
        draw_comparison(comparison, folder / "comparison.png")
    return comparison


def common_kind(names: Sequence[str | Path], models: Sequence[YOLO]) -> tuple[str, bool]:
    """The task of all models, and whether they know a single class; ConfigError lists models that differ."""
    kinds = [(model.task, is_single_class(model.metadata)) for model in models]
    if len(set(kinds)) > 1:
        pairs = zip(names, kinds, strict=True)
        listed = (f"{name} ({task}{', single_cls' * single})" for name, (task, single) in pairs)
        raise ConfigError(f"models of different tasks or classes cannot be compared: {', '.join(listed)}")
    return kinds[0]
