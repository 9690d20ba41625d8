"""A child process of `predict_cpu.py` and `predict_gpu.py` that predicts with this package."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common import Predict, serve


def load(start: Mapping[str, Any]) -> Predict:
    """Our model with the weights in `start`."""
    from yolov12 import YOLO

    model = YOLO(start["ours"])
    device = start.get("device", "cpu")
    if device == "cpu":
        print(model.tune(imgsz=start["imgsz"]).why, flush=True)  # what the second call would begin beside itself

    def predict(source: str, **options: Any) -> list[Any]:
        return list(model.predict(source, imgsz=start["imgsz"], device=device, verbose=False, **options))

    return predict


if __name__ == "__main__":
    serve(load, "yolov12", lambda result: f"{result.runtime}, {result.precision}")
