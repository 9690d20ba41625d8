"""What an exported model file says of itself, whatever its format. No torch.

The description is one JSON text that every format carries in its own way (see `inference.backends`). It has everything
that running the file needs: the task, the class names, the canvas, and how pictures are laid on it; and where it is
from: the source's hash, its licence, the versions, and the certificate of the check that every export ends with.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from yolov12.config.fields import from_fields
from yolov12.config.tasks import TASKS
from yolov12.errors import CheckpointError, ConfigError

VERSION = 1
"""Of the description."""
MAX_TEXT = 32 * 2**20
MAX_SIDE, MAX_BATCH = 8192, 65_536


@dataclass(frozen=True)
class Suppression:
    """Suppression that is part of the graph: what `predict` can no longer loosen."""

    conf: float
    iou: float
    max_det: int


@dataclass(frozen=True)
class Artefact:
    """The description of an exported file.

    imgsz           (height, width) of the canvas that it was made for; the only one unless `dynamic`
    batch           pictures in one call; any number if `dynamic`
    precision       of its weights and arithmetic: 'fp32', 'fp16' or 'int8'; a runtime may compute in less than it says
    lazy            the graph has a second input, a score; anchors with no higher one may have zeros for their boxes
    suppression     None: the output is dense, (B, 4 + C + E, A)
    keypoint_shape  (K, D) of a model for poses
    preprocess      how a picture is laid on the canvas, see `data.letterbox.PREPROCESS`
    source          'sha256' of the model file, and its 'name', 'variant', 'layout'
    certificate     outcome of the check, see `export.certificate`
    """

    format: str
    task: str
    names: dict[int, str]
    imgsz: tuple[int, int]
    batch: int
    dynamic: bool
    precision: str
    preprocess: Mapping[str, Any]
    lazy: bool = False
    suppression: Suppression | None = None
    keypoint_shape: tuple[int, int] | None = None
    trained_at: int | None = None
    licence: str = ""
    source: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    certificate: Mapping[str, Any] = field(default_factory=dict)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the graph's inputs, in order."""
        return ("images", "min_score") if self.lazy else ("images",)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the graph's outputs, in order."""
        return ("dense", "prototypes") if TASKS[self.task].masks else ("dense",)

    def to_json(self) -> str:
        """One line of text."""
        values = dataclasses.asdict(self)
        values["names"] = {str(number): name for number, name in self.names.items()}
        return json.dumps({"description": VERSION, **values}, allow_nan=False, ensure_ascii=False)


def read_artefact(text: str | None) -> Artefact:
    """The description in `text`; raises CheckpointError for what no export of this package has written."""
    if text is None:
        raise CheckpointError(
            "has no description by this package: class names and preprocessing are unknown. "
            "Export the model with `yolov12 export`"
        )
    if len(text) > MAX_TEXT:
        raise CheckpointError(f"damaged description ({len(text)} characters)")
    try:
        values = json.loads(text)
        if values.pop("description") != VERSION:
            raise CheckpointError("the description is of another version of this package; export the model again")
        return _checked(values)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, ConfigError) as error:
        raise CheckpointError(f"damaged description ({error})") from error


def _checked(values: dict[str, Any]) -> Artefact:
    names = values.pop("names")
    values["names"] = {int(number): str(name) for number, name in names.items()}
    for key in ("imgsz", "keypoint_shape"):
        if values.get(key) is not None:
            first, second = values[key]
            values[key] = (int(first), int(second))
    if values.get("suppression") is not None:
        values["suppression"] = from_fields("suppression", Suppression, values["suppression"])
    artefact = Artefact(**values)
    if not isinstance(artefact.lazy, bool):
        raise ConfigError(f"lazy {artefact.lazy!r}")
    if artefact.task not in TASKS:
        raise ConfigError(f"task {artefact.task!r}")
    if sorted(artefact.names) != list(range(len(artefact.names))) or not artefact.names:
        raise ConfigError("classes are not numbered from 0")
    if not all(32 <= side <= MAX_SIDE and side % 32 == 0 for side in artefact.imgsz):
        raise ConfigError(f"a canvas of {artefact.imgsz}")
    for name in ("certificate", "preprocess", "source", "versions"):
        if not isinstance(getattr(artefact, name), Mapping):
            raise ConfigError(f"{name} is not a table")
    if not 1 <= artefact.batch <= MAX_BATCH:
        raise ConfigError(f"a batch of {artefact.batch}")
    return artefact
