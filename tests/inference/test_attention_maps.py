"""Maps of area attention, and the score of how faithful one is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from model_factory import tiny_config
from part_factory import network
from yolov12 import YOLO
from yolov12.cli.main import main
from yolov12.config.backbones import HEAD_DIM
from yolov12.errors import ConfigError
from yolov12.inference import attention_maps
from yolov12.inference.attention_maps import (
    Watched,
    areas,
    attention_weights,
    blur,
    cells,
    explain,
    overlay,
    random_areas,
    scores,
)
from yolov12.models.attention import AreaAttention
from yolov12.models.detector import build_model
from yolov12.samples import sample_images


def test_the_weights_are_those_of_the_attention() -> None:
    """Applied to the values they give what the layer computes, areas apart."""
    model = build_model(tiny_config(), seed=0).eval()
    layer = [module for module in model.modules() if isinstance(module, AreaAttention)][-1]
    layer.areas = 2
    inputs: list[torch.Tensor] = []
    layer.register_forward_pre_hook(lambda module, given: inputs.append(given[0]))
    canvas = torch.rand(1, 3, 64, 128, generator=torch.Generator().manual_seed(0))
    weights, (height, width) = attention_weights(model, canvas)
    assert (height, width) == (2, 4)
    torch.testing.assert_close(weights.sum(1), torch.ones(8))
    assert not weights[:4, 4:].any()
    with torch.inference_mode():
        tokens = layer.qkv(inputs[0]).flatten(2).transpose(1, 2)[0].clone()
    query, key, value = (part.view(2, 4, -1, HEAD_DIM).transpose(1, 2) for part in tokens.split(layer.channels, 1))
    by_head = (query @ key.mT / HEAD_DIM**0.5).softmax(-1)
    torch.testing.assert_close(by_head @ value, nn.functional.scaled_dot_product_attention(query, key, value))
    torch.testing.assert_close(weights[:4, :4], by_head.mean(1)[0], rtol=1e-4, atol=1e-5)


def test_a_network_without_area_attention_is_told() -> None:
    model = build_model(network("hybrid", "pafpn", "detect"), seed=0).eval()
    with pytest.raises(ConfigError, match="need a backbone with area attention"):
        attention_weights(model, torch.rand(1, 3, 64, 64))


def test_cells_cover_their_pixels() -> None:
    mask = cells(torch.tensor([1, 5]), (2, 3), torch.zeros(1, 3, 64, 96))
    assert mask.shape == (1, 1, 64, 96)
    assert float(mask.sum()) == 2 * 32 * 32
    assert bool(mask[0, 0, :32, 32:64].all())


def test_a_map_of_what_matters_is_faithful(monkeypatch: pytest.MonkeyPatch) -> None:
    """A detector that looks at one cell: the map that names it beats random orders, its opposite loses to them."""
    canvas = torch.zeros(1, 3, 128, 128)
    canvas[..., 32:64, 64:96] = 1.0

    def brightness(model: object, images: torch.Tensor, boxes: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return images[:, :, 32:64, 64:96].mean((1, 2, 3))[:, None]

    monkeypatch.setattr(attention_maps, "scores", brightness)
    model = build_model(tiny_config(), seed=0)
    right = torch.zeros(4, 4)
    right[1, 2] = 1
    boxes, labels = torch.tensor([[64.0, 32, 96, 64]]), torch.tensor([0])
    base, left = (float(brightness(model, picture, boxes, labels)) for picture in (canvas, blur(canvas)))
    watched = Watched(model, canvas, blur(canvas), boxes, labels)
    orders = [weights.flatten().argsort(descending=True) for weights in (right, -right)]
    good, bad = ((areas(watched, order, (4, 4))[0] / base).tolist() for order in orders)
    random = (random_areas(watched, (4, 4))[0] / base).tolist()
    assert good[0] < random[0] < bad[0]
    assert good[1] > random[1] > bad[1]
    # One cell a step: after the first nothing changes any more.
    share = left / base
    assert good[0] == pytest.approx(((1 + share) / 2 + 15 * share) / 16, abs=1e-4)
    assert good[1] == pytest.approx(((share + 1) / 2 + 15) / 16, abs=1e-4)


def test_blur_keeps_the_mean_and_no_detail() -> None:
    canvas = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    blurred = blur(canvas)
    assert float(blurred.std()) < 0.1 * float(canvas.std())
    assert float(blurred.mean()) == pytest.approx(float(canvas.mean()), abs=0.05)


def test_on_a_real_model() -> None:
    """The blood cells: scores are found again, maps sum to one."""
    yolo = YOLO("yolov12n-bccd")
    picture = sorted(sample_images().iterdir())[0]
    canvas = yolo._subject().canvas(picture, 320)
    boxes = torch.from_numpy(yolo(picture, imgsz=320, precision="fp32")[0].boxes.xyxy.numpy()[:2]).float() * 0.5
    labels = torch.from_numpy(yolo(picture, imgsz=320, precision="fp32")[0].boxes.cls.numpy()[:2]).long()
    conf = yolo(picture, imgsz=320, precision="fp32")[0].boxes.conf.numpy()[:2]
    boxes[:, 1::2] += (canvas.shape[2] - 240) / 2  # the padding of the canvas
    found = list(explain(yolo.model, canvas, boxes, labels))
    for one, score in zip(found, conf, strict=True):
        assert one.score == pytest.approx(float(score), abs=1e-3)
        assert float(one.weights.sum()) == pytest.approx(1, abs=1e-3)
        assert np.isfinite(one.faithfulness).all()
    shown = overlay(np.full((240, 320, 3), 128, np.uint8), found[0].weights)
    assert shown.shape == (240, 320, 3)
    assert float(scores(yolo.model, canvas, boxes[:1] + 500, labels[:1])[0, 0]) == 0


def test_pictures_of_the_maps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", "yolov12n-bccd", "--imgsz", "96", "--attention", str(tmp_path / "maps")]) == 0
    table = capsys.readouterr().out
    assert "insertion" in table
    pictures = sorted((tmp_path / "maps").iterdir())
    assert len(pictures) == sum(".png" in line for line in table.splitlines()) > 0
    assert all(picture.name in table for picture in pictures)
    with pytest.raises(ConfigError, match="attention maps are for upright boxes, not for classify"):
        YOLO("yolov12n-cls.yaml", num_classes=3).explain()
