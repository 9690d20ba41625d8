"""The picture of a trace: time by layer, and of the walk back updates."""

from __future__ import annotations

from pathlib import Path

from yolov12.engine.trace import Trace
from yolov12.errors import UserError, printable
from yolov12.evaluation.curves import new_figure, save_figure


def draw_trace(trace: Trace, path: Path) -> None:
    """Write the PNG: one bar a layer, first layer at the top; marked layers in red."""
    if path.suffix.lower() != ".png":
        raise UserError(f"--plot {printable(path)}: must end in .png")
    rows = [row for row in reversed(trace.rows) if row.outputs]
    figure, axes = new_figure(9.0, max(4.0, 0.22 * len(rows)))
    places = range(len(rows))
    if trace.optimizer:
        updates = [100 * (row.update or 0.0) for row in rows]
        axes.barh(places, updates, color=["C3" if row.mark else "C0" for row in rows])
        axes.set_xlabel(f"change of the weights in one step, % of the weights ({trace.optimizer})")
    else:
        axes.barh(places, [row.milliseconds for row in rows], color="C0")
        axes.set_xlabel(f"milliseconds for {trace.images} x {trace.imgsz[0]}x{trace.imgsz[1]} on {trace.device}")
    axes.set_yticks(list(places), [row.name for row in rows], fontsize=7)
    axes.grid(alpha=0.3, axis="x")
    save_figure(figure, axes, path)
