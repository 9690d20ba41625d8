"""Model files of other projects: torch archives of pickled networks, and plain state dicts with the published keys.

Nothing of the other project is needed or imported. A pickled network is a tree of inert objects (see `inert`) whose
`_parameters`, `_buffers` and `_modules` are walked in torch's own order. The weight average is preferred where the
file has one. Half-precision weights become float32. What wrappers (data parallel, compiled modules) put in front of
every key is taken off.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from yolov12.checkpoint.archive import TorchArchive
from yolov12.checkpoint.inert import InertObject, TensorRef
from yolov12.checkpoint.model_file import MAX_PARAMETERS, ModelFile, check_finite, check_names
from yolov12.checkpoint.recognise import recognise
from yolov12.config.tasks import TASKS
from yolov12.data.contract import contract
from yolov12.errors import CheckpointError
from yolov12.models.checkpoint_map import official_to_ours

WEIGHT_ENTRIES = ("ema", "model", "state_dict", "model_state", "model_state_dict")
"""Where a checkpoint keeps its weights, best first."""

FIRST_LAYER = re.compile(r"model\.0\.(?!.*model\.)")
STRIDES = [8.0, 16.0, 32.0]
MAX_DEPTH = 32
MAX_TENSORS = 20_000


def model_from_archive(path: Path) -> ModelFile:
    """The network in a `torch.save` file; raises CheckpointError, without the file's name, for everything else."""
    with TorchArchive(path) as archive:
        root = archive.contents()
        weights = _find_weights(root)
        references = dict(_tensors(weights)) if isinstance(weights, InertObject) else _plain_tensors(weights)
        for reference in references.values():
            archive.check(reference)
        _check_budget(references)
        state = archive.tensors(_unwrapped(references))
        attributes = weights.state if isinstance(weights, InertObject) else {}
        strides = attributes.get("stride")
        described = Description(
            classes=attributes.get("nc"),
            strides=archive.tensor(strides).flatten().tolist() if isinstance(strides, TensorRef) else None,
            keypoints=_keypoint_shape(weights),
        )
    entries = root if isinstance(root, dict) and root is not weights else {}
    names = _class_names(attributes.get("names", entries.get("names")))
    return model_from_official(state, names, {**_provenance(entries), "source": path.name}, described)


class Description(NamedTuple):
    """What a file says about its network, None where it does not: to be compared with the tensors."""

    classes: object = None
    strides: object = None
    keypoints: tuple[int, int] | None = None


def model_from_official(
    state: Mapping[str, Tensor],
    names: Mapping[int, str],
    metadata: Mapping[str, Any],
    said: Description = Description(),  # noqa: B008
) -> ModelFile:
    """The network whose published state dict this is. Class names '0', '1', ... where there are none."""
    check_finite(state)
    config = recognise({name: tuple(tensor.shape) for name, tensor in state.items()}, said.keypoints)
    if TASKS[config.task].boxes:  # of whole pictures, such objects say a stride of 1, and classes of the time before
        _check_description(said, config.num_classes)
    ours = official_to_ours(state, config)
    ours = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in ours.items()}
    described = {
        "task": config.task,
        "variant": config.variant,
        "layout": config.layout,
        "preprocess": contract(config.task),
    }
    return ModelFile(config, ours, check_names(names, config.num_classes), {**described, **metadata})


def _find_weights(root: object) -> InertObject | dict[Any, Any]:
    """The pickled network or the state dict inside a checkpoint."""
    if isinstance(root, dict):
        for entry in WEIGHT_ENTRIES:
            value = root.get(entry)
            if isinstance(value, InertObject) or (isinstance(value, dict) and value):
                return value
    if isinstance(root, InertObject) or (isinstance(root, dict) and root):
        return root
    raise CheckpointError("holds no weights (neither a network nor a state dict)")


def _tensors(
    module: InertObject, prefix: str = "", depth: int = 0, visits: Iterator[int] | None = None
) -> Iterator[tuple[str, TensorRef]]:
    """Names and tensors of a pickled network in the order of its state dict: parameters, buffers, then children."""
    visits = itertools.count() if visits is None else visits
    if depth > MAX_DEPTH:
        raise CheckpointError(f"a network nested more than {MAX_DEPTH} deep, or one that contains itself")
    if next(visits) > MAX_TENSORS:  # parts that are shared by parts that are shared add up without taking memory
        raise CheckpointError(f"a network of more than {MAX_TENSORS} parts")
    hidden = module.state.get("_non_persistent_buffers_set") or []
    for name, value in (*_table(module, "_parameters"), *_table(module, "_buffers")):
        if isinstance(value, TensorRef) and name not in hidden:
            yield prefix + name, value
    for name, child in _table(module, "_modules"):
        if isinstance(child, InertObject):
            yield from _tensors(child, f"{prefix}{name}.", depth + 1, visits)


