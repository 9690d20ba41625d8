"""OpenVINO folders. The library would choose bfloat16 by itself where the processor has it: we always say."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from yolov12.errors import CheckpointError, SetupError
from yolov12.extras import openvino_core, require
from yolov12.inference.backends.base import (
    Canvases,
    Opened,
    Outputs,
    as_rgb,
    check_inputs,
    cpu_only,
    described,
    float_outputs,
    reading,
)
from yolov12.inference.backends.side_by_side import OneCall, SideBySide

HINTS = {"fp32": "f32", "fp16": "f32", "int8": "f32", "bf16": "bf16"}
"""What OpenVINO calls the arithmetic; half weights are computed in float32, which is faster on processors."""

OFTEN = 48
"""Single canvases of one shape after which a graph for that shape pays: as many more make up for compiling it."""
MOST = 4
"""Graphs for one shape each; they hold weights of their own."""

Shape = tuple[int, ...]


class OpenVINOBackend(SideBySide):
    """One compiled model with all threads for single pictures; for batches one with a stream for each thread."""

    name = "openvino"

    def __init__(self, path: Path, opened: Opened) -> None:
        super().__init__(opened.cores)
        library = require("openvino", "openvino")
        cpu_only(opened, "OpenVINO")
        self._core, self._library = openvino_core(), library
        self._local, self.usual = threading.local(), UsualShapes()
        with reading(path):
            self.artefact = described(path)
            model = self._core.read_model(sole_xml(path))
            check_inputs([entry.partial_shape.rank.get_length() for entry in model.inputs], self.artefact)
            self._model = self._with_preprocessing(model)
        self.precision = self._choose(opened.precision)
        with reading(path):
            self.alone = self._compile("LATENCY", 1)

    def _choose(self, wanted: str) -> str:
        made = self.artefact.precision
        if wanted in ("auto", made):
            return made
        if wanted == "bf16" and made in ("fp32", "fp16"):
            if "BF16" not in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
                raise SetupError("--precision bf16: this processor has no bfloat16")
            return "bf16"
        raise SetupError(f"--precision {wanted}: this file is {made}; choose auto or {made}, or export it again")

    def _with_preprocessing(self, model: Any) -> Any:
        """The model with 8-bit canvases as its input: converting them is fused with the first layer."""
        steps = self._library.preprocess.PrePostProcessor(model)
        entry = steps.input(0)
        entry.tensor().set_element_type(self._library.Type.u8).set_layout(self._library.Layout("NHWC"))
        # Colours are put in order before: on inputs of free size the library (2026.4) drops that step without a word.
        entry.preprocess().convert_element_type(self._library.Type.f32).scale(255.0)
        entry.model().set_layout(self._library.Layout("NCHW"))
        return steps.build()

    def _compile_for(self, shape: Shape) -> Any:
        model = self._model.clone()
        model.reshape({0: list(shape)})
        return self._compile("LATENCY", 1, model)

    def _compile(self, hint: str, streams: int, model: Any = None) -> Any:
        settings = {
            "PERFORMANCE_HINT": hint,
            "NUM_STREAMS": streams,
            "INFERENCE_NUM_THREADS": self.threads,
            "INFERENCE_PRECISION_HINT": HINTS[self.precision],
        }
        return self._core.compile_model(self._model if model is None else model, "CPU", settings)

    def open_for_batches(self) -> Any:
        """See the base."""
        return self._compile("THROUGHPUT", self.threads)

    def for_one_call(self) -> OneCall:
        """What one call or stream runs on. Graphs that have come to pay are compiled beside it."""
        for shape in self.usual.due():
            with contextlib.suppress(RuntimeError):  # no thread to be had: the general graph goes on
                threading.Thread(target=self._prepare, args=(shape,), name="openvino-shape").start()
        return OneShapedCall(self)

    def _prepare(self, shape: Shape) -> None:
        with contextlib.suppress(RuntimeError):
            self.usual.add(shape, self._compile_for(shape))

    def run_on(self, graph: Any, min_score: float, images: Canvases) -> Outputs:
        """Outputs of a compiled graph."""
        requests = self._local.__dict__.setdefault("requests", {})  # one for each thread: a request holds its output
        if graph not in requests:
            requests[graph] = graph.create_infer_request()
        request = requests[graph]
        inputs = [as_rgb(images), np.float32(min_score)][: len(self.artefact.inputs)]
        found = request.infer(inputs, share_inputs=True, share_outputs=True)
        return float_outputs([found[i] for i in range(len(self.artefact.outputs))])


class UsualShapes:
    """Canvases that keep coming, and graphs for them: a tenth to a quarter faster than the one for all sizes.

    `ready` is replaced, never changed, so that a call can keep to the graphs it began with.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: Counter[Shape] = Counter()
        self._asked: set[Shape] = set()
        self.ready: dict[Shape, Any] = {}

    def note(self, shape: Shape) -> None:
        """A canvas that the general graph has to run."""
        with self._lock:
            self._seen[shape] += 1

    def due(self) -> list[Shape]:
        """Those for which a graph pays from now on; each is named once."""
        with self._lock:
            often = [shape for shape, times in self._seen.items() if times >= OFTEN and shape not in self._asked]
            often = often[: MOST - len(self._asked)]
            self._asked.update(often)
        return often

    def add(self, shape: Shape, graph: Any) -> None:
        """A graph for one shape, for calls that begin from now on."""
        with self._lock:
            self.ready = {**self.ready, shape: graph}


class OneShapedCall(OneCall):
    """A backend for one call or stream: single canvases of usual shapes run on graphs of their own."""

    def __init__(self, backend: OpenVINOBackend) -> None:
        super().__init__(backend)
        self._usual, self._ready = backend.usual, backend.usual.ready

    def run(self, images: Canvases, min_score: float = 0.0, *, whole: bool = False) -> Outputs:
        """Outputs of a batch."""
        shape = images.shape
        if shape in self._ready:
            return self._backend.run_on(self._ready[shape], min_score, images)
        if shape[0] == 1 and self.artefact.dynamic:
            self._usual.note(shape)
        return super().run(images, min_score, whole=whole)


def sole_xml(folder: Path) -> Path:
    """The one graph in a folder."""
    found = sorted(folder.glob("*.xml"))
    if len(found) != 1:
        raise CheckpointError(f"expected one .xml in the folder, found {len(found)}")
    return found[0]
