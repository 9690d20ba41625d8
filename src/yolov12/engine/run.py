"""From options to a trainer: data, weights and run folder of a new run, or everything of an interrupted one."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from yolov12.atomic import remove_stale
from yolov12.checkpoint import ModelFile, fit_state
from yolov12.config.heads import COCO_ANCHORS, AnchorHeadConfig
from yolov12.config.model import ModelConfig
from yolov12.config.parse import USER, Resolved, resolve, round_up_to_stride
from yolov12.config.refit import fit_to_data
from yolov12.config.run import TrainConfig
from yolov12.data.anchors import anchor_sizes
from yolov12.data.dataset import load_index
from yolov12.data.index import ImageIndex, shared_images
from yolov12.data.loader import mirrors
from yolov12.engine.optim import AUTO, choose_optimizer, nominal_iterations
from yolov12.engine.trainer import Trainer, TrainJob
from yolov12.engine.training_state import read_run
from yolov12.errors import ConfigError
from yolov12.folders import new_run_folder, require_space, run_parent, write_json
from yolov12.inference.device import resolve_device
from yolov12.losses.base import OPTIONS
from yolov12.losses.criterion import LOSSES
from yolov12.models.checkpoint_map import is_published_form
from yolov12.models.detector import Detector, build_model
from yolov12.version import __version__

RESUME_MAY_CHANGE = ("resume", "device", "workers", "cache", "plots", "save_steps")
"""Options that change neither the weights nor the recorded numbers, so a resumed run may set them anew."""
MIN_SIDE = 32
"""Of an image: one cell at the coarsest level."""
OWN_LICENCE = "unspecified: trained from fresh weights"
UNKNOWN_LICENCE = "unknown: the starting weights named none"
Say = Callable[[ImageIndex], None]


def start_training(
    resolved: Resolved[TrainConfig], architecture: ModelConfig, start: ModelFile | None, say: Say
) -> Trainer:
    """Prepare a new run: scan the data, build the model for its classes, claim a folder.

    `start` holds the weights to begin from, whose licence is handed on; None for fresh ones. Nothing is written unless
    all of it is usable.
    """
    config = resolved.config
    if not config.data:
        raise ConfigError("--data is missing: name the data set's YAML file")
    device = resolve_device(config.device)
    train, val = load_splits(config, architecture.task, say)
    check_batches(config, len(train))
    if not mirrors(train, architecture.task):
        print("note: the data set has no flip_idx, so pictures are not mirrored in training", file=sys.stderr)
    names = dict(enumerate(train.names))
    architecture = fit_to_data(architecture, len(names), train.keypoint_shape)
    architecture = with_anchors(architecture, start, train, config.imgsz)
    model = starting_model(architecture, names, start, config.seed)
    resolved = settle_optimizer(resolved, len(names), nominal_iterations(len(train), config))
    check_trainable(model.config, config)
    require_space(run_parent(model.config.task, config.project), disk_bytes(model))
    folder = new_run_folder(model.config.task, config.project, config.name, exist_ok=config.exist_ok)
    run = {
        "options": resolved.to_dict(),
        "model": model.config.to_dict(),
        "names": {str(number): name for number, name in names.items()},
        "data": {"train": fingerprint(train), "val": fingerprint(val)},
        "licence": start.metadata.get("licence", UNKNOWN_LICENCE) if start is not None else OWN_LICENCE,
        "version": __version__,
    }
    write_json(folder / "config.json", run)
    write_json(folder / "report.json", {"train": train.report.to_dict(), "val": val.report.to_dict()})
    print(f"training into {folder} on {device}", file=sys.stderr)
    return Trainer(TrainJob(model, names, resolved, train, val, folder, device, run))


def check_trainable(architecture: ModelConfig, config: TrainConfig) -> None:
    """Raise ConfigError for what the trainer would refuse or not heed, before a folder is claimed."""
    if config.freeze and not is_published_form(architecture):
        raise ConfigError(
            f"--freeze {config.freeze}: counts the layers of the published models, and this is none of them"
        )
    for name, head in architecture.heads.items():
        if head.kind not in LOSSES:
            raise ConfigError(
                f"the head {name!r} of kind {head.kind!r} has no loss: add one to yolov12.losses.criterion.LOSSES"
            )
        for option in sorted(OPTIONS - LOSSES[head.kind].options):
            if getattr(config, option) != getattr(TrainConfig, option):
                said = f"--{option} {getattr(config, option)}"
                raise ConfigError(f"{said}: has no effect on the loss of {head.kind} heads; leave it out")


def with_anchors(architecture: ModelConfig, start: ModelFile | None, index: ImageIndex, imgsz: int) -> ModelConfig:
    """The architecture, where it has anchors, with those that its weights have learnt to work with, or the data set's.

    Anchors that somebody has chosen for fresh weights stay.
    """
    head = architecture.heads[architecture.task]
    if not isinstance(head, AnchorHeadConfig):
        return architecture
    known = start.config.heads[start.config.task] if start is not None else None
    anchors = head.anchors
    if isinstance(known, AnchorHeadConfig) and len(known.anchors) == len(anchors):
        anchors = known.anchors
    elif start is not None or anchors == COCO_ANCHORS:
        anchors = anchor_sizes(index, imgsz, len(anchors) // 2)
    sizes = " ".join(f"{width}x{height}" for width, height in zip(anchors[::2], anchors[1::2], strict=True))
    print(f"anchors {sizes}", file=sys.stderr)
    head = dataclasses.replace(head, anchors=anchors)
    return dataclasses.replace(architecture, heads={**architecture.heads, architecture.task: head})


def prepare_resume(path: Path | None, options: Mapping[str, object], say: Say) -> Trainer:
    """The run that the model file at `path` belongs to, at the very step where it was saved.

    Raises ConfigError when an option or the data set differs from the run's.
    """
    if path is None or path.parent.name != "weights":
        raise ConfigError("--resume needs the run's own file: --model <run folder>/weights/last.safetensors")
    folder = path.parent.parent
    saved = read_run(path.parent)
    if saved.path.name != "last.state.safetensors":
        print(f"the newest state is missing or damaged: using {saved.path.name}", file=sys.stderr)
    base = {name: entry["value"] for name, entry in saved.run["options"].items()}
    given = {name: value for name, value in options.items() if name != "resume"}
    resolved = resolve(TrainConfig, given, base=base, base_origin=str(saved.path))
    now = dataclasses.asdict(resolved.config)
    changed = [name for name in given if now[name] != base[name] and name not in RESUME_MAY_CHANGE]
    if changed:
        listed = "; ".join(f"--{name} was {base[name]!r}, now {now[name]!r}" for name in changed)
        raise ConfigError(f"{folder}: a resumed run keeps its options, but {listed}. Leave them out or start a new run")
    architecture = ModelConfig.from_dict(saved.run["model"])
    train, val = load_splits(resolved.config, architecture.task, say)
    for split, index in (("train", train), ("val", val)):
        if fingerprint(index) != saved.run["data"][split]:
            raise ConfigError(
                f"{folder}: the {split} images or labels have changed since this run started; start a new run"
            )
    remove_stale(path.parent)
    names = dict(enumerate(train.names))
    model = build_model(architecture, seed=resolved.config.seed)
    device = resolve_device(resolved.config.device)
    job = TrainJob(model, names, resolved, train, val, folder, device, saved.run)
    at = f"epoch {saved.progress.epoch + 1}, batch {saved.progress.batch}"
    print("already complete" if saved.progress.finished else f"resuming {folder} at {at}", file=sys.stderr)
    return Trainer(job, resume=True)


def load_splits(config: TrainConfig, task: str, say: Say) -> tuple[ImageIndex, ImageIndex]:
    """Training and validation images; their sizes are printed."""
    common: dict[str, Any] = {
        "task": task,
        "on_bad_label": config.on_bad_label,
        "single_cls": config.single_cls,
        "max_pixels": config.max_pixels,
    }
    train = load_index(config.data, "train", fraction=config.fraction, **common)
    say(train)
    val = load_index(config.data, "val", **common)
    say(val)
    if repeated := shared_images(train, val):
        print(f"warning: {repeated} of {len(val)} val images are also in train: metrics will flatter", file=sys.stderr)
    return train, val


def starting_model(config: ModelConfig, names: dict[int, str], start: ModelFile | None, seed: int) -> Detector:
    """A model with fresh weights from `seed`, then with everything of `start` that fits."""
    model = build_model(config, seed=seed)
    if start is not None:
        state, report = fit_state(model.state_dict(), start.state, start.names, names)
        model.load_state_dict(state)
        print(report.summary(), file=sys.stderr)
    return model


def check_batches(config: TrainConfig, images: int) -> None:
    """Refuse a batch that batch norms cannot see, warn about a run that hardly takes a step."""
    alone = config.batch == 1 or images % config.batch == 1
    if alone and round_up_to_stride(config.imgsz) == MIN_SIDE:
        raise ConfigError(
            f"--imgsz {config.imgsz}: the last of {images} images would be alone in its batch of one cell at the "
            f"coarsest level, which has no variance; use --imgsz {2 * MIN_SIDE} or a --batch that divides better"
        )
    batches, wanted = math.ceil(images / config.batch) * config.epochs, config.nbs / config.batch
    if batches < wanted:
        print(
            f"warning: {batches} batches in all, but an optimizer step takes {wanted:.0f} (--nbs {config.nbs} over "
            f"--batch {config.batch}): the weights will hardly change; raise --epochs or lower --nbs",
            file=sys.stderr,
        )


def settle_optimizer(resolved: Resolved[TrainConfig], num_classes: int, iterations: int) -> Resolved[TrainConfig]:
    """`optimizer="auto"` made concrete, with origin 'auto'; a rate or momentum that the user set is kept."""
    if resolved.config.optimizer != AUTO:
        return resolved
    choice = choose_optimizer(resolved.config, num_classes, iterations)
    # SGD's momentum is the configured one in any case, see `Schedule`.
    decided = {"lr0": choice.lr} | ({} if choice.name == "SGD" else {"momentum": choice.momentum})
    changes: dict[str, Any] = {name: value for name, value in decided.items() if resolved.origins[name] != USER}
    changes["optimizer"] = choice.name
    config = dataclasses.replace(resolved.config, **changes)
    print(f"optimizer {config.optimizer}, lr0 {config.lr0:g}, momentum {config.momentum:g}", file=sys.stderr)
    return Resolved(config, {**resolved.origins, **dict.fromkeys(changes, AUTO)})


def disk_bytes(model: Detector) -> int:
    """What a run keeps on the disk at most: two states and one being written, two weight files and one being written.

    A state holds the weights, their average, two moments of the optimizer and, within an accumulation, gradients.
    """
    weights: int = sum(tensor.nbytes for tensor in model.state_dict().values())
    return 3 * 5 * weights + 3 * weights


def fingerprint(index: ImageIndex) -> str:
    """Hash of a split's images and labels."""
    digest = hashlib.sha256("\n".join(index.names).encode())
    digest.update(repr((index.keypoint_shape, index.flip_idx)).encode())
    outlines = (index.polygon_offsets, index.ring_offsets, index.polygon_points)
    keypoints = () if index.keypoints is None else (index.keypoints,)
    for row, mask in index.run_lengths.items():
        digest.update(f"{row} ".encode() + mask)
    arrays = (
        index.digests,
        index.sizes,
        index.offsets,
        index.labels,
        index.boxes,
        index.areas,
        index.crowd,
        *outlines,
        *keypoints,
    )
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
