"""ExecuTorch folders, on the CPU (XNNPACK). Its Python runtime takes torch's tensors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolov12.artefact import Artefact
from yolov12.extras import require
from yolov12.inference.backends.base import Opened, TakingTurns, contents, described

MODEL_FILE, MAGIC = "model.pte", b"ET"


class ExecuTorchBackend(TakingTurns):
    """One method of one program. It takes as many threads as ExecuTorch does by itself."""

    name, title = "executorch", "ExecuTorch"

    def require(self) -> None:
        """See the base."""
        self._runtime, self._torch = require("executorch.runtime", "executorch"), require("torch", "cpu")

    def load(self, path: Path, opened: Opened) -> Artefact:
        """See the base."""
        artefact = described(path)
        self._program = self._runtime.Runtime.get().load_program(contents(path / MODEL_FILE, MAGIC))
        self._method = self._program.load_method("forward")
        return artefact

    def infer(self, images: NDArray[np.float32]) -> Sequence[Any]:
        """See the base."""
        return [output.numpy() for output in self._method.execute([self._torch.from_numpy(images)])]
