"""The command line for every task: data is written, checked, trained on, scored, predicted on and compared."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from scene_factory import write_data, write_model
from test_cli import Done, run  # noqa: F401  the fixture
from yolov12.config.tasks import PUBLISHED

Run = Callable[..., Done]
QUICK = ("--imgsz", 64, "--device", "cpu")
FOUND = {"segment": "segments", "pose": "keypoints", "obb": "corners"}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set for each task."""
    folder = tmp_path_factory.mktemp("scenes")
    for task in PUBLISHED:
        write_data(folder / task, task)
    return folder


@pytest.mark.parametrize("task", PUBLISHED)
def test_a_task_from_data_to_json(run: Run, scenes: Path, tmp_path: Path, task: str) -> None:  # noqa: F811
    model = write_model(tmp_path / "tiny.safetensors", ("even", "odd"), task)
    steps = ("--epochs", 1, "--batch", 3, "--workers", 0, "--no-plots")
    trained = run("train", "--model", model, "--data", scenes / task, *QUICK, *steps)
    assert trained.code == 0, trained.err
    best = Path("runs") / task / "train" / "weights" / "best.safetensors"
    scored = run("val", "--model", best, "--data", scenes / task, "--json", "--device", "cpu")
    assert scored.code == 0, scored.err
    metrics = json.loads(scored.out)
    assert metrics["task"] == task
    assert Path(metrics["save_dir"], "confusion_matrix.png").exists()
    picture = next((scenes / task).rglob("*.png"))
    found = run("predict", picture, "--model", model, "--json", "--save", "--save-txt", *QUICK)
    assert found.code == 0, found.err
    result = json.loads(found.out)
    if task == "classify":
        assert [entry["name"] for entry in result["probs"]]
    else:
        assert result["detections"]
        assert all(FOUND.get(task, "box") in entry for entry in result["detections"])
    saved = {path.suffix for path in (Path("runs") / task / "predict").rglob(f"{picture.stem}.*")}
    assert saved == {".jpg", ".txt"}


def test_two_models_are_compared(run: Run, scenes: Path, tmp_path: Path) -> None:  # noqa: F811
    models = [write_model(tmp_path / f"{name}.safetensors", ("even", "odd"), "segment") for name in "ab"]
    options = ("--data", scenes / "segment", "--timed", 5, "--resamples", 100, *QUICK)
    done = run("compare", *models, *options)
    assert done.code == 0, done.err
    assert [line.split()[0] for line in done.out.splitlines()[1:3]] == [str(model) for model in models]
    assert done.out.count("not significant") == 4  # the same weights; two scores each of masks and boxes
    folder = Path("runs/segment/compare")
    assert json.loads((folder / "comparison.json").read_text())["images"] == 6
    assert (folder / "comparison.png").exists()
    assert json.loads(run("compare", *models, *options, "--json").out)["task"] == "segment"


def test_models_of_different_tasks_are_not_compared(run: Run, scenes: Path, tmp_path: Path) -> None:  # noqa: F811
    one, other = (write_model(tmp_path / f"{task}.safetensors", ("even", "odd"), task) for task in ("detect", "pose"))
    done = run("compare", one, other, "--data", scenes / "detect")
    assert done.code == 2
    assert "models of different tasks or classes cannot be compared" in done.error
    assert run("compare", one).error == "error: --data is missing: name the data set's YAML file"


def test_a_data_set_is_checked(run: Run, scenes: Path) -> None:  # noqa: F811
    good = run("data", "check", scenes / "pose", "--task", "pose")
    assert good.code == 0, good.err
    assert good.out.count("images") >= 2
    label = next((scenes / "pose" / "labels").rglob("*.txt"))
    before = label.read_text()
    label.write_text("0 0.5 0.5 0.2 0.2 0.5\n")
    bad = run("data", "check", scenes / "pose", "--task", "pose")
    label.write_text(before)
    assert bad.code == 1
    assert f"{label}:1: columns: 6; expected" in bad.out


def test_a_split_of_no_use_does_not_hide_the_next(run: Run) -> None:  # noqa: F811
    run("data", "synth", "shapes", "--train", 1, "--val", 1, "--size", 64, "--workers", 0)
    shutil.rmtree("shapes/images/train")
    done = run("data", "check", "shapes")
    assert done.code == 1
    assert done.out.startswith("train: cannot be used\n  shapes/data.yaml: train: 'images/train' does not exist")
    assert "val: 1 images" in done.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("data", "'data' is not a command. Commands: data synth, data check"),
        ("data sinth x", "'data sinth' is not a command. Did you mean 'data synth'?"),
        ("data synth x --task boxes", "--task 'boxes': choose from detect, segment"),
        ("data synth", "the following arguments are required: folder"),
        ("data check gone", "gone"),
        ("data check gone.yaml --task poses", "Did you mean 'pose'?"),
    ],
)
def test_refused_in_one_line(run: Run, words: str, message: str) -> None:  # noqa: F811
    done = run(*words.split())
    assert done.code == 2
    assert message in done.error
    assert list(Path().iterdir()) == []


def test_options_about_boxes_mean_nothing_to_a_classifier(run: Run, scenes: Path, tmp_path: Path) -> None:  # noqa: F811
    model = write_model(tmp_path / "tiny.safetensors", ("even", "odd"), "classify")
    picture = next((scenes / "classify").rglob("*.png"))
    done = run("predict", picture, "--model", model, "--conf", 0.5, *QUICK)
    assert (done.code, "note: without effect on a classifier: conf" in done.err) == (0, True)


def test_scenes_are_written_once(run: Run) -> None:  # noqa: F811
    words = ("data", "synth", "shapes", "--task", "obb", "--train", 2, "--val", 1, "--size", 64, "--workers", 0)
    assert run(*words).out == "data set: shapes/data.yaml\n"
    assert run("data", "check", "shapes", "--task", "obb").code == 0
    again = run(*words)
    assert again.code == 2
    assert "shapes" in again.error
