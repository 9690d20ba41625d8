"""What is to be written, settled before anything is: the format, what it can do, where the file goes."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass, field
from pathlib import Path

from yolov12.artefact import Artefact
from yolov12.config.model import ModelConfig
from yolov12.config.run import ExportConfig
from yolov12.config.tasks import TASKS
from yolov12.data.index import ImageIndex
from yolov12.errors import ConfigError, UserError, printable
from yolov12.inference.backends.base import DESCRIPTION_FILE


@dataclass(frozen=True)
class Format:
    """What a format is and can do.

    suffix   of its file or folder
    packages that write and run it, beside torch
    dynamic  free batch, height and width
    half     16-bit weights
    nms      suppression inside the graph
    lazy     boxes only where a score passes, a second input
    int8     8-bit whole numbers, calibrated on pictures
    batches  several pictures in one call
    system   the only one that runs it, as `platform.system()` says; empty: all
    """

    name: str
    suffix: str
    packages: tuple[str, ...] = ()
    dynamic: bool = False
    half: bool = False
    nms: bool = False
    lazy: bool = False
    int8: bool = False
    batches: bool = True
    system: str = ""

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder and not a file."""
        return self.suffix.endswith(("_model", ".mlpackage"))

    @property
    def mark(self) -> str:
        """The file by which a folder of this format is known to be an export."""
        return "Manifest.json" if self.suffix == ".mlpackage" else DESCRIPTION_FILE

    @property
    def runs_here(self) -> bool:
        """Whether the export can be checked on this machine."""
        return self.system in ("", platform.system())


FORMATS = {
    one.name: one
    for one in (
        Format("onnx", ".onnx", ("onnx", "onnxscript", "onnxruntime"), dynamic=True, half=True, nms=True, lazy=True),
        Format("openvino", "_openvino_model", ("openvino",), dynamic=True, half=True, nms=True, lazy=True, int8=True),
        Format("torchscript", ".torchscript", dynamic=True),
        Format("ncnn", "_ncnn_model", ("ncnn", "pnnx"), half=True, batches=False),
        Format("litert", "_litert_model", ("litert-torch", "ai-edge-litert")),
        Format("executorch", "_executorch_model", ("executorch",)),
        Format("coreml", ".mlpackage", ("coremltools",), half=True, system="Darwin"),
    )
}


@dataclass(frozen=True)
class ExportPlan:
    """One export, settled: the format, the description without its certificate, the target.

    int8 is calibrated on the pictures of `calibration`, after `finetune` passes over them where those help.
    `notes` are what the writer adds to the description of where the file is from.
    """

    format: Format
    artefact: Artefact
    target: Path
    simplify: bool = False
    calibration: ImageIndex | None = None
    finetune: int = 0
    verbose: bool = False
    notes: dict[str, object] = field(default_factory=dict)

    def say(self, text: str) -> None:
        """Progress, for who wants to hear it."""
        if self.verbose:
            print(text, file=sys.stderr)


def check_abilities(config: ExportConfig, model: ModelConfig, said: frozenset[str]) -> Format:
    """The format of an export; ConfigError for what it, or the task, cannot do. `said`: options that were given."""
    wanted = FORMATS[config.format]
    for ability in ("dynamic", "half", "nms", "lazy", "int8"):
        if getattr(config, ability) and not getattr(wanted, ability) and ability in said:
            able = ", ".join(name for name, one in FORMATS.items() if getattr(one, ability))
            raise ConfigError(f"--{ability}: {config.format} files cannot have it; choose from {able}")
    task = TASKS[model.task]
    if config.nms and (not task.boxes or task.rotated):
        raise ConfigError(f"--nms: suppression inside the graph is for upright boxes, not for {model.task}")
    if config.simplify and config.format != "onnx":
        raise ConfigError(f"--simplify: is for onnx files, not for {config.format}")
    kinds = [name for name in ("int8", "lazy", "half", "nms") if getattr(config, name)]
    if len(kinds) > 1 and kinds != ["half", "nms"]:
        raise ConfigError(f"--{kinds[0]} and --{kinds[1]} contradict each other: leave one out")
    if "batch" in said and config.dynamic and wanted.dynamic:
        raise ConfigError(f"--batch {config.batch}: the graph takes any batch; add --no-dynamic for a fixed one")
    if config.batch > 1 and not wanted.batches:
        raise ConfigError(f"--batch {config.batch}: {config.format} files take one picture at a time; leave it out")
    if alone := [name for name in ("calibration", "finetune") if name in said and not config.int8]:
        raise ConfigError(f"--{alone[0]}: has an effect only with --int8")
    if idle := [name for name in ("conf", "iou", "max_det") if name in said and not config.nms]:
        raise ConfigError(f"--{idle[0]}: has an effect only with --nms")
    return wanted


def target_of(config: ExportConfig, wanted: Format, beside: Path) -> Path:
    """Where the file goes: as said, or beside `beside` under its name; UserError where it cannot."""
    target = Path(config.output) if config.output else beside.with_name(beside.stem + wanted.suffix)
    if not target.name.endswith(wanted.suffix):
        raise ConfigError(f"--output {printable(target)}: names of {wanted.name} exports end in {wanted.suffix}")
    if not target.absolute().parent.is_dir():
        raise UserError(f"{printable(target)}: the folder {printable(target.absolute().parent)} does not exist")
    if target.exists() and target.is_dir() != wanted.is_folder:
        raise UserError(f"{printable(target)}: exists, and is not a {wanted.name} export")
    if target.is_dir() and any(target.iterdir()) and not (target / wanted.mark).is_file():
        raise UserError(
            f"{printable(target)}: is a folder of other things, which an export would replace: say --output"
        )
    return target
