"""ncnn folders, on the CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from yolov12.errors import CheckpointError
from yolov12.extras import require
from yolov12.inference.backends.base import (
    Canvases,
    Opened,
    Outputs,
    Steady,
    blob,
    cpu_only,
    described,
    fixed_precision,
    float_outputs,
    one_by_one,
    reading,
)

PARAM_FILE, BIN_FILE = "model.ncnn.param", "model.ncnn.bin"


class NcnnBackend(Steady):
    """One network; a call has an extractor of its own."""

    name = "ncnn"

    def __init__(self, path: Path, opened: Opened) -> None:
        self._library = require("ncnn", "ncnn")
        cpu_only(opened, "ncnn")
        with reading(path):
            self.artefact = described(path)
            self._net = self._library.Net()
            options = self._net.opt
            options.num_threads = opened.cores
            options.use_fp16_packed = options.use_fp16_storage = options.use_fp16_arithmetic = False
            options.use_bf16_storage = False
            for load, name in ((self._net.load_param, PARAM_FILE), (self._net.load_model, BIN_FILE)):
                if not (path / name).is_file() or load(str(path / name)):
                    raise CheckpointError(f"{name} is missing or damaged")
        self.precision = fixed_precision(opened, self.artefact, "ncnn")

    def run(self, images: Canvases, min_score: float = 0.0, *, whole: bool = False) -> Outputs:
        """Outputs of a batch, picture by picture."""
        return one_by_one(self._run, images)

    def _run(self, images: Canvases) -> Outputs:
        extractor = self._net.create_extractor()
        pixels = blob(images)[0]  # (3, H, W), which must outlive the call: ncnn does not copy it
        if extractor.input("in0", self._library.Mat(pixels)):
            raise CheckpointError("the network has no input in0")
        found = []
        for i in range(len(self.artefact.outputs)):
            status, values = extractor.extract(f"out{i}")
            if status:
                raise CheckpointError(f"the network has no output out{i}")
            found.append(np.asarray(values)[None])
        return float_outputs(found)
