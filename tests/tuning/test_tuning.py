"""The choice of a runtime: measured, remembered, used from the next call on."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from model_factory import tiny_file
from yolov12 import YOLO
from yolov12.checkpoint import write_model_file
from yolov12.cli.main import main
from yolov12.errors import ConfigError
from yolov12.tuning import chooser, measure
from yolov12.tuning.choice import Choice, artefact_for, place, read_choice, write_choice

PICTURE = np.full((64, 64, 3), 90, np.uint8)


@pytest.fixture
def model_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("YOLOV12_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("YOLOV12_TUNING", "on")
    monkeypatch.setattr(measure, "installed", lambda: ["openvino"])
    monkeypatch.setattr(measure, "PICTURES", 2)
    path = tmp_path / "tiny.safetensors"
    write_model_file(path, tiny_file())
    return path


def runtime_of(model: YOLO, **options: object) -> str:
    return str(model.predict(PICTURE, imgsz=64, verbose=False, **options)[0].runtime)


def take(monkeypatch: pytest.MonkeyPatch, times: dict[str, float]) -> None:
    """Let the candidates take these times."""
    monkeypatch.setattr(measure, "in_turns", lambda candidates, _: {name: times[name] for name in candidates})


def test_a_choice_is_remembered(model_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    take(monkeypatch, {"torch": 9.0, "openvino fp32": 3.0})
    choice = YOLO(model_path).tune(imgsz=64)
    assert (choice.runtime, choice.precision, choice.file) == ("openvino", "fp32", "model_openvino_model")
    assert choice.why.startswith("openvino fp32: 3.00 times as fast as torch at 64 pixels")
    fresh = YOLO(model_path)
    assert runtime_of(fresh) == "openvino"
    assert runtime_of(fresh, precision="fp32") == "openvino"
    assert runtime_of(fresh, runtime="torch") == "torch"


def test_torch_stays_when_nothing_is_clearly_faster(model_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    take(monkeypatch, {"torch": 9.0, "openvino fp32": 8.9})
    assert YOLO(model_path).tune(imgsz=64).runtime == "torch"
    assert runtime_of(YOLO(model_path)) == "torch"


def test_what_is_not_exact_is_not_chosen(model_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "agree", lambda *_: False)
    choice = YOLO(model_path).tune(imgsz=64)
    assert choice.runtime == "torch"
    assert choice.measured["openvino fp32"] is None


def test_a_named_runtime_is_made_when_it_is_needed(model_path: Path) -> None:
    model = YOLO(model_path)
    assert runtime_of(model, runtime="openvino") == "openvino"
    model._moved, model.device = True, torch.device("cuda")
    with pytest.raises(ConfigError, match="add --device cpu"):
        model.runtime(runtime="openvino")


def test_the_second_call_has_it_measured_beside(model_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []

    class Process:
        def __init__(self, command: list[str], **_: object) -> None:
            started.append(command)

        def poll(self) -> int | None:
            return None if read_choice(Path(started[0][5])) is None else 0

        def kill(self) -> None: ...
        def wait(self) -> int:
            return 0

    monkeypatch.setattr(chooser.subprocess, "Popen", Process)
    model = YOLO(model_path)
    assert [runtime_of(model) for _ in range(3)] == ["torch"] * 3
    assert len(started) == 1
    take(monkeypatch, {"torch": 9.0, "openvino fp32": 3.0})
    measure.tune(tiny_file(), Path(started[0][5]), 64)
    stream = model.predict([PICTURE, PICTURE], imgsz=64, verbose=False, stream=True)
    assert {result.runtime for result in stream} == {"openvino"}


def test_the_job_is_a_process_of_its_own(model_path: Path, tmp_path: Path) -> None:
    model = YOLO(model_path)
    runtime_of(model)
    runtime_of(model)
    process = model._chooser._process
    assert process is not None
    folder = model._chooser._home
    for _ in range(540):
        if process.poll() is not None:
            break
        time.sleep(0.5)
    assert process.returncode == 0
    choice = read_choice(folder)
    assert choice is not None
    assert runtime_of(model) == {"onnx": "onnxruntime"}.get(choice.runtime, choice.runtime)


def test_no_process_outlives_its_model(model_path: Path) -> None:
    model = YOLO(model_path)
    runtime_of(model)
    runtime_of(model)
    process = model._chooser._process
    assert process is not None
    model._chooser.close()
    assert process.poll() is not None
    assert runtime_of(model) == "torch"


@pytest.mark.parametrize("text", ["", "{}", '{"runtime": 1}', '{"file": "../../x"}'])
def test_a_damaged_choice_is_no_choice(text: str, tmp_path: Path) -> None:
    (tmp_path / "choice.json").write_text(text, encoding="utf8")
    assert read_choice(tmp_path) is None


def test_a_choice_without_its_file_is_no_choice(tmp_path: Path) -> None:
    choice = Choice("openvino", "fp32", "model_openvino_model", 64, "because", {"torch": 1.5})
    write_choice(tmp_path, choice)
    assert read_choice(tmp_path) is None
    (tmp_path / "model_openvino_model").mkdir()
    assert read_choice(tmp_path) == choice
    write_choice(tmp_path, Choice("torch", "fp32", "../secret", 64, "because"))
    assert read_choice(tmp_path) is None


def test_places_differ_by_weights_and_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    assert place("a" * 64) != place("b" * 64)
    assert place("a" * 64) == place("a" * 64)
    found = set()
    for threads in ("1", "2"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        found.add(place("a" * 64))
    assert len(found) == 2


def test_models_are_measured_one_after_the_other(model_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who finds another one at it asks again later."""
    started: list[list[str]] = []

    class Process:
        def __init__(self, command: list[str], **_: object) -> None:
            started.append(command)

        def poll(self) -> None: ...
        def kill(self) -> None: ...
        def wait(self) -> int:
            return 0

    monkeypatch.setattr(chooser.subprocess, "Popen", Process)
    first, second = YOLO(model_path), YOLO(model_path)
    for model in (first, second):
        assert [runtime_of(model) for _ in range(2)] == ["torch"] * 2
    assert len(started) == 1
    first._chooser.close()
    runtime_of(second)
    assert len(started) == 2
    take(monkeypatch, {"torch": 9.0, "openvino fp32": 3.0})
    measure.tune(tiny_file(), Path(started[1][5]), 64)
    assert runtime_of(second) == "openvino"


