"""TorchScript files in torch's own interpreter."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

from yolov12.artefact import read_artefact
from yolov12.errors import SetupError
from yolov12.extras import require
from yolov12.inference.backends.base import (
    DESCRIPTION_FILE,
    Canvases,
    Opened,
    Outputs,
    blob,
    fixed_precision,
    float_outputs,
    one_by_one,
    reading,
)


class TorchScriptBackend:
    """One module on one device; on the CPU each picture of a batch runs by itself."""

    name = "torchscript"

    def __init__(self, path: Path, opened: Opened) -> None:
        torch = self._torch = require("torch", "cpu")
        self._device = "cpu" if opened.device == "auto" else opened.device
        if self._device != "cpu" and not torch.cuda.is_available():
            raise SetupError(f"--device {self._device}: torch sees no CUDA device here")
        described = {DESCRIPTION_FILE: ""}
        with reading(path), warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # torch would rather see torch.export
            data = io.BytesIO(path.read_bytes())
            self._module: Any = torch.jit.load(data, map_location=self._device, _extra_files=described)
            self.artefact = read_artefact(_text(described[DESCRIPTION_FILE]))
        self.precision = fixed_precision(opened, self.artefact, "TorchScript")

    def run(self, images: Canvases) -> Outputs:
        """Outputs of a batch."""
        return self._run(images) if self._device != "cpu" else one_by_one(self._run, images)

    def _run(self, images: Canvases) -> Outputs:
        with self._torch.inference_mode():
            found = self._module(self._torch.from_numpy(blob(images)).to(self._device))
        found = found if isinstance(found, tuple) else (found,)
        return float_outputs([tensor.cpu().numpy() for tensor in found])


def _text(found: str | bytes) -> str | None:
    text = found.decode("utf8") if isinstance(found, bytes) else found
    return text or None
