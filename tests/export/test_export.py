"""Export end to end at small size: every format for every task, loaded again, equal, described, verified."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from mobile_formats import PACKAGES
from yolov12 import YOLO, ExportedModel
from yolov12.api.compare import compare_models
from yolov12.api.opening import open_predicting
from yolov12.api.verify import verify_file
from yolov12.artefact import Artefact
from yolov12.cli.main import main
from yolov12.config.run import EXPORT_FORMATS
from yolov12.errors import CheckpointError, ConfigError, ExportError, ResourceError, UserError
from yolov12.export.plan import FORMATS
from yolov12.export.probe import SHAPES as SHAPES_OF_PROBE
from yolov12.export.probe import wrong_answers
from yolov12.export.writers import WRITERS
from yolov12.extras import require
from yolov12.inference.backends import BACKENDS, SUFFIXES
from yolov12.inference.lazy_boxes import LazyBoxes
from yolov12.models.registry import Decoded
from yolov12.samples import sample_images

TASKS = ("detect", "segment", "pose", "obb", "classify")
USUAL = ("onnx", "openvino", "torchscript")
"""The others are in `test_mobile`."""
SHAPES = ((2, 96, 160), (1, 64, 64), (3, 128, 32))


@pytest.fixture(scope="module")
def blood(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded detector in OpenVINO's format."""
    target = tmp_path_factory.mktemp("blood") / "blood_openvino_model"
    return YOLO("yolov12n-bccd").export(format="openvino", output=target, imgsz=160, images=8, verbose=False)


def test_registered_means_tested() -> None:
    assert set(FORMATS) == set(EXPORT_FORMATS) == set(WRITERS) == set(BACKENDS) == {*USUAL, *PACKAGES}
    assert {FORMATS[name].suffix: name for name in FORMATS} == SUFFIXES


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("kind", USUAL)
def test_every_format_of_every_task(kind: str, task: str, sources: dict[str, Path]) -> None:
    model = YOLO(sources[task])
    dynamic = kind != "onnx" or task in ("detect", "segment")  # free shapes take its exporter long
    path = model.export(format=kind, imgsz=64, images=4, dynamic=dynamic, verbose=False)
    assert path.name == f"{task}{FORMATS[kind].suffix}"
    again = YOLO(path)
    assert isinstance(again, ExportedModel)
    assert (again.task, again.names, again.keypoint_shape) == (task, model.names, model.keypoint_shape)
    reference, runtime = model.runtime(precision="fp32"), again.runtime()
    for batch, height, width in SHAPES if dynamic else ((3, 64, 64),):
        images = np.random.default_rng(0).integers(0, 256, (batch, height, width, 3), np.uint8)
        expected, found = reference(images), runtime(images)
        np.testing.assert_allclose(found.dense, expected.dense, atol=2e-3, rtol=1e-4)
        if expected.prototypes is not None:
            np.testing.assert_allclose(found.prototypes, expected.prototypes, atol=1e-4)
    certificate = again.artefact.certificate
    assert certificate["failures"] == []
    assert certificate["images"] == 4
    assert verify_file(path)["failures"] == []
    assert not list(path.parent.glob(".*.tmp*"))


def test_the_same_answers_through_the_same_interface(blood: Path) -> None:
    options = {"imgsz": 160, "verbose": False}
    pictures = sorted(sample_images().iterdir())
    model, exported = YOLO("yolov12n-bccd"), YOLO(blood)
    assert exported.size_to_use(verbose=False) == 160  # of the export, not of the training
    with pytest.raises(ConfigError, match=r"layout: .* is an exported file"):
        open_predicting(blood, layout="v1.0")
    assert exported.runtime("cpu", "fp32") is exported.runtime()  # what is open is not opened again
    assert exported.artefact.versions.keys() >= {"torch", "openvino"}
    expected = model.predict(pictures, runtime="torch", precision="fp32", **options)
    found = exported.predict(pictures, **options)
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_allclose(other.boxes.data, one.boxes.data, atol=0.02)
        assert (other.runtime, other.precision) == ("openvino", "fp32")
    alone = [exported.predict(picture, **options)[0] for picture in pictures]
    for one, other in zip(alone, found, strict=True):
        np.testing.assert_array_equal(one.boxes.data, other.boxes.data)


