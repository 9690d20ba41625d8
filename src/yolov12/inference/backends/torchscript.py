"""TorchScript files in torch's own interpreter."""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

from yolov12.artefact import read_artefact
from yolov12.errors import CheckpointError, SetupError
from yolov12.extras import require
from yolov12.inference.backends.base import (
    DESCRIPTION_FILE,
    Canvases,
    Opened,
    Outputs,
    Steady,
    blob,
    device_name,
    fixed_precision,
    float_outputs,
    one_by_one,
    reading,
)

MAX_CODE = 2**24
CALLS = re.compile(r"\b(?:torch|ops)(?:\.\w+)+|\b__(?:set|get)state__\b")
"""What a program calls beside its own parts."""
HARMLESS = re.compile(r"torch\.(?:\w+|nn\.(?:functional|modules)(?:\.\w+)*)|ops\.prim\.\w+")
"""Plain tensor functions, the names of modules, and what takes tuples and sizes apart."""
FORBIDDEN = frozenset({"torch.save", "torch.load", "torch.from_file", "__setstate__", "__getstate__"})


class TorchScriptBackend(Steady):
    """One module on one device; on the CPU each picture of a batch runs by itself."""

    name = "torchscript"

    def __init__(self, path: Path, opened: Opened) -> None:
        torch = self._torch = require("torch", "cpu")
        self._device = "cpu" if opened.device == "auto" else device_name(opened.device)
        if self._device != "cpu" and not torch.cuda.is_available():
            raise SetupError(f"--device {self._device}: torch sees no CUDA device here")
        described = {DESCRIPTION_FILE: ""}
        with reading(path):
            check_script(path)
        with reading(path), warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # torch would rather see torch.export
            data = io.BytesIO(path.read_bytes())
            self._module: Any = torch.jit.load(data, map_location=self._device, _extra_files=described)
            self.artefact = read_artefact(_text(described[DESCRIPTION_FILE]))
        self.precision = fixed_precision(opened, self.artefact, "TorchScript")

    def run(self, images: Canvases, min_score: float = 0.0, *, whole: bool = False) -> Outputs:
        """Outputs of a batch."""
        return self._run(images) if whole or self._device != "cpu" else one_by_one(self._run, images)

    def _run(self, images: Canvases) -> Outputs:
        with self._torch.inference_mode():
            found = self._module(self._torch.from_numpy(blob(images)).to(self._device))
        found = found if isinstance(found, tuple) else (found,)
        return float_outputs([tensor.cpu().numpy() for tensor in found])


def check_script(path: Path) -> None:
    """Raise CheckpointError for a program that could do more than compute: TorchScript has operators for files."""
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if "/code/" not in entry.filename or not entry.filename.endswith(".py"):
                continue
            if entry.file_size > MAX_CODE:
                raise CheckpointError(f"{entry.filename} is too large for the code of a network")
            for call in CALLS.findall(archive.read(entry).decode("utf8", errors="replace")):
                if not HARMLESS.fullmatch(call) or call in FORBIDDEN:
                    raise CheckpointError(f"calls {call}, which no export of this package does")


def _text(found: str | bytes) -> str | None:
    text = found.decode("utf8") if isinstance(found, bytes) else found
    return text or None
