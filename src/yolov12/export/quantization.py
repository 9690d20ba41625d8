"""Whole numbers of 8 bits in place of floats, after training, for OpenVINO: by NNCF, kept where they cost too much.

All convolutions and products are quantized first. If that loses more accuracy than is allowed on the pictures of the
calibration, the layers that cost most go back to floats until it does not (NNCF's accuracy control).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from yolov12.artefact import Artefact
from yolov12.config.run import ValConfig
from yolov12.data.index import ImageIndex
from yolov12.detections import Decoded
from yolov12.evaluation.evaluator import evaluate
from yolov12.export.certificate import canvases
from yolov12.extras import require
from yolov12.inference.backends.base import blob

MAX_DROP: Final = 0.005
"""Of AP50-95, or top-1, on the calibration pictures."""


class _Compiled:
    """A compiled OpenVINO model as a runtime."""

    name, precision = "openvino", "int8"

    def __init__(self, compiled: Any, artefact: Artefact) -> None:
        self._compiled, self._artefact = compiled, artefact

    def __call__(self, images: NDArray[np.uint8], min_score: float = 0.0) -> Decoded:
        found = self._compiled(blob(images))
        outputs = [np.array(found[i]) for i in range(len(self._artefact.outputs))]
        return Decoded(outputs[0], outputs[1] if len(outputs) > 1 else None, self._artefact.keypoint_shape)


def quantized(model: Any, artefact: Artefact, calibration: ImageIndex, say: Callable[[str], object]) -> Any:
    """An OpenVINO model of float32 with 8-bit layers, as accurate as `MAX_DROP` asks.

    Activations are measured, and accuracy, on the pictures of `calibration`, labelled with the model's classes.
    """
    nncf, openvino = require("nncf", "int8"), require("openvino", "openvino")
    config = ValConfig(imgsz=artefact.imgsz, rect=artefact.dynamic, batch=1, verbose=False)

    def score(compiled: Any) -> float:
        return evaluate(_Compiled(compiled, artefact), calibration, config, artefact.task).main

    def compiled(one: Any) -> Any:
        return openvino.Core().compile_model(one, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    data = nncf.Dataset([blob(canvas) for canvas in canvases(calibration, artefact)])
    options = {"preset": nncf.QuantizationPreset.MIXED, "subset_size": len(calibration)}
    made = nncf.quantize(model, data, **options)
    before, after = score(compiled(model)), score(compiled(made))
    say(f"int8: {before:.4f} -> {after:.4f} on the {len(calibration)} calibration pictures")
    if before - after <= MAX_DROP:
        return made
    made = nncf.quantize_with_accuracy_control(
        model, data, data, lambda one, _: (score(one), None), max_drop=MAX_DROP, **options
    )
    say(f"int8 with sensitive layers kept: {before:.4f} -> {score(compiled(made)):.4f}")
    return made
