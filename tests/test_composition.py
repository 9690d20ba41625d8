"""Networks put together from parts, in the words of the design."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from scene_factory import write_data
from yolov12 import YOLO, DetectionHead, FPNPANNeck, TransformerBackbone, YoloV12
from yolov12.config.heads import AnchorHeadConfig, DetectHeadConfig
from yolov12.config.model import ModelConfig
from yolov12.config.variants import model_config
from yolov12.errors import ConfigError, SetupError, YoloError
from yolov12.loading import designed_options
from yolov12.models.detector import Detector
from yolov12.models.profile import profile

SMALL = {"stages": [1, 1], "patch_size": 16, "channels": [8, 32, 32, 64]}


def small(**head: object) -> YoloV12:
    return YoloV12(
        TransformerBackbone(**SMALL), FPNPANNeck(channels=[16, 24, 32]), DetectionHead(num_classes=3, **head)
    )


def test_the_composition_of_the_design() -> None:
    model = YoloV12(
        backbone=TransformerBackbone(stages=[2, 2, 2], patch_size=16),
        neck=FPNPANNeck(num_heads=4, agg_method="attention"),
        head=DetectionHead(anchor_free=True, iou_loss="ciou", num_classes=80),
    )
    assert isinstance(model, YOLO)
    assert model.config.strides == (8, 16, 32)
    assert model.forward(torch.zeros(1, 3, 64, 96)).shape == (1, 84, 8 * 12 + 4 * 6 + 2 * 3)
    assert model(np.zeros((40, 60, 3), np.uint8), imgsz=64)[0].orig_shape == (40, 60)


def test_the_switch_for_anchors() -> None:
    assert type(small().config.heads["detect"]) is DetectHeadConfig
    assert type(small(anchor_free=False).config.heads["detect"]) is AnchorHeadConfig


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: DetectionHead(anchor_free="no"), "DetectionHead.anchor_free = 'no': expected bool, got str"),
        (lambda: DetectionHead(num_classes=2.5), "DetectionHead.num_classes = 2.5: expected int, got float"),
        (lambda: TransformerBackbone(stages=3), "transformer.stages = 3: expected a list of whole numbers"),
        (
            lambda: TransformerBackbone(stages=[2.0, 2]),
            "transformer.stages = .2.0, 2.: expected a list of whole numbers",
        ),
        (lambda: TransformerBackbone(patch_size="16"), "transformer.patch_size = '16': expected int, got str"),
        (lambda: FPNPANNeck(num_heads="4"), "attention_pan.num_heads = '4': expected int, got str"),
        (lambda: YOLO("yolov12n.yaml", parts="hybrid"), "parts 'hybrid': expected named parts"),
    ],
)
def test_wrong_types_are_named(made: Callable[[], object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        made()


def test_a_saved_design_keeps_its_loss(tmp_path: Path) -> None:
    again = YOLO(small(iou_loss="giou").save(tmp_path / "design.safetensors"))
    assert designed_options(again.metadata) == {"iou_loss": "giou"}
    assert designed_options({"iou_loss": 5}) == {}


def test_it_trains_is_saved_and_loads(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data")
    model = small(anchor_free=False, iou_loss="giou")
    options = {"imgsz": 64, "epochs": 1, "batch": 2, "workers": 0, "device": "cpu", "plots": False}
    model.train(data=data, project=str(tmp_path), name="run", **options)
    again = YOLO(tmp_path / "run" / "weights" / "last.safetensors")
    assert again.config.backbone == model.config.backbone
    assert designed_options(again.metadata) == {"iou_loss": "giou"}
    trained = again.metadata["training"]["options"]
    assert trained["iou_loss"]["value"] == "giou"
    head = again.config.heads["detect"]
    assert isinstance(head, AnchorHeadConfig)
    assert max(head.anchors) <= 64  # those of the data set
    assert again.save(tmp_path / "copy.safetensors").is_file()
    with pytest.raises(Exception, match="has no published form"):
        again.official_state_dict()


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            (FPNPANNeck(), FPNPANNeck(), DetectionHead()),
            "backbone: expected the config of a backbone, got AttentionPAN",
        ),
        ((TransformerBackbone(), TransformerBackbone(), DetectionHead()), "neck: expected the config of a neck"),
        ((TransformerBackbone(), FPNPANNeck(), "detect"), "head: expected a DetectionHead, got str"),
    ],
)
def test_wrong_parts(parts: tuple[object, object, object], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        YoloV12(*parts)
    assert message in str(error.value)


def test_wrong_loss() -> None:
    with pytest.raises(ConfigError, match="iou_loss"):
        DetectionHead(iou_loss="siou")


@pytest.mark.parametrize(("scale", "millions"), [("n", 10), ("s", 18), ("m", 32), ("x", 65)])
def test_the_hybrid_presets_have_the_parameters_of_the_design(scale: str, millions: int) -> None:
    with torch.device("meta"):
        model = Detector(model_config(f"yolov12-hybrid-{scale}"))
    assert profile(model, 64).parameters == pytest.approx(millions * 1e6, rel=0.05)


def test_a_network_by_config_yaml_or_parts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    by_parts = YOLO("yolov12n", parts={"backbone": "transformer", "neck": "attention_pan"}, num_classes=3)
    path = tmp_path / "mine.yaml"
    path.write_text("model: yolov12n\nnum_classes: 3\nbackbone: transformer\nneck: {kind: attention_pan}\n")
    assert YOLO(path).config == by_parts.config == YOLO(by_parts.config).config
    assert YOLO(by_parts.config, num_classes=5).config.num_classes == 5
    assert isinstance(by_parts.config, ModelConfig)
    path.write_text("backbone: {kind: hybrid, chanels: [8]}\n")
    with pytest.raises(ConfigError, match=r"mine\.yaml: --model\.backbone\.hybrid\.chanels is not a field"):
        YOLO(path)
    path.write_text("neck: {kind: context_bifpn, width: 65536}\n")
    with pytest.raises(ConfigError, match="parameters; at most 300,000,000 are built"):
        YOLO(path)
    path.write_text("neck: {kind: context_bifpn, repeats: 60000}\n")
    with pytest.raises(ConfigError, match="repeated units; at most 1000 are built"):
        YOLO(path)
    with pytest.raises(ConfigError, match="parts can be swapped in an architecture, such as yolov12n"):
        YOLO("yolov12n-bccd", parts={"backbone": "hybrid"})


def test_weights_of_another_model_go_into_swapped_parts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_data(tmp_path / "data")
    model = YOLO("yolov12n", parts={"neck": "context_bifpn"}, num_classes=2)
    options = {"imgsz": 64, "epochs": 1, "batch": 6, "workers": 0, "device": "cpu", "plots": False}
    model.train(data=data, weights="yolov12n-bccd", project=str(tmp_path), **options)
    assert "kept" in capsys.readouterr().err
    with pytest.raises(SetupError, match="offline"):  # a published name is understood, whatever the parts
        YOLO("yolov12n", parts={"neck": "context_bifpn"}, offline=True).train(data=data, weights="yolov12n", **options)


def test_anchors_go_with_the_weights(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data")
    options = {"imgsz": 64, "epochs": 1, "batch": 6, "workers": 0, "device": "cpu", "plots": False}
    first = small(anchor_free=False)
    first.train(data=data, project=str(tmp_path), name="first", **options)
    learnt = first.config.heads["detect"]
    assert isinstance(learnt, AnchorHeadConfig)
    for source, same in ((first.path, True), ("yolov12n-bccd", False)):
        again = small(anchor_free=False)
        again.train(data=data, weights=str(source), project=str(tmp_path), **{**options, "imgsz": 96})
        head = again.config.heads["detect"]
        assert isinstance(head, AnchorHeadConfig)
        assert (head.anchors == learnt.anchors) == same


def test_a_yaml_may_name_several_heads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("model: yolov12n\nheads: [detect, segment, pose]\nneck: context_bifpn\n")
    assert YOLO(path).task == "multi"
    for text in ("num_classes: 2024-99-99\n", f"num_classes: {'9' * 5000}\n", "num_classes: =\n"):
        path.write_text(text)
        with pytest.raises(YoloError, match=r"mine\.yaml"):
            YOLO(path)
    YOLO("yolov12-transformer-n", num_classes=2)
    assert "fresh weights: none of this design are published" in capsys.readouterr().err
    with pytest.raises(YoloError):
        YOLO("yolov12-transformer-n.pt")


def test_nothing_is_written_for_what_cannot_be_trained(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data")
    with pytest.raises(ConfigError, match="--freeze 3: counts the layers of the published models"):
        small().train(data=data, freeze=3, imgsz=64, project=str(tmp_path / "runs"), device="cpu", workers=0)
    assert not (tmp_path / "runs").exists()
