"""Graphs for canvases that keep coming."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from model_factory import tiny_config
from yolov12.artefact import Artefact
from yolov12.data.contract import contract
from yolov12.export.graph import ExportGraph
from yolov12.export.tracing import quietly
from yolov12.extras import require
from yolov12.inference.backends import openvino
from yolov12.inference.backends.base import DESCRIPTION_FILE, Canvases, Opened
from yolov12.inference.backends.openvino import UsualShapes
from yolov12.inference.exported import ExportedRuntime, open_exported
from yolov12.models.detector import build_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny network of fresh weights, free sizes."""
    config, example = tiny_config(), torch.rand(1, 3, 64, 64)
    library, path = require("openvino", "openvino"), tmp_path_factory.mktemp("tiny") / "a_openvino_model"
    with torch.inference_mode(), quietly():
        graph = torch.jit.trace(ExportGraph(build_model(config, seed=0)).eval(), example, check_trace=False)
        model = library.convert_model(graph, example_input=example, input=[-1, 3, -1, -1])
    library.save_model(model, path / "model.xml", compress_to_fp16=False)
    classes = {i: str(i) for i in range(config.num_classes)}
    artefact = Artefact(
        "openvino", "detect", classes, (64, 64), 1, dynamic=True, precision="fp32", preprocess=contract("detect")
    )
    (path / DESCRIPTION_FILE).write_text(artefact.to_json(), encoding="utf8")
    return path


def canvas(height: int = 64, width: int = 96, count: int = 1) -> Canvases:
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), np.uint8)


def wait() -> None:
    for thread in threading.enumerate():
        if thread.name == "openvino-shape":
            thread.join()


def test_what_comes_often_is_compiled_for_the_next_call(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino, "OFTEN", 3)
    compiled: list[tuple[int, ...]] = []
    runtime = open_exported(folder, Opened("cpu", "fp32"))
    usual = runtime._backend._usual  # type: ignore[attr-defined]
    monkeypatch.setattr(usual, "_compile_for", lambda shape: compiled.append(shape) or make(shape), raising=True)
    make = runtime._backend._compile_for  # type: ignore[attr-defined]
    first = runtime.for_one_call()
    before = first(canvas()).dense
    first(canvas(96, 96))
    for _ in range(4):
        np.testing.assert_array_equal(first(canvas()).dense, before)
        wait()
    assert compiled == [(1, 64, 96, 3)]
    np.testing.assert_array_equal(first(canvas()).dense, before)  # the call keeps what it began with
    second = runtime.for_one_call()
    ran: list[object] = []
    run_on = runtime._backend.run_on  # type: ignore[attr-defined]
    monkeypatch.setattr(runtime._backend, "run_on", lambda graph, images: ran.append(graph) or run_on(graph, images))
    np.testing.assert_allclose(second(canvas()).dense, before, atol=1e-3)
    assert ran == [usual.ready[1, 64, 96, 3]]
    assert second(canvas(96, 64)).dense.shape == (1, before.shape[1], before.shape[2])
    assert second(canvas(count=2)).dense.shape[0] == 2
    np.testing.assert_array_equal(runtime(canvas()).dense, before)  # the file by itself always answers the same


def test_a_shape_can_be_prepared(folder: Path) -> None:
    runtime = open_exported(folder, Opened("cpu", "fp32"))
    runtime.prepare((1, 32, 64, 3))
    assert list(runtime._backend._usual.ready) == [(1, 32, 64, 3)]  # type: ignore[attr-defined]
    assert isinstance(runtime.for_one_call(), ExportedRuntime)


def test_few_graphs_and_none_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino, "OFTEN", 1)
    asked: list[tuple[int, ...]] = []

    def compile_for(shape: tuple[int, ...]) -> object:
        asked.append(shape)
        if shape[1] == 64:
            raise RuntimeError("no memory")
        return object()

    usual = UsualShapes(compile_for)
    for height in (32, 64, 96, 128, 160, 192):
        usual.note((1, height, 32, 3))
        wait()
    assert [shape[1] for shape in asked] == [32, 64, 96, 128]
    assert [shape[1] for shape in usual.ready] == [32, 96, 128]
