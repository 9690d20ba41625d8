"""The benchmark: lines, frontier, budget, files, and what is refused."""

from __future__ import annotations

import csv
import io
import json
import shlex
from pathlib import Path

import pytest

from model_factory import tiny_file
from yolov12.api.benchmark import benchmark_models, command_for, command_of, select_setting
from yolov12.checkpoint import write_model_file
from yolov12.cli.flags import explicit_options
from yolov12.cli.grammar import parse
from yolov12.cli.main import main
from yolov12.cli.measuring import milliseconds
from yolov12.cli.verbs import VERBS
from yolov12.config.run import BenchmarkConfig
from yolov12.data.synthetic import write_synthetic
from yolov12.errors import ConfigError
from yolov12.evaluation.benchmark import Benchmark, Line, Setting, joules, within_budget


def line(name: str, time: float | None, accuracy: float | None) -> Line:
    times = None if time is None else (time, time)
    return Line(Setting(name, "torch", "fp32", 64, 1), milliseconds=times, accuracy=accuracy)


LINES = [line("slow", 30, 0.5), line("bad", 20, 0.3), line("good", 10, 0.4), line("none", None, None)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("benchmark") / "tiny.safetensors"
    write_model_file(path, tiny_file(names=("cross", "disc", "rectangle", "star", "triangle")))
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_synthetic(tmp_path_factory.mktemp("scenes") / "data", task="detect", train=1, val=3, test=0, size=64)


def test_the_frontier_is_what_nothing_beats() -> None:
    benchmark = Benchmark("detect", {}, "", 1, "d", LINES)
    assert [one.setting.model for one in benchmark.frontier()] == ["good", "slow"]


@pytest.mark.parametrize(("budget", "name"), [(9, None), (10, "good"), (29, "good"), (31, "slow")])
def test_the_most_accurate_within_the_budget(budget: float, name: str | None) -> None:
    found = within_budget(Benchmark("detect", {}, "", 1, "d", LINES), budget)
    assert (found and found.setting.model) == name


def test_every_setting_has_a_line(model: Path, data: Path, tmp_path: Path) -> None:
    found = benchmark_models(
        [model], data=str(data), runtimes="torch", precisions="fp32,int8", sizes="32,64", batches="1,2", rounds=5,
        project=str(tmp_path), verbose=False,
    )  # fmt: skip
    good = [one for one in found.lines if not one.note]
    assert [(one.setting.imgsz, one.setting.batch) for one in good] == [(32, 1), (32, 2), (64, 1), (64, 2)]
    for one in good:
        assert one.milliseconds is not None
        assert 0 < one.milliseconds[0] <= one.milliseconds[1]
        assert one.accuracy is not None
        assert one.computed == "torch fp32"
    refused = [one for one in found.lines if one.note]
    assert len(refused) == 4
    assert all("int8" in one.note for one in refused)
    assert found.save_dir is not None
    assert {path.name for path in found.save_dir.iterdir()} == {
        f"benchmark.{end}" for end in ("json", "csv", "md", "png")
    }
    rows = list(csv.DictReader(io.StringIO((found.save_dir / "benchmark.csv").read_text())))
    assert len(rows) == 8
    assert json.loads((found.save_dir / "benchmark.json").read_text())["machine"]["threads"]


def test_a_setting_is_proposed(model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = {"data": str(data), "runtimes": "torch", "rounds": 5, "plots": False, "verbose": False}
    found, _ = select_setting([model], 60_000, project=str(tmp_path), sizes="32", **options)
    assert (
        command_for(found, "cpu")
        == f"yolov12 predict --model {model} --imgsz 32 --runtime torch --precision auto --batch 1 --device cpu SOURCE"
    )
    with pytest.raises(ConfigError, match=r"--budget 0\.001 ms: the fastest setting takes"):
        select_setting([model], 0.001, project=str(tmp_path), sizes="32", **options)
    words = ["select", str(model), "--budget", "60s", "--data", str(data), "--runtimes", "torch", "--rounds", "5"]
    assert main([*words, "--sizes", "32", "--project", str(tmp_path)]) == 0
    assert "yolov12 predict --model" in capsys.readouterr().out
    assert main(["benchmark", str(model), "--runtimes", "torch", "--rounds", "5", "--project", str(tmp_path)]) == 0
    assert "| model | runtime |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"runtimes": "torch,tensorflow"}, "--runtimes 'tensorflow': choose from"),
        ({"precisions": "fp23"}, "--precisions 'fp23'.*fp32"),
        ({"sizes": "big"}, "--sizes 'big': expected whole numbers"),
        ({"batches": "0"}, "--batches '0'"),
    ],
)
def test_what_is_misspelt_is_refused(options: dict[str, str], message: str, model: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        benchmark_models([model], **options)  # type: ignore[arg-type]


def test_a_budget_needs_data(model: Path) -> None:
    with pytest.raises(ConfigError, match="--data is missing"):
        select_setting([model], 30)


@pytest.mark.parametrize(("text", "value"), [("30ms", 30), ("0.5s", 500), ("12.5", 12.5), ("3 ms", 3)])
def test_times(text: str, value: float) -> None:
    assert milliseconds(text) == value


@pytest.mark.parametrize("text", ["", "0", "-3ms", "fast", "3min"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ConfigError, match="expected a time such as 30ms"):
        milliseconds(text)


def test_energy_counters(tmp_path: Path) -> None:
    assert joules(str(tmp_path)) is None
    (tmp_path / "intel-rapl:0").mkdir()
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("2500000\n")
    assert joules(str(tmp_path)) == 2.5


def test_the_command_that_is_noted_can_be_typed() -> None:
    options = {"data": "a b.yaml", "runtimes": "torch,onnx", "rounds": 7, "exist_ok": True, "plots": False}
    typed = command_of([Path("m 1.onnx"), "yolov12n"], options)
    assert typed == (
        "yolov12 benchmark 'm 1.onnx' yolov12n --data 'a b.yaml' --runtimes torch,onnx --rounds 7 --exist-ok --no-plots"
    )
    known = parse(shlex.split(typed)[1:], VERBS)
    assert explicit_options(known, BenchmarkConfig) == options
