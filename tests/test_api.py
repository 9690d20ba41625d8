"""The facade: its fixed surface, and that every part behind it is wired as it says."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import yolov12
from model_factory import official_state, save_network, tiny_file
from polite_stop import ask_to_stop
from scene_factory import eager_file, write_data, write_image, write_model, write_pictures
from stub_runtime import StubRuntime
from yolov12 import YOLO, Result
from yolov12.api import model as model_api
from yolov12.checkpoint import ModelFile, read_model_file
from yolov12.config.model import ModelConfig
from yolov12.config.variants import model_config
from yolov12.engine.run import starting_model
from yolov12.engine.trainer import Trainer
from yolov12.errors import CheckpointError, ConfigError, Interrupted, ResourceError, SetupError, SourceError, UserError
from yolov12.folders import cache_folder
from yolov12.loading import trained_size, val_config

EXACT: dict[str, Any] = {"imgsz": 64, "precision": "fp32", "device": "cpu", "verbose": False}
TRAIN: dict[str, Any] = {
    "epochs": 1, "imgsz": 64, "batch": 3, "workers": 0, "device": "cpu", "optimizer": "AdamW", "plots": False,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _sealed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every test works in a folder of its own, and nothing may reach for the network."""

    def refuse(*_: object) -> None:
        raise AssertionError("a test reached for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


@pytest.fixture(scope="module")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")


@pytest.fixture(scope="module")
def model(model_path: Path) -> YOLO:
    return YOLO(model_path)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def trained(data: Path, model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> YOLO:
    """One epoch from a model with other classes, one of which stays."""
    start = write_model(tmp_path_factory.mktemp("start") / "start.safetensors", ("odd", "b", "c"))
    model = YOLO(start)
    model.train(data=data, project=tmp_path_factory.mktemp("runs"), name="run", **TRAIN)
    return model


def rows(results: Any) -> list[list[list[float]]]:
    return [result.boxes.data.tolist() for result in results]


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return list(first) == list(second) and all(torch.equal(first[name], second[name]) for name in first)


# ---- which model -----------------------------------------------------------------------------------------------------


def test_a_file_by_text_or_path(model_path: Path) -> None:
    for argument in (model_path, str(model_path), os.path.relpath(model_path)):
        model = YOLO(argument)
        assert model.names == {0: "a", 1: "b", 2: "c"}
        assert (model.task, model.layout) == ("detect", "turbo")
        assert same(dict(model.model.state_dict()), eager_file().state)


def test_a_missing_pt_is_the_safetensors_beside_it(model_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = YOLO(model_path.with_suffix(".pt"))
    assert model.path == model_path
    assert "using" in capsys.readouterr().err


def test_a_checkpoint_of_another_project(tmp_path: Path) -> None:
    model = YOLO(save_network(tmp_path / "any name.pt", tiny_file("v1.0", ("x", "y"))))
    assert model.names == {0: "x", 1: "y"}
    assert model.layout == "v1.0"


@pytest.mark.parametrize(
    "name", ["yolov12n", "yolov12n.pt", "yolo12n", "yolo12n.pt", "yolov12n.yaml", "yolo12n.yaml", "yolov12n.yml"]
)
def test_fresh_weights_by_name(name: str) -> None:
    model = YOLO(name, pretrained=name.endswith("ml"))  # the YAML forms say it by themselves
    assert (model.task, model.layout, model.path) == ("detect", "turbo", None)
    assert model.names == {number: str(number) for number in range(80)}
    assert sum(parameter.numel() for parameter in model.model.parameters()) == 2_553_904


@pytest.mark.parametrize(("layout", "expected"), [("turbo", "turbo"), ("v1.0", "v1.0"), ("v1", "v1.0")])
def test_layout_and_classes_of_a_fresh_model(layout: str, expected: str) -> None:
    model = YOLO(Path("yolov12n.yaml"), layout=layout, num_classes=5)
    assert model.layout == expected
    assert model.names == {number: str(number) for number in range(5)}
    assert model.config.num_classes == 5


def test_fresh_weights_of_a_files_architecture(model_path: Path, model: YOLO) -> None:
    fresh = YOLO(model_path, pretrained=False)
    assert (fresh.config, fresh.names, fresh.path) == (model.config, model.names, None)
    assert not same(dict(fresh.model.state_dict()), dict(model.model.state_dict()))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("yolov12m-pose", {}, "yolov12m-pose"),
        ("yolov12x-obb.pt", {}, "yolov12x-obb"),
        ("yolov12n-boxes.yaml", {}, "for other tasks with -seg, -cls, -pose, -obb"),
        ("yolov8n.pt", {}, "yolov8n.pt: only the weights of yolov12 are downloaded"),
        ("yolov12q", {}, "no scale 'q'"),
        ("yolov12n.pt", {"layout": "tubro", "pretrained": False}, "Did you mean 'turbo'?"),
        ("yolov12n", {"num_classes": 0, "pretrained": False}, "num_classes 0: must be between 1 and 100000"),
        ("yolov12n", {"num_classes": -1}, "num_classes -1: must be"),
        ("yolov12n.yaml", {"num_classes": 10**8}, "num_classes 100000000: must be"),
        ("yolov12n.yaml", {"num_classes": "3"}, "num_classes '3': expected int, got str"),
        ("yolov12n.yaml", {"num_classes": 2.0}, "num_classes 2.0: expected int, got float"),
        ("yolov12n.yaml", {"num_classes": True}, "num_classes True: expected int, got bool"),
        ("", {}, "the model's name is empty"),
        ("", {"pretrained": False}, "the model's name is empty"),
        (".", {}, ".: is a folder"),
        (7, {}, "the model must be a path or a name, got int"),
        ("missing.pt", {}, "missing.pt: neither a file nor a model name"),
        ("missing.pt", {"pretrained": False}, "missing.pt: neither a file nor a model name"),
        ("some/missing.pt", {}, "some/missing.pt: no such file"),
        ("https://example.com/model.pt", {}, "a URL is not a model argument"),
        ("yolov12n-bcd", {}, "Did you mean 'yolov12n-bccd'? Names: yolov12n-bccd, yolov12n-seg"),
        ("yolov12n-bccd", {"layout": "v1.0"}, "layout 'v1.0': yolov12n-bccd holds a turbo model"),
        ("yolov12n-bccd", {"layout": "v2"}, "layout 'v2': choose from"),
    ],
)
def test_wrong_models(name: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises((CheckpointError, ConfigError)) as caught:
        YOLO(name, **options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_layer_list_is_refused_unread(tmp_path: Path) -> None:
    for name in ("custom.yaml", "yolov12n.yml"):
        (tmp_path / name).write_text("nc: 100000000\nbackbone:\n  - [-1, 1, torch_load, [64, 3, 2]]\n")
        with pytest.raises(ConfigError, match=r"a layer-list YAML is not read\. Name a preset") as caught:
            YOLO(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_a_file_must_agree_with_layout_and_classes(model_path: Path, tmp_path: Path) -> None:
    assert YOLO(model_path, layout="turbo", num_classes=3).names == {0: "a", 1: "b", 2: "c"}
    with pytest.raises(ConfigError, match=r"tiny\.safetensors holds a turbo model; leave `layout` out"):
        YOLO(model_path, layout="v1.0")
    with pytest.raises(ConfigError, match=r"tiny\.safetensors holds 3 classes"):
        YOLO(model_path, num_classes=5)
    with pytest.raises(ConfigError, match="layout 'v2': choose from"):
        YOLO(model_path, layout="v2")
    # A file that is called like a published model is a file, also when its suffix was another.
    named = write_model(Path("yolov12n.safetensors"))
    with pytest.raises(ConfigError, match=r"yolov12n\.safetensors holds 3 classes"):
        YOLO("yolov12n.pt", num_classes=5)
    with pytest.raises(ConfigError, match=r"yolov12n\.safetensors holds a turbo model"):
        YOLO("yolov12n.pt", layout="v1.0")
    assert YOLO("yolov12n.pt").path == named


def test_a_published_name_takes_another_number_of_classes(capsys: pytest.CaptureFixture[str]) -> None:
    """From the cache, as a download would have left it; the v1.0 weights have a bias that the preset does not have."""
    published = tiny_file("v1.0", position_bias=True)
    cached = cache_folder() / "models" / "v1.0" / "yolov12m.pt"
    cached.parent.mkdir(parents=True, exist_ok=True)
    torch.save(official_state(published), cached)
    assert YOLO("yolo12m", layout="v1", offline=True).names == {0: "0", 1: "1", 2: "2"}
    model = YOLO("yolov12m.pt", layout="v1.0", num_classes=5)
    assert model.names == {number: str(number) for number in range(5)}
    state = model.model.state_dict()
    assert state["heads.detect.class_branches.0.2.bias"].shape == (5,)
    backbone = [name for name in published.state if name.startswith("backbone.")]
    assert all(torch.equal(state[name], published.state[name]) for name in backbone)
    assert "class outputs kept for 0, 1, 2" in capsys.readouterr().err


def test_an_embedded_name_takes_another_number_of_classes(capsys: pytest.CaptureFixture[str]) -> None:
    whole = YOLO("yolov12n-bccd")
    model = YOLO("yolov12n-bccd", num_classes=np.int64(5))
    assert model.names == {number: str(number) for number in range(5)}
    state, backbone = model.model.state_dict(), whole.model.backbone.state_dict()
    assert state["heads.detect.class_branches.0.2.bias"].shape == (5,)
    assert all(torch.equal(state[f"backbone.{name}"], value) for name, value in backbone.items())
    assert "fresh: heads.detect.class_branches.0.2.weight" in capsys.readouterr().err
    fresh = YOLO("yolov12n-bccd.pt", num_classes=5, pretrained=False)
    assert (fresh.config, fresh.names, fresh.path) == (model.config, model.names, None)
    assert not same(dict(fresh.model.backbone.state_dict()), dict(backbone))
    assert YOLO("yolov12n-bccd", pretrained=False).names == whole.names
    assert capsys.readouterr().err == ""


def test_an_offline_run_fetches_no_picture(model_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused before the name is looked up, which the sealed tests would see; what the caller says comes first."""
    url = "https://example.com/a.jpg"
    monkeypatch.setattr("yolov12.data.sources.fetch", lambda _: cv2.imencode(".png", np.zeros((8, 8, 3)))[1].tobytes())
    said, silent, online = (YOLO(model_path, offline=offline) for offline in (True, None, False))
    assert len(silent(url, **EXACT)) == 1
    monkeypatch.setenv("YOLOV12_OFFLINE", "1")
    assert len(online(url, **EXACT)) == 1
    for model in (said, silent):
        for source in (url, ["a.jpg", url]):
            with pytest.raises(SetupError, match=r"https://example\.com/a\.jpg: is not fetched in an offline run"):
                model(source, stream=True)  # without asking for a result


def test_a_name_that_is_not_there_is_an_error_when_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    for options in ({"offline": True}, {}):
        with pytest.raises(SetupError, match=r"yolov12x: not downloaded yet.*Embedded models: yolov12n-bccd"):
            YOLO("yolov12x", **options)
        monkeypatch.setenv("YOLOV12_OFFLINE", "1")


def test_the_embedded_model() -> None:
    """Needs the model file of the package."""
    assert yolov12.EMBEDDED_MODELS[0] == "yolov12n-bccd"
    assert len(yolov12.EMBEDDED_MODELS) == 5
    for name in ("yolov12n-bccd", "yolov12n-bccd.pt", "yolo12n-bccd"):
        model = YOLO(name)
        assert model.names == {0: "RBC", 1: "WBC", 2: "Platelets"}
        assert (model.task, model.layout) == ("detect", "turbo")


# ---- what it is ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("layout", "bias"), [("turbo", False), ("v1.0", False), ("v1.0", True)])
def test_official_state_dict_is_what_the_file_held(layout: str, bias: bool, tmp_path: Path) -> None:
    file = tiny_file(layout, position_bias=bias)
    torch.save(official_state(file), tmp_path / "plain.pt")
    model = YOLO(tmp_path / "plain.pt")
    found = model.official_state_dict()
    assert same(found, official_state(file))
    assert all(value.dtype == torch.float32 for value in found.values() if value.is_floating_point())
    next(iter(found.values())).zero_()  # a copy: the model does not change
    assert same(model.official_state_dict(), official_state(file))


def test_official_state_dict_after_use(model: YOLO, pictures: list[Path]) -> None:
    model.predict(pictures[0], **EXACT)
    assert same(model.official_state_dict(), official_state(eager_file()))


def test_info(model: YOLO, capsys: pytest.CaptureFixture[str]) -> None:
    described = model.info(imgsz=64)
    assert described.parameters == sum(parameter.numel() for parameter in model.model.parameters())
    assert "attention kernel" in capsys.readouterr().out
    model.info(verbose=False)
    assert capsys.readouterr().out == ""


def test_save_and_read_again(model: YOLO, tmp_path: Path) -> None:
    target = model.save(tmp_path / "saved.safetensors")
    again = YOLO(target)
    assert (again.names, again.config) == (model.names, model.config)
    assert same(dict(again.model.state_dict()), dict(model.model.state_dict()))
    assert {"task", "variant", "layout", "licence", "preprocess", "version"} <= again.metadata.keys()
    half = YOLO(model.save(tmp_path / "half.safetensors", half=True))
    assert (tmp_path / "half.safetensors").stat().st_size < 0.7 * target.stat().st_size
    for name, value in half.model.state_dict().items():
        torch.testing.assert_close(value, model.model.state_dict()[name], rtol=1e-3, atol=1e-4)
    with pytest.raises(CheckpointError, match=r"must end in \.safetensors"):
        model.save(tmp_path / "saved.pt")
    with pytest.raises(UserError, match="cannot be written"):
        model.save(tmp_path / "missing" / "saved.safetensors")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["half.safetensors", "here", "saved.safetensors"]


def test_a_fresh_model_saves_what_it_is(tmp_path: Path) -> None:
    saved = YOLO("yolov12n.yaml", layout="v1.0", num_classes=2).save(tmp_path / "fresh.safetensors")
    metadata = read_model_file(saved).metadata
    assert (metadata["task"], metadata["variant"], metadata["layout"]) == ("detect", "yolov12n", "v1.0")


# ---- forward ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 3, 64, 64), (2, 3, 64, 96), (1, 3, 32, 160)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_forward_gives_decoded_predictions(model: YOLO, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    images = torch.rand(shape, generator=torch.Generator().manual_seed(0)).to(dtype)
    decoded = model.forward(images)
    anchors = sum(shape[2] // stride * (shape[3] // stride) for stride in (8, 16, 32))
    assert decoded.shape == (shape[0], 4 + 3, anchors)
    assert decoded.dtype == torch.float32
    assert not decoded.requires_grad
    assert bool(((decoded[:, 4:] >= 0) & (decoded[:, 4:] <= 1)).all())
    # Batch sizes take different kernels, and a network that never learned anything magnifies what they round.
    alone = model.forward(images[-1:])
    torch.testing.assert_close(decoded[-1:, :4], alone[:, :4], rtol=1e-3, atol=1e-1)
    torch.testing.assert_close(decoded[-1:, 4:], alone[:, 4:], rtol=0, atol=1e-3)
    decoded.add_(1)  # an ordinary tensor, the caller's own


def test_forward_and_predict_see_the_same(model: YOLO) -> None:
    images = torch.randint(0, 256, (1, 3, 64, 96), generator=torch.Generator().manual_seed(0)) / 255
    (result,) = model.predict(images, conf=0.0, iou=1.0, max_det=10_000, **{**EXACT, "imgsz": 96})
    decoded = model.forward(images)[0]
    best, anchor = decoded[4:].max(dim=0).values.max(dim=0)
    assert float(result.boxes.conf[0]) == pytest.approx(float(best), abs=1e-5)
    cx, cy, w, h = decoded[:4, anchor].tolist()
    expected = np.clip([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], 0, [96, 64, 96, 64])
    np.testing.assert_allclose(result.boxes.xyxy[0], expected, atol=0.01)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 3, 100, 100), "100x100.*multiples of 32.*nearest is 96x96"),
        ((1, 3, 64, 70), "64x70.*nearest is 64x64"),
        ((1, 3, 0, 64), "nearest is 32x64"),
        ((3, 64, 64), r"images must be \(B, 3, H, W\), got \(3, 64, 64\)"),
        ((1, 1, 64, 64), r"must be \(B, 3, H, W\)"),
    ],
)
def test_forward_refuses_other_sizes(model: YOLO, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        model.forward(torch.zeros(shape))


# ---- predict ---------------------------------------------------------------------------------------------------------


def test_every_kind_of_source_gives_the_same(model: YOLO, pictures: list[Path]) -> None:
    expected = [rows(model.predict(path, **EXACT))[0] for path in pictures]
    assert all(expected)
    assert expected[0] != expected[3]  # of one shape, so the pixels matter
    folder = pictures[0].parent
    sources: dict[str, Any] = {
        "folder": folder, "glob": f"{folder}/*.png", "list": pictures, "texts": [str(path) for path in pictures],
        "arrays": [cv2.imread(str(path)) for path in pictures], "mixed": [Image.open(pictures[0]), *pictures[1:]],
    }  # fmt: skip
    for kind, source in sources.items():
        assert rows(model(source, **EXACT)) == expected, kind
    pixels = cv2.imread(str(pictures[2]))
    tensor = torch.from_numpy(pixels[:, :, ::-1].transpose(2, 0, 1).copy()) / 255
    for single in (str(pictures[2]), pixels, Image.open(pictures[2]), tensor, tensor[None], pixels[None]):
        assert rows(model(single, **EXACT)) == [expected[2]]
    assert rows(model(torch.stack([tensor, tensor]), **EXACT)) == [expected[2]] * 2


def test_a_bad_item_keeps_its_place(model: YOLO, pictures: list[Path], tmp_path: Path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"\xff\xd8\xff\xe0 this is no image")
    results = model.predict([pictures[0], bad, tmp_path / "gone.png", np.zeros((4, 4)), pictures[1]], **EXACT)
    assert isinstance(results, list)
    assert [result.error is None for result in results] == [True, False, False, False, True]
    assert [len(result.boxes) for result in results[1:4]] == [0, 0, 0]
    assert "bad.jpg" in str(results[1].error)
    assert "gone.png: no such file" in str(results[2].error)
    assert rows([results[0], results[4]]) == rows(model.predict(pictures[:2], **EXACT))
    for source in (bad, tmp_path / "gone.png", np.zeros((4, 4)), [], object()):
        with pytest.raises(SourceError):
            model.predict(source, **EXACT)


def test_no_runtime_is_made_for_a_source_that_is_not_there(model: YOLO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(YOLO, "runtime", lambda *_: pytest.fail("an export takes a minute"))
    with pytest.raises(SourceError, match="nowhere: no such file"):
        model.predict("nowhere", runtime="openvino")


def test_stream_is_lazy_and_checked_at_once(model: YOLO, pictures: list[Path]) -> None:
    results = model.predict(pictures[0].parent, stream=True, **EXACT)
    assert isinstance(results, Iterator)
    assert rows(results) == rows(model.predict(pictures, **EXACT))
    for wrong in ({"conf": 2.0}, {"classes": [9]}, {"confidence": 0.5}):
        with pytest.raises(ConfigError):
            model.predict(pictures[0], stream=True, **wrong)  # without asking for a result
    with pytest.raises(SourceError):
        model.predict("gone.png", stream=True)


def test_options_act(model: YOLO, pictures: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    def found(**options: Any) -> Result:
        return model.predict(pictures[1], **{**EXACT, **options})[0]  # type: ignore[index]

    everything = found()
    assert set(everything.boxes.cls.tolist()) <= {0, 1, 2}
    assert (everything.runtime, everything.precision) == ("torch", "fp32")
    for label, name in model.names.items():
        only = found(classes=[label], conf=0.01)
        assert len(only.boxes)
        assert set(only.boxes.cls.tolist()) == {label}
        for spelling in ([name], name, label, (str(label),)):
            assert rows([found(classes=spelling, conf=0.01)]) == rows([only])
    assert len(found(max_det=2).boxes) == 2
    assert len(found(conf=0.99).boxes) == 0
    assert len(found(agnostic_nms=True, conf=0.01, iou=0.1).boxes) < len(found(conf=0.01, iou=0.1).boxes)
    assert rows([found(imgsz=(96, 64))]) != rows([everything])
    assert rows([found(imgsz=128, rect=False)]) != rows([found(imgsz=128)])
    capsys.readouterr()
    assert rows([found(imgsz=50)]) == rows([everything])
    assert "imgsz 50 rounded up to 64" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("verb", "options", "message"),
    [
        ("predict", {"confs": 0.5}, "'confs' is not an option here. Did you mean 'conf'?"),
        ("predict", {"imgz": 320}, "Did you mean 'imgsz'?"),
        ("predict", {"conf": "high"}, "--conf 'high'"),
        ("predict", {"conf": float("nan")}, "--conf nan: must be between 0 and 1"),
        ("predict", {"imgsz": 0}, "--imgsz 0: must be between 32 and 8192"),
        ("predict", {"imgsz": (64, 99_999)}, "--imgsz 99999: must be"),
        ("predict", {"batch": 0}, "--batch 0: must be"),
        ("predict", {"precision": "fp61"}, "Did you mean 'fp16'?"),
        ("predict", {"half": True, "precision": "fp32"}, "--half and --precision fp32 contradict each other"),
        ("predict", {"classes": ["d"]}, "the model has no such class"),
        ("val", {"dat": "x.yaml"}, "Did you mean 'data'?"),
        ("val", {}, "--data is missing"),
        ("val", {"data": "x.yaml", "split": "vall"}, "Did you mean 'val'?"),
        ("train", {"epoch": 3}, "Did you mean 'epochs'?"),
        ("train", {}, "--data is missing"),
        ("train", {"data": "x.yaml", "epochs": -1}, "--epochs -1: must be"),
        ("train", {"data": "x.yaml", "lr0": 1e8}, "--lr0 1e+08: must be between 0 and 10"),
        ("train", {"data": "x.yaml", "epochs": 1.5}, "--epochs 1.5"),
        ("train", {"resume": True}, "--resume needs the run's own file"),
    ],
)
def test_wrong_options(model: YOLO, pictures: list[Path], verb: str, options: dict[str, Any], message: str) -> None:
    source = (pictures[0],) if verb == "predict" else ()
    with pytest.raises(ConfigError) as caught:
        getattr(model, verb)(*source, **options)
    assert message in str(caught.value)
    assert list(Path().iterdir()) == []


def test_saving_results(model: YOLO, pictures: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_text("text")
    options = {**EXACT, "save": True, "save_txt": True, "project": "out", "max_det": 3}
    results = model.predict([*pictures[:2], bad], **options)
    folder = Path("out/predict")
    assert sorted(path.name for path in folder.iterdir()) == ["0.jpg", "1.jpg", "labels", "report.json"]
    report = json.loads((folder / "report.json").read_text())
    assert (report["read"], report["skipped"]) == (2, 1)
    assert "bad.jpg" in report["reasons"][0]
    assert cv2.imread(str(folder / "0.jpg")).shape == (48, 64, 3)
    label_rows = [line.split() for line in (folder / "labels" / "1.txt").read_text().splitlines()]
    assert [int(row[0]) for row in label_rows] == results[1].boxes.cls.tolist()  # type: ignore[index]
    assert all(0 <= float(value) <= 1 for row in label_rows for value in row[1:])
    assert {len(row) for row in label_rows} == {5}
    model.predict(pictures[0], **{**options, "save": False, "verbose": True})
    assert sorted(path.name for path in Path("out/predict2").iterdir()) == ["labels", "report.json"]
    assert "results: out/predict2" in capsys.readouterr().err
    model.predict(pictures[1], **{**options, "name": "predict2", "exist_ok": True, "save_conf": True})
    scored = [line.split() for line in Path("out/predict2/labels/1.txt").read_text().splitlines()]
    assert [row[:5] for row in scored] == label_rows
    assert [float(row[5]) for row in scored] == pytest.approx(results[1].boxes.conf.tolist(), abs=1e-6)  # type: ignore[index]
    with pytest.raises(ConfigError, match="--save-conf: has an effect only with --save-txt"):
        model.predict(pictures[1], save_conf=True)
    assert sorted(path.name for path in Path("out").iterdir()) == ["predict", "predict2"]


def test_a_refused_source_leaves_nothing_and_a_stream_its_report(model: YOLO, pictures: list[Path]) -> None:
    Path("bad.jpg").write_text("text")
    for source in ("bad.jpg", "gone.jpg"):
        with pytest.raises(SourceError):
            model.predict(source, save=True, project="out")
    assert not Path("out").exists()
    results = model.predict(pictures, save=True, project="out", stream=True, **EXACT)
    next(iter(results))
    results.close()  # type: ignore[union-attr]
    assert json.loads(Path("out/predict/report.json").read_text())["read"] == 1
    Path("file").write_text("")
    with pytest.raises(ConfigError, match="--project file: cannot create the run folder"):
        model.predict(pictures[0], save=True, project="file", **EXACT)


def header(**options: Any) -> dict[str, Any]:
    """What our model files say of their training."""
    return {"training": {"options": {name: {"value": value, "origin": "user"} for name, value in options.items()}}}


@pytest.mark.parametrize(
    ("metadata", "size"),
    [
        ({}, None),
        (header(imgsz=320), 320),
        (header(imgsz=50), 64),  # as it was trained
        ({"training": {"imgsz": 160}}, 160),  # a foreign file's
        *[(header(imgsz=value), None) for value in (0, 10**6, "320", 320.0, True, None, [320])],
        *[({"training": {"imgsz": value}}, None) for value in (31, 8193, "big")],
        *[({"training": value}, None) for value in ("long ago", None, [1], {"options": 3}, {"options": {"imgsz": 3}})],
    ],
)
def test_the_size_that_a_header_names(metadata: dict[str, Any], size: int | None) -> None:
    assert trained_size(metadata) == size


def test_another_size_than_that_of_the_training_is_noted_once(
    model_path: Path, pictures: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    note = "note: this model was trained at 320 pixels; imgsz=320 may find more\n"
    model = YOLO(model_path)
    model(pictures[0])
    model.metadata = header(imgsz=320)
    model(pictures[0], imgsz=640)
    model(pictures[0], verbose=False)
    assert capsys.readouterr().err == ""
    default = model(pictures[0])
    assert capsys.readouterr().err == note
    assert rows(default) == rows(model(pictures[0], imgsz=640))
    model(pictures[0])
    model.metadata = header(imgsz=640)
    YOLO(model_path)(pictures[0])
    assert capsys.readouterr().err == ""


def test_four_threads_share_a_model(model_path: Path, pictures: list[Path]) -> None:
    """From the very first call on, each with options of its own."""
    quiet = {**EXACT, "conf": 0.1}
    jobs = [{**quiet, "classes": [i % 3], "imgsz": 64 + 32 * (i % 2)} for i in range(4)]
    sequential = YOLO(model_path)
    expected = [rows(sequential.predict(pictures, **job)) for job in jobs]
    shared, start = YOLO(model_path), Barrier(4)

    def work(job: dict[str, Any]) -> list[Any]:
        start.wait()
        return [rows(shared.predict(pictures, **job)) for _ in range(3)]

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(work, jobs))
    assert found == [[one] * 3 for one in expected]
    image = torch.rand(1, 3, 64, 64)
    with ThreadPoolExecutor(4) as pool:
        assert len({tuple(out.flatten().tolist()) for out in pool.map(shared.forward, [image] * 8)}) == 1


def test_where_it_runs(model_path: Path, pictures: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    model = YOLO(model_path)
    assert model.to("cpu") is model
    with pytest.raises(ConfigError, match="--device 'gpu0'"):
        model.to("gpu0")
    with pytest.raises(SetupError, match="CUDA devices"):
        model.to("cuda:99")
    assert model.to(torch.device("cpu")).forward(torch.zeros(1, 3, 32, 32)).device.type == "cpu"
    used: list[str] = []

    def recorded(_: object, device: torch.device, precision: str) -> StubRuntime:
        used.append(str(device))
        return StubRuntime()

    monkeypatch.setattr(model_api, "torch_runtime", recorded)
    monkeypatch.setattr(model_api, "resolve_device", lambda name: torch.device("cuda" if name == "auto" else name))
    YOLO(model_path).predict(pictures[0], verbose=False)
    YOLO(model_path).to("cpu").predict(pictures[0], verbose=False)  # said, though there is something faster
    YOLO(model_path).to("cpu").predict(pictures[0], device="cuda:1", verbose=False)
    assert used == ["cuda", "cpu", "cuda:1"]


# ---- train and val ---------------------------------------------------------------------------------------------------


def test_training_gives_metrics_files_and_the_best_weights(trained: YOLO) -> None:
    assert trained.names == {0: "even", 1: "odd"}
    assert trained.path is not None
    run = trained.path.parents[1]
    assert (run.name, trained.path.name) == ("run", "best.safetensors")
    metrics = trained.val(imgsz=64, plots=False, verbose=False)  # its own data
    assert 0 <= metrics.box.map <= metrics.box.map50 <= 1
    assert len(metrics.box.maps) == 2
    assert metrics.save_dir == Path("runs/detect/val")
    assert json.loads((metrics.save_dir / "report.json").read_text())["val"]["read"] == 6
    assert json.loads((metrics.save_dir / "metrics.json").read_text())["split"] == "val"
    again = YOLO(run / "weights" / "best.pt")  # as the guide names it
    assert same(dict(again.model.state_dict()), dict(trained.model.state_dict()))
    assert again.metadata["training"]["options"]["epochs"] == {"value": 1, "origin": "user"}
    assert again.metadata["licence"] == "Apache-2.0"  # that of the weights it started from


MODEL = model_config("yolov12n")


def test_val_falls_back_to_the_training(capsys: pytest.CaptureFixture[str]) -> None:
    own = header(data="/own.yaml", imgsz=320, single_cls=True)
    config = val_config({}, MODEL, own)
    assert (config.data, config.imgsz, config.single_cls) == ("/own.yaml", 320, True)
    assert capsys.readouterr().err == "imgsz 320: the size this model was trained at\n"
    config = val_config({"verbose": False, "single_cls": False}, MODEL, own)
    assert (config.data, config.imgsz, config.single_cls) == ("/own.yaml", 320, False)
    config = val_config({"data": "other.yaml", "imgsz": (64, 96)}, MODEL, own)
    assert (config.data, config.imgsz, config.single_cls) == ("other.yaml", (64, 96), True)
    assert val_config({"data": "other.yaml"}, MODEL, {"training": {"imgsz": 640}}).imgsz == 640
    assert capsys.readouterr().err == ""
    for metadata in ({}, header(data=""), {"training": {"data": "theirs.yaml"}}):
        with pytest.raises(ConfigError, match="--data is missing"):
            val_config({}, MODEL, metadata)
    with pytest.raises(ConfigError, match="--data 5: expected str"):
        val_config({}, MODEL, header(data=5))


def test_a_run_may_be_used_from_another_folder(
    model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its data set is stored by its whole path, its size as used."""
    write_data(Path("data"))
    options = {**TRAIN, "imgsz": 50, "project": "runs", "single_cls": True}
    YOLO(model_path).train(data="data/data.yaml", **options)
    assert "imgsz 50 rounded up to 64" in capsys.readouterr().err
    stored = json.loads(Path("runs/train/config.json").read_text())["options"]
    assert stored["imgsz"] == {"value": 64, "origin": "user"}
    assert stored["data"] == {"value": str(tmp_path / "here" / "data" / "data.yaml"), "origin": "user"}
    monkeypatch.chdir(tmp_path)
    model = YOLO("here/runs/train/weights/last.safetensors")
    assert len(model.val(plots=False).box.maps) == 1
    assert "imgsz 64: the size this model was trained at" in capsys.readouterr().err
    model.train(resume=True, imgsz=50, data="here/data/data.yaml")
    assert "already complete" in capsys.readouterr().err


def test_val_needs_the_same_classes(model: YOLO, data: Path) -> None:
    with pytest.raises(ConfigError, match=r"the data set has 2 classes, the model knows 3: a, b, c"):
        model.val(data=data, imgsz=64)
    metrics = model.val(data=data, imgsz=64, single_cls=True, plots=False, verbose=False)
    assert len(metrics.box.maps) == 1


def test_which_weights_training_starts_from(model_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stopped(Exception):
        pass

    started: list[tuple[Any, Any]] = []

    def stop(resolved: Any, config: Any, start: Any, say: Any) -> None:
        started.append((start, resolved.config.device))
        raise Stopped

    monkeypatch.setattr(model_api, "start_training", stop)
    loaded, moved, fresh = YOLO(model_path), YOLO(model_path).to("cpu"), YOLO("yolov12n.yaml")
    calls = ((loaded, {}), (loaded, {"pretrained": False}), (fresh, {}), (moved, {}), (moved, {"device": 0}))
    for model, options in calls:
        with pytest.raises(Stopped):
            model.train(data=data, **options)
    kept, dropped, new, on_cpu, on_gpu = started
    assert kept[0].names == {0: "a", 1: "b", 2: "c"}
    assert dropped[0] is None
    assert new[0] is None  # fresh weights come from the run's own seed
    assert [device for _, device in (kept, on_cpu, on_gpu)] == ["auto", "cpu", "0"]


def test_training_begins_with_what_fits_of_a_model_of_another_task(
    model_path: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stopped(Exception):
        pass

    started: list[tuple[ModelConfig, ModelFile]] = []

    def stop(resolved: Any, config: ModelConfig, start: ModelFile, say: Any) -> None:
        started.append((config, start))
        raise Stopped

    monkeypatch.setattr(model_api, "start_training", stop)
    model = YOLO(write_model(tmp_path / "segmenter.safetensors", task="segment"))
    with pytest.raises(Stopped):
        model.train(data=data, weights=model_path)
    ((config, start),) = started
    assert (config.task, start.config.task) == ("segment", "detect")
    state = starting_model(config, model.names, start, seed=5).state_dict()
    boxes = [name for name in start.state if name.startswith(("backbone.", "neck."))]
    assert all(torch.equal(state[name], start.state[name]) for name in boxes)
    assert len(boxes) > 100
    with pytest.raises(ConfigError, match=r"--weights .* and --no-pretrained contradict each other"):
        model.train(data=data, weights=model_path, pretrained=False)
    with pytest.raises(CheckpointError, match=r"missing\.pt: neither a file nor a model name"):
        model.train(data=data, weights="missing.pt")
    with pytest.raises(ConfigError, match=r"--weights yolov12n\.yaml: has no weights"):
        model.train(data=data, weights="yolov12n.yaml")


def test_a_run_stopped_in_its_first_epoch_resumes_by_its_file(
    model_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    update = Trainer.update

    def stopping(trainer: Trainer, batch: Any) -> None:
        update(trainer, batch)
        ask_to_stop()

    options = {**TRAIN, "data": data, "project": "runs", "name": "stopped"}
    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "update", stopping)
        with pytest.raises(Interrupted, match=r"--resume --model runs/stopped/weights/last\.safetensors") as caught:
            YOLO(model_path).train(**options)
    assert caught.value.exit_code == 128 + signal.SIGTERM
    resumed = YOLO("runs/stopped/weights/last.safetensors")
    metrics = resumed.train(resume=True)
    assert metrics.save_dir == Path("runs/stopped")
    straight = YOLO(model_path)
    straight.train(**{**options, "name": "straight"})
    assert same(dict(resumed.model.state_dict()), dict(straight.model.state_dict()))


def test_a_disk_that_is_too_small_is_refused_before_anything_is_written(
    model_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=10**9, free=10**6))
    with pytest.raises(ResourceError, match=r"--project small: 1 MB are free, but this run's .* take \d+ MB") as caught:
        YOLO(model_path).train(data=data, project="small", **TRAIN)
    assert caught.value.exit_code == 4
    assert not Path("small").exists()


# ---- the guide -------------------------------------------------------------------------------------------------------

FIRST_PROGRAM = """
from yolov12 import YOLO
import cv2
import numpy as np

def basic_detection_example():
    # 모델 로드
    model = YOLO('yolov12n.pt')  # nano 버전으로 빠른 테스트

    # 이미지 또는 비디오 경로
    source = 'path/to/your/image.jpg'  # 또는 0 (웹캠), 'video.mp4'

    # 추론 실행
    results = model(source)

    # 결과 처리
    for result in results:
        # 바운딩 박스 정보
        boxes = result.boxes
        if boxes is not None:
            print(f"탐지된 객체 수: {len(boxes)}")

            for box in boxes:
                # 클래스 정보
                class_id = int(box.cls[0])
                class_name = model.names[class_id]
                confidence = float(box.conf[0])

                # 바운딩 박스 좌표 (xyxy 형식)
                x1, y1, x2, y2 = box.xyxy[0].cpu().numpy()

                print(f"클래스: {class_name}, 신뢰도: {confidence:.3f}, "
                      f"좌표: ({x1:.1f}, {y1:.1f}, {x2:.1f}, {y2:.1f})")

        # 결과 이미지 저장
        result.save('output_image.jpg')

if __name__ == "__main__":
    basic_detection_example()
"""


def test_the_guides_first_program(capsys: pytest.CaptureFixture[str]) -> None:
    """Word for word but for the import, with a small checkpoint of the fork's format under the name that it uses."""
    save_network(Path("yolov12n.pt"), eager_file(("person", "bicycle", "car")))
    Path("path/to/your").mkdir(parents=True)
    write_image(Path("path/to/your/image.jpg"), np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8))
    exec(compile(FIRST_PROGRAM, "guide.py", "exec"), {"__name__": "__main__"})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"탐지된 객체 수: {len(lines) - 1}"
    assert len(lines) > 1
    assert lines[1].startswith(("클래스: person", "클래스: bicycle", "클래스: car"))
    assert cv2.imread("output_image.jpg").shape == (40, 60, 3)


def test_the_program_is_the_guides(shared: Path) -> None:
    texts = [path.read_text(encoding="utf8") for path in sorted((shared / "seeds").glob("*.txt"))]
    guide = next(text for text in texts if "basic_detection_example" in text)
    program = guide.split("```python\n")[1:]
    original = next(block.split("```")[0] for block in program if "basic_detection_example" in block)
    ours = [line.rstrip() for line in FIRST_PROGRAM.strip().splitlines()]
    theirs = [line.rstrip() for line in original.strip().splitlines() if '"""' not in line]
    assert ours[0] == "from yolov12 import YOLO"
    assert theirs[0] == "from ultralytics import YOLO"
    assert [line for line in ours[1:] if line] == [line for line in theirs[1:] if line]
