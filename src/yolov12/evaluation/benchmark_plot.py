"""The picture of a benchmark: accuracy over time, the best trade-offs joined by a line."""

from __future__ import annotations

from pathlib import Path

from yolov12.evaluation.benchmark import Benchmark
from yolov12.evaluation.curves import drawable, new_figure, save_figure
from yolov12.metrics import main_name


def draw_benchmark(benchmark: Benchmark, path: Path) -> None:
    """Write the PNG; without accuracies the vertical axis is pictures per second."""
    figure, axes = new_figure(8.0, 5.0)
    lines = [line for line in benchmark.lines if line.milliseconds is not None]
    scored = any(line.accuracy is not None for line in lines)
    for number, line in enumerate(lines):
        median, slow = line.milliseconds or (0.0, 0.0)
        height = (line.accuracy if scored else line.throughput) or 0.0
        axes.errorbar(
            median, height, xerr=[[0.0], [max(slow - median, 0.0)]], fmt="o", capsize=3, color=f"C{number % 10}",
            label=drawable(str(line.setting)),
        )  # fmt: skip
    best = benchmark.frontier()
    if len(best) > 1:
        points = [(line.milliseconds[0], line.accuracy) for line in best if line.milliseconds is not None]
        axes.plot(*zip(*points, strict=True), color="0.6", linewidth=1, zorder=0)
    axes.set(
        xlabel="Milliseconds per picture, file to result (median; whisker: 95th percentile)",
        ylabel=main_name(benchmark.task) if scored else "Pictures per second",
    )
    axes.set_xlim(left=0)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)
    save_figure(figure, axes, path)
