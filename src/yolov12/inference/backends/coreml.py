"""Core ML packages. They predict on macOS only; elsewhere the library can still read what a package says of itself."""

from __future__ import annotations

import platform
import threading
from pathlib import Path

from yolov12.artefact import read_artefact
from yolov12.errors import SetupError, printable
from yolov12.extras import require
from yolov12.inference.backends.base import (
    DESCRIPTION,
    Canvases,
    Opened,
    Outputs,
    blob,
    cpu_only,
    fixed_precision,
    float_outputs,
    reading,
)


class CoreMLBackend:
    """One model, which calls from several threads use in turns."""

    name = "coreml"

    def __init__(self, path: Path, opened: Opened) -> None:
        if platform.system() != "Darwin":
            raise SetupError(f"{printable(path)}: Core ML packages run on macOS only")
        library = require("coremltools", "coreml")
        cpu_only(opened, "Core ML")
        with reading(path):
            units = library.ComputeUnit.CPU_ONLY if opened.device == "cpu" else library.ComputeUnit.ALL
            self._model = library.models.MLModel(str(path), compute_units=units)
            self.artefact = read_artefact(self._model.user_defined_metadata.get(DESCRIPTION))
        self._lock = threading.Lock()
        self.precision = fixed_precision(opened, self.artefact, "Core ML")

    def run(self, images: Canvases, *, whole: bool = False) -> Outputs:
        """Outputs of a batch of the size that the package is for."""
        with self._lock:
            found = self._model.predict({"images": blob(images)})
            return float_outputs([found[name] for name in self.artefact.outputs])
