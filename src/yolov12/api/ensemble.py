"""Several models that answer together."""

from __future__ import annotations

from collections.abc import Sequence

from yolov12.api.predicting import Predicting
from yolov12.config.run import ImageSize
from yolov12.errors import ConfigError
from yolov12.inference.fused import FusedRuntime
from yolov12.inference.runtime import Runtime


class Ensemble(Predicting):
    """Detectors of the same classes, models or exported files, whose boxes are fused (weighted box fusion).

    `weights`, one for each, say how far it is trusted. All look at the same canvas. ConfigError for models that do not
    belong together.
    """

    def __init__(self, models: Sequence[Predicting], weights: Sequence[float] | None = None) -> None:
        super().__init__(models[0]._offline if models else None)
        if len(models) < 2:
            raise ConfigError("an ensemble needs at least two models")
        first = models[0]
        for other in models:
            if other.task != "detect":
                raise ConfigError(f"--fuse: box fusion is for detectors, and {other.path} is for {other.task}")
            if other.names != first.names:
                raise ConfigError(f"--fuse: {other.path} knows other classes than {first.path}")
        if weights is not None and (len(weights) != len(models) or min(weights) <= 0):
            raise ConfigError(f"weights {list(weights)}: {len(models)} models need as many positive numbers")
        self._models, self._weights = list(models), weights
        self.names, self.path = dict(first.names), first.path

    @property
    def task(self) -> str:
        """Detect."""
        return "detect"

    @property
    def keypoint_shape(self) -> tuple[int, int] | None:
        """None."""
        return None

    @property
    def usual_size(self) -> ImageSize:
        """That of the first model."""
        return self._models[0].usual_size

    @property
    def trained_size(self) -> int | None:
        """That of the first model."""
        return self._models[0].trained_size

    def runtime(self, device: str = "auto", precision: str = "auto", runtime: str = "auto") -> Runtime:
        """All of them as one."""
        runtimes = [model.runtime(device, precision, runtime) for model in self._models]
        return FusedRuntime(runtimes, len(self.names), self._weights)

    def rect(self, wanted: bool) -> bool:
        """Only if all can."""
        return all(model.rect(wanted) for model in self._models)
