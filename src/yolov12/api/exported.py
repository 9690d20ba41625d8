"""Exported files behind the interface of models. No torch: neither here nor in what ONNX and OpenVINO files need."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from yolov12.api.predicting import Predicting
from yolov12.artefact import Artefact
from yolov12.config.run import ImageSize, PredictConfig, ValConfig
from yolov12.data.contract import contract
from yolov12.errors import CheckpointError, ConfigError, SetupError, printable
from yolov12.extras import is_installed
from yolov12.inference.backends import SUFFIXES, format_of
from yolov12.inference.backends.base import Opened
from yolov12.inference.exported import ExportedRuntime, open_exported
from yolov12.inference.runtime import Runtime

ON_CPU = ("onnx", "openvino", "torchscript", "ncnn", "litert", "executorch")
"""Formats that run on the processor where no device is named."""


class ExportedModel(Predicting):
    """A file or folder that `export` wrote: it predicts and is scored like the model that it was made of.

    `threads`: how many the runtime may take; 0: one for each core. Where torch is not installed, this is what
    `yolov12.YOLO` is.
    """

    def __init__(self, model: str | Path, *, offline: bool | None = None, threads: int = 0) -> None:
        super().__init__(offline)
        if format_of(model) is None and is_installed("torch"):
            raise CheckpointError(f"{printable(model)}: not an exported model; the names end in {', '.join(SUFFIXES)}")
        if format_of(model) is None:
            raise SetupError(f"{printable(model)}: this kind of model needs torch: pip install 'yolov12[cpu]'")
        self.path = Path(model)
        self._threads = threads
        self._runtimes: dict[tuple[str, str], ExportedRuntime] = {}
        self.device = "auto"
        self.artefact: Artefact = self._open("auto", "auto").artefact
        self.names = dict(self.artefact.names)

    @property
    def task(self) -> str:
        """What the model does."""
        return self.artefact.task

    @property
    def keypoint_shape(self) -> tuple[int, int] | None:
        """K keypoints of D values."""
        return self.artefact.keypoint_shape

    @property
    def usual_size(self) -> ImageSize:
        """The canvas that the file was made for."""
        height, width = self.artefact.imgsz
        return height if height == width else (height, width)

    @property
    def trained_size(self) -> int | None:
        """The side that the model was trained at, where the file can take it."""
        return self.artefact.trained_at if self.artefact.dynamic else None

    def size_to_use(self, *, verbose: bool) -> ImageSize:
        """The size that the file was made, checked and calibrated for."""
        return self.usual_size

    def to(self, device: str | int) -> ExportedModel:
        """Run on another device from now on, unless a call names one."""
        self.device = str(device)
        return self

    def runtime(self, device: str = "auto", precision: str = "auto", runtime: str = "auto") -> Runtime:
        """What runs the file; ConfigError for a `runtime` that it is not for."""
        if runtime not in ("auto", self.artefact.format):
            raise ConfigError(f"--runtime {runtime}: {printable(self.path or '')} is for {self.artefact.format}")
        if dict(self.artefact.preprocess) != contract(self.task):
            raise CheckpointError(
                f"{printable(self.path or '')}: expects pictures to be prepared in another way than this version does; "
                "export the model again"
            )
        return self._open(self.device if device == "auto" else device, precision)

    def _runtime_for(self, config: PredictConfig) -> Runtime:
        """As `runtime`; says where the file has settled what the options ask for."""
        baked = self.artefact.suppression
        if baked is not None and config.verbose:
            looser = [
                f"{name} {getattr(config, name):g} (in the file: {getattr(baked, name):g})"
                for name, sign in (("conf", -1), ("iou", 1), ("max_det", 1))
                if sign * getattr(config, name) > sign * getattr(baked, name)
            ]
            if looser:
                print(
                    f"note: suppression is part of this file, so it cannot give more: {', '.join(looser)}",
                    file=sys.stderr,
                )
        return super()._runtime_for(config)

    def _val_config(self, options: Mapping[str, object]) -> ValConfig:
        """As the base; says why such a file scores lower than its model."""
        baked = self.artefact.suppression
        if baked is not None:
            print(
                f"note: suppression is part of this file, so nothing below {baked.conf:g} counts: "
                "scores are lower than the model's",
                file=sys.stderr,
            )
        return super()._val_config(options)

    def open_backend(self, device: str, precision: str) -> ExportedRuntime:
        """The runtime, whatever the file says of preprocessing."""
        return self._open(device, precision)

    def _open(self, device: str, precision: str) -> ExportedRuntime:
        if self._runtimes:  # what is open already by another name is not opened again
            precision = "auto" if precision == self.artefact.precision else precision
            device = "auto" if device == "cpu" and self.artefact.format in ON_CPU else device
        with self._lock:
            if (device, precision) not in self._runtimes:
                opened = open_exported(Path(self.path or ""), Opened(device, precision, self._threads))
                self._runtimes[device, precision] = opened
            return self._runtimes[device, precision]

    def rect(self, wanted: bool) -> bool:
        """Only where shapes are free."""
        return wanted and self.artefact.dynamic

    def info(self, *, imgsz: int | None = None, verbose: bool = True) -> Artefact:
        """What the file says of itself; printed when `verbose`. `imgsz` means nothing to it."""
        if verbose:
            print(describe(self.artefact))
        return self.artefact

    def train(self, **_: Any) -> NoReturn:
        """Refused: an exported file holds no weights that can learn."""
        raise ConfigError(
            f"{printable(self.path or '')}: an exported file cannot be trained; train the model, then export"
        )

    def trace(self, *_: Any, **__: Any) -> NoReturn:
        """Refused: the layers are no longer there."""
        raise ConfigError(
            f"{printable(self.path or '')}: an exported file has no layers to walk through; use the model"
        )

    explain = draw_attention = trace

    def tune(self, **_: Any) -> NoReturn:
        """Refused: an exported file is for one runtime."""
        raise ConfigError(f"{printable(self.path or '')}: an exported file is for one runtime; tune the model instead")

    def export(self, **_: Any) -> NoReturn:
        """Refused: exports are made of models."""
        raise ConfigError(f"{printable(self.path or '')}: is an export already; export the model that it was made of")


def describe(artefact: Artefact) -> str:
    """A few lines for people."""
    height, width = artefact.imgsz
    free = "any batch, height and width" if artefact.dynamic else f"{artefact.batch}x3x{height}x{width}"
    certificate = artefact.certificate
    lines = [
        f"{artefact.format}, {artefact.precision}: {artefact.source.get('variant', '?')}, {artefact.task}, "
        f"{len(artefact.names)} classes, {free}",
        f"licence {artefact.licence or 'unknown'}; made with "
        + ", ".join(f"{name} {version}" for name, version in artefact.versions.items()),
    ]
    if artefact.suppression is not None:
        baked = artefact.suppression
        lines.append(f"suppression inside: conf {baked.conf}, iou {baked.iou}, max_det {baked.max_det}")
    if certificate:
        checked = f"{certificate.get('images')} pictures ({certificate.get('pictures')})"
        lines.append(f"certificate: {certificate.get('unchecked') or checked}")
    return "\n".join(lines)


def refuse_options(model: str | Path, **options: object) -> None:
    """Raise ConfigError for an option of `YOLO` that an exported file has no use for."""
    if said := [name for name, value in options.items() if value]:
        raise ConfigError(f"{said[0]}: {printable(model)} is an exported file, whose network is fixed; leave it out")


def is_exported(model: object) -> bool:
    """Whether a model argument is the path of an exported file; CheckpointError where there is none at that path."""
    if not isinstance(model, str | Path) or format_of(model) is None:
        return False
    if not Path(model).exists():
        raise CheckpointError(f"{printable(model)}: no such file")
    return True