def test_predictions_go_on_while_a_model_is_tuned(model_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, seen = YOLO(model_path), []

    def measured(*_: object, **__: object) -> Choice:
        with ThreadPoolExecutor(1) as pool:
            seen.append(pool.submit(runtime_of, model).result(timeout=60))
        return Choice("torch", "fp32", "", 64, "because")

    monkeypatch.setattr(chooser, "tune", measured)
    assert model.tune(imgsz=64).why == "because"
    assert seen == ["torch"]


def test_the_command(model_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tune", "--model", str(model_path), "--imgsz", "64"]) == 0
    assert re.search(r"torch \d+\.\d ms", capsys.readouterr().out)


def test_the_command_line_finds_the_choice_by_the_file(
    model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And then needs no torch."""
    take(monkeypatch, {"torch": 9.0, "openvino fp32": 3.0})
    YOLO(model_path).tune(imgsz=64)
    found = artefact_for(model_path)
    assert found is not None
    assert found[0].name == "model_openvino_model"
    cv2.imwrite(str(tmp_path / "a.png"), PICTURE)
    program = f"""
import sys
from yolov12.cli.main import main
code = main(["predict", "--model", {str(model_path)!r}, {str(tmp_path / "a.png")!r}])
assert "torch" not in sys.modules
sys.exit(code)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "runtime openvino fp32: 3.00 times as fast as torch" in done.stderr
    model = YOLO(model_path)
    with torch.no_grad():
        next(model.model.parameters()).mul_(1.5)
    assert runtime_of(model) == "torch"  # other weights than those that were measured
    assert artefact_for(tmp_path / "a.png") is None
