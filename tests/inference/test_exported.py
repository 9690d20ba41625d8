"""The runtime on exported files, with a backend whose outputs are known."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from stub_runtime import CLASSES, StubRuntime
from yolov12.artefact import Artefact, Suppression
from yolov12.data.contract import contract
from yolov12.errors import CheckpointError, ConfigError
from yolov12.inference.backends import format_of
from yolov12.inference.backends.base import Canvases, Opened, Outputs, device_name
from yolov12.inference.exported import ExportedRuntime, dense_of_rows, open_exported
from yolov12.postprocess import NmsOptions, select

ARTEFACT = Artefact(
    "onnx", "detect", {0: "a", 1: "b", 2: "c"}, (64, 96), 2, dynamic=False, precision="fp32",
    preprocess=contract("detect"),
)  # fmt: skip
OPTIONS = NmsOptions()


class StubBackend:
    name, precision = "stub", "fp32"

    def __init__(self, artefact: Artefact = ARTEFACT) -> None:
        self.artefact = artefact
        self.batches: list[int] = []
        self._stub = StubRuntime()

    def run(self, images: Canvases, min_score: float = 0.0, *, whole: bool = False) -> Outputs:
        self.batches.append(len(images))
        dense = self._stub(images).dense
        if self.artefact.suppression is None:
            return (dense,)
        return (np.stack([np.pad(select(one, CLASSES, OPTIONS), ((0, 2), (0, 0))) for one in dense]),)


def canvases(count: int, height: int = 64, width: int = 96) -> Canvases:
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), np.uint8)


def test_batches_of_a_fixed_graph_are_filled_up() -> None:
    backend = StubBackend()
    found = ExportedRuntime(backend)(canvases(5))
    assert backend.batches == [2, 2, 2]
    np.testing.assert_array_equal(found.dense, StubRuntime()(canvases(5)).dense)


def test_a_free_graph_takes_any_batch_at_once() -> None:
    backend = StubBackend(dataclasses.replace(ARTEFACT, dynamic=True))
    ExportedRuntime(backend)(canvases(5, 128, 32))
    assert backend.batches == [5]


def test_another_canvas_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"takes canvases of 64x96 .*, not 96x64: leave --imgsz and --augment out"):
        ExportedRuntime(StubBackend())(canvases(1, 96, 64))


def test_suppressed_rows_are_suppressed_once() -> None:
    baked = dataclasses.replace(ARTEFACT, suppression=Suppression(OPTIONS.conf, OPTIONS.iou, OPTIONS.max_det))
    images = canvases(2)
    found = ExportedRuntime(StubBackend(baked))(images)
    for expected, got in zip(StubRuntime()(images).dense, found.dense, strict=True):
        np.testing.assert_allclose(select(got, CLASSES, OPTIONS), select(expected, CLASSES, OPTIONS), atol=1e-5)


def test_rows_keep_their_extras() -> None:
    rows = np.array([[[0, 0, 4, 2, 0.5, 1, 7, 8]]], np.float32)
    np.testing.assert_array_equal(dense_of_rows(rows, 2)[0, :, 0], [2, 1, 4, 2, 0, 0.5, 7, 8])


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.onnx", "onnx"),
        ("a_openvino_model", "openvino"),
        ("a.torchscript", "torchscript"),
        ("a.pt", None),
        ("a", None),
    ],
)
def test_formats_are_told_by_their_names(name: str, kind: str | None) -> None:
    assert format_of(name) == kind
    assert format_of(Path("somewhere") / name) == kind


@pytest.mark.parametrize("name", ["a.onnx", "a.torchscript"])
def test_damaged_files_are_named(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    with pytest.raises(CheckpointError, match=f"{name}: no such file"):
        open_exported(path)
    path.write_bytes(b"not a model")
    with pytest.raises(CheckpointError, match=f"{name}: cannot be read"):
        open_exported(path)


def test_damaged_folders_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "a_openvino_model"
    folder.mkdir()
    with pytest.raises(CheckpointError, match=r"a_openvino_model: has no description"):
        open_exported(folder)


def test_threads_follow_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert Opened().cores == 3
    assert Opened(threads=2).cores == 2
    monkeypatch.setenv("OMP_NUM_THREADS", "")
    assert Opened().cores >= 1


def test_openvino_tells_nobody() -> None:
    """Its telemetry would be on unless somebody has said no."""
    program = """
import socket
def refuse(*_):
    raise AssertionError("a connection")
socket.socket.connect = refuse
import sys
from yolov12.extras import require
require("openvino", "openvino").Core()
assert sys.modules["openvino_telemetry"] is None
"""
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)


@pytest.mark.parametrize(
    ("code", "call"),
    [
        ('torch.save(x, "/tmp/stolen")', "torch.save"),
        ('torch.from_file("/etc/passwd")', "torch.from_file"),
        ("ops.evil.run(x)", "ops.evil.run"),
        ("def __setstate__(self, state): pass", "__setstate__"),
    ],
)
def test_a_script_may_only_compute(code: str, call: str, tmp_path: Path) -> None:
    path = tmp_path / "hostile.torchscript"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/code/__torch__/graph.py", f"class G(Module):\n  def forward(self, x):\n    {code}\n")
    with pytest.raises(CheckpointError, match=rf"hostile\.torchscript: calls {call}, which no export"):
        open_exported(path)


def test_devices_are_named_as_everywhere() -> None:
    assert device_name("1") == "cuda:1"
    assert device_name("cuda") == "cuda"
    with pytest.raises(ConfigError, match="--device 'gpu'"):
        device_name("gpu")
