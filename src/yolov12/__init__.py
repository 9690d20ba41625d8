"""YOLOv12, the attention-centric real-time detector (Tian et al. 2025, arXiv:2502.12524).

`from yolov12 import YOLO` is the whole public entrance. Importing this package touches nothing: no file, no socket,
no global, and no torch until a public name is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from yolov12.version import __version__

if TYPE_CHECKING:
    from yolov12.api import YOLO
    from yolov12.hub import EMBEDDED_MODELS
    from yolov12.results import Result

__all__ = ["EMBEDDED_MODELS", "YOLO", "Result", "__version__"]


def __getattr__(name: str) -> Any:
    """Import public names when they are first used (one of the two places where lazy imports are allowed)."""
    if name == "YOLO":
        from yolov12.api import YOLO

        return YOLO
    if name == "EMBEDDED_MODELS":
        from yolov12.hub import EMBEDDED_MODELS

        return EMBEDDED_MODELS
    if name == "Result":
        from yolov12.results import Result

        return Result
    raise AttributeError(f"module 'yolov12' has no attribute {name!r}; public names: {', '.join(__all__)}")
