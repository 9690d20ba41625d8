"""ExecuTorch folders, on the CPU (XNNPACK). Its Python runtime takes torch's tensors."""

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

MODEL_FILE, MAGIC = "model.pte", b"ET"


class ExecuTorchBackend:
    """One method, which calls from several threads use in turns: it keeps its outputs inside."""

    name = "executorch"

    def __init__(self, path: Path, opened: Opened) -> None:
        runtime, self._torch = require("executorch.runtime", "executorch"), require("torch", "cpu")
        cpu_only(opened, "ExecuTorch")
        with reading(path):
            self.artefact = described(path)
            self._program = runtime.Runtime.get().load_program(contents(path / MODEL_FILE, MAGIC))
            self._method = self._program.load_method("forward")
        self._lock = threading.Lock()
        self.precision = fixed_precision(opened, self.artefact, "ExecuTorch")

    def run(self, images: Canvases, *, whole: bool = False) -> Outputs:
        """Outputs of a batch of the size that the file is for."""
        with self._lock:
            return float_outputs(self._method.execute([self._torch.from_numpy(blob(images))]))
