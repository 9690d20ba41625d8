"""What the check of an export lets through, and what it does not: the embedded model with one thing changed."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from yolov12 import YOLO
from yolov12.artefact import Artefact
from yolov12.config.variants import model_config
from yolov12.data.contract import contract
from yolov12.data.dataset import load_index
from yolov12.errors import ExportError
from yolov12.export.certificate import Check, certified, certify, limits_of, summary
from yolov12.inference.exported import ExportedRuntime
from yolov12.inference.torch_runtime import TorchRuntime
from yolov12.models.detector import build_model

SIZE = 160


class Changed:
    """A torch runtime in the guise of an exported file, with one thing changed."""

    name, precision = "changed", "fp32"

    def __init__(self, runtime: TorchRuntime, artefact: Artefact, change: str) -> None:
        self.artefact, self._runtime, self._change = artefact, runtime, change

    def run(self, images: np.ndarray, min_score: float = 0.0, *, whole: bool = False) -> tuple[np.ndarray, ...]:
        if self._change == "channels":
            images = images[..., ::-1]
        if self._change == "letterbox":  # as if the picture lay four pixels lower
            images = np.roll(images, 4, axis=1)
        dense = self._runtime(np.ascontiguousarray(images)).dense
        if self._change == "bits":
            dense[:, 4:] += np.random.default_rng(0).choice([-1e-9, 1e-9], dense[:, 4:].shape)
        if self._change == "silence":
            dense[:, 4:] = 0
        return (dense,)


@pytest.fixture(scope="module")
def model() -> YOLO:
    return YOLO("yolov12n-bccd")


@pytest.fixture(scope="module")
def check(bccd_yaml: Path) -> Check:
    index = load_index(str(bccd_yaml), "val", fraction=0.15)
    return Check(index, True, "bccd")


def certificate(model: YOLO, check: Check, change: str, precision: str = "fp32") -> dict[str, Any]:
    artefact = Artefact(
        "onnx", "detect", model.names, (SIZE, SIZE), 1, dynamic=True, precision=precision, preprocess=contract("detect")
    )
    changed = copy.deepcopy(model.model)
    if change == "weight":
        weight = changed.backbone.stem.conv.weight
        with torch.no_grad():
            place = weight.abs().argmax()
            weight.view(-1)[place] *= -1
    exported = ExportedRuntime(Changed(TorchRuntime(changed), artefact, change))
    return certify(TorchRuntime(model.model), exported, check)


def test_the_same_model_passes(model: YOLO, check: Check) -> None:
    found = certificate(model, check, "nothing")
    assert found["failures"] == []
    assert found["images"] == 11
    assert found["detections"] >= 100
    assert found["agreement"] == 1.0
    assert found["expected"] == found["found"] > 0.3
    assert "100.0% of" in summary(found)


@pytest.mark.parametrize("change", ["weight", "channels", "letterbox"])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_one_change_fails(model: YOLO, check: Check, change: str, precision: str) -> None:
    found = certificate(model, check, change, precision)
    assert found["failures"]
    artefact = Artefact("onnx", "detect", model.names, (SIZE, SIZE), 1, True, precision, contract("detect"))
    with pytest.raises(ExportError, match=r"is not equal to the model: .*Nothing was written"):
        certified(artefact, found)


def test_half_precision_may_differ_more() -> None:
    full, half = (
        limits_of(Artefact("onnx", "detect", {0: "a"}, (64, 64), 1, True, precision, contract("detect")))
        for precision in ("fp32", "fp16")
    )
    assert full["pixels"] < half["pixels"] == 1.0
    assert full["agreement"] > half["agreement"]


def test_nan_fails(model: YOLO, check: Check) -> None:
    class Broken(Changed):
        def run(self, images: np.ndarray, min_score: float = 0.0, *, whole: bool = False) -> tuple[np.ndarray, ...]:
            return (np.full_like(super().run(images)[0], np.nan),)

    artefact = Artefact("onnx", "detect", model.names, (SIZE, SIZE), 1, True, "fp32", contract("detect"))
    reference = TorchRuntime(model.model)
    found = certify(reference, ExportedRuntime(Broken(reference, artefact, "")), check)
    assert any("scores differ by None" in text for text in found["failures"])


@pytest.mark.parametrize("change", ["nothing", "weight", "channels", "letterbox"])
def test_few_detections_are_not_counted_but_all_outputs_are(
    model: YOLO, bccd_yaml: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("yolov12.export.agreement.CONFIDENCES", (0.25,))
    index = load_index(str(bccd_yaml), "val", fraction=0.02)
    found = certificate(model, Check(index, False, "bccd"), change)
    assert 0 < found["detections"] < 100
    assert "agreement" not in found["limits"]
    assert bool(found["failures"]) == (change != "nothing")


def test_fresh_weights_may_be_exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """To see how fast an architecture is: nothing is found, which is said."""
    model = YOLO("yolov12n.yaml", parts={"backbone": "yolov8"})
    path = model.export(format="torchscript", imgsz=64, images=2, output=tmp_path / "fresh.torchscript")
    assert YOLO(path).artefact.certificate["detections"] == 0
    assert "the check is weak (2 pictures, 0 detections)" in capsys.readouterr().err


@pytest.mark.parametrize("classes", [1, 3])
def test_ties_of_fresh_weights_do_not_count(check: Check, classes: int) -> None:
    """Their scores are equal but for the last bit, which no runtime promises."""
    config = model_config("yolov12n", num_classes=classes)
    reference = TorchRuntime(build_model(config, seed=0).eval())
    names = {number: str(number) for number in range(classes)}
    artefact = Artefact("onnx", "detect", names, (SIZE, SIZE), 1, True, "fp32", contract("detect"))
    unlabelled = Check(check.index, False, "bccd")
    for change, fails in (("bits", False), ("silence", True)):
        found = certify(reference, ExportedRuntime(Changed(reference, artefact, change)), unlabelled)
        assert found["detections"] == 0
        assert bool(found["failures"]) is fails
