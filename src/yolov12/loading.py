"""From what `YOLO(...)` is called with to a model in memory: a file, a name that resolves to one, or fresh weights.

Also what the header of a model file says about the training that the later calls fall back to.
"""

from __future__ import annotations

import dataclasses
import math
import numbers
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from yolov12.checkpoint import ModelFile, fit_state, read_model_file
from yolov12.checkpoint.model_file import MAX_PARAMETERS
from yolov12.config.designs import FIELDS, read_design, with_parts
from yolov12.config.model import CUSTOM, ModelConfig
from yolov12.config.parse import STRIDE, report_rounding, resolve
from yolov12.config.refit import with_num_classes
from yolov12.config.run import ImageSize, TrainConfig, ValConfig
from yolov12.config.variants import PUBLISHED_FAMILIES, check_layout, model_config, parse_variant, usual_size
from yolov12.data.yaml_nodes import plain_mapping
from yolov12.errors import CheckpointError, ConfigError, printable
from yolov12.hub import PUBLISHED_LICENCE, resolve_model
from yolov12.models.detector import Detector, build_model

MAX_UNITS = 1000
"""Repeated units of a network; the largest published one has 36."""
MAX_CLASSES = 100_000
"""More would take memory before anybody notices the slip."""


class Loaded(NamedTuple):
    """A model, and the file that its weights are from, None for fresh weights."""

    file: ModelFile
    path: Path | None


def load_model(
    model: str | Path | ModelConfig,
    *,
    pretrained: bool,
    layout: str,
    num_classes: int | None,
    offline: bool | None,
    parts: Mapping[str, object] | None = None,
) -> Loaded:
    """The model that is meant; the arguments are those of `YOLO`.

    Raises CheckpointError for what is neither a file nor a name, ConfigError for arguments that contradict the file,
    SetupError when a download is needed but not possible.
    """
    if not isinstance(parts or {}, Mapping):
        raise ConfigError(f"parts {parts!r}: expected named parts, such as {{'backbone': 'hybrid'}}")
    parts, classes = {name: part for name, part in (parts or {}).items() if part}, class_count(num_classes)
    config = described_network(model, layout, classes, fresh=not pretrained or bool(parts))
    if config is not None:
        config = with_parts(config, parts)
        check_budget(config)
        return Loaded(fresh_model_file(config, number_names(config.num_classes)), None)
    if parts:
        raise ConfigError(f"{model}: parts can be swapped in an architecture, such as yolov12n, not in a model file")
    text = str(model)
    path = resolve_model(text, layout=layout, offline=offline)
    file = read_model_file(path)
    # A `.pt` may have resolved to the `.safetensors` beside it: that is a file, too, whatever it is called.
    by_name = path not in (Path(text), Path(text).with_suffix(".safetensors"))
    if layout != "turbo" and check_layout(layout) != file.config.layout:
        raise ConfigError(
            f"layout {layout!r}: {text if by_name else path} holds a {file.config.layout} model; leave `layout` out"
        )
    if not by_name and classes not in (None, len(file.names)):
        raise ConfigError(
            f"num_classes {classes}: {path} holds {len(file.names)} classes; leave it out, or train on "
            "data with other classes, which keeps every tensor that fits"
        )
    if by_name and names_architecture(text):
        file = dataclasses.replace(file, metadata={"licence": PUBLISHED_LICENCE, **file.metadata})
    file = with_classes(file, classes or len(file.names), fresh=not pretrained)
    return Loaded(file, path if pretrained else None)


def described_network(
    model: str | Path | ModelConfig, layout: str, classes: int | None, *, fresh: bool
) -> ModelConfig | None:
    """The architecture that is meant, for fresh weights: a config, a YAML, or a name; None if it is a file to read."""
    if isinstance(model, ModelConfig):
        return model if classes is None else with_num_classes(model, classes)
    if not isinstance(model, str | os.PathLike):
        raise CheckpointError(f"the model must be a path or a name, got {type(model).__name__}")
    text = str(model)
    by_yaml = text.endswith((".yaml", ".yml"))
    if by_yaml and os.path.isfile(text):
        config = read_design_file(Path(text))
        return config if classes is None else with_num_classes(config, classes)
    if not by_yaml and (not names_architecture(text) or os.path.exists(text)):
        return None
    if not by_yaml and not fresh and not was_published(text) and not text.endswith(".pt"):
        print(f"note: {text} has fresh weights: none of this design are published", file=sys.stderr)
    elif not by_yaml and not fresh:
        return None
    return model_config(text, layout, classes)


def was_published(name: str) -> bool:
    """Whether the family of an architecture's name has weights at all; designs of our own have not."""
    return parse_variant(name).family in PUBLISHED_FAMILIES


def read_design_file(path: Path) -> ModelConfig:
    """The network that a YAML of ours describes."""
    values = plain_mapping(path)
    if "nc" in values or any(isinstance(values.get(role), list) for role in ("backbone", "head")):
        raise ConfigError(
            f"{printable(path)}: a layer-list YAML is not read. Name a preset (yolov12n, yolov12s, yolov12m, yolov12l, "
            f"yolov12x), pass a model file, or write a YAML with {', '.join(FIELDS)}"
        )
    try:
        config = read_design(values)
    except ConfigError as error:
        raise ConfigError(f"{printable(path)}: {error}") from error
    return config


