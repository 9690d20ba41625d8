"""Reading any model file: the content decides what it is, never the name."""

from __future__ import annotations

import io
from pathlib import Path
from typing import NamedTuple

from yolov12.checkpoint.foreign import model_from_archive, model_from_official
from yolov12.checkpoint.inert import read_pickle
from yolov12.checkpoint.model_file import ModelFile, naming
from yolov12.checkpoint.native import ENTRY, model_from_native, read_safetensors
from yolov12.errors import CheckpointError

HEAD = 4096  # bytes looked at to tell what a file is
LEGACY_PICKLES = 4  # torch's format before 1.6: magic number, protocol, system description, object
MAX_LEGACY = 64 * 2**20


class Wrong(NamedTuple):
    """Something that is often found under the name of a model file, and what to do about it."""

    start: bytes
    message: str


WRONG = (
    Wrong(b"version https://git-lfs", "a git-lfs pointer instead of the file: run `git lfs pull`"),
    Wrong(b"<", "an HTML or XML page instead of a model file: a failed download?"),
    Wrong(b"\x89PNG", "a PNG image, not a model file"),
    Wrong(b"\xff\xd8\xff", "a JPEG image, not a model file"),
    Wrong(b"\x1f\x8b", "a gzip archive, not a model file: unpack it first"),
    Wrong(b"{", "a JSON text, not a model file"),
    Wrong(b"\x08", "an exported graph (ONNX), which this version does not read: give the weights it was made from"),
)


def read_model_file(path: Path) -> ModelFile:
    """The model in `path`: a file of this package, a foreign checkpoint, or a plain state dict with published keys.

    Nothing in the file is executed or imported. Raises CheckpointError, one line that names the file, when it is
    missing, damaged, unsafe, or another kind of model.
    """
    with naming(path):
        if not path.is_file():
            raise CheckpointError("is a folder, not a model file" if path.is_dir() else "no such file")
        with path.open("rb") as file:
            head = file.read(HEAD)
        if head.startswith(b"PK\x03\x04"):
            return model_from_archive(path)
        if head[8:9] == b"{":
            file_contents = read_safetensors(path)
            if ENTRY in file_contents.metadata:
                return model_from_native(file_contents)
            return model_from_official(file_contents.tensors, {}, {"source": path.name})
        raise CheckpointError(_what_it_is(path, head))


def _what_it_is(path: Path, head: bytes) -> str:
    """Why a file that is neither a zip archive nor safetensors is refused."""
    if not head:
        return "empty file (0 bytes): truncated or corrupted"
    if head[0] == 0x80 and head[1:2] <= b"\x05":
        return _legacy_pickle(path)
    for wrong in WRONG:
        if head.lstrip().startswith(wrong.start):
            return wrong.message
    if b"backbone:" in head:
        return "a layer-list YAML: name a preset instead (yolov12n, yolov12s ...) or convert a checkpoint"
    return "not a model file: neither a torch archive nor safetensors (truncated or corrupted?)"


def _legacy_pickle(path: Path) -> str:
    """Refuse a bare pickle, by the unsafe name in it if there is one (that raises), else for its age."""
    with path.open("rb") as file:
        stream = io.BytesIO(file.read(MAX_LEGACY))
    for _ in range(LEGACY_PICKLES):
        read_pickle(stream)
    return "a bare pickle (torch's format before 1.6): load it where it was made and save its state_dict again"
