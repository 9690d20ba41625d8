"""Graphs for canvases that keep coming."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from model_factory import tiny_config, tiny_file
from yolov12 import YOLO
from yolov12.artefact import Artefact
from yolov12.checkpoint import write_model_file
from yolov12.data.contract import contract
from yolov12.errors import CheckpointError
from yolov12.export.graph import ExportGraph
from yolov12.export.tracing import quietly
from yolov12.extras import require
from yolov12.inference.backends import openvino, side_by_side
from yolov12.inference.backends.base import DESCRIPTION_FILE, Canvases, Opened
from yolov12.inference.backends.onnx import OnnxBackend
from yolov12.inference.backends.openvino import OpenVINOBackend, UsualShapes
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


@pytest.mark.parametrize(("name", "size"), [("model.bin", None), ("model.bin", 100), ("model.xml", 1000)])
def test_incomplete_folders_are_refused_with_advice(folder: Path, tmp_path: Path, name: str, size: int | None) -> None:
    damaged = shutil.copytree(folder, tmp_path / "cut_openvino_model")
    if size is None:
        (damaged / name).unlink()
    else:
        os.truncate(damaged / name, size)
    with pytest.raises(CheckpointError, match=r"cut_openvino_model: cannot be read \(") as refused:
        OpenVINOBackend(damaged, Opened())
    assert "copy or export it again" in str(refused.value)
    assert ".cpp" not in str(refused.value)


def canvas(height: int = 64, width: int = 96, count: int = 1, seed: int = 0) -> Canvases:
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), np.uint8)


def wait() -> None:
    for thread in threading.enumerate():
        if thread.name == "openvino-shape":
            thread.join()


def test_what_comes_often_is_compiled_for_the_next_calls(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino, "OFTEN", 3)
    backend = OpenVINOBackend(folder, Opened("cpu", "fp32"))
    runtime, ran = ExportedRuntime(backend), []
    run_on = backend.run_on
    monkeypatch.setattr(backend, "run_on", lambda graph, *given: ran.append(graph) or run_on(graph, *given))
    first = runtime.for_one_call()
    before = first(canvas()).dense
    first(canvas(96, 96))
    for _ in range(4):
        first(canvas())
    second = runtime.for_one_call()  # has it compiled beside
    wait()
    for call in (first, second):  # these keep what they began with
        np.testing.assert_array_equal(call(canvas()).dense, before)
    assert set(map(id, ran)) == {id(backend.alone)}
    third = runtime.for_one_call()
    np.testing.assert_allclose(third(canvas()).dense, before, atol=1e-3)
    assert ran[-1] is backend.usual.ready[1, 64, 96, 3] is not backend.alone
    third(canvas(96, 96))
    assert ran[-1] is backend.alone
    assert third(canvas(count=2)).dense.shape[0] == 2
    np.testing.assert_array_equal(runtime(canvas()).dense, before)  # the file by itself always answers the same
    assert ran[-1] is backend.alone


@pytest.mark.parametrize("kind", ["openvino", "onnx"])
def test_a_graph_for_batches_is_made_beside(kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side_by_side, "FEW", 3)
    backend: Any = backend_of(kind, folder)
    runtime = ExportedRuntime(backend)
    first = runtime.for_one_call()
    before = first(canvas(count=4)).dense
    for thread in threading.enumerate():
        if thread.name == "for-batches":
            thread.join()
    assert backend.batches.ready is not None
    pool, used = backend.batches.ready[1], []
    run_side_by_side = pool.map
    monkeypatch.setattr(pool, "map", lambda *given: used.append(given) or run_side_by_side(*given))
    np.testing.assert_array_equal(first(canvas(count=4)).dense, before)
    assert not used  # a call keeps what it began with
    np.testing.assert_array_equal(runtime.for_one_call()(canvas(count=4)).dense, before)
    assert len(used) == 1


@pytest.mark.parametrize("kind", ["openvino", "onnx"])
def test_a_file_by_itself_makes_it_at_the_same_picture(
    kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(side_by_side, "FEW", 4)
    backend: Any = backend_of(kind, folder)
    before = backend.run(canvas(count=4))[0]
    assert backend.batches.ready is None
    np.testing.assert_array_equal(backend.run(canvas(count=4))[0], before)
    assert backend.batches.ready is not None


def backend_of(kind: str, folder: Path) -> Any:
    """The network of `folder` with two threads."""
    if kind == "openvino":
        return OpenVINOBackend(folder, Opened("cpu", "fp32", 2))
    path, model = folder.parent / "tiny.onnx", folder.parent / "tiny.safetensors"
    write_model_file(model, tiny_file())
    YOLO(model).export(format="onnx", imgsz=64, images=4, output=path, verbose=False)
    return OnnxBackend(path, Opened("cpu", "fp32", 2))


def test_many_threads_use_one_graph(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino, "OFTEN", 1)
    runtime = open_exported(folder, Opened("cpu", "fp32"))
    runtime.for_one_call()(canvas())
    runtime.for_one_call()
    wait()
    call = runtime.for_one_call()
    pictures = [canvas(seed=seed) for seed in range(12)]
    expected = [call(picture).dense for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        for alone, beside in zip(expected, pool.map(call, pictures), strict=True):
            np.testing.assert_array_equal(beside.dense, alone)


def test_what_is_not_used_any_more_goes(folder: Path) -> None:
    backend = OpenVINOBackend(folder, Opened("cpu", "fp32"))
    backend.for_one_call().run(canvas())
    seen = weakref.ref(backend)
    gc.disable()
    try:
        del backend
        assert seen() is None
    finally:
        gc.enable()


def test_few_graphs_and_each_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino, "OFTEN", 2)
    usual = UsualShapes()
    shapes = [(1, height, 32, 3) for height in (32, 64, 96, 128, 160, 192)]
    for shape in shapes:
        usual.note(shape)
    assert usual.due() == []
    usual.note(shapes[1])
    assert usual.due() == [shapes[1]]
    for shape in shapes:
        usual.note(shape)
    assert usual.due() == [shapes[0], *shapes[2:4]]
    assert usual.due() == []


def test_a_graph_that_cannot_be_compiled_is_done_without(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino, "OFTEN", 1)

    def fail(shape: tuple[int, ...]) -> object:
        raise RuntimeError("no memory")

    backend = OpenVINOBackend(folder, Opened("cpu", "fp32"))
    monkeypatch.setattr(backend, "_compile_for", fail)
    backend.for_one_call().run(canvas())
    backend.for_one_call()
    wait()
    backend.for_one_call().run(canvas())
    assert backend.usual.ready == {}


def test_signals_are_handled_after_models_have_come_and_gone(folder: Path) -> None:
    """Two cores that go in the order in which they came would leave the main thread a freed stack for its signals."""
    program = """
import faulthandler, gc, os, pathlib, signal, sys
faulthandler.enable()  # as pytest does: the main thread has a stack for signals
from yolov12.inference.backends.base import Opened
from yolov12.inference.backends.openvino import OpenVINOBackend
first, second = (OpenVINOBackend(pathlib.Path(sys.argv[1]), Opened("cpu", "fp32")) for _ in range(2))
del first
gc.collect()
del second
gc.collect()
signal.signal(signal.SIGTERM, lambda number, frame: print("handled"))
os.kill(os.getpid(), signal.SIGTERM)
"""
    command = [sys.executable, "-c", program, str(folder)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "handled\n")
