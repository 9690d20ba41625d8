"""Our own model files: safetensors (tensors and a JSON header, no code) with a checksum over everything.

The header's `__metadata__` has the single entry `yolov12`: a JSON object {format, sha256, header}. The checksum covers
the header and every tensor's name, type, shape and bytes, because the container itself would not notice a flipped bit.
`read_tensors` and `write_tensors` are the container; training states use it too.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from yolov12.atomic import write_atomic
from yolov12.checkpoint.model_file import ModelFile, check_finite, check_names, check_state, naming
from yolov12.config.model import ModelConfig
from yolov12.errors import CheckpointError, ConfigError

FORMAT = 1
ENTRY = "yolov12"
MODEL_KIND = "model"
MAX_HEADER = 16 * 2**20  # bytes; the largest genuine header is about 0.2 MB
MAX_FILE = 16 * 2**30
ELEMENT_SIZES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1,
}  # fmt: skip


class Safetensors(NamedTuple):
    """A whole safetensors file: tensors by name, and the text entries of its header."""

    tensors: dict[str, Tensor]
    metadata: dict[str, str]


# ---- the container ----------------------------------------------------------------------------------------------


def write_tensors(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Write `tensors` and a JSON-able `header` atomically, with a checksum. The same input gives the same bytes."""
    copies = {name: _owned(value) for name, value in tensors.items()}
    text = json.dumps(header, sort_keys=True, ensure_ascii=False, allow_nan=False, default=_plain)
    entry = {"format": FORMAT, "sha256": _digest(text, copies), "header": text}
    write_atomic(path, safetensors.torch.save(copies, {ENTRY: json.dumps(entry, ensure_ascii=False)}))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the header that `write_tensors` wrote; CheckpointError when a single bit of them has changed."""
    with naming(path):
        file = read_safetensors(path)
        if ENTRY not in file.metadata:
            raise CheckpointError(f"not a file of this package (its header has no entry {ENTRY!r})")
        return file.tensors, open_header(file)


def open_header(file: Safetensors) -> dict[str, Any]:
    """Check the format and the checksum of a file of ours, and return its JSON header."""
    try:
        entry = json.loads(file.metadata[ENTRY])
        found, text, expected = entry["format"], entry["header"], entry["sha256"]
        if found != FORMAT:
            raise CheckpointError(f"format {found!r}, this version reads {FORMAT}; update the package")
        if _digest(text, file.tensors) != expected:
            raise CheckpointError("checksum mismatch, the file is damaged")
        header = json.loads(text)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"damaged header ({error})") from error
    if not isinstance(header, dict):
        raise CheckpointError("damaged header (not an object)")
    return header


def read_safetensors(path: Path) -> Safetensors:
    """Any safetensors file, its header checked strictly before a tensor is made; CheckpointError says what is wrong."""
    size = path.stat().st_size
    if size > MAX_FILE:
        raise CheckpointError(f"{size} bytes, more than the limit of {MAX_FILE}")
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > min(MAX_HEADER, size - 8):
            raise CheckpointError(f"truncated or corrupted (header of {length} bytes in a file of {size})")
        header = file.read(length)
    metadata = _check_header(header, size - 8 - length)
    try:
        return Safetensors(safetensors.torch.load(path.read_bytes()), metadata)
    except safetensors.SafetensorError as error:
        raise CheckpointError(f"not a valid safetensors file ({error})") from error


def _check_header(header: bytes, data_size: int) -> dict[str, str]:
    """Names unique, types known, tensors side by side without overlap or gap, nothing after the last one."""
    try:
        table = json.loads(header.decode("utf8"), object_pairs_hook=_unique, parse_constant=_refuse_constant)
        metadata = table.pop("__metadata__", {})
        if not all(isinstance(value, str) for value in metadata.values()):
            raise ValueError("a metadata entry is not text")
        end = 0
        if unknown := {row["dtype"] for row in table.values()} - ELEMENT_SIZES.keys():
            raise ValueError(f"unknown type {sorted(unknown)[0]!r}")
        for name, row in sorted(table.items(), key=lambda item: item[1]["data_offsets"]):
            start, stop = row["data_offsets"]
            if any(type(n) is not int or n < 0 for n in (*row["shape"], start, stop)):
                raise ValueError(f"tensor {name!r} has a negative or fractional size")
            if start != end or stop - start != ELEMENT_SIZES[row["dtype"]] * math.prod(row["shape"]):
                raise ValueError(f"tensor {name!r} overlaps, leaves a gap, or does not have the size of its shape")
            end = stop
        if end != data_size:
            raise ValueError(f"{data_size} bytes of data, the header describes {end}: truncated or trailing bytes")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"invalid safetensors header ({error})") from error
    return {str(key): value for key, value in metadata.items()}


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("duplicate key")
    return table


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _digest(text: str, tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over the header's text and, in the order of names, each tensor's name, type, shape and bytes."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"\n{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _owned(tensor: Tensor) -> Tensor:
    """A contiguous copy in main memory that shares its storage with nothing."""
    return tensor.detach().cpu().clone(memory_format=torch.contiguous_format)


def _plain(value: object) -> Any:
    """JSON form of the few non-JSON types that headers hold."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"a model file's header cannot hold {type(value).__name__}")


# ---- model files ------------------------------------------------------------------------------------------------


def write_model_file(path: Path, file: ModelFile, *, half: bool = False) -> None:
    """Write `file` atomically; `half` stores the weights as float16 (half the size, read back as float32).

    Raises CheckpointError when a weight is not finite, or too large for float16.
    """
    state = {name: value.detach() for name, value in file.state.items()}
    check_finite(state)
    if half:
        state = {name: value.half() if value.is_floating_point() else value for name, value in state.items()}
        try:
            check_finite(state)
        except CheckpointError as error:
            raise CheckpointError(f"{path}: a weight does not fit float16 ({error}); write it in float32") from error
    header = {
        "kind": MODEL_KIND,
        "config": file.config.to_dict(),
        "names": [file.names[index] for index in range(file.config.num_classes)],
        "metadata": file.metadata,
    }
    write_tensors(path, state, header)


def model_from_native(file: Safetensors) -> ModelFile:
    """The model in a file of ours that `read_safetensors` has read."""
    header = open_header(file)
    if header.get("kind") != MODEL_KIND:
        raise CheckpointError("not a model but a training state; use the weights file beside it")
    try:
        config = ModelConfig.from_dict(header["config"])
        names = check_names(dict(enumerate(header["names"])), config.num_classes)
        metadata = dict(header["metadata"])
    except (ValueError, TypeError, KeyError, ConfigError) as error:
        raise CheckpointError(f"damaged header ({error})") from error
    check_state(file.tensors, config)
    check_finite(file.tensors)
    state = {name: value.float() if value.is_floating_point() else value for name, value in file.tensors.items()}
    return ModelFile(config, state, names, metadata)