def test_exported_files_need_no_torch(blood: Path) -> None:
    program = f"""
import sys
class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, NoTorch())
from yolov12.api.exported import ExportedModel
from yolov12.api.verify import verify_file
from yolov12.samples import sample_images
found = ExportedModel({str(blood)!r}).predict(str(sample_images()), verbose=False)
assert all(len(result.boxes) for result in found)
assert verify_file({str(blood)!r})["failures"] == []
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_scores_are_the_models_own(blood: Path, bccd_yaml: Path, tmp_path: Path) -> None:
    options = {"data": str(bccd_yaml), "imgsz": 160, "plots": False, "verbose": False, "project": str(tmp_path)}
    expected = YOLO("yolov12n-bccd").val(precision="fp32", **options)
    assert YOLO(blood).val(**options).box.map == pytest.approx(expected.box.map, abs=1e-4)


def test_a_changed_file_is_found_out(blood: Path, tmp_path: Path) -> None:
    copied = tmp_path / "copy_openvino_model"
    shutil.copytree(blood, copied)
    described = copied / "yolov12.json"
    values = json.loads(described.read_text(encoding="utf8"))
    values["preprocess"]["pad_value"] = 0
    described.write_text(json.dumps(values), encoding="utf8")
    assert verify_file(copied)["failures"] == [
        "the contents have changed since they were certified",
        "it expects pictures to be prepared in another way",
    ]
    with pytest.raises(CheckpointError, match="expects pictures to be prepared in another way"):
        YOLO(copied).predict(str(sample_images()))
    weights = copied / "model.bin"
    data = bytearray(weights.read_bytes())
    data[len(data) // 8 * 4 + 3] ^= 0x80  # the sign of one weight
    weights.write_bytes(data)
    assert "the contents have changed since they were certified" in verify_file(copied)["failures"]
    values["names"]["0"] = "another"
    described.write_text(json.dumps(values), encoding="utf8")
    values["certificate"]["probe"][0]["values"][0][0] += 30
    described.write_text(json.dumps(values), encoding="utf8")
    assert any("answers are off by up to" in text for text in verify_file(copied)["failures"])


def test_what_a_description_may_not_say(blood: Path, tmp_path: Path) -> None:
    """Each change is a finding of `verify`, or a file that cannot be used; none is a crash."""
    copied = tmp_path / "copy_openvino_model"
    shutil.copytree(blood, copied)
    described = copied / "yolov12.json"
    original = json.loads(described.read_text(encoding="utf8"))

    def say(**changes: object) -> None:
        described.write_text(json.dumps({**original, **changes}), encoding="utf8")

    say(certificate={})
    assert "it has no certificate: export the model again" in verify_file(copied)["failures"]
    assert "the certificate has no answers to compare with" in verify_file(copied)["failures"]
    for probe in (5, [{}, {}], [{"anchors": [0], "values": "x"}] * 2):
        say(certificate={**original["certificate"], "probe": probe})
        assert "the certificate has no answers to compare with" in verify_file(copied)["failures"]
    say(certificate={**original["certificate"], "probe": [{"anchors": [0], "values": [[1.0]]}] * 2})
    assert any("an answer of (7, 1), (1, 1) expected" in text for text in verify_file(copied)["failures"])
    say(certificate=5)
    with pytest.raises(CheckpointError, match="is not a table"):
        YOLO(copied)
    say(format="ncnn")
    with pytest.raises(CheckpointError, match="is described as a file for ncnn, not openvino"):
        YOLO(copied)
    say(lazy=True)
    with pytest.raises(CheckpointError, match=r"inputs of \[4\] axes, but is described as taking \[4, 0\]"):
        YOLO(copied).predict(str(sample_images()), verbose=False)
    say(lazy="yes")
    with pytest.raises(CheckpointError, match=r"damaged description \(lazy 'yes'\)"):
        YOLO(copied)
    say(names={"0": "a", "1": "b"})
    with pytest.raises(CheckpointError, match=r"answers \(\d, 7, \d+\), but is described as \(B, 6, A\)"):
        YOLO(copied).predict(str(sample_images()), verbose=False)


def test_eight_bits_and_fine_tuning(
    bccd_yaml: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From end to end; what the accuracy of eight pictures allows is left aside."""
    monkeypatch.setattr("yolov12.export.quantization.MAX_DROP", 1.0)
    monkeypatch.setattr("yolov12.export.certificate.MAP_LOSS", {"fp32": 0.001, "int8": 1.0})
    monkeypatch.setattr("yolov12.export.certificate.WORTH", 10.0)
    model, target = YOLO("yolov12n-bccd"), tmp_path / "small_openvino_model"
    options = {"imgsz": 128, "data": str(bccd_yaml), "images": 8, "calibration": 8}
    path = model.export(format="openvino", int8=True, finetune=1, output=target, **options)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "int8: fine-tuning, pass 1 of 1: loss" in captured.err
    assert re.search(r"int8: \d+\.\d -> \d+\.\d ms for \d+x\d+ on this processor", captured.err)
    artefact = YOLO(path).artefact
    assert artefact.precision == "int8"
    assert artefact.source["calibration"] == 8
    assert artefact.source["finetune"] in (0, 1)
    whole = model.export(
        format="openvino", output=tmp_path / "whole_openvino_model", imgsz=128, images=8, verbose=False
    )
    sizes = [(one / "model.bin").stat().st_size for one in (path, whole)]
    assert sizes[0] < 0.5 * sizes[1]


