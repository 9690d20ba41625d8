"""Run by the peer's Python: a child process of `predict_cpu.py` and `predict_gpu.py` that predicts with ultralytics.

Uses only the peer's documented interface (`YOLO`, `DetectionModel`, `predict` and its arguments).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common import Predict, serve


def load(start: Mapping[str, Any]) -> Predict:
    """The peer's model of one size with the weights in `start`."""
    import torch
    from ultralytics import YOLO
    from ultralytics.nn.tasks import DetectionModel

    config = f"yolo12{start['size']}.yaml"
    model = YOLO(config)
    network = DetectionModel(config, nc=start["classes"], verbose=False)
    network.load_state_dict(torch.load(start["official"], weights_only=True))  # strict: not one tensor may differ
    model.model = network.eval()

    exported: dict[str, Any] = {}

    def predict(source: str, exported_as: str = "", **options: Any) -> list[Any]:
        if exported_as and exported_as not in exported:
            saved = str(Path(start["official"]).with_name(f"peer_{exported_as}.pt"))
            model.save(saved)
            exported[exported_as] = YOLO(YOLO(saved).export(format=exported_as, imgsz=start["imgsz"], device="cpu"))
        chosen = exported.get(exported_as, model)
        return list(
            chosen.predict(source, imgsz=start["imgsz"], device=start.get("device", "cpu"), verbose=False, **options)
        )

    return predict


if __name__ == "__main__":
    serve(load, "ultralytics", lambda result: "")
