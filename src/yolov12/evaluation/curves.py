"""Pictures of a result: precision, recall and F1 curves, the confusion matrix, and the course of a training run.

Drawn with matplotlib's object interface: no pyplot, no window, nothing global changes, and threads may draw at once.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.text import Text

from yolov12.atomic import write_atomic
from yolov12.matching import Floats, Ints
from yolov12.metrics import ApMetrics, ClassificationMetrics, DetectionMetrics, Metrics

FONT = "DejaVu Sans"  # comes with matplotlib, so that pictures look the same everywhere
DPI = 150
MAX_NAMES = 30
"""With more classes than this, curves are grey and unlabelled and the matrix shows colours only."""
MAX_NAME_LENGTH = 32
BACKGROUND = "background"


def draw_metrics(metrics: Metrics, folder: Path) -> list[Path]:
    """Write every picture of one evaluation into `folder`; returns their paths."""
    if isinstance(metrics, ClassificationMetrics):
        path = folder / "confusion_matrix.png"
        _draw_matrix(metrics.confusion_matrix, list(metrics.names.values()), "Confusion matrix", path)
        return [path]
    if not isinstance(metrics, DetectionMetrics):
        raise TypeError(f"there are no pictures for {type(metrics).__name__}")
    paths = []
    for name, part in metrics.parts.items():
        prefix, similarity = ("", "IoU") if name == "box" else (f"{name}_", "OKS" if name == "pose" else "mask IoU")
        paths += _draw_curves(part, metrics.names, folder, prefix, similarity)
    paths.append(folder / "confusion_matrix.png")
    title = "Confusion matrix (confidence 0.25, IoU 0.5)"
    _draw_matrix(metrics.confusion_matrix, [*metrics.names.values(), BACKGROUND], title, paths[-1])
    return paths


def _draw_curves(part: ApMetrics, names: Mapping[int, str], folder: Path, prefix: str, similarity: str) -> list[Path]:
    """The four curves of one kind of scores."""
    curves = part.curves
    shown = [drawable(names[int(k)]) for k in curves.class_ids]
    paths = [folder / f"{prefix}{name}_curve.png" for name in ("PR", "P", "R", "F1")]
    recalls = np.linspace(0.0, 1.0, part.precision_at_recall.shape[1])
    scores = part.maps50[curves.class_ids]
    labels = [f"{name} {value:.3f}" for name, value in zip(shown, scores, strict=True)]
    _draw_lines(paths[0], recalls, part.precision_at_recall, labels, ("Recall", "Precision", similarity))
    for path, title, lines in zip(
        paths[1:], ("Precision", "Recall", "F1"), (curves.precision, curves.recall, curves.f1), strict=True
    ):
        axis_names = ("Confidence", title, similarity)
        _draw_lines(path, curves.confidences, lines, shown, axis_names, mark=curves.best)
    return paths


def _draw_matrix(counts: Ints, names: Sequence[str], title: str, path: Path) -> None:
    """Counts with the share of the true class as colour; rows are true, columns predicted."""
    size = len(counts)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    labels = [drawable(name) for name in names]
    side = float(np.clip(3.0 + 0.45 * size, 5.0, 16.0))
    figure, axes = new_figure(side + 1.0, side)
    image = axes.imshow(share, cmap="Blues", vmin=0.0, vmax=1.0)
    figure.colorbar(image, ax=axes, fraction=0.045, label="share of the true class")
    axes.set(title=title, xlabel="Predicted", ylabel="True")
    if size > MAX_NAMES + 1:
        last = " (last: background)" if names[-1] is BACKGROUND else ""
        axes.set(xlabel=f"Predicted class id{last}", ylabel=f"True class id{last}")
    else:
        axes.set_xticks(range(size), labels, rotation=90 if sum(map(len, labels)) > 50 else 0)
        axes.set_yticks(range(size), labels)
        for (row, column), count in np.ndenumerate(counts):
            if count:
                color = "white" if share[row, column] > 0.5 else "black"
                axes.text(column, row, str(count), ha="center", va="center", color=color, fontsize=8)
    save_figure(figure, axes, path)


def draw_training(rows: Sequence[Mapping[str, float | None]], path: Path) -> None:
    """Losses, metrics and learning rates over the epochs, one panel for each column of the result table."""
    columns = [name for name in dict.fromkeys(name for row in rows for name in row) if name != "epoch"]
    columns = [name for name in columns if any(row.get(name) is not None for row in rows)]
    if not columns:
        return
    width = min(4, len(columns))
    height = -(-len(columns) // width)
    figure = Figure(figsize=(3.2 * width, 2.6 * height), layout="constrained")
    FigureCanvasAgg(figure)
    for position, name in enumerate(columns, start=1):
        axes = figure.add_subplot(height, width, position)
        points = [(row["epoch"], row[name]) for row in rows if row.get(name) is not None]
        axes.plot(*zip(*points, strict=True), marker="." if len(points) < 50 else None, linewidth=1.5)
        axes.set_title(name, fontsize=9)
        axes.grid(alpha=0.3)
        axes.tick_params(labelsize=7)
    save_figure(figure, figure.axes[0], path)


def drawable(name: str) -> str:
    """`name` as far as the font can draw it: unknown and control characters become '?', long names are cut."""
    known = get_font(findfont(FontProperties(family=FONT))).get_charmap()
    text = "".join(c if c.isprintable() and ord(c) in known else "?" for c in name)
    return text if len(text) <= MAX_NAME_LENGTH else text[: MAX_NAME_LENGTH - 1] + "…"


def _draw_lines(
    path: Path,
    x: Floats,
    lines: Floats,
    labels: Sequence[str],
    axis_names: tuple[str, str, str],
    mark: int | None = None,
) -> None:
    """One line (K, len(x)) per class, their mean in black; `mark` is a position on the mean to point out.

    `axis_names`: what is drawn over what, and by which similarity.
    """
    figure, axes = new_figure(8.0, 5.0)
    few = len(lines) <= MAX_NAMES
    palette = colormaps["tab10" if len(lines) <= 10 else "turbo"]
    handles = []
    for k, line in enumerate(lines):
        color = palette(k if len(lines) <= 10 else k / max(len(lines) - 1, 1)) if few else "0.8"
        handles += axes.plot(x, line, color=color, linewidth=1.0)
    texts = list(labels) if few else []
    handles = handles if few else []
    if len(lines):
        mean = lines.mean(axis=0)
        handles += axes.plot(x, mean, color="black", linewidth=2.5)
        if mark is None:
            texts.append(f"mean {mean.mean():.3f}")
        else:
            texts.append(f"mean {mean[mark]:.3f} at {x[mark]:.3f}")
            axes.plot(x[mark], mean[mark], "o", color="black")
    else:
        axes.text(0.5, 0.5, "no objects to measure", ha="center", va="center")
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel=axis_names[0], ylabel=axis_names[1])
    axes.set_title(f"{axis_names[1]} over {axis_names[0].lower()}, {axis_names[2]} 0.5")
    axes.grid(alpha=0.3)
    if handles:
        # Placeholders first: a label that starts with '_' would be left out of the legend.
        legend = axes.legend(handles, [str(k) for k in range(len(handles))], loc="center left", bbox_to_anchor=(1, 0.5))
        for shown, text in zip(legend.get_texts(), texts, strict=True):
            shown.set_text(text)
            shown.set_fontsize(8)
    save_figure(figure, axes, path)


def new_figure(width: float, height: float) -> tuple[Figure, Axes]:
    """An empty figure of `width` x `height` inches, and its axes."""
    """An empty figure of that size in inches, and its axes."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def save_figure(figure: Figure, axes: Axes, path: Path) -> None:
    """Write the PNG; texts are taken literally (a '$' in a class name is no formula) and in a font that is there."""
    for text in figure.findobj(Text):
        text.set_parse_math(False)
        text.set_usetex(False)
        text.set_fontfamily(FONT)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    write_atomic(path, buffer.getvalue())
