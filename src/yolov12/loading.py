"""From what `YOLO(...)` is called with to a model in memory: a file, a name that resolves to one, or fresh weights."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import NamedTuple

from yolov12.checkpoint import ModelFile, fit_state, read_model_file
from yolov12.config.variants import check_layout, model_config, parse_variant, with_num_classes
from yolov12.errors import ConfigError
from yolov12.hub import PUBLISHED_LICENCE, resolve_model
from yolov12.models.detector import build_model

DEFAULT_CLASSES = 80
MAX_CLASSES = 100_000
"""More would take memory before anybody notices the slip."""


class Loaded(NamedTuple):
    """A model, and the file that its weights are from, None for fresh weights."""

    file: ModelFile
    path: Path | None


def load_model(
    model: str | Path, *, pretrained: bool, layout: str, num_classes: int | None, offline: bool | None
) -> Loaded:
    """The model that is meant; the arguments are those of `YOLO`.

    Raises CheckpointError for what is neither a file nor a name, ConfigError for arguments that contradict the file,
    SetupError when a download is needed but not possible.
    """
    text = str(model)
    by_layers = text.endswith((".yaml", ".yml"))
    if by_layers and Path(model).exists():
        raise ConfigError(
            f"{text}: a layer-list YAML is not read. Name a preset (yolov12n, yolov12s, yolov12m, yolov12l, "
            "yolov12x) or pass a model file"
        )
    if num_classes is not None and not 1 <= num_classes <= MAX_CLASSES:
        raise ConfigError(f"num_classes {num_classes}: must be between 1 and {MAX_CLASSES}")
    if by_layers or (not pretrained and names_architecture(text)):
        return Loaded(fresh_model_file(text, layout, num_classes), None)
    path = resolve_model(model, layout=layout, offline=offline or None)
    file = read_model_file(path)
    # A `.pt` may have resolved to the `.safetensors` beside it: that is a file, too, whatever it is called.
    if is_model_name(text) and path != Path(model).with_suffix(".safetensors"):
        file = with_classes(file, num_classes or len(file.names))
        file = dataclasses.replace(file, metadata={"licence": PUBLISHED_LICENCE, **file.metadata})
    else:
        check_agreement(file, path, layout, num_classes)
    if pretrained:
        return Loaded(file, path)
    return Loaded(ModelFile(file.config, dict(build_model(file.config, seed=0).state_dict()), file.names), None)


def fresh_model_file(name: str, layout: str, num_classes: int | None) -> ModelFile:
    """The named architecture with fresh weights."""
    config = model_config(name, layout, num_classes or DEFAULT_CLASSES)
    names = {i: str(i) for i in range(config.num_classes)}
    return ModelFile(config, dict(build_model(config, seed=0).state_dict()), names, {})


def with_classes(file: ModelFile, num_classes: int) -> ModelFile:
    """`file` with `num_classes` outputs; what does not fit starts fresh."""
    if num_classes == len(file.names):
        return file
    names = {i: str(i) for i in range(num_classes)}
    config = with_num_classes(file.config, num_classes)
    state, report = fit_state(build_model(config, seed=0).state_dict(), file.state, file.names, names)
    print(report.summary(), file=sys.stderr)
    return ModelFile(config, state, names, file.metadata)


def check_agreement(file: ModelFile, path: Path, layout: str, num_classes: int | None) -> None:
    """Raise ConfigError when the file at `path` is not what the caller says it is."""
    if layout != "turbo" and check_layout(layout) != file.config.layout:
        raise ConfigError(f"layout {layout!r}: {path} holds a {file.config.layout} model; leave `layout` out")
    if num_classes is not None and num_classes != len(file.names):
        raise ConfigError(
            f"num_classes {num_classes}: {path} holds {len(file.names)} classes; leave it out, or train on "
            "data with other classes, which keeps every tensor that fits"
        )


def is_model_name(text: str) -> bool:
    """Whether `text` names an architecture (rather than an embedded model or a file)."""
    return not Path(text).exists() and names_architecture(text)


def names_architecture(text: str) -> bool:
    """Whether `text` is spelt like the name of an architecture that there is."""
    try:
        parse_variant(text)
    except ConfigError:
        return False
    return True
