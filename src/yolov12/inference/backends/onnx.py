"""ONNX files in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from yolov12.artefact import read_artefact
from yolov12.errors import SetupError
from yolov12.extras import require
from yolov12.inference.backends.base import (
    DESCRIPTION,
    Canvases,
    ForBatches,
    Opened,
    Outputs,
    Steady,
    Together,
    blob,
    check_inputs,
    device_name,
    fixed_precision,
    float_outputs,
    one_by_one,
    reading,
)


class OnnxBackend:
    """One session with all threads for single pictures; for batches, once it pays, one with a thread for each."""

    name = "onnxruntime"

    def __init__(self, path: Path, opened: Opened) -> None:
        self._library = require("onnxruntime", "onnx")
        self._providers = self._choose_providers(opened.device)
        self._on_gpu = len(self._providers) > 1
        self._threads, self._batches = opened.cores, ForBatches(opened.cores)
        with reading(path):
            self._model = path.read_bytes()  # not by path: a file must not make the library open others
            self._alone = self._session(self._threads)
            self.artefact = read_artefact(self._alone.get_modelmeta().custom_metadata_map.get(DESCRIPTION))
            check_inputs([len(entry.shape) for entry in self._alone.get_inputs()], self.artefact)
        self.precision = fixed_precision(opened, self.artefact, "ONNX Runtime")

    def run(self, images: Canvases, min_score: float = 0.0, *, whole: bool = False) -> Outputs:
        """Outputs of a batch."""
        return self.run_with(images, min_score, self._session_for_batches, whole=whole)

    def for_one_call(self) -> OneCall:
        """What one call or stream runs on."""
        return OneCall(self, self._batches.ready)

    def _session_for_batches(self, pictures: int) -> Together | None:
        return self._batches.at_once(pictures, self._open_for_batches)

    def note_batch(self, pictures: int) -> None:
        """A batch has come; later calls may have a session for it."""
        self._batches.note(pictures, self._open_for_batches)

    def _open_for_batches(self) -> Any:
        return self._session(1)

    def run_with(
        self, images: Canvases, min_score: float, for_batch: Callable[[int], Together | None], *, whole: bool
    ) -> Outputs:
        """Outputs of a batch; `for_batch` gives the session for so many pictures at once."""
        alone = partial(self._run, self._alone, min_score)
        if whole or self._on_gpu:
            return alone(images)
        if len(images) == 1 or self._threads == 1 or not self.artefact.dynamic:
            return one_by_one(alone, images) if self.artefact.batch == 1 else alone(images)
        together = for_batch(len(images))
        if together is None:
            return one_by_one(alone, images)
        session, pool = together
        return one_by_one(partial(self._run, session, min_score), images, pool)

    def _run(self, session: Any, min_score: float, images: Canvases) -> Outputs:
        inputs = [blob(images), np.array(min_score, np.float32)][: len(self.artefact.inputs)]
        names = (entry.name for entry in session.get_inputs())
        try:
            return float_outputs(session.run(None, dict(zip(names, inputs, strict=True))))
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


class OneCall(Steady):
    """A backend for one call or stream, which keeps to the sessions that it began with."""

    def __init__(self, backend: OnnxBackend, together: Together | None) -> None:
        self._backend, self._together = backend, together
        self.name, self.precision, self.artefact = backend.name, backend.precision, backend.artefact

    def run(self, images: Canvases, min_score: float = 0.0, *, whole: bool = False) -> Outputs:
        """Outputs of a batch."""
        return self._backend.run_with(images, min_score, self._for_batch, whole=whole)

    def _for_batch(self, pictures: int) -> Together | None:
        self._backend.note_batch(pictures)
        return self._together
