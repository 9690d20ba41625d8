"""What the writers of all formats share: an example to trace with, the trace, quiet."""

from __future__ import annotations

import contextlib
import io
import logging
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from yolov12.export.graph import CANVAS, ExportGraph
from yolov12.export.plan import ExportPlan

QUIET = threading.RLock()
"""Held while the process's own output is somewhere else: two threads would put each other's back."""
Save = Callable[[Path, str], None]
"""(path, description): write the file or folder."""


def example(plan: ExportPlan) -> Tensor:
    """Images to trace with: (B, 3, H, W), of the only shape, or of one that shares no number with another axis."""
    batch, height, width = CANVAS if plan.artefact.dynamic else (plan.artefact.batch, *plan.artefact.imgsz)
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(0))


def inputs(plan: ExportPlan) -> tuple[Tensor, ...]:
    """All that the graph takes, to trace with."""
    return (example(plan), torch.tensor(0.25)) if plan.artefact.lazy else (example(plan),)


def traced(graph: ExportGraph, plan: ExportPlan) -> Any:
    """The graph as TorchScript; what the trace takes from the size of the canvas stays free."""
    with torch.inference_mode():
        return torch.jit.trace(graph, inputs(plan), check_trace=False)  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Without the warnings and the log lines of exporters, which are about their own insides."""
    logger, nowhere = logging.getLogger("torch.onnx"), io.StringIO()
    with QUIET, warnings.catch_warnings(), contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        warnings.simplefilter("ignore")
        level = logger.level
        logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(level)