def test_fine_tuning_that_harms_is_not_taken(
    bccd_yaml: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does it reach the model that it is compared with, whose weights OpenVINO shares."""

    def forget(graph: torch.nn.Module, *_: object) -> None:
        for value in graph.parameters():
            value.data.zero_()

    monkeypatch.setattr("yolov12.export.writers.finetune", forget)
    monkeypatch.setattr("yolov12.export.quantization.MAX_DROP", 1.0)
    monkeypatch.setattr("yolov12.export.certificate.MAP_LOSS", {"int8": 1.0})
    monkeypatch.setattr("yolov12.export.certificate.WORTH", 10.0)
    options = {"imgsz": 128, "data": str(bccd_yaml), "images": 8, "calibration": 8, "int8": True, "finetune": 1}
    path = YOLO("yolov12n-bccd").export(format="openvino", output=tmp_path / "a_openvino_model", **options)
    said = re.search(r"int8: (0\.\d+) as it was, 0\.0000 fine-tuned", capsys.readouterr().err)
    assert said is not None
    assert float(said[1]) > 0.1
    assert YOLO(path).artefact.source["finetune"] == 0
    assert YOLO(path).artefact.certificate["found"] > 0.1


@pytest.mark.parametrize("task", ["detect", "segment"])
def test_suppression_inside_the_graph(
    task: str, sources: dict[str, Path], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = YOLO(sources[task])
    options = {"imgsz": 64, "conf": 0.0015, "iou": 0.5, "max_det": 7}
    target = folder / f"nms-{task}.onnx"
    path = model.export(format="onnx", nms=True, dynamic=False, images=4, output=target, verbose=False, **options)
    exported = YOLO(path)
    assert exported.artefact.certificate["agreement"] == 1.0
    exported.predict(np.zeros((64, 64, 3), np.uint8), imgsz=64, conf=0.001, iou=0.5, max_det=7)
    said = "cannot give more: conf 0.001 (in the file: 0.0015)"
    assert said in capsys.readouterr().err
    pictures = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
    expected = model.predict(list(pictures), precision="fp32", verbose=False, **options)
    found = exported.predict(list(pictures), verbose=False, **options)
    assert any(len(result.boxes) for result in expected)
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_allclose(other.boxes.data, one.boxes.data, atol=1e-3)
        if task == "segment":
            np.testing.assert_array_equal(other.masks.data, one.masks.data)


@pytest.mark.parametrize(
    ("kind", "task"),
    [("onnx", "detect"), ("onnx", "segment"), *(("openvino", task) for task in (*TASKS[:4], "dynamic_mask"))],
)
def test_boxes_only_where_a_score_passes(kind: str, task: str, sources: dict[str, Path], folder: Path) -> None:
    model, target = YOLO(sources[task]), folder / f"lazy-{task}{FORMATS[kind].suffix}"
    # Free shapes take the exporter of ONNX long, and OpenVINO runs no kernels that depend on the picture in them.
    dynamic = task == "detect" if kind == "onnx" else task != "dynamic_mask"
    options = {"imgsz": 64, "images": 4, "dynamic": dynamic, "verbose": False}
    runtime = YOLO(model.export(format=kind, lazy=True, output=target, **options)).runtime()
    reference = model.runtime(precision="fp32")
    for batch, height, width in SHAPES if dynamic else ((3, 64, 64),):
        images = np.random.default_rng(0).integers(0, 256, (batch, height, width, 3), np.uint8)
        expected = reference(images).dense
        scores = expected[:, 4 : 4 + len(model.names)].max(axis=1)  # (B, A)
        assert len(set(scores.flat)) > 2
        least = float(np.median(scores))
        np.testing.assert_allclose(runtime(images).dense, expected, atol=2e-3, rtol=1e-4)
        found, shown = runtime(images, least).dense, scores > least + 1e-6
        np.testing.assert_allclose(found.transpose(0, 2, 1)[shown], expected.transpose(0, 2, 1)[shown], atol=2e-3)
        hidden = found.transpose(0, 2, 1)[scores < least - 1e-6]
        assert len(hidden)
        assert not hidden[:, :4].any()
        assert not hidden[:, 4 + len(model.names) :].any()
        assert len(runtime(images, 1.0).dense) == batch


def test_a_lazy_file_is_checked_as_it_is_used(
    sources: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Right where all anchors are asked for, wrong where few are."""
    decode = LazyBoxes.decode

    def wrong(boxes: LazyBoxes, features: Sequence[torch.Tensor], min_score: torch.Tensor) -> Decoded:
        dense, prototypes = decode(boxes, features, min_score)
        return Decoded(dense * (1 + 1e6 * min_score * boxes._traced), prototypes)

    monkeypatch.setattr(LazyBoxes, "decode", wrong)
    target = tmp_path / "wrong_openvino_model"
    with pytest.raises(ExportError, match="pixels differ by"):
        YOLO(sources["detect"]).export(format="openvino", lazy=True, imgsz=64, images=4, output=target, verbose=False)
    assert not target.exists()


def test_a_graph_that_cannot_be_opened_says_what_may_do(sources: dict[str, Path]) -> None:
    with pytest.raises(ExportError, match=r"cannot be opened .*; a graph for one size may do: --no-dynamic\. Nothing"):
        YOLO(sources["dynamic_mask"]).export(format="openvino", imgsz=64, images=4, verbose=False)


@pytest.mark.parametrize("values", [[], [[]], [[1.0]], 3.0, [[0.5]] * 6, [[float("nan")]] * 6])
def test_damaged_answers_of_a_lazy_file_are_a_finding(values: object) -> None:
    artefact = Artefact(
        "onnx", "detect", {0: "a"}, (64, 64), 1, dynamic=False, precision="fp32", preprocess={}, lazy=True
    )
    answers = [{"anchors": [0], "values": values}] * len(SHAPES_OF_PROBE)
    found = wrong_answers(lambda canvas, least: Decoded(torch.ones(1, 5, 9).numpy()), artefact, answers)  # type: ignore[arg-type]
    assert len(found) == len(SHAPES_OF_PROBE)


def test_what_cannot_be_lazy(sources: dict[str, Path]) -> None:
    for task in ("classify", "anchor"):
        with pytest.raises(ConfigError, match=f"--lazy: is for the heads detect, .*, not for {task}"):
            YOLO(sources[task]).export(lazy=True)


@pytest.mark.parametrize("kind", ["onnx", "openvino"])
def test_half_precision(kind: str, folder: Path) -> None:
    options = {"imgsz": 160, "images": 4, "dynamic": kind != "onnx", "verbose": False}
    target = folder / f"half{FORMATS[kind].suffix}"
    path = YOLO("yolov12n-bccd").export(format=kind, half=True, output=target, **options)
    exported = YOLO(path)
    assert exported.artefact.precision == "fp16"
    assert 1e-5 < exported.artefact.certificate["differences"]["scores"] < 0.01


def test_a_fixed_shape(sources: dict[str, Path], folder: Path) -> None:
    model = YOLO(sources["detect"])
    target = folder / "fixed.onnx"
    exported = YOLO(model.export(imgsz=(64, 96), dynamic=False, batch=2, images=4, output=target, verbose=False))
    assert exported.usual_size == (64, 96)
    pictures = [np.full((50, 50, 3), shade, np.uint8) for shade in (10, 90, 200)]
    assert len(exported.predict(pictures, verbose=False, conf=0.001)) == 3
    with pytest.raises(ConfigError, match="takes canvases of 64x96"):
        exported.predict(pictures[0], imgsz=64, verbose=False)


def test_what_differs_leaves_nothing(sources: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrong:
        def __init__(self, *_: object, **__: object) -> None: ...
        def __new__(cls, *given: object, **named: object) -> torch.nn.Module:  # type: ignore[misc]
            graph = original(*given, **named)
            for weight in graph.parameters():
                weight.data *= 1.5
            return graph

    original = __import__("yolov12.export.run", fromlist=["ExportGraph"]).ExportGraph
    monkeypatch.setattr("yolov12.export.run.ExportGraph", Wrong)
    target = tmp_path / "wrong.torchscript"
    target.write_bytes(b"from before")
    with pytest.raises(ExportError, match="Nothing was written"):
        YOLO(sources["detect"]).export(format="torchscript", imgsz=64, images=4, output=target, verbose=False)
    assert target.read_bytes() == b"from before"
    assert [path.name for path in tmp_path.iterdir()] == ["wrong.torchscript"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "engine"}, "--format engine: engines are built on the GPU that runs them.*trtexec"),
        ({"format": "tflite"}, "--format tflite: it is called litert now"),
        ({"format": "onx"}, "--format 'onx'.*onnx"),
        ({"format": "torchscript", "nms": True}, "--nms: torchscript files cannot have it; choose from onnx, openvino"),
        ({"format": "torchscript", "half": True}, "--half: torchscript files cannot have it"),
        ({"format": "openvino", "simplify": True}, "--simplify: is for onnx files"),
        ({"conf": 0.3}, "--conf: has an effect only with --nms"),
        ({"batch": 4}, "--batch 4: the graph takes any batch; add --no-dynamic"),
        ({"calibration": 4}, "--calibration: has an effect only with --int8"),
        ({"format": "openvino", "finetune": 2}, "--finetune: has an effect only with --int8"),
        ({"int8": True}, "--int8: onnx files cannot have it; choose from openvino"),
        ({"format": "openvino", "int8": True, "half": True}, "--int8 and --half contradict each other"),
        (
            {"format": "torchscript", "lazy": True},
            "--lazy: torchscript files cannot have it; choose from onnx, openvino",
        ),
        ({"lazy": True, "nms": True}, "--lazy and --nms contradict each other"),
        ({"format": "openvino", "int8": True}, "--int8: --data is missing"),
        ({"output": "a.tflite"}, "names of onnx exports end in .onnx"),
    ],
)
def test_what_cannot_be_is_refused_first(options: dict[str, object], message: str, sources: dict[str, Path]) -> None:
    with pytest.raises(ConfigError, match=message):
        YOLO(sources["detect"]).export(**options)  # type: ignore[arg-type]


