"""Options: names, types, ranges, origins."""

from __future__ import annotations

import dataclasses
import re
import runpy
from pathlib import Path

import numpy as np
import pytest

from yolov12.config.parse import from_text, resolve, round_up_to_stride, storable
from yolov12.config.run import PredictConfig, TrainConfig, ValConfig
from yolov12.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("config", "values", "expected"),
    [
        (TrainConfig, {"epochs": 3}, ("epochs", 3)),
        (TrainConfig, {"lr0": 1}, ("lr0", 1.0)),
        (TrainConfig, {"device": 0}, ("device", "0")),
        (TrainConfig, {"data": Path("a") / "b.yaml"}, ("data", "a/b.yaml")),
        (PredictConfig, {"imgsz": (320, 640)}, ("imgsz", (320, 640))),
        (PredictConfig, {"imgsz": [320]}, ("imgsz", 320)),
        (PredictConfig, {"classes": 1}, ("classes", (1,))),
        (PredictConfig, {"classes": ["RBC", 2]}, ("classes", ("RBC", 2))),
        (PredictConfig, {"conf": np.float32(0.5)}, ("conf", 0.5)),
        (PredictConfig, {"conf": np.int64(1)}, ("conf", 1.0)),
        (PredictConfig, {"imgsz": np.int64(320)}, ("imgsz", 320)),
        (PredictConfig, {"imgsz": (np.int64(320), 640)}, ("imgsz", (320, 640))),
        (PredictConfig, {"imgsz": np.array([320, 640])}, ("imgsz", (320, 640))),
        (PredictConfig, {"classes": np.array([1])}, ("classes", (1,))),
        (PredictConfig, {"classes": [np.int32(1), "RBC"]}, ("classes", (1, "RBC"))),
        (PredictConfig, {"save": np.bool_(True)}, ("save", True)),
        (TrainConfig, {"device": np.int64(0)}, ("device", "0")),
    ],
)
def test_accepted(config: type, values: dict[str, object], expected: tuple[str, object]) -> None:
    name, value = expected
    found = getattr(resolve(config, values).config, name)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("config", "values", "message"),
    [
        (TrainConfig, {"epoch": 3}, "Did you mean 'epochs'"),
        (TrainConfig, {"epochs": 0}, "--epochs 0: must be between 1 and"),
        (TrainConfig, {"epochs": "3"}, "expected int, got str"),
        (TrainConfig, {"epochs": True}, "expected int, got bool"),
        (TrainConfig, {"lr0": float("nan")}, "--lr0 nan"),
        (TrainConfig, {"lr0": 1e8}, "--lr0 1e+08: must be between 0 and 10"),
        (TrainConfig, {"batch": -1}, "--batch -1"),
        (TrainConfig, {"imgsz": 0}, "--imgsz 0"),
        (TrainConfig, {"optimizer": "adamw"}, "Did you mean 'AdamW'"),
        (PredictConfig, {"conf": float("nan")}, "--conf nan"),
        (PredictConfig, {"conf": 1.5}, "--conf 1.5: must be between 0 and 1"),
        (PredictConfig, {"imgsz": (320, 320, 320)}, "one side, or height and width"),
        (PredictConfig, {"imgsz": (320, 100000)}, "--imgsz 100000"),
        (PredictConfig, {"classes": [1.5]}, "class ids or names"),
        (PredictConfig, {"classes": np.array([1.5])}, "class ids or names"),
        (PredictConfig, {"conf": np.array([0.5])}, "expected float, got list"),
        (TrainConfig, {"epochs": np.float64(3)}, "expected int, got float"),
        (TrainConfig, {"epochs": np.bool_(True)}, "expected int, got bool"),
        (ValConfig, {"split": "tset"}, "choose from train, val, test"),
    ],
)
def test_refused(config: type, values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        resolve(config, values)


def test_user_values_win_and_origins_are_kept() -> None:
    resolved = resolve(TrainConfig, {"lr0": 0.1}, base={"lr0": 0.2, "epochs": 7}, base_origin="run.json")
    assert (resolved.config.lr0, resolved.config.epochs, resolved.config.batch) == (0.1, 7, 16)
    assert (resolved.origins["lr0"], resolved.origins["epochs"], resolved.origins["batch"]) == (
        "user",
        "run.json",
        "default",
    )
    assert resolved.to_dict()["lr0"] == {"value": 0.1, "origin": "user"}


def test_what_a_saved_run_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The size that it uses, and a path that any working folder understands; all else as given, and nothing more."""
    monkeypatch.chdir(tmp_path)
    Path("data.yaml").touch()
    given = {"data": Path("data.yaml"), "imgsz": np.int64(50), "epochs": 2}
    assert storable(given) == {"data": str(tmp_path / "data.yaml"), "imgsz": 64, "epochs": 2}
    assert capsys.readouterr().err == "imgsz 50 rounded up to 64: sides must be multiples of 32\n"
    for kept in ({}, {"data": "gone.yaml"}, {"data": str(tmp_path / "data.yaml"), "imgsz": 64}):
        assert storable(kept) == kept
    for wrong in ({"imgsz": 20}, {"imgsz": (64, 64)}, {"dat": "data.yaml"}):
        with pytest.raises(ConfigError):
            storable(wrong)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("imgsz", ["320"], 320),
        ("imgsz", ["320", "640"], (320, 640)),
        ("classes", ["0", "RBC"], (0, "RBC")),
        ("conf", "0.5", 0.5),
        ("save", True, True),
        ("name", "x", "x"),
    ],
)
def test_from_text(name: str, text: str | list[str] | bool, value: object) -> None:
    assert from_text(PredictConfig, name, text) == value


def test_from_text_names_the_flag() -> None:
    with pytest.raises(ConfigError, match="--conf 'abc': expected a number"):
        from_text(PredictConfig, "conf", "abc")


@pytest.mark.parametrize(("size", "rounded"), [(320, 320), (321, 352), ((100, 64), (128, 64))])
def test_round_up(size: int | tuple[int, int], rounded: int | tuple[int, int]) -> None:
    assert round_up_to_stride(size) == rounded


@pytest.mark.parametrize("config", [TrainConfig, ValConfig, PredictConfig])
def test_every_option_is_documented_and_its_default_is_valid(config: type) -> None:
    defaults = {field.name: field.default for field in dataclasses.fields(config)}
    assert all(field.metadata["help"] for field in dataclasses.fields(config))
    assert resolve(config, defaults).config == config()


def test_options_module_is_up_to_date() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "make_options.py"))
    assert script["TARGET"].read_text(encoding="utf8") == script["render"]()
