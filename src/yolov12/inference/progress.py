"""Progress on stderr: the bar that every long job shows, and the average speed of a run over many images."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn

from yolov12.results import Result


def new_bar(*columns: ProgressColumn, shown: bool = True) -> Progress:
    """A bar, `columns`, counts and the time left; it vanishes when it is done. Nothing where stderr is no terminal."""
    console = Console(file=sys.stderr, soft_wrap=True, highlight=False, markup=False)
    disable = not (shown and console.is_terminal)
    everything = (*columns, BarColumn(bar_width=30), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*everything, console=console, transient=True, disable=disable)


def with_progress(results: Iterator[Result], total: int | None) -> Iterator[Result]:
    """Pass `results` on; name the skipped ones, and close with a line of counts and images per second.

    On a terminal there is also a bar. All time counts, also what the receiver takes between two results: the network
    runs on meanwhile.
    """
    done = skipped = 0
    started = time.perf_counter()
    with new_bar(TextColumn("{task.fields[rate]:.1f} images/s")) as bar:
        task = bar.add_task("predict", total=total, rate=0.0)
        for result in results:
            done += 1
            if result.error is not None:
                skipped += 1
                bar.console.print(f"skipped: {result.error}")
            bar.update(task, advance=1, rate=done / (time.perf_counter() - started))
            yield result
    if done:
        bar.console.print(f"{done} images, {skipped} skipped, {done / (time.perf_counter() - started):.1f} images/s")
