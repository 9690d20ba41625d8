"""Formats whose tools are not part of the usual set-up: `scripts/formats` installs them and runs these tests."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from mobile_formats import need
from model_factory import file_of
from part_factory import HEADS, network
from yolov12 import YOLO, ExportedModel
from yolov12.api.verify import verify_file
from yolov12.artefact import read_artefact
from yolov12.checkpoint import write_model_file
from yolov12.errors import CheckpointError, ConfigError, ExportError, SetupError
from yolov12.export.mobile import MatrixAttention
from yolov12.export.plan import FORMATS
from yolov12.export.probe import payload_digest
from yolov12.extras import require
from yolov12.inference.backends.base import DESCRIPTION

RUNNING = ("ncnn", "litert", "executorch")
REFUSED = {("ncnn", head) for head in ("dynamic_mask", "heatmap_pose", "multi-all")}
"""Heads of which a format has not all that they are made of."""
SIZE = 64


@pytest.fixture
def made(request: pytest.FixtureRequest, sources: dict[str, Path], folder: Path) -> Path:
    """A detector in the format that the test is about, written once."""
    kind = request.param
    need(kind)
    target = folder / f"made{FORMATS[kind].suffix}"
    if not target.exists():
        YOLO(sources["detect"]).export(format=kind, imgsz=SIZE, images=4, output=target, verbose=False)
    return target


def test_the_attention_of_exports_is_that_of_networks() -> None:
    generator = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(2, 3, 7, 8, generator=generator) for _ in range(3))
    mask = torch.randn(7, 7, generator=generator)
    for named in ({}, {"attn_mask": mask}):
        expected = functional.scaled_dot_product_attention(query, key, value, **named)
        with MatrixAttention():
            found = functional.scaled_dot_product_attention(query, key, value, **named)
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("kind", RUNNING)
def test_every_format_of_every_head(kind: str, head: str, sources: dict[str, Path]) -> None:
    need(kind)
    model = YOLO(sources[head])
    if (kind, head) in REFUSED:
        with pytest.raises(ExportError, match=f"{kind}: what the converter wrote of this network cannot be opened"):
            model.export(format=kind, imgsz=(SIZE, 96), images=4, verbose=False)
        assert not [*sources[head].parent.glob(f"*{head}{FORMATS[kind].suffix}")]
        return
    path = model.export(format=kind, imgsz=(SIZE, 96), images=4, verbose=False)
    assert path.name == f"{head}{FORMATS[kind].suffix}"
    again = YOLO(path)
    assert isinstance(again, ExportedModel)
    assert (again.task, again.names, again.keypoint_shape) == (model.task, model.names, model.keypoint_shape)
    images = np.random.default_rng(0).integers(0, 256, (3, SIZE, 96, 3), np.uint8)
    expected, found = model.runtime(precision="fp32")(images), again.runtime()(images)
    np.testing.assert_allclose(found.dense, expected.dense, atol=2e-3, rtol=1e-4)
    if expected.prototypes is not None:
        np.testing.assert_allclose(found.prototypes, expected.prototypes, atol=1e-4)
    assert again.artefact.certificate["failures"] == []
    assert verify_file(path)["failures"] == []
    assert not list(path.parent.glob(".*.tmp*"))


def test_what_a_converter_cannot_do_leaves_nothing(tmp_path: Path) -> None:
    """ncnn has not all that the transformer backbone is made of."""
    need("ncnn")
    source = tmp_path / "parts.safetensors"
    write_model_file(source, file_of(network("transformer", "pafpn", "anchor")))
    with pytest.raises(ExportError, match="ncnn: what the converter wrote of this network cannot be opened"):
        YOLO(source).export(format="ncnn", imgsz=SIZE, images=4, verbose=False)
    assert [path.name for path in tmp_path.iterdir()] == [source.name]


@pytest.mark.parametrize("made", RUNNING, indirect=True)
def test_many_threads_get_the_same_answers(made: Path) -> None:
    runtime = YOLO(made).runtime()
    pictures = np.random.default_rng(1).integers(0, 256, (6, 1, SIZE, SIZE, 3), np.uint8)
    expected = [runtime(picture).dense for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda number: runtime(pictures[number % 6]).dense, range(24)))
    for number, dense in enumerate(found):
        np.testing.assert_array_equal(dense, expected[number % 6])


@pytest.mark.parametrize("made", RUNNING, indirect=True)
def test_damage_is_named(made: Path, tmp_path: Path) -> None:
    copied = tmp_path / made.name
    shutil.copytree(made, copied)
    (copied / "yolov12.json").unlink()
    with pytest.raises(CheckpointError, match="has no description by this package"):
        YOLO(copied).runtime()
    shutil.copy(made / "yolov12.json", copied)
    for file in copied.iterdir():
        if file.name != "yolov12.json":
            file.unlink()
    with pytest.raises(CheckpointError, match="is missing"):
        YOLO(copied).runtime()


BLOBS = {"ncnn": "model.ncnn.param", "litert": "model.tflite", "executorch": "model.pte"}


@pytest.mark.parametrize("made", RUNNING, indirect=True)
def test_garbage_is_refused(made: Path, tmp_path: Path) -> None:
    """In a process of its own, which must not die of it."""
    copied = tmp_path / made.name
    shutil.copytree(made, copied)
    blob = copied / BLOBS[YOLO(made).artefact.format]
    size = blob.stat().st_size
    for data in (b"", blob.read_bytes()[: size // 2], bytes(range(256)) * (size // 256)):
        blob.write_bytes(data)
        command = [sys.executable, "-m", "yolov12", "verify", str(copied)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 2, done
        assert done.stderr.splitlines()[-1].startswith("error: ")


def test_an_ncnn_network_without_its_output(sources: dict[str, Path], folder: Path) -> None:
    need("ncnn")
    target = folder / "renamed_ncnn_model"
    YOLO(sources["detect"]).export(format="ncnn", imgsz=SIZE, images=4, output=target, verbose=False)
    param = target / "model.ncnn.param"
    for name in ("out0", "in0"):
        param.write_text(param.read_text(encoding="utf8").replace(name, f"x{name}"), encoding="utf8")
        with pytest.raises(CheckpointError, match="the network has no "):
            YOLO(target).runtime()(np.zeros((1, SIZE, SIZE, 3), np.uint8))


@pytest.mark.parametrize("made", RUNNING, indirect=True)
def test_what_it_cannot_do_is_named(made: Path) -> None:
    with pytest.raises(ConfigError, match="takes canvases of 64x64"):
        YOLO(made).predict(np.zeros((50, 50, 3), np.uint8), imgsz=96, verbose=False)
    with pytest.raises(SetupError, match="runs on the CPU here"):
        YOLO(made).predict(np.zeros((50, 50, 3), np.uint8), device="cuda", verbose=False)


def test_ncnn_takes_one_picture_and_half_the_weights(sources: dict[str, Path], folder: Path) -> None:
    with pytest.raises(ConfigError, match="--batch 2: ncnn files take one picture at a time"):
        YOLO(sources["detect"]).export(format="ncnn", batch=2, dynamic=False)
    need("ncnn")
    whole, half = folder / "whole_ncnn_model", folder / "half_ncnn_model"
    for target in (whole, half):
        YOLO("yolov12n-bccd").export(
            format="ncnn", half=target == half, imgsz=SIZE, images=4, output=target, verbose=False
        )
    sizes = [(target / "model.ncnn.bin").stat().st_size for target in (whole, half)]
    assert sizes[1] < 0.6 * sizes[0]
    assert YOLO(half).artefact.precision == "fp16"


def test_core_ml_packages(sources: dict[str, Path], folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    need("coreml")
    target = YOLO(sources["segment"]).export(format="coreml", imgsz=SIZE, output=folder / "made.mlpackage")
    said = capsys.readouterr().err
    library = require("coremltools", "coreml")
    package = library.models.MLModel(str(target), skip_model_load=True)
    artefact = read_artefact(package.user_defined_metadata[DESCRIPTION])
    assert (artefact.format, artefact.task, artefact.imgsz) == ("coreml", "segment", (SIZE, SIZE))
    described = package.get_spec().description
    assert [entry.name for entry in described.input] == ["images"]
    assert [entry.name for entry in described.output] == ["dense", "prototypes"]
    if platform.system() == "Darwin":
        assert verify_file(target)["failures"] == []
        return
    assert "coreml files run on Darwin only, so nothing was compared" in said
    assert len(artefact.certificate["probe"]) == 2
    assert payload_digest(target, artefact.certificate["digest"]) == artefact.certificate["digest"]
    with pytest.raises(SetupError, match="run on macOS only"):
        YOLO(target).runtime()
