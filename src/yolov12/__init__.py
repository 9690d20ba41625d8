"""YOLOv12, the attention-centric real-time detector (Tian et al. 2025, arXiv:2502.12524).

`from yolov12 import YOLO` is the whole public entrance; `YoloV12` builds a network from parts. Importing this package
touches nothing: no file, no socket, no global, and no torch until a public name is first used.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

from yolov12.version import __version__

if TYPE_CHECKING:
    from yolov12.api.exported import ExportedModel
    from yolov12.api.model import YOLO
    from yolov12.composition import DetectionHead, FPNPANNeck, TransformerBackbone, YoloV12
    from yolov12.hub import EMBEDDED_MODELS
    from yolov12.results import Result

__all__ = [
    "EMBEDDED_MODELS",
    "YOLO",
    "DetectionHead",
    "ExportedModel",
    "FPNPANNeck",
    "Result",
    "TransformerBackbone",
    "YoloV12",
    "__version__",
]

_HOMES = {
    "EMBEDDED_MODELS": "hub",
    "YOLO": "api.model",
    "DetectionHead": "composition",
    "ExportedModel": "api.exported",
    "FPNPANNeck": "composition",
    "Result": "results",
    "TransformerBackbone": "composition",
    "YoloV12": "composition",
}


def __getattr__(name: str) -> Any:
    """Import public names when they are first used (one of the two places where lazy imports are allowed)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'yolov12' has no attribute {name!r}; public names: {', '.join(__all__)}")
    if name == "YOLO" and importlib.util.find_spec("torch") is None:
        name = "ExportedModel"  # all that can run here
    return getattr(importlib.import_module(f"yolov12.{_HOMES[name]}"), name)
