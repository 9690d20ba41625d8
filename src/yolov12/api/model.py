"""`YOLO(...)` loads a model; each method is wiring between the parts, nothing more.

from yolov12 import YOLO
model = YOLO("yolov12n-bccd")
for result in model("images/", imgsz=320):
    print(result.boxes.xyxy, result.boxes.conf)
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Self, Unpack

import torch
from torch import Tensor

from yolov12.api.exported import ExportedModel, is_exported, refuse_options
from yolov12.api.output import say
from yolov12.api.predicting import Predicting
from yolov12.checkpoint import ModelFile, read_model_file, write_model_file
from yolov12.config.model import LAYOUTS, ModelConfig
from yolov12.config.options import ExportOptions, TrainOptions
from yolov12.config.parse import DEFAULT, STRIDE, report_rounding, resolve, storable
from yolov12.config.run import FREE_FORMATS, ExportConfig, ImageSize, PredictConfig, TrainConfig, ValConfig
from yolov12.config.variants import usual_size
from yolov12.data.contract import contract
from yolov12.engine.run import prepare_resume, start_training
from yolov12.engine.trace import Trace
from yolov12.engine.trace_plot import draw_trace as draw_trace
from yolov12.engine.trainer import BEST
from yolov12.errors import CheckpointError, ConfigError, UserError
from yolov12.export.run import Origin, export_model
from yolov12.hub import is_stored
from yolov12.inference.attention_maps import Explained
from yolov12.inference.device import resolve_device
from yolov12.inference.runtime import Runtime
from yolov12.inference.torch_runtime import torch_runtime
from yolov12.inspection import Subject, draw_looks, look, walk, walk_back
from yolov12.loading import (
    designed_options,
    is_model_name,
    is_single_class,
    load_model,
    saved_options,
    trained_size,
    val_config,
)
from yolov12.metrics import Metrics
from yolov12.models.checkpoint_map import ours_to_official
from yolov12.models.detector import Detector, build_model, check_size
from yolov12.models.profile import ModelProfile, attention_report, profile
from yolov12.tuning.choice import Choice
from yolov12.tuning.chooser import Chooser
from yolov12.version import __version__

DEFAULTS: Final = {"pretrained": True, "layout": "turbo"}
"""Of the options of `YOLO` that are not empty."""
MAX_SIDE: Final = 8192


class YOLO(Predicting):
    """A model with its class names.

    `model`: a path, or an embedded or published name with or without `.pt`. `pretrained=False` (or a name that ends in
    `.yaml`) builds the named architecture with fresh weights, and so does a `ModelConfig`, the path of a YAML that
    describes a network, or a name with other `parts`: `{"backbone": "hybrid", "neck": "context_bifpn"}`. `layout`
    ("turbo", "v1.0") and `num_classes` apply to names; for a file they must agree with it. `offline` says whether
    models and pictures may be downloaded; None: as YOLOV12_OFFLINE says. Calls may come from many threads; only `train`
    and `to` change the object.
    """

    def __new__(cls, *arguments: Any, **options: Any) -> Self:
        """Exported files become an `ExportedModel`, which needs no network in memory."""
        model = arguments[0] if arguments else options.pop("model", None)
        if cls is not YOLO or not is_exported(model):
            return super().__new__(cls)
        wanted = {"offline": options.pop("offline", None)}
        refuse_options(model, **{name: value for name, value in options.items() if value != DEFAULTS.get(name)})
        return ExportedModel(model, **wanted)  # type: ignore[return-value]

    def __init__(
        self,
        model: str | Path | ModelConfig,
        *,
        parts: Mapping[str, object] | None = None,
        pretrained: bool = True,
        layout: str = "turbo",
        num_classes: int | None = None,
        offline: bool | None = None,
    ) -> None:
        super().__init__(offline)
        self.device = torch.device("cpu")
        self._moved = False  # whether `to` has said where to run
        self._runtimes: dict[tuple[str, str], Runtime] = {}
        self._chooser = Chooser(self._as_file)
        file, self.path = load_model(
            model, parts=parts, pretrained=pretrained, layout=layout, num_classes=num_classes, offline=offline
        )
        self._use(file)

    def _use(self, file: ModelFile) -> None:
        self.config: ModelConfig = file.config
        self.names: dict[int, str] = dict(file.names)
        self.metadata: dict[str, Any] = dict(file.metadata)
        network = build_model(file.config, seed=0)
        network.load_state_dict(file.state)
        self.model: Detector = network.eval().to(self.device)
        self._runtimes.clear()
        self._chooser.close()
        self._chooser = Chooser(self._as_file, self.path)

    # ---- what it is -----------------------------------------------------------------------------------------------

    @property
    def task(self) -> str:
        """What the model does: detect, segment, classify, pose or obb."""
        return self.config.task

    @property
    def keypoint_shape(self) -> tuple[int, int] | None:
        """K keypoints of D values, None for models without."""
        return self.config.keypoint_shape

    @property
    def usual_size(self) -> ImageSize:
        """The side that models of this name are for: 640, classifiers 224, some designs more."""
        return usual_size(self.config.variant, self.task)

    def cost(self, imgsz: ImageSize) -> tuple[int, float]:
        """Parameters, and GFLOPs of one picture of a size."""
        described = profile(self.model, imgsz)
        return described.parameters, described.gflops

    @property
    def trained_size(self) -> int | None:
        """The side in pixels that the model was trained at, None if its file does not say."""
        return trained_size(self.metadata)

    @property
    def layout(self) -> str:
        """Weight layout: "turbo" or "v1.0"."""
        return self.config.layout

    def official_state_dict(self) -> dict[str, Tensor]:
        """Unfused float32 tensors under the keys of the paper's repository, in its order; a copy."""
        state = ours_to_official(self.model.state_dict(), self.config)
        return {name: value.detach().clone() for name, value in state.items()}

    def info(self, *, imgsz: int | None = None, verbose: bool = True) -> ModelProfile:
        """Layers, output shapes, parameters and GFLOPs at `imgsz` (640, classifiers 224); printed when `verbose`."""
        described = profile(self.model, imgsz or self.usual_size)
        if verbose:
            print(described.table())
            print(attention_report(self.device))
        return described

    def trace(
        self,
        image: str | Path | None = None,
        *,
        data: str | Path | None = None,
        backward: bool = False,
        imgsz: int | None = None,
        batch: int = 4,
        single: bool = False,
    ) -> Trace:
        """Block by block: shapes, parameters, GFLOPs and time; with `backward` gradients and updates of one step.

        `single` walks through the single convolutions and norms instead.

        The walk forward is that of `image` (a sample picture without one). The walk back needs labels: it is that of
        `batch` pictures of the training split of `data`, or of the data set that the model was trained on.
        """
        if not backward:
            return walk(self._subject(), image, imgsz, single=single)
        if image is not None:
            raise ConfigError("--image and --backward contradict each other: gradients need labels, so name --data")
        return walk_back(self._subject(), data, imgsz, batch, single=single)

    def explain(
        self, image: str | Path | None = None, *, imgsz: int | None = None, conf: float = 0.25
    ) -> list[Explained]:
        """Where the last area attention looks from each detection in a picture, and how far the score rests on that.

        Boxes are in pixels of the canvas; without `image` a sample picture. Raises ConfigError for networks without
        area attention, and for tasks without upright boxes.
        """
        return look(self._subject(), image, imgsz, conf)

    def draw_attention(
        self,
        image: str | Path | None,
        folder: Path,
        *,
        imgsz: int | None = None,
        report: Callable[[dict[str, Any]], None] = lambda one: None,
    ) -> list[dict[str, Any]]:
        """What `explain` says, with the picture of each map over the canvas, written into `folder`.

        Each takes seconds; `report` is called with one as soon as it is known.
        """
        found = []
        for one in draw_looks(self._subject(), image, folder, imgsz):
            report(one)
            found.append(one)
        return found

    def _subject(self) -> Subject:
        return Subject(self.model, self.names, self.metadata, self.device, fresh=self.path is None)

    def to(self, device: str | int | torch.device) -> YOLO:
        """Move the model; later calls run there unless they name another device."""
        self.device, self._moved = resolve_device(str(device)), True
        self.model.to(self.device)
        return self

    def save(self, path: str | Path, *, half: bool = False) -> Path:
        """Write the model in our format (`.safetensors`); `half` stores float16."""
        target = Path(path)
        if target.suffix != ".safetensors":
            raise CheckpointError(f"{target}: must end in .safetensors; `yolov12 convert` makes a .pt of such a file")
        described = {"task": self.task, "variant": self.config.variant, "layout": self.layout}
        metadata = {**self.metadata, **described, "preprocess": contract(self.task), "version": __version__}
        state = {name: value.detach().cpu() for name, value in self.model.state_dict().items()}
        write_model_file(target, ModelFile(self.config, state, self.names, metadata), half=half)
        return target

    # ---- what it does ---------------------------------------------------------------------------------------------

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Decoded predictions before suppression, float32 (B, 4 + C + E, A); with masks also the prototypes.

        Rows are cx, cy, w, h in input pixels, C scores, E extras (see `models.registry.Decoded`); a classifier gives
        (B, C) scores. `images` (B, 3, H, W), RGB in 0..1; raises UserError unless H and W are multiples of 32.
        """
        if images.ndim != 4 or images.shape[1] != 3:
            raise UserError(f"forward: images must be (B, 3, H, W), got {tuple(images.shape)}")
        check_size(images.shape[2], images.shape[3], STRIDE)
        with torch.inference_mode():
            outputs = self.model(images.to(self.device, torch.float32))
        dense, prototypes = self.model.head.decode(outputs[self.task])
        return dense.clone() if prototypes is None else (dense.clone(), prototypes.clone())

    def export(self, **options: Unpack[ExportOptions]) -> Path:
        """Write the model for other runtimes, check the file against torch on pictures, and return its path.

        The file carries its class names, its preprocessing and the certificate of the check; `YOLO(path)` opens it. One
        that differs from the model by more than its precision explains raises ExportError, and nothing is left.
        """
        config = resolve(ExportConfig, options).config
        size = report_rounding(config.imgsz) if "imgsz" in options else self.size_to_use(verbose=config.verbose)
        config = dataclasses.replace(config, imgsz=size)
        beside = self.path if self.path is not None and not is_stored(self.path) else Path(self._own_name())
        data = str(saved_options(self.metadata).get("data", ""))
        origin = Origin(self.trained_size, data, is_single_class(self.metadata))
        return export_model(self.model, self._as_file(), config, frozenset(options), beside, origin)

    def _own_name(self) -> str:
        """A file name for what is made of this model."""
        return f"{self.path.stem if self.path is not None else self.config.variant}.safetensors"

    def train(self, **options: Unpack[TrainOptions]) -> Metrics:
        """Train on `data`; afterwards this object holds the best weights. Returns the metrics of the last weights.

        Weights of a model with other classes are kept where they fit; a model that was built with fresh weights gets
        new ones from `seed`. `weights` names another model to take what fits from, such as a detector to begin a
        segmenter with: `YOLO("yolov12n-seg.yaml").train(weights="yolov12n", ...)`. `resume=True` continues the run that
        this model's file belongs to, exactly where it stopped.
        """
        given = storable(options)
        if self._moved:
            given = {"device": str(self.device), **given}
        if given.get("resume"):
            trainer = prepare_resume(self.path, given, say)
        else:
            resolved = resolve(
                TrainConfig,
                given,
                base={"imgsz": self.usual_size, **designed_options(self.metadata)},
                base_origin=DEFAULT,
            )
            start = self._start(resolved.config)
            trainer = start_training(resolved, self.config, start, say)
        metrics = trainer.run()
        best = trainer.weights / BEST
        self.path = best
        self._use(read_model_file(best))
        return metrics

    # ---- inner parts ----------------------------------------------------------------------------------------------

    def runtime(self, device: str = "auto", precision: str = "auto", runtime: str = "auto") -> Runtime:
        """What runs this model with these options, torch unless one is named; built once, then shared by all calls."""
        where = self._where(device)
        if runtime not in ("auto", "torch"):
            if runtime not in FREE_FORMATS:
                raise ConfigError(
                    f"--runtime {runtime}: runs files of one size: yolov12 export --format {runtime} first"
                )
            if where.type != "cpu":
                raise ConfigError(f"--runtime {runtime}: runs on the processor; add --device cpu")
            return self._chooser.wanted(runtime, precision, self._square)
        with self._lock:
            key = (str(where), precision)
            if key not in self._runtimes:
                self._runtimes[key] = torch_runtime(self.model, where, precision)
            return self._runtimes[key]

    def _runtime_for(self, config: PredictConfig) -> Runtime:
        """As `runtime`; where none is named, what was measured to be fastest, once that is known."""
        named = self.runtime
        if config.runtime != "auto" or self._where(config.device).type != "cpu":
            return named(config.device, config.precision, config.runtime)
        return self._chooser.fastest(
            lambda: named(config.device, config.precision), config.precision, self._square, verbose=config.verbose
        )

    def tune(self, *, imgsz: int | None = None) -> Choice:
        """Find the fastest installed runtime for this model on this processor by measuring; it is remembered.

        Takes up to a minute. Without this call, the second call of `predict` starts the same in the background.
        """
        if imgsz is not None and not STRIDE <= imgsz <= MAX_SIDE:
            raise ConfigError(f"--imgsz {imgsz}: must be between {STRIDE} and {MAX_SIDE}")
        return self._chooser.tune(math.ceil(imgsz / STRIDE) * STRIDE if imgsz else self._square)

    def _where(self, device: str) -> torch.device:
        return self.device if device == "auto" and self._moved else resolve_device(device)

    @property
    def _square(self) -> int:
        """The side that runtimes are measured at."""
        size = self.size_to_use(verbose=False)
        return size if isinstance(size, int) else max(size)

    def _val_config(self, options: Mapping[str, object]) -> ValConfig:
        return val_config(options, self.config, self.metadata)

    def _start(self, config: TrainConfig) -> ModelFile | None:
        """The weights that a new run begins with; None: fresh ones."""
        if not config.weights:
            return self._as_file() if config.pretrained and self.path is not None else None
        if not config.pretrained:
            raise ConfigError(f"--weights {config.weights} and --no-pretrained contradict each other: drop one")
        named = is_model_name(config.weights) and self.layout in LAYOUTS
        layout = self.layout if named else "turbo"  # a file knows its own
        start = load_model(config.weights, pretrained=True, layout=layout, num_classes=None, offline=self._offline)
        if start.path is None:
            raise ConfigError(f"--weights {config.weights}: has no weights; name a model file or a published model")
        return start.file

    def _as_file(self) -> ModelFile:
        return ModelFile(self.config, dict(self.model.state_dict()), self.names, self.metadata)