def test_suppression_is_for_upright_boxes(sources: dict[str, Path]) -> None:
    for task in ("obb", "classify"):
        with pytest.raises(ConfigError, match=f"upright boxes, not for {task}"):
            YOLO(sources[task]).export(nms=True)


def test_a_folder_that_is_not_there(sources: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"the folder .* does not exist"):
        YOLO(sources["detect"]).export(output=tmp_path / "no" / "a.onnx")


def test_a_folder_of_other_things_stays(sources: dict[str, Path], tmp_path: Path) -> None:
    target = tmp_path / "thesis_openvino_model"
    target.mkdir()
    (target / "thesis.txt").write_text("precious")
    with pytest.raises(UserError, match="a folder of other things"):
        YOLO(sources["detect"]).export(format="openvino", output=target, imgsz=64, images=4, verbose=False)
    assert [path.name for path in target.iterdir()] == ["thesis.txt"]


def test_a_full_disk_is_told(sources: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenVINO tells it by an error of its own."""

    def save(*_: object, **__: object) -> None:
        raise RuntimeError("basic_ios::clear: iostream error")

    monkeypatch.setattr(require("openvino", "openvino"), "save_model", save)
    with pytest.raises(ResourceError, match=r"the disk is full \(basic_ios"):
        YOLO(sources["detect"]).export(format="openvino", output=tmp_path / "a_openvino_model", imgsz=64, images=4)
    assert not list(tmp_path.iterdir())


def test_an_interruption_that_an_exporter_took_for_an_error(
    sources: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def writer(*_: object) -> None:
        raise ValueError("the exporter failed") from KeyboardInterrupt()

    monkeypatch.setitem(WRITERS, "openvino", writer)
    with pytest.raises(KeyboardInterrupt):
        YOLO(sources["detect"]).export(format="openvino", output=tmp_path / "a_openvino_model", imgsz=64, images=4)
    assert not list(tmp_path.iterdir())


def test_exported_files_do_not_train(blood: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be trained"):
        YOLO(blood).train(data="x")
    with pytest.raises(ConfigError, match="no layers to walk through"):
        YOLO(blood).trace()
    with pytest.raises(ConfigError, match="is for one runtime"):
        YOLO(blood).tune()
    with pytest.raises(ConfigError, match="`yolov12 benchmark` compares those"):
        compare_models([blood, "yolov12n-bccd"], data="x")
    with pytest.raises(ConfigError, match="is an export already"):
        YOLO(blood).export()
    with pytest.raises(ConfigError, match=r"num_classes: .* is an exported file"):
        YOLO(str(blood), num_classes=3)
    with pytest.raises(CheckpointError, match=r"none\.onnx: no such file"):
        YOLO("none.onnx")


def test_the_commands(blood: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(blood)]) == 0
    assert "contents are those that were certified" in capsys.readouterr().out
    assert main(["verify", str(blood), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["failures"] == []
    assert main(["predict", "--model", str(blood), str(sorted(sample_images().iterdir())[0]), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["detections"]
    assert main(["info", str(blood)]) == 0
    assert "openvino, fp32: yolov12n, detect, 3 classes, any batch, height and width" in capsys.readouterr().out
    assert main(["info", str(blood), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["task"] == "detect"
    assert main(["predict", "--tile", "-2"]) == 2
    assert "--tile -2: must be between -1 and 65536" in capsys.readouterr().err
    assert main(["verify", "gone.onnx"]) == 2
    assert "no such file" in capsys.readouterr().err
