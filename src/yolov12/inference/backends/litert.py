"""LiteRT folders (TensorFlow Lite), on the CPU."""

from __future__ import annotations

import threading
from pathlib import Path

from yolov12.extras import require
from yolov12.inference.backends.base import (
    Canvases,
    Opened,
    Outputs,
    blob,
    contents,
    cpu_only,
    described,
    fixed_precision,
    float_outputs,
    reading,
)

MODEL_FILE, MAGIC = "model.tflite", b"TFL3"


class LiteRTBackend:
    """One interpreter, which calls from several threads use in turns: it keeps its outputs inside."""

    name = "litert"

    def __init__(self, path: Path, opened: Opened) -> None:
        library = require("ai_edge_litert.interpreter", "litert")
        cpu_only(opened, "LiteRT")
        with reading(path):
            self.artefact = described(path)
            content = contents(path / MODEL_FILE, MAGIC)
            interpreter = library.Interpreter(model_content=content, num_threads=opened.cores)
            interpreter.allocate_tensors()
            self._run = interpreter.get_signature_runner()
            (self._input,) = self._run.get_input_details()
        self._lock = threading.Lock()
        self.precision = fixed_precision(opened, self.artefact, "LiteRT")

    def run(self, images: Canvases, *, whole: bool = False) -> Outputs:
        """Outputs of a batch of the size that the file is for."""
        with self._lock:
            found = self._run(**{self._input: blob(images)})
            return float_outputs([found[name] for name in sorted(found)])  # output_0, output_1
