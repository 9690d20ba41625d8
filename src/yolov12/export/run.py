"""An export from beginning to end: settle, write aside, check, describe, move into place."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib.metadata
import json
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import torch

from yolov12.artefact import Artefact, Suppression
from yolov12.atomic import cannot_write
from yolov12.checkpoint import ModelFile
from yolov12.config.run import ExportConfig
from yolov12.config.tasks import TASKS
from yolov12.data.contract import contract
from yolov12.data.dataset import load_index
from yolov12.data.index import ImageIndex
from yolov12.data.letterbox import canvas_sides
from yolov12.data.synthetic import write_synthetic
from yolov12.errors import CheckpointError, ConfigError, DataError, ExportError, YoloError, printable
from yolov12.evaluation.labels import suited
from yolov12.export import probe
from yolov12.export.certificate import Check, certified, certify, summary
from yolov12.export.graph import ExportGraph
from yolov12.export.plan import ExportPlan, Format, check_abilities, target_of
from yolov12.export.tracing import Save
from yolov12.export.writers import WRITERS
from yolov12.folders import remove
from yolov12.inference.backends.base import reason_of
from yolov12.inference.exported import ExportedRuntime, open_exported
from yolov12.inference.lazy_boxes import KNOWN, suits
from yolov12.inference.runtime import Runtime
from yolov12.inference.torch_runtime import TorchRuntime
from yolov12.loading import trained_size
from yolov12.models.detector import Detector
from yolov12.version import __version__

LEAST_IMAGES, LEAST_DETECTIONS = 32, 100
"""A check on less is called weak."""
SCENES = 48


@dataclass(frozen=True)
class Origin:
    """Of a model's training: the side of its pictures, the data set, whether all classes were one."""

    size: int | None = None
    data: str = ""
    single_cls: bool = False


def export_model(
    model: Detector, file: ModelFile, config: ExportConfig, said: frozenset[str], beside: Path, origin: Origin
) -> Path:
    """Export as the options ask, of which `said` were given; the target's name follows from `beside` unless it was."""
    wanted = check_abilities(config, file.config, said)
    if config.lazy and not suits(model.head):
        kind = file.config.heads[file.config.task].kind
        raise ConfigError(f"--lazy: is for the heads {', '.join(KNOWN)} without dilations, not for {kind}")
    target = target_of(config, wanted, beside)
    calibration = calibration_pictures(config, file, origin) if config.int8 else None
    artefact = describe(file, config, wanted, origin.size)
    plan = ExportPlan(wanted, artefact, target, config.simplify, calibration, config.finetune, config.verbose)
    if not wanted.runs_here:
        return run_export(model, plan, None)
    with check_pictures(config, file, origin) as check:
        if config.int8 and not check.labelled:
            raise ConfigError(f"--int8: the labels of {check.pictures} are not of the model's classes; name --data")
        return run_export(model, plan, check)


def calibration_pictures(config: ExportConfig, file: ModelFile, origin: Origin) -> ImageIndex:
    """The pictures that int8 is calibrated on: of the training split."""
    data = config.data or origin.data
    if not data:
        raise ConfigError("--int8: --data is missing: name a data set with training pictures to calibrate on")
    index = limited(data, "train", file.config.task, config.calibration, single_cls=origin.single_cls)
    blame = f"{printable(data)} does not suit the model"
    return suited(index, file.names, file.config.keypoint_shape, blame=blame, single_cls=origin.single_cls)


def describe(file: ModelFile, config: ExportConfig, wanted: Format, trained_at: int | None) -> Artefact:
    """The description of what will be written, without its certificate."""
    task = file.config.task
    dynamic = config.dynamic and wanted.dynamic
    trained = {"calibration": config.calibration} if config.int8 else {}
    return Artefact(
        format=wanted.name,
        task=task,
        names=dict(file.names),
        imgsz=canvas_sides(config.imgsz),
        batch=1 if dynamic else config.batch,
        dynamic=dynamic,
        precision="int8" if config.int8 else "fp16" if config.half else "fp32",
        preprocess=contract(task),
        lazy=config.lazy and wanted.lazy,
        suppression=Suppression(config.conf, config.iou, config.max_det) if config.nms else None,
        keypoint_shape=file.config.keypoint_shape,
        trained_at=trained_at,
        licence=str(file.metadata.get("licence", "")),
        source={"variant": file.config.variant, "layout": file.config.layout, "sha256": digest_of(file), **trained},
        versions={
            "yolov12": __version__,
            "torch": torch.__version__,
            "opencv": cv2.__version__,
            **versions_of(wanted, config),
        },
    )


def versions_of(wanted: Format, config: ExportConfig) -> dict[str, str]:
    """Versions of the libraries that write and run a format."""
    found = {}
    for package in (*wanted.packages, *(["nncf"] if config.int8 else [])):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def digest_of(file: ModelFile) -> str:
    """SHA-256 of the weights: names, shapes and values, in the order of names."""
    made = hashlib.sha256()
    for name in sorted(file.state):
        value = file.state[name].detach().cpu().contiguous()
        made.update(f"{name} {tuple(value.shape)} {value.dtype}\0".encode())
        made.update(np.asarray(value).tobytes())
    return made.hexdigest()


def identity_of(file: ModelFile) -> str:
    """SHA-256 of all that an artefact of a model holds: weights, architecture, class names, size of the training."""
    described = [digest_of(file), file.config.to_dict(), sorted(file.names.items()), trained_size(file.metadata)]
    return hashlib.sha256(json.dumps(described, sort_keys=True, default=str).encode()).hexdigest()


