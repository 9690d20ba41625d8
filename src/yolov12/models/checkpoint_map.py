"""The published state dicts in terms of ours, both ways, as data.

A published key is `model.<layer>.<path>`. `LAYERS` names the layers, `TRUNK` and `HEAD` rename the steps of the path,
and the area attention's projections are the same rows in another order: the turbo layout keeps queries and keys (`qk`)
apart from values (`v`), the v1.0 layout interleaves them head by head (`qkv`). Our modules are created in the
published order, so a translated state dict is in that order too.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from yolov12.config.backbones import HEAD_DIM
from yolov12.config.heads import DetectHeadConfig
from yolov12.config.model import LAYOUTS, ModelConfig
from yolov12.config.necks import PAFPNConfig
from yolov12.config.tasks import TASKS
from yolov12.errors import CheckpointError
from yolov12.models.detector import Detector

# Layers that only resize and join hold no parameters and are left out.
STAGES: dict[int, str] = {
    0: "backbone.stem",
    1: "backbone.down_p2",
    2: "backbone.stage_p2",
    3: "backbone.down_p3",
    4: "backbone.stage_p3",
    5: "backbone.down_p4",
    6: "backbone.stage_p4",
    7: "backbone.down_p5",
    8: "backbone.stage_p5",
}
NECK = ("neck.top_p4", "neck.out_p3", "neck.down_p3", "neck.out_p4", "neck.down_p4", "neck.out_p5")
LAYERS: dict[str, dict[int, str]] = {
    "yolov12": STAGES | dict(zip((11, 14, 15, 17, 18, 20), NECK, strict=True)),
    "yolo11": STAGES
    | {9: "backbone.pooling", 10: "backbone.attention"}
    | dict(zip((13, 16, 17, 19, 20, 22), NECK, strict=True)),
    "yolov8": STAGES | {9: "backbone.pooling"} | dict(zip((12, 15, 16, 18, 19, 21), NECK, strict=True)),
}
"""By the kind of backbone: published layer number -> our part, in models that find objects."""
CLASSIFY_LAYERS: dict[str, dict[int, str]] = {
    "yolov12": STAGES,
    "yolo11": STAGES | {9: "backbone.attention"},
    "yolov8": STAGES,
}
"""The same for those that classify whole pictures: neither neck nor pooling."""

# Our step -> the published step; a step that is not listed is spelled the same, and None leaves it out.
TRUNK: dict[str, str | None] = {
    "conv1": "cv1",
    "conv2": "cv2",
    "conv3": "cv3",
    "units": "m",
    "norm": "bn",
    "attention": "attn",
    "query_key_value": "qkv",
    "position": "pe",
    "projection": "proj",
    "residual_scale": "gamma",
}
HEAD: dict[str, str | None] = {
    "detect": None,
    "box_branches": "cv2",
    "class_branches": "cv3",
    "bins": "dfl.conv",
    "coefficient_branches": "cv4",
    "keypoint_branches": "cv4",
    "angle_branches": "cv4",
    "prototypes": "proto",
    "conv1": "cv1",
    "conv2": "cv2",
    "conv3": "cv3",
    "norm": "bn",
    "mixer": "conv",
    "classifier": "linear",
}

OPTIONAL = ("num_batches_tracked", "dfl.conv.weight")
"""Ends of published keys that a file may lack: a counter and a constant."""

SHOWN = 10


class Piece(NamedTuple):
    """A published tensor: where it goes, and which of our rows it holds (None: the whole tensor)."""

    official: str
    ours: str
    shape: tuple[int, ...]
    rows: Tensor | None


NECK_BLOCKS = {"yolov12": "relan", "yolo11": "c3k2", "yolov8": "c2f"}
"""By kind of backbone, the block of the neck that it was published with."""


def is_published_form(config: ModelConfig) -> bool:
    """Whether there is a published layout for such a network, whatever its widths."""
    neck, kind = config.neck, config.backbone.kind
    known = kind in LAYERS and (config.layout in LAYOUTS) == (kind == "yolov12")
    plain = isinstance(neck, PAFPNConfig) and (neck.block, neck.upsample) == (NECK_BLOCKS.get(kind), "nearest")
    head = config.heads[config.task]
    usual = head.kind == config.task and not (isinstance(head, DetectHeadConfig) and head.is_dilated)
    return known and not TASKS[config.task].several and (neck is None or plain) and usual


def official_layers(kind: str, task: str) -> dict[int, str]:
    """Published layer number -> our part, by kind of backbone and task; the head comes last."""
    layers = (LAYERS if TASKS[task].boxes else CLASSIFY_LAYERS)[kind]
    return layers | {max(layers) + 1: f"heads.{task}"}


def official_layer_prefixes(config: ModelConfig) -> dict[int, str]:
    """Published layer number -> prefix of our parameter names, for the layers that hold parameters.

    Raises CheckpointError for a network with several heads or parts of different families: it has no published form.
    """
    if len(config.heads) > 1:
        raise CheckpointError(f"a network with several heads ({', '.join(config.heads)}) has no published form")
    if not is_published_form(config):
        parts = [config.backbone.kind, *([config.neck.kind] if config.neck else []), config.heads[config.task].kind]
        raise CheckpointError(
            f"a network of the parts {', '.join(parts)}, as these are, has no published form; save it as .safetensors"
        )
    return official_layers(config.backbone.kind, config.task)


def official_to_ours(state: Mapping[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """Our state dict from a published one; tensors keep their type.

    Raises CheckpointError listing keys that are missing, unexpected or of another shape. The counters of batches and
    the constant of the box distribution may be missing.
    """
    expected = _our_tensors(config)
    pieces = list(_pieces(expected, config))
    shapes = {piece.official: piece.shape for piece in pieces}
    _check(state, shapes, OPTIONAL)
    ours: dict[str, Tensor] = {}
    for piece in pieces:
        source = state.get(piece.official)
        if source is None:
            source = _constant(piece)
        if piece.rows is None:
            ours[piece.ours] = source
        else:
            ours.setdefault(piece.ours, source.new_empty(expected[piece.ours].shape))[piece.rows] = source
    return {name: ours[name] for name in expected}


def ours_to_official(state: Mapping[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """The published state dict, in the published order, floating-point tensors as float32.

    Raises CheckpointError when `state` is not a state dict of `config`.
    """
    expected = _our_tensors(config)
    _check(state, {name: tuple(tensor.shape) for name, tensor in expected.items()})
    official: dict[str, Tensor] = {}
    for piece in _pieces(expected, config):
        tensor = state[piece.ours] if piece.rows is None else state[piece.ours][piece.rows]
        official[piece.official] = tensor.float() if tensor.is_floating_point() else tensor
    return official


def official_key(ours: str, config: ModelConfig) -> str:
    """The published key of one of ours, with the attention's projections still in one (`attn.qkv`)."""
    layers = official_layer_prefixes(config).items()
    index, prefix = next((index, prefix) for index, prefix in layers if ours.startswith(f"{prefix}."))
    steps = HEAD if prefix.startswith("heads.") else TRUNK
    return f"model.{index}.{official_path(ours.removeprefix(f'{prefix}.'), steps)}"


