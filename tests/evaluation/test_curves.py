"""The pictures: every one is written, whatever the class names and counts, and nothing global changes."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image

from index_factory import make_index
from yolov12.detections import Detections
from yolov12.evaluation.curves import draw_metrics, draw_training, drawable
from yolov12.metrics import DetectionMetrics, evaluate_classification, evaluate_detections
from yolov12.results import Masks

PICTURES = ["F1_curve.png", "PR_curve.png", "P_curve.png", "R_curve.png", "confusion_matrix.png"]


def scored(names: list[str], objects: int) -> DetectionMetrics:
    truth = [(10.0 * k, 0.0, 10.0 * k + 8, 9.0, k % len(names)) for k in range(objects)]
    rows = np.array([(*thing[:4], 1 / (k + 2), thing[4]) for k, thing in enumerate(truth[::2])]).reshape(-1, 6)
    return evaluate_detections(make_index([truth], names), [Detections(rows)])


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


def names_of(paths: list[Path], folder: Path) -> list[str]:
    """File names, all of which are there and not blank."""
    assert sorted(paths) == sorted(folder.iterdir())
    for path in paths:
        with Image.open(path) as picture:
            assert np.asarray(picture.convert("L")).std() > 5
    return [path.name for path in paths]


@pytest.mark.parametrize(("task", "prefix"), [("segment", "mask"), ("pose", "pose")])
def test_masks_and_keypoints_have_curves_of_their_own(tmp_path: Path, task: str, prefix: str) -> None:
    points = np.array([[[5, 5, 2]]], np.float32)
    index = replace(make_index([[(0, 0, 10, 20, 0)]]), keypoints=points, keypoint_shape=(1, 3))
    masks = Masks.from_data(np.ones((1, 500, 700), bool))
    found = Detections(np.array([[0, 0, 10, 20, 0.9, 0.0]]), masks=masks, keypoints=points)
    paths = draw_metrics(evaluate_detections(index, [found], task), tmp_path)
    curves = [name for name in PICTURES if name.endswith("curve.png")]
    expected = [*PICTURES, *(f"{prefix}_{name}" for name in curves)]
    assert sorted(names_of(paths, tmp_path)) == sorted(expected)


@pytest.mark.parametrize("classes", [2, 40])
def test_a_classifier_has_its_confusion_matrix(tmp_path: Path, classes: int) -> None:
    names = [f"class {k}" for k in range(classes)]
    found = Detections(np.zeros((0, 6)), scores=np.linspace(0, 1, classes, dtype=np.float32))
    metrics = evaluate_classification(make_index([[(0, 0, 9, 9, 1)]], names), [found])
    assert names_of(draw_metrics(metrics, tmp_path), tmp_path) == ["confusion_matrix.png"]


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
