"""The zip archives that `torch.save` writes, read without torch's own reader.

Such an archive holds one pickle `<name>/data.pkl` and one uncompressed record `<name>/data/<key>` per tensor storage,
each with a CRC. Everything is checked from the directory before memory is taken: no duplicate or compressed member, no
size that lies, no second pickle. The CRC of every member is verified, as torch's reader does not.
"""

from __future__ import annotations

import contextlib
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import Tensor

from yolov12.checkpoint.inert import StorageRef, TensorRef, read_pickle
from yolov12.errors import CheckpointError

MAX_MEMBERS = 50_000  # the largest published model, with optimizer and average, has about 9,000
MAX_PICKLE = 64 * 2**20
DTYPES = {
    "float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16, "float64": torch.float64,
    "int64": torch.int64, "int32": torch.int32, "int16": torch.int16, "int8": torch.int8, "uint8": torch.uint8,
    "bool": torch.bool,
}  # fmt: skip


class TorchArchive:
    """An open `torch.save` file; a context manager. Raises CheckpointError when it is not a sound one."""

    def __init__(self, path: Path) -> None:
        with _zip_errors():
            self._zip = zipfile.ZipFile(path)
        try:
            self._prefix = _check_layout(self._zip.namelist())
            self._members = _check_members(self._zip.infolist(), path.stat().st_size)
            with _zip_errors():
                damaged = self._zip.testzip()
            if damaged is not None:
                raise CheckpointError(f"checksum mismatch in {damaged}: the file is damaged")
        except BaseException:
            self._zip.close()
            raise

    def __enter__(self) -> TorchArchive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()

    def contents(self) -> Any:
        """The archive's object as plain values (see `inert`); raises UnsafeGlobalError instead of running anything."""
        name = self._prefix + "data.pkl"
        if self._members[name].file_size > MAX_PICKLE:
            raise CheckpointError(f"{name} is larger than {MAX_PICKLE} bytes")
        return read_pickle(self._read(name))

    def check(self, reference: TensorRef) -> str:
        """The name of the member that holds a tensor, after a check of existence, size and extent."""
        record = self._record(reference.storage)
        last = reference.offset + sum(
            (size - 1) * stride for size, stride in zip(reference.shape, reference.strides, strict=True)
        )
        if last >= reference.storage.count:
            raise CheckpointError(f"a tensor of shape {reference.shape} reaches past its record {record}")
        return record

    def tensor(self, reference: TensorRef) -> Tensor:
        """A tensor of its own memory, in the type that the file stores."""
        return self.tensors({"": reference})[""]

    def tensors(self, references: Mapping[str, TensorRef]) -> dict[str, Tensor]:
        """Tensors of their own memory, in the types that the file stores. A record that several share is read once."""
        sharing: dict[str, list[str]] = {}
        for name, reference in references.items():
            sharing.setdefault(self.check(reference), []).append(name)
        found: dict[str, Tensor] = {}
        for record, names in sharing.items():
            data = bytearray(self._read(record))
            for name in names:
                shape, strides, offset = references[name].shape, references[name].strides, references[name].offset
                storage = torch.frombuffer(data, dtype=DTYPES[references[name].storage.dtype])
                found[name] = storage.as_strided(shape, strides, offset).clone(memory_format=torch.contiguous_format)
        return {name: found[name] for name in references}

    def _record(self, storage: StorageRef) -> str:
        """The member of a storage, after a check that it exists and has the size that the pickle claims."""
        name = f"{self._prefix}data/{storage.key}"
        if name not in self._members:
            raise CheckpointError(f"the tensor record {name} is missing")
        expected, found = storage.count * DTYPES[storage.dtype].itemsize, self._members[name].file_size
        if expected != found:
            raise CheckpointError(f"the tensor record {name} has {found} bytes, the pickle says {expected}")
        return name

    def _read(self, name: str) -> bytes:
        with _zip_errors():
            return self._zip.read(name)


@contextlib.contextmanager
def _zip_errors() -> Iterator[None]:
    """Whatever the standard library raises for a bad archive (it uses many types), as one error."""
    try:
        yield
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError, OverflowError) as error:
        raise CheckpointError(f"truncated or corrupted zip archive ({error})") from error


def _check_members(members: list[zipfile.ZipInfo], file_size: int) -> dict[str, zipfile.ZipInfo]:
    if len(members) > MAX_MEMBERS:
        raise CheckpointError(f"{len(members)} archive members, more than the limit of {MAX_MEMBERS}")
    by_name: dict[str, zipfile.ZipInfo] = {}
    for member in members:
        if member.filename in by_name:
            raise CheckpointError(f"duplicate member {member.filename}: two readers could see two different files")
        if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
            raise CheckpointError(f"compressed member {member.filename}: model files are never compressed")
        by_name[member.filename] = member
    if sum(member.file_size for member in members) > file_size:
        raise CheckpointError("the archive's directory claims more bytes than the file has")
    return by_name


def _check_layout(members: list[str]) -> str:
    """The folder that every member lies in, with its slash; the archive must be one that `torch.save` makes."""
    if any(name.endswith("/constants.pkl") or "/code/" in name for name in members):
        raise CheckpointError("a TorchScript archive (a program, not weights); save the model's state_dict instead")
    pickles = [name for name in members if name.endswith(".pkl")]
    if not pickles or any(not name.endswith("/data.pkl") or name.count("/") != 1 for name in pickles):
        raise CheckpointError("a zip archive, but not one that torch.save makes (it needs one <name>/data.pkl)")
    return pickles[0].removesuffix("data.pkl")
