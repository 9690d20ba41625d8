"""LiteRT folders (TensorFlow Lite), on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolov12.artefact import Artefact
from yolov12.extras import require
from yolov12.inference.backends.base import Opened, TakingTurns, contents, described

MODEL_FILE, MAGIC = "model.tflite", b"TFL3"


class LiteRTBackend(TakingTurns):
    """One interpreter."""

    name, title = "litert", "LiteRT"

    def require(self) -> None:
        """See the base."""
        self._library = require("ai_edge_litert.interpreter", "litert")

    def load(self, path: Path, opened: Opened) -> Artefact:
        """See the base."""
        artefact = described(path)
        content = contents(path / MODEL_FILE, MAGIC)
        interpreter = self._library.Interpreter(model_content=content, num_threads=opened.cores)
        interpreter.allocate_tensors()
        self._run = interpreter.get_signature_runner()
        (self._input,) = self._run.get_input_details()
        return artefact

    def infer(self, images: NDArray[np.float32]) -> Sequence[Any]:
        """See the base."""
        found = self._run(**{self._input: images})
        return [found[name] for name in sorted(found)]  # output_0, output_1