def official_path(path: str, steps: Mapping[str, str | None]) -> str:
    """A path inside a layer in the published spelling; `steps` is `TRUNK` or `HEAD`."""
    spelled = (steps.get(step, step) for step in path.split("."))
    return ".".join(step for step in spelled if step is not None)


def _our_tensors(config: ModelConfig) -> dict[str, Tensor]:
    """Names and shapes of the config's state dict, in order, without allocating it."""
    with torch.device("meta"):
        return Detector(config).state_dict()


def _pieces(expected: Mapping[str, Tensor], config: ModelConfig) -> Iterator[Piece]:
    """Every published tensor of a network, in the published order."""
    for unit, keys in itertools.groupby(expected, key=_projection_unit):
        if not unit:
            yield from (Piece(official_key(key, config), key, tuple(expected[key].shape), None) for key in keys)
            continue
        tensors = {key: tuple(expected[key].shape) for key in keys}
        channels = max(shape[0] for shape in tensors.values() if shape) // 3
        for projection, rows in _projections(config.layout, channels):
            for key, shape in tensors.items():
                official = official_key(key, config).replace(".qkv.", f".{projection}.")
                # A counter has no rows; those of both projections have counted the same batches.
                yield Piece(official, key, (len(rows), *shape[1:]), rows) if shape else Piece(official, key, (), None)


def _projection_unit(key: str) -> str:
    """The prefix of an attention projection that `key` belongs to, or an empty string."""
    return key.partition(".qkv.")[0] if ".qkv." in key else ""


def _projections(layout: str, channels: int) -> list[tuple[str, Tensor]]:
    """Published projections of an attention over `channels`: name, and our row for each of its rows.

    Our 3 * channels rows are queries, keys, values, each head by head.
    """
    rows = torch.arange(3 * channels)
    if layout == "turbo":
        return [("qk", rows[: 2 * channels]), ("v", rows[2 * channels :])]
    # (3, heads, 32) -> (heads, 3, 32): each head's query, key and value lie together.
    return [("qkv", rows.view(3, -1, HEAD_DIM).transpose(0, 1).flatten())]


def _constant(piece: Piece) -> Tensor:
    """The value of an optional tensor that a file lacks: bin values 0, 1, ... or a counter at 0."""
    if piece.official.endswith("num_batches_tracked"):
        return torch.zeros(piece.shape, dtype=torch.int64)
    return torch.arange(math.prod(piece.shape), dtype=torch.float32).view(piece.shape)


def _check(
    state: Mapping[str, Tensor], expected: Mapping[str, tuple[int, ...]], optional: tuple[str, ...] = ()
) -> None:
    findings = {
        "missing": [name for name in expected if name not in state and not name.endswith(optional)],
        "unexpected": [name for name in state if name not in expected],
        "of another shape": [
            f"{name} {list(state[name].shape)}, expected {list(shape)}"
            for name, shape in expected.items()
            if name in state and tuple(state[name].shape) != shape
        ],
    }
    messages = [f"{len(names)} {kind}: {_first(names)}" for kind, names in findings.items() if names]
    if messages:
        raise CheckpointError(f"the tensors do not fit the model; {'; '.join(messages)}")


def _first(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
