"""What every model can do, whatever runs it: predict, and be scored. No torch."""

from __future__ import annotations

import dataclasses
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Unpack, overload

from yolov12.api.output import say, written
from yolov12.config.options import PredictOptions, ValOptions
from yolov12.config.parse import report_rounding, resolve
from yolov12.config.run import ImageSize, PredictConfig, ValConfig
from yolov12.config.tasks import TASKS
from yolov12.data.dataset import load_index
from yolov12.data.sources import open_source
from yolov12.errors import ConfigError, printable
from yolov12.evaluation.curves import draw_metrics
from yolov12.evaluation.evaluator import evaluate
from yolov12.evaluation.labels import suited
from yolov12.folders import new_run_folder, write_json
from yolov12.hub import check_online
from yolov12.inference.predictor import Predictor, source_options
from yolov12.inference.runtime import Runtime
from yolov12.metrics import Metrics
from yolov12.results import Result

BOX_OPTIONS = ("conf", "iou", "max_det", "classes", "agnostic_nms", "rect")
"""Options of `predict` that are about boxes."""


class Predicting(ABC):
    """A model with class names, and the file that it is from. Calls may come from many threads."""

    names: dict[int, str]
    path: Path | None

    def __init__(self, offline: bool | None) -> None:
        self._offline = offline
        self._noted = False  # whether `predict` has spoken of the size that the model was trained at
        self._lock = threading.Lock()

    @property
    @abstractmethod
    def task(self) -> str:
        """What the model does: detect, segment, classify, pose, obb or multi."""

    @property
    @abstractmethod
    def keypoint_shape(self) -> tuple[int, int] | None:
        """K keypoints of D values, None for models without."""

    @property
    @abstractmethod
    def usual_size(self) -> ImageSize:
        """The canvas of `predict` for who says none."""

    def cost(self, imgsz: ImageSize) -> tuple[int, float] | None:
        """Parameters, and GFLOPs of one picture of a size; None where the file does not tell."""
        return None

    @property
    @abstractmethod
    def trained_size(self) -> int | None:
        """The side in pixels that the model was trained at, None if its file does not say."""

    @abstractmethod
    def runtime(self, device: str = "auto", precision: str = "auto", runtime: str = "auto") -> Runtime:
        """What runs this model with these options; built once, then shared by all calls."""

    def _runtime_for(self, config: PredictConfig) -> Runtime:
        """What runs a prediction: the same, unless something faster is known."""
        return self.runtime(config.device, config.precision, config.runtime)

    def _val_config(self, options: Mapping[str, object]) -> ValConfig:
        """The options of a validation, with what the model's file says in place of those that were left out."""
        config = resolve(ValConfig, options).config
        if not config.data:
            raise ConfigError("--data is missing: name the data set's YAML file")
        size = report_rounding(config.imgsz) if "imgsz" in options else self.size_to_use(verbose=config.verbose)
        return dataclasses.replace(config, imgsz=size)

    def rect(self, wanted: bool) -> bool:
        """Whether canvases are cut to the picture's shape."""
        return wanted

    def size_to_use(self, *, verbose: bool) -> ImageSize:
        """The canvas for a command that names none: that of the training, said on stderr, or the usual one."""
        size = self.trained_size or self.usual_size
        if verbose and size != self.usual_size:
            print(f"imgsz {size}: the size this model was trained at", file=sys.stderr)
        return size

    @overload
    def __call__(self, source: Any, **options: Unpack[PredictOptions]) -> list[Result]: ...
    @overload
    def __call__(self, source: Any, **options: Any) -> list[Result] | Iterator[Result]: ...
    def __call__(self, source: Any, **options: Any) -> list[Result] | Iterator[Result]:
        """The same as `predict`."""
        return self.predict(source, **options)

    def predict(self, source: Any, **options: Unpack[PredictOptions]) -> list[Result] | Iterator[Result]:
        """Run on an image, folder, glob, list, array (BGR), PIL image, tensor (RGB 0..1), video, camera or URL.

        Returns one `Result` per image or frame, in order; a generator with `stream=True`. A source that cannot be used
        raises SourceError; inside a list or a folder it becomes a Result with `.error`.
        """
        config = resolve(PredictConfig, options).config
        check_online(source, self._offline)
        if config.half:
            if config.precision not in ("auto", "fp16"):
                raise ConfigError(f"--half and --precision {config.precision} contradict each other: leave one out")
            config = dataclasses.replace(config, precision="fp16")
        if config.save_conf and not config.save_txt:
            raise ConfigError("--save-conf: has an effect only with --save-txt")
        size = report_rounding(config.imgsz) if "imgsz" in options else self.usual_size
        config = dataclasses.replace(config, imgsz=size, rect=self.rect(config.rect))
        opened = open_source(source, source_options(config))  # before a runtime is made, which may take a minute
        runtime = self._runtime_for(config)
        results = written(Predictor(runtime, self.names, self.task).predict(opened, config), config, self.task)
        if config.verbose and "imgsz" not in options:
            self._note_size(config)
        if not TASKS[self.task].boxes and (idle := [name for name in BOX_OPTIONS if name in options]):
            print(f"note: without effect on a classifier: {', '.join(idle)}", file=sys.stderr)
        return results if config.stream else list(results)

    def _note_size(self, config: PredictConfig) -> None:
        """Say, once, that the model was trained at another size."""
        size = self.trained_size
        with self._lock:
            due = not self._noted and size not in (None, config.imgsz)
            self._noted |= due
        if due:
            print(f"note: this model was trained at {size} pixels; imgsz={size} may find more", file=sys.stderr)

    def val(self, **options: Unpack[ValOptions]) -> Metrics:
        """COCO-exact metrics on a split of `data`.

        What is left out is as in the model's training: `imgsz`, and `data` with its `single_cls`.
        """
        config = self._val_config(options)
        config = dataclasses.replace(config, rect=self.rect(config.rect))
        index = load_index(
            config.data,
            config.split,
            task=self.task,
            on_bad_label=config.on_bad_label,
            single_cls=config.single_cls,
            max_pixels=config.max_pixels,
        )
        say(index)
        blame = f"{printable(config.data)} does not suit {printable(self.path or 'the model')}"
        index = suited(index, self.names, self.keypoint_shape, blame=blame, single_cls=config.single_cls)
        runtime = self.runtime(config.device, config.precision, config.runtime)
        folder = new_run_folder(self.task, config.project, config.name, exist_ok=config.exist_ok)
        metrics = evaluate(runtime, index, config, self.task)
        metrics.save_dir = folder
        write_json(folder / "metrics.json", metrics.to_dict())
        write_json(folder / "report.json", {config.split: index.report.to_dict()})
        if config.plots:
            draw_metrics(metrics, folder)
        if config.verbose:
            print(metrics.table(), file=sys.stderr)
        return metrics
