"""The pictures: every one is written, whatever the class names and counts, and nothing global changes."""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image

from index_factory import make_index
from yolov12.evaluation.curves import draw_metrics, draw_training, drawable
from yolov12.metrics import DetectionMetrics, evaluate_detections

PICTURES = ["F1_curve.png", "PR_curve.png", "P_curve.png", "R_curve.png", "confusion_matrix.png"]


def scored(names: list[str], objects: int) -> DetectionMetrics:
    truth = [(10.0 * k, 0.0, 10.0 * k + 8, 9.0, k % len(names)) for k in range(objects)]
    rows = np.array([(*thing[:4], 1 / (k + 2), thing[4]) for k, thing in enumerate(truth[::2])]).reshape(-1, 6)
    return evaluate_detections(make_index([truth], names), [rows])


def global_settings() -> dict[str, object]:
    """matplotlib's, but for the backend: merely reading that one chooses it and imports pyplot."""
    return {name: matplotlib.rcParams[name] for name in matplotlib.rcParams if name != "backend"}


@pytest.mark.parametrize(
    ("names", "objects"),
    [
        pytest.param(["RBC", "WBC"], 10, id="plain"),
        pytest.param(["_x", "cost $5 to $6", "$\\bad{", "血", "a\nb", "z" * 99, ""], 20, id="hostile names"),
        pytest.param([str(k) for k in range(80)], 200, id="many classes"),
        pytest.param(["a", "b"], 0, id="no objects"),
        pytest.param(["only"], 1, id="one object"),
    ],
)
def test_every_picture_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: list[str], objects: int
) -> None:
    monkeypatch.delitem(sys.modules, "matplotlib.pyplot", raising=False)  # another test may have imported it
    settings = global_settings()
    paths = draw_metrics(scored(names, objects), tmp_path)
    assert sorted(path.name for path in paths) == sorted(path.name for path in tmp_path.iterdir()) == PICTURES
    for path in paths:
        with Image.open(path) as picture:
            assert np.asarray(picture.convert("L")).std() > 5  # not a blank sheet
    assert global_settings() == settings
    assert "matplotlib.pyplot" not in sys.modules


@pytest.mark.parametrize(
    ("name", "shown"),
    [("RBC", "RBC"), ("große Zelle", "große Zelle"), ("血", "?"), ("a\tb", "a?b"), ("x" * 40, "x" * 31 + "…")],
)
def test_drawable(name: str, shown: str) -> None:
    assert drawable(name) == shown


@pytest.mark.parametrize(
    ("rows", "drawn"),
    [
        pytest.param([], False, id="no rows"),
        pytest.param([{"epoch": 1, "train/box": None}], False, id="no values"),
        pytest.param([{"epoch": 1, "train/box": 1.0, "fitness": None}], True, id="one epoch"),
        pytest.param([{"epoch": k, **{f"c{j}": k * j for j in range(11)}} for k in range(60)], True, id="long"),
    ],
)
def test_draw_training(tmp_path: Path, rows: list[dict[str, float | None]], drawn: bool) -> None:
    draw_training(rows, tmp_path / "results.png")
    assert (tmp_path / "results.png").exists() == drawn