def _table(module: InertObject, attribute: str) -> list[tuple[str, Any]]:
    table = module.state.get(attribute)
    if not isinstance(table, dict):
        raise CheckpointError(f"{module.type_name} is not a network: it has no {attribute}")
    return [(str(name), value) for name, value in table.items()]


def _plain_tensors(state: Mapping[Any, Any]) -> dict[str, TensorRef]:
    tensors = {name: value for name, value in state.items() if isinstance(name, str) and isinstance(value, TensorRef)}
    if not tensors:
        keys = ", ".join(repr(name) for name in list(state)[:5] if isinstance(name, str | int))
        raise CheckpointError(f"holds no weights: no tensors among its entries ({keys})")
    return tensors


def _unwrapped(references: Mapping[str, TensorRef]) -> dict[str, TensorRef]:
    """The same tensors without the prefix that all of their names share in front of `model.<layer>`."""
    first = next((name for name in references if FIRST_LAYER.search(name)), "")
    prefix = first[: FIRST_LAYER.search(first).start()] if first else ""  # type: ignore[union-attr]
    if not all(name.startswith(prefix) for name in references):
        return dict(references)
    return {name.removeprefix(prefix): reference for name, reference in references.items()}


def _check_budget(references: Mapping[str, TensorRef]) -> None:
    """Refuse before memory is taken. Records are read whole, however little of them is used, so their size counts."""
    if len(references) > MAX_TENSORS:
        raise CheckpointError(f"{len(references)} tensors, more than the limit of {MAX_TENSORS}")
    storages = {ref.storage.key: ref.storage.count for ref in references.values()}
    total = max(sum(math.prod(ref.shape) for ref in references.values()), sum(storages.values()))
    if total > MAX_PARAMETERS:
        raise CheckpointError(f"{total} parameters, more than the limit of {MAX_PARAMETERS}")


def _check_description(said: Description, num_classes: int) -> None:
    if said.classes not in (None, num_classes):
        raise CheckpointError(f"nc: the file says {said.classes!r}, its network has {num_classes} class outputs")
    if said.strides not in (None, STRIDES):
        raise CheckpointError(f"stride: expected {STRIDES}, found {said.strides}")


def _keypoint_shape(network: object) -> tuple[int, int] | None:
    """Keypoints and values of each, where a pickled network or its head says them."""
    for module in _modules(network):
        match module.state.get("kpt_shape"):
            case [int(count), int(values)]:  # a list or a tuple
                return count, values
    return None


def _modules(network: object) -> Iterator[InertObject]:
    """A pickled network and all parts of it, each once, however often and deeply it occurs."""
    seen: set[int] = set()
    waiting = [network]
    while waiting:
        module = waiting.pop()
        if isinstance(module, InertObject) and id(module) not in seen:
            seen.add(id(module))
            yield module
            parts = module.state.get("_modules")
            waiting += parts.values() if isinstance(parts, dict) else ()


def _class_names(names: object) -> dict[int, str]:
    """Class names of a network object, which are a dictionary, a list, or missing."""
    if names is None:
        return {}
    pairs = names if isinstance(names, dict) else dict(enumerate(names)) if isinstance(names, list | tuple) else None
    if pairs is not None and all(isinstance(key, str) and key.isdecimal() for key in pairs):
        pairs = {int(key): name for key, name in pairs.items()}
    if pairs is None or not all(type(key) is int and isinstance(name, str) for key, name in pairs.items()):
        raise CheckpointError("names: expected class numbers and texts")
    return dict(pairs)


def _provenance(entries: Mapping[Any, Any]) -> dict[str, Any]:
    """What the file says about its origin, as JSON values."""
    version = entries.get("version")
    found: dict[str, Any] = {
        "producer": f"ultralytics {version}" if isinstance(version, str) else None,
        "licence": entries.get("license"),
        "date": entries.get("date"),
        "epoch": entries.get("epoch"),
        "training": _flat("train_args", entries.get("train_args")),
        "metrics": _flat("train_metrics", entries.get("train_metrics")),
    }
    return {name: value for name, value in found.items() if _is_plain(value) or (isinstance(value, dict) and value)}


def _flat(entry: str, value: object) -> dict[str, Any]:
    """The plain entries of a dictionary or namespace; what is nested is left out."""
    table = value.state if isinstance(value, InertObject) else value
    if table is None:
        return {}
    if not isinstance(table, dict):
        raise CheckpointError(f"{entry}: expected named values, found {type(table).__name__}")
    return {str(key): item for key, item in table.items() if isinstance(key, str) and _is_plain(item)}


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))