def check_budget(config: ModelConfig) -> None:
    """Raise ConfigError for a network that is larger than any machine's, before memory is taken for it."""
    units = config.backbone.units + (config.neck.units if config.neck else 0)
    if units > MAX_UNITS:
        raise ConfigError(f"{units} repeated units; at most {MAX_UNITS} are built")
    with torch.device("meta"):
        network = Detector(config)
        count = sum(tensor.numel() for tensor in (*network.parameters(), *network.buffers()))
    if count > MAX_PARAMETERS:
        raise ConfigError(f"{count:,} parameters; at most {MAX_PARAMETERS:,} are built")


def class_count(num_classes: object) -> int | None:
    """`num_classes` as a plain number within the limits; raises ConfigError otherwise."""
    if num_classes is None:
        return None
    if isinstance(num_classes, bool) or not isinstance(num_classes, numbers.Integral):
        raise ConfigError(f"num_classes {num_classes!r}: expected int, got {type(num_classes).__name__}")
    count = int(num_classes)
    if not 1 <= count <= MAX_CLASSES:
        raise ConfigError(f"num_classes {count}: must be between 1 and {MAX_CLASSES}")
    return count


def number_names(count: int) -> dict[int, str]:
    """Class names where nobody gave any: '0', '1', ..."""
    return {number: str(number) for number in range(count)}


def fresh_model_file(config: ModelConfig, names: dict[int, str]) -> ModelFile:
    """An architecture with fresh weights."""
    return ModelFile(config, dict(build_model(config, seed=0).state_dict()), names, {})


def with_classes(file: ModelFile, num_classes: int, *, fresh: bool) -> ModelFile:
    """`file` with `num_classes` outputs; what does not fit starts fresh, with `fresh` everything does."""
    same = num_classes == len(file.names)
    if same and not fresh:
        return file
    empty = fresh_model_file(
        with_num_classes(file.config, num_classes), file.names if same else number_names(num_classes)
    )
    if fresh:
        return empty
    state, report = fit_state(empty.state, file.state, file.names, empty.names)
    print(report.summary(), file=sys.stderr)
    return dataclasses.replace(empty, state=state, metadata=file.metadata)


def is_model_name(text: str) -> bool:
    """Whether `text` names an architecture (rather than an embedded model or a file)."""
    return not os.path.exists(text) and names_architecture(text)


def names_architecture(text: str) -> bool:
    """Whether `text` is spelt like the name of an architecture that there is."""
    try:
        parse_variant(text)
    except ConfigError:
        return False
    return True


# ---- what a header says of the training ------------------------------------------------------------------------------


def saved_options(metadata: Mapping[str, Any]) -> dict[str, object]:
    """The options that a model of ours was trained with; empty for others."""
    training = metadata.get("training")
    options = training.get("options") if isinstance(training, dict) else None
    entries = options.items() if isinstance(options, dict) else ()
    return {name: entry["value"] for name, entry in entries if isinstance(entry, dict) and "value" in entry}


def designed_options(metadata: Mapping[str, Any]) -> dict[str, object]:
    """Options of `train` that belong to a network's design, in place of their defaults: its box loss."""
    loss = metadata.get("iou_loss")
    if metadata.get("variant") == CUSTOM:
        loss = saved_options(metadata).get("iou_loss", loss)
    return {"iou_loss": loss} if isinstance(loss, str) else {}


def is_single_class(metadata: Mapping[str, Any]) -> bool:
    """Whether a model was trained with all classes as one."""
    return saved_options(metadata).get("single_cls") is True


def trained_size(metadata: Mapping[str, Any]) -> int | None:
    """The side in pixels that a model was trained at, a multiple of 32; None if its header names none that can be.

    Other projects keep their training options in a flat table.
    """
    training = metadata.get("training")
    flat = training.get("imgsz") if isinstance(training, dict) else None
    try:
        size = resolve(TrainConfig, {"imgsz": saved_options(metadata).get("imgsz", flat)}).config.imgsz
    except ConfigError:
        return None
    return math.ceil(size / STRIDE) * STRIDE


def size_to_use(config: ModelConfig, metadata: Mapping[str, Any], *, verbose: bool) -> ImageSize:
    """The size for a caller who names none: that of the training, said on stderr, or the model's usual one."""
    usual = usual_size(config.variant, config.task)
    size = trained_size(metadata) or usual
    if verbose and size != usual:
        print(f"imgsz {size}: the size this model was trained at", file=sys.stderr)
    return size


def val_config(options: Mapping[str, object], model: ModelConfig, metadata: Mapping[str, Any]) -> ValConfig:
    """The config of a validation; what `options` leave out of size and data set (with `single_cls`) is the training's.

    Raises ConfigError for wrong options, and where neither they nor the header name a data set.
    """
    own: dict[str, object] = {"data": saved_options(metadata).get("data", ""), "single_cls": is_single_class(metadata)}
    given = {name: value for name, value in options.items() if name != "data" or value != ""}
    config = resolve(ValConfig, given, base=own).config
    if not config.data:
        raise ConfigError("--data is missing: name the data set's YAML file")
    sized = "imgsz" in options
    imgsz = report_rounding(config.imgsz) if sized else size_to_use(model, metadata, verbose=config.verbose)
    return dataclasses.replace(config, imgsz=imgsz)
