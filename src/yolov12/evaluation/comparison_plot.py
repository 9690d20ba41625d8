"""The picture of a comparison: accuracy over latency, each model with its interval."""

from __future__ import annotations

from pathlib import Path

from yolov12.evaluation.comparison import Comparison
from yolov12.evaluation.curves import drawable, new_figure, save_figure


def draw_comparison(comparison: Comparison, path: Path) -> None:
    """Write the PNG: first score over median latency; whiskers reach the interval's ends and the 95th percentile."""
    figure, axes = new_figure(7.0, 5.0)
    for number, standing in enumerate(comparison.standings):
        name, score = next(iter(standing.scores.items()))
        median, slow = standing.latency_ms
        below, above = max(score.value - score.low, 0.0), max(score.high - score.value, 0.0)
        axes.errorbar(
            median, score.value, yerr=[[below], [above]], xerr=[[0.0], [max(slow - median, 0.0)]], fmt="o",
            capsize=4, color=f"C{number % 10}", label=drawable(f"{standing.name} ({standing.parameters / 1e6:.1f} M)"),
        )  # fmt: skip
        axes.set(xlabel="Latency, ms (median; whisker: 95th percentile)", ylabel=f"{name} ({score.level:.0%} interval)")
    axes.set_xlim(left=0)
    axes.set_title(f"{comparison.images} images, {comparison.split}")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    save_figure(figure, axes, path)
