"""Core ML packages. They predict on macOS only; elsewhere the library can still read what a package says of itself."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolov12.artefact import Artefact, read_artefact
from yolov12.errors import SetupError
from yolov12.extras import require
from yolov12.inference.backends.base import DESCRIPTION, Opened, TakingTurns


class CoreMLBackend(TakingTurns):
    """One model, on whatever of the machine Core ML chooses; on its CPU alone where that is asked for."""

    name, title = "coreml", "Core ML"

    def require(self) -> None:
        """See the base."""
        if platform.system() != "Darwin":
            raise SetupError("Core ML packages run on macOS only")
        self._library = require("coremltools", "coreml")

    def load(self, path: Path, opened: Opened) -> Artefact:
        """See the base."""
        library = self._library
        units = library.ComputeUnit.CPU_ONLY if opened.device == "cpu" else library.ComputeUnit.ALL
        self._model = library.models.MLModel(str(path), compute_units=units)
        return read_artefact(self._model.user_defined_metadata.get(DESCRIPTION))

    def infer(self, images: NDArray[np.float32]) -> Sequence[Any]:
        """See the base."""
        found = self._model.predict({"images": images})
        return [found[name] for name in self.artefact.outputs]
