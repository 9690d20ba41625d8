"""ONNX files in ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from yolov12.artefact import read_artefact
from yolov12.errors import SetupError
from yolov12.extras import require
from yolov12.inference.backends.base import (
    DESCRIPTION,
    Canvases,
    Opened,
    Outputs,
    blob,
    check_inputs,
    device_name,
    fixed_precision,
    float_outputs,
    reading,
)
from yolov12.inference.backends.side_by_side import SideBySide


class OnnxBackend(SideBySide):
    """One session with all threads for single pictures; for batches, once it pays, one with a thread for each."""

    name = "onnxruntime"

    def __init__(self, path: Path, opened: Opened) -> None:
        super().__init__(opened.cores)
        self._library = require("onnxruntime", "onnx")
        self._providers = self._choose_providers(opened.device)
        self.takes_batches = len(self._providers) > 1
        with reading(path):
            self._model = path.read_bytes()  # not by path: a file must not make the library open others
            self.alone = self._session(self.threads)
            self.artefact = read_artefact(self.alone.get_modelmeta().custom_metadata_map.get(DESCRIPTION))
            check_inputs([len(entry.shape) for entry in self.alone.get_inputs()], self.artefact)
        self.precision = fixed_precision(opened, self.artefact, "ONNX Runtime")

    def open_for_batches(self) -> Any:
        """See the base."""
        return self._session(1)

    def run_on(self, graph: Any, min_score: float, images: Canvases) -> Outputs:
        """Outputs of a session."""
        inputs = [blob(images), np.array(min_score, np.float32)][: len(self.artefact.inputs)]
        names = (entry.name for entry in graph.get_inputs())
        try:
            return float_outputs(graph.run(None, dict(zip(names, inputs, strict=True))))
        except MemoryError:
            raise
        except Exception as error:  # the library's own types have no common base
            raise RuntimeError(str(error)) from error

    def _session(self, threads: int) -> Any:
        options = self._library.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Threads spin while they wait within a call, a tenth to a sixth faster, and take no core between calls.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        return self._library.InferenceSession(self._model, options, providers=self._providers)

    def _choose_providers(self, device: str) -> list[Any]:
        known = self._library.get_available_providers()
        name = device_name(device)
        if name in ("auto", "cpu"):
            return ["CPUExecutionProvider"]
        if "CUDAExecutionProvider" not in known:
            raise SetupError(f"--device {device}: this ONNX Runtime has no CUDA: pip install onnxruntime-gpu")
        number = int(name.partition(":")[2] or 0)
        return [("CUDAExecutionProvider", {"device_id": number}), "CPUExecutionProvider"]
