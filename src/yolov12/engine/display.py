"""What a training run shows: a progress bar on a terminal, one line per epoch anywhere else (a log file, CI)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType

from rich.progress import TextColumn

from yolov12.inference.progress import new_bar

REDRAW_SECONDS = 0.5


class EpochDisplay:
    """Writes to stderr, so that stdout stays free for results."""

    def __init__(self, epochs: int, steps_per_epoch: int) -> None:
        self.epochs = epochs
        self.steps = steps_per_epoch
        self.bar = new_bar(TextColumn("{task.description}"))
        self.drawn = 0.0
        self.task = self.bar.add_task("starting", total=steps_per_epoch)

    def __enter__(self) -> EpochDisplay:
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def due(self) -> bool:
        """Whether the bar is shown and old enough to be drawn again; reading losses off a GPU makes it wait."""
        now = time.monotonic()
        if self.bar.disable or now - self.drawn < REDRAW_SECONDS:
            return False
        self.drawn = now
        return True

    def step(self, batches_done: int, loss_sums: Mapping[str, float]) -> None:
        """Move the bar; `loss_sums` are sums over `batches_done` batches."""
        means = "  ".join(f"{name} {total / batches_done:.3f}" for name, total in loss_sums.items())
        self.bar.update(self.task, completed=batches_done, total=self.steps, description=means)

    def end_epoch(self, epoch: int, row: Mapping[str, float | int | None]) -> None:
        """Print the finished epoch's numbers on a line of their own."""
        shown = "  ".join(f"{name} {value:.4g}" for name, value in row.items() if name != "epoch" and value is not None)
        self.bar.console.print(f"epoch {epoch + 1}/{self.epochs}  {shown}")
