"""Whole numbers of 8 bits in place of floats, after training, for OpenVINO: by NNCF, kept where they cost too much.

All convolutions and products are quantized first. If that loses more accuracy on the calibration pictures than is
allowed, each group of layers goes back to floats once, by itself, to see what it gains; then they stay floats one after
the other, those that gain most first, until the loss is allowed. NNCF's own search goes layer by layer, for hours.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
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
FEW: Final = 32
"""Pictures whose activations are measured while groups are tried."""
GROUP: Final = re.compile(r"__module\.network\.((?:backbone|neck)\.\w+|heads\.\w+(?:\.detect)?\.\w+)")
"""The part of a layer's name that says which group it is of: a stage of the backbone or neck, a branch of a head."""


class _Compiled:
    """A compiled OpenVINO model as a runtime."""

    name, precision = "openvino", "int8"

    def __init__(self, compiled: Any, artefact: Artefact) -> None:
        self._compiled, self._artefact = compiled, artefact

    def __call__(self, images: NDArray[np.uint8], min_score: float = 0.0) -> Decoded:
        found = self._compiled(blob(images))
        outputs = [np.array(found[i]) for i in range(len(self._artefact.outputs))]
        return Decoded(outputs[0], outputs[1] if len(outputs) > 1 else None, self._artefact.keypoint_shape)


class Quantizer:
    """Quantizes one OpenVINO model of float32 on the pictures of an index, labelled with the model's classes."""

    def __init__(self, model: Any, artefact: Artefact, calibration: ImageIndex) -> None:
        self._nncf, self._openvino = require("nncf", "int8"), require("openvino", "openvino")
        self._model, self._artefact, self._calibration = model, artefact, calibration
        self._config = ValConfig(imgsz=artefact.imgsz, rect=artefact.dynamic, batch=1, verbose=False)
        self._data = self._nncf.Dataset([blob(canvas) for canvas in canvases(calibration, artefact)])
        self.before = self.score(model)

    def score(self, model: Any) -> float:
        """Accuracy on the calibration pictures."""
        compiled = self._openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        return evaluate(_Compiled(compiled, self._artefact), self._calibration, self._config, self._artefact.task).main

    def make(self, kept: Sequence[str] = (), pictures: int | None = None) -> Any:
        """The model in 8 bits but for the groups of `kept`, by the activations of the first `pictures` (all)."""
        scope = self._nncf.IgnoredScope(patterns=[rf"__module\.network\.{re.escape(group)}[./].*" for group in kept])
        return self._nncf.quantize(
            self._model,
            self._data,
            preset=self._nncf.QuantizationPreset.MIXED,
            subset_size=pictures or len(self._calibration),
            ignored_scope=scope,
        )

    def groups(self) -> list[str]:
        """The groups of layers, in the order of the network."""
        names = (GROUP.match(node.get_friendly_name()) for node in self._model.get_ordered_ops())
        return list(dict.fromkeys(name[1] for name in names if name))


def quantized(model: Any, artefact: Artefact, calibration: ImageIndex, say: Callable[[str], object]) -> Any:
    """An OpenVINO model of float32 with 8-bit layers, as accurate as `MAX_DROP` asks; `say` hears what was found."""
    quantizer = Quantizer(model, artefact, calibration)
    made = quantizer.make()
    after = quantizer.score(made)
    say(f"int8: {quantizer.before:.4f} -> {after:.4f} on the {len(calibration)} calibration pictures")
    if quantizer.before - after <= MAX_DROP:
        return made
    groups = quantizer.groups()
    say(f"int8: looking for the layers that cost most among {len(groups)} groups")
    gains = {group: quantizer.score(quantizer.make([group], FEW)) for group in groups}
    kept: list[str] = []
    for group in sorted(groups, key=lambda group: -gains[group]):
        kept.append(group)
        made = quantizer.make(kept)
        after = quantizer.score(made)
        say(f"int8 with {', '.join(kept)} in floats: {after:.4f}")
        if quantizer.before - after <= MAX_DROP:
            break
    return made