def run_export(model: Detector, plan: ExportPlan, check: Check | None) -> Path:
    """Write the file or folder of `plan`, prove it equal to `model`, move it into place; nothing is left otherwise.

    Without `check`, for a format that does not run here, nothing is compared, which the file says.
    """
    target = plan.target
    aside = target.with_name(f".{secrets.token_hex(4)}.tmp.{target.name}")
    try:
        save = writer_of(model, plan)
        artefact = dataclasses.replace(plan.artefact, source={**plan.artefact.source, **plan.notes})
        save(aside, artefact.to_json())
        reference = TorchRuntime(model, "cpu", "fp32")
        if check is not None:
            exported = opened_again(aside, plan)
            certificate, answering = certify(reference, exported, check), cast(Runtime, exported)
        else:  # `verify` compares it with torch's answers where it runs
            certificate, answering = unchecked(plan.format), reference
        artefact = certified(artefact, certificate)
        certificate = {**artefact.certificate, "probe": probe.answers(answering, artefact), "digest": probe.NO_DIGEST}
        save(aside, dataclasses.replace(artefact, certificate=certificate).to_json())
        certificate["digest"] = probe.payload_digest(aside)
        save(aside, dataclasses.replace(artefact, certificate=certificate).to_json())
        _move(aside, target)
    except OSError as error:
        raise cannot_write(target, error) from error
    finally:
        remove(aside)
    if check is None:
        print(f"warning: {certificate['unchecked']}; run `yolov12 verify {target.name}` there", file=sys.stderr)
        return plan.target
    plan.say(summary(certificate))
    least = LEAST_DETECTIONS if TASKS[plan.artefact.task].boxes else LEAST_IMAGES
    if certificate["images"] < LEAST_IMAGES or certificate["detections"] < least:
        few = f"{certificate['images']} pictures, {certificate['detections']} detections"
        plan.say(f"warning: the check is weak ({few}): name a data set with --data")
    return plan.target


def writer_of(model: Detector, plan: ExportPlan) -> Save:
    """What saves the model in the format of `plan`; ExportError with the library's own words where it cannot."""
    try:
        return WRITERS[plan.format.name](ExportGraph(model, lazy=plan.artefact.lazy), plan)
    except (YoloError, MemoryError):
        raise
    except Exception as error:  # exporters raise whatever they like, AssertionError and KeyError included
        if (stop := stopped_by(error)) is not None:
            raise stop from error
        why = f"the exporter cannot write this network ({reason_of(error)})"
        raise ExportError(f"{plan.format.name}: {why}") from error


def stopped_by(error: BaseException) -> KeyboardInterrupt | None:
    """The Ctrl-C that an exporter has put into an error of its own."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, KeyboardInterrupt):
        cause = cause.__cause__ or cause.__context__
    return cause


@contextmanager
def check_pictures(config: ExportConfig, file: ModelFile, origin: Origin) -> Iterator[Check]:
    """The pictures of the check: of --data, else of the training's data set if it is there, else synthetic scenes."""
    task, single_cls = file.config.task, origin.single_cls
    for data in (config.data, origin.data):
        if not data:
            continue
        try:
            index = limited(data, config.split, task, config.images, single_cls=single_cls)
        except YoloError:
            if config.data:
                raise
            continue
        yield _check(index, file, Path(data).name, single_cls=single_cls)
        return
    with tempfile.TemporaryDirectory() as scratch:
        form = {"format": "coco"} if TASKS[task].several else {}
        size = max(64, min(int(min(canvas_sides(config.imgsz))), 640)) if TASKS[task].boxes else 96
        scenes = write_synthetic(
            Path(scratch) / "scenes", task=task, train=1, val=min(SCENES, config.images), test=0, size=size, **form
        )
        yield _check(load_index(scenes, "val", task=task, cache_dir=Path(scratch)), file, "synthetic scenes")


def limited(data: str, split: str, task: str, images: int, *, single_cls: bool) -> ImageIndex:
    """At most `images` pictures of a split, evenly spread."""
    index = load_index(data, split, task=task, single_cls=single_cls)
    if len(index) > images:
        index = load_index(data, split, task=task, single_cls=single_cls, fraction=images / len(index))
    if not len(index):
        raise DataError(f"{printable(data)}: {split} has no pictures to check the export on")
    return index


def _check(index: ImageIndex, file: ModelFile, pictures: str, *, single_cls: bool = False) -> Check:
    if set(index.names) != set(file.names.values()) and not single_cls:
        return Check(index, False, pictures)
    try:
        index = suited(index, file.names, file.config.keypoint_shape, blame=pictures, single_cls=single_cls)
    except ConfigError:
        return Check(index, False, pictures)
    return Check(index, True, pictures)


def opened_again(aside: Path, plan: ExportPlan) -> ExportedRuntime:
    """What has just been written; ExportError where its own runtime refuses it."""
    try:
        return open_exported(aside)
    except CheckpointError as error:
        said = str(error).partition(": ")[2]
        hint = "; a graph for one size may do: --no-dynamic" if plan.artefact.dynamic else ""
        what = f"{plan.format.name}: what the converter wrote of this network cannot be opened"
        raise ExportError(f"{what} ({said}){hint}. Nothing was written") from error


def unchecked(wanted: Format) -> dict[str, Any]:
    """The certificate of a file that does not run on this machine: it says that nothing was compared."""
    return {"unchecked": f"{wanted.name} files run on {wanted.system} only, so nothing was compared", "failures": []}


def _move(source: Path, target: Path) -> None:
    """Put a file or folder in the place of another of its kind."""
    if target.is_dir() and not target.is_symlink():
        old = target.with_name(f".{secrets.token_hex(4)}.tmp.{target.name}")
        os.replace(target, old)
        try:
            os.replace(source, target)
        except OSError:
            os.replace(old, target)
            raise
        shutil.rmtree(old, ignore_errors=True)
    else:
        os.replace(source, target)
