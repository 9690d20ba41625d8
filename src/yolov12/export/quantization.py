"""Whole numbers of 8 bits in place of floats, after training, for OpenVINO: by NNCF, kept where they cost too much.

All convolutions and linear layers are quantized first; sums and products inside attention are not. If that loses more
accuracy on the calibration pictures than is allowed, each group of layers goes back to floats once, by itself, to see
what it gains; then they stay floats one after the other, those that gain most first, until the loss is allowed. NNCF's
own search goes layer by layer, for hours.
"""

from __future__ import annotations

import logging
import re
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from yolov12.artefact import Artefact
from yolov12.config.run import ValConfig
from yolov12.data.index import ImageIndex
from yolov12.detections import Decoded
from yolov12.errors import ExportError
from yolov12.evaluation.evaluator import evaluate
from yolov12.export.certificate import canvases
from yolov12.export.tracing import quietly
from yolov12.extras import openvino_core, require
from yolov12.inference.backends.base import blob

MAX_DROP: Final = 0.005
"""Of AP50-95, or top-1, on the calibration pictures."""
FEW: Final = 32
"""Pictures whose activations are measured while groups are tried."""
ROUNDS: Final = 12
"""Of the timing."""
GROUP: Final = re.compile(r"__module\.network\.((?:backbone|neck)\.\w+|heads\.\w+(?:\.detect)?\.\w+)")
"""The part of a layer's name that says which group it is of: a stage of the backbone or neck, a branch of a head."""
IN_FLOATS: Final = ".position.conv"
"""The depthwise convolutions of area attention always stay floats: NNCF (3.4) rounds their input by channel, but in
front of a transposition, where that axis is another one; graphs of free shape then take no batch."""


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
    """Quantizes an OpenVINO `model` of float32 on the pictures of an index, labelled with the model's classes.

    `pictures` are their canvases, (1, H, W, 3) uint8 BGR each; `before` is the accuracy of the model it began with.
    """

    _whole: tuple[Any, float] | None = None
    """The model with all layers in 8 bits, and its accuracy, once it was made."""

    def __init__(self, model: Any, artefact: Artefact, calibration: ImageIndex) -> None:
        self._nncf, self._openvino = require("nncf", "int8"), require("openvino", "openvino")
        self._nncf.set_log_level(logging.ERROR)  # it would tell each layer that it leaves alone
        self.model, self._artefact, self._calibration = model, artefact, calibration
        self._config = ValConfig(imgsz=artefact.imgsz, rect=artefact.dynamic, batch=1, verbose=False)
        self.pictures = list(canvases(calibration, artefact))
        self.before = self.score(model)

    def score(self, model: Any) -> float:
        """Accuracy on the calibration pictures."""
        runtime = self._compiled(model)
        return evaluate(runtime, self._calibration, self._config, self._artefact.task).main

    def _compiled(self, model: Any) -> _Compiled:
        compiled = openvino_core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        return _Compiled(compiled, self._artefact)

    def speed(self, made: Any) -> str:
        """What became of the time of one picture: medians of rounds in which floats and 8 bits take turns."""
        picture = self.pictures[0]
        runtimes = [self._compiled(model) for model in (self.model, made)]
        times: list[list[float]] = [[], []]
        for _ in range(ROUNDS):
            for runtime, seconds in zip(runtimes, times, strict=True):
                started = time.perf_counter()
                runtime(picture)
                seconds.append(time.perf_counter() - started)
        before, after = (1000 * statistics.median(seconds[1:]) for seconds in times)  # the first one warms up
        height, width = picture.shape[1:3]
        return (
            f"{before:.1f} -> {after:.1f} ms for {width}x{height} on this processor, {before / after:.2f} times as fast"
        )

    def make(self, kept: Sequence[str] = (), pictures: int | None = None) -> Any:
        """The model in 8 bits but for the groups of `kept`, by the activations of the first `pictures` (all)."""
        ranges = self._nncf.quantization.range_estimator.RangeEstimatorParametersSet.HISTOGRAM
        patterns = [
            rf".*{re.escape(IN_FLOATS)}/.*",
            *(rf"__module\.network\.{re.escape(group)}[./].*" for group in kept),
        ]
        with quietly():
            return self._nncf.quantize(
                self.model,
                self._nncf.Dataset(self.pictures, blob),
                preset=self._nncf.QuantizationPreset.MIXED,
                model_type=self._nncf.ModelType.TRANSFORMER,  # leaves sums, products and norms of attention floats
                subset_size=pictures or len(self.pictures),
                ignored_scope=self._nncf.IgnoredScope(patterns=patterns, validate=False),
                advanced_parameters=self._nncf.AdvancedQuantizationParameters(
                    activations_range_estimator_params=ranges
                ),
            )

    def made_whole(self) -> tuple[Any, float]:
        """The model with all layers in 8 bits, and its accuracy."""
        made = self.make()
        return made, self.score(made)

    def prefer(self, tuned: Any, say: Callable[[str], object]) -> bool:
        """Whether the fine-tuned model is more accurate in 8 bits than the one at hand; it then takes its place."""
        plain, before = self.model, self.made_whole()
        self.model = tuned
        after = self.made_whole()
        say(f"int8: {before[1]:.4f} as it was, {after[1]:.4f} fine-tuned: the better one is taken")
        better = after[1] > before[1]
        self.model, self._whole = (tuned, after) if better else (plain, before)
        return better

    def groups(self) -> list[str]:
        """The groups of layers, in the order of the network."""
        names = (GROUP.match(node.get_friendly_name()) for node in self.model.get_ordered_ops())
        return list(dict.fromkeys(name[1] for name in names if name))

    def search(self, say: Callable[[str], object]) -> Any:
        """The model with 8-bit layers, as accurate as `MAX_DROP` asks; ExportError if that cannot be had."""
        made, after = self._whole or self.made_whole()
        say(f"int8: {self.before:.4f} -> {after:.4f} on the {len(self.pictures)} calibration pictures")
        if self.before - after <= MAX_DROP:
            return made
        groups = self.groups()
        say(f"int8: looking for the layers that cost most among {len(groups)} groups")
        gains = {group: self.score(self.make([group], FEW)) for group in groups}
        kept: list[str] = []
        for group in sorted(groups, key=lambda group: -gains[group])[:-1]:  # all in floats is no int8
            kept.append(group)
            made = self.make(kept)
            after = self.score(made)
            say(f"int8 with {', '.join(kept)} in floats: {after:.4f}")
            if self.before - after <= MAX_DROP:
                return made
        raise ExportError(
            f"int8: on the calibration pictures the accuracy falls from {self.before:.4f} to {after:.4f} even with "
            f"{', '.join(kept) or 'nothing'} in floats; --finetune may help. Nothing was written"
        )
