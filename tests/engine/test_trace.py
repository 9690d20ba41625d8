"""The walk through a network's layers, forward and back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from model_factory import tiny_config
from part_factory import BACKBONES, NECKS, network
from scene_factory import write_data, write_model
from yolov12 import YOLO
from yolov12.cli.main import main
from yolov12.config.parse import resolve
from yolov12.config.run import TrainConfig
from yolov12.data.sample import Batch, Targets
from yolov12.engine.trace import trace_backward, trace_forward
from yolov12.engine.trace_plot import draw_trace
from yolov12.errors import ConfigError
from yolov12.losses.criterion import Criterion
from yolov12.models.detector import Detector, build_model
from yolov12.models.profile import profile

BATCH = Batch(
    torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)),
    Targets(torch.tensor([0, 1]), torch.tensor([0, 2]), torch.tensor([[4.0, 4, 40, 50], [10, 20, 60, 60]])),
    torch.tensor([0, 1]),
)
SGD = resolve(TrainConfig, {"optimizer": "SGD", "lr0": 0.001, "weight_decay": 0.0, "momentum": 0.0}).config


def model() -> Detector:
    return build_model(tiny_config(), seed=0)


def test_forward() -> None:
    walk = trace_forward(model(), torch.rand(2, 3, 64, 96))
    by_name = {row.name: row for row in walk.rows}
    assert by_name["backbone.stem"].inputs == ((3, 64, 96),)
    assert by_name["backbone.stem"].outputs == ((8, 32, 48),)
    assert by_name["backbone.down_p2"].inputs == by_name["backbone.stem"].outputs
    assert by_name["heads.detect"].inputs[0] == (8, 8, 12)
    assert sum(row.parameters for row in walk.rows) == profile(model(), (64, 96)).parameters
    assert sum(row.gflops for row in walk.rows) == pytest.approx(profile(model(), (64, 96)).gflops_with_attention)
    assert all(row.milliseconds > 0 and row.gradient is None and not row.mark for row in walk.rows)
    assert "backward" not in walk.table()


def test_single_layers_add_up_to_their_blocks() -> None:
    images = torch.rand(1, 3, 64, 64)
    blocks, single = (trace_backward(model(), BATCH, SGD, single=single) for single in (False, True))
    names = {row.name: row for row in single.rows}
    assert {"backbone.stem.conv", "backbone.stem.norm"} <= set(names)
    assert sum(row.parameters for row in single.rows) == sum(row.parameters for row in blocks.rows)
    assert sum(row.gflops for row in single.rows) == pytest.approx(sum(row.gflops for row in blocks.rows))
    parts = [row.gradient for row in single.rows if row.name.startswith("neck.out_p4.") and row.gradient is not None]
    (block,) = [row.gradient for row in blocks.rows if row.name == "neck.out_p4"]
    assert sum(part**2 for part in parts) == pytest.approx(block**2, rel=1e-4)
    assert all(row.milliseconds >= 0 for row in trace_forward(model(), images, single=True).rows if row.outputs)


@pytest.mark.parametrize(
    "parts",
    [
        *((backbone, "pafpn", "detect") for backbone in BACKBONES),
        *(("yolov12", neck, "detect") for neck in NECKS),
        *(("yolov8", "pafpn", head) for head in ("dynamic_mask", "heatmap_pose", "multi-all", "obb", "anchor")),
    ],
    ids="-".join,
)
def test_single_layers_of_all_parts(parts: tuple[str, str, str]) -> None:
    made = build_model(network(*parts), seed=0)
    single = trace_forward(made, torch.rand(1, 3, 64, 64), single=True)
    counted = profile(made, 64)
    assert sum(row.parameters for row in single.rows) == counted.parameters
    assert sum(row.gflops for row in single.rows) == pytest.approx(counted.gflops_with_attention)
    assert all(row.milliseconds > -0.5 for row in single.rows)
    if parts[2] == "detect":
        slow = resolve(TrainConfig, {"optimizer": "SGD", "lr0": 1e-5, "momentum": 0.0}).config
        walk = trace_backward(made, BATCH, slow, single=True)
        assert {row.mark for row in walk.rows} <= {"", "dead"}  # branches of a scale without objects are
        assert not [row.name for row in walk.rows if row.mark and not row.name.startswith("heads.detect.box_branches")]


def test_backward_is_the_gradient_of_the_loss() -> None:
    walk = trace_backward(model(), BATCH, SGD)
    twin = model().train()
    criterion = Criterion(twin.config)
    terms = criterion(twin(BATCH.images.float() / 255), BATCH.targets)
    criterion.total(terms, 2).backward()
    stem = {row.name: row for row in walk.rows}["backbone.stem"]
    layer = twin.get_submodule("backbone.stem")
    gradient = torch.cat([value.grad.flatten() for value in layer.parameters()]).norm()
    weight = torch.cat([value.detach().flatten() for value in layer.parameters()]).norm()
    assert stem.gradient == pytest.approx(float(gradient), rel=1e-3)
    assert stem.update == pytest.approx(0.001 * float(gradient / weight), rel=1e-3)
    assert walk.losses == pytest.approx({name: float(value.detach()) for name, value in terms.items()}, rel=1e-4)
    assert walk.optimizer == "SGD, learning rate 0.001"


def test_the_model_is_left_as_it_was() -> None:
    network = model()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    trace_backward(network, BATCH, SGD)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(value.grad is None for value in network.parameters())


def test_dead_and_exploding_layers_are_marked() -> None:
    network = model()
    torch.nn.init.zeros_(network.get_submodule("backbone.stage_p3").conv2.norm.weight)  # stride 8 says nothing
    torch.nn.init.zeros_(network.get_submodule("neck.out_p3").conv2.norm.weight)
    torch.nn.init.zeros_(network.get_submodule("backbone.stage_p3").conv2.norm.bias)
    rows = {row.name: row for row in trace_backward(network, BATCH, SGD).rows}
    assert rows["backbone.stage_p2"].mark == "dead"
    assert rows["heads.detect"].mark == ""
    wild = resolve(TrainConfig, {"optimizer": "SGD", "lr0": 10.0, "momentum": 0.0}).config
    walk = trace_backward(model(), BATCH, wild)
    assert {row.name: row.mark for row in walk.rows}["heads.detect"] == "exploding"
    assert "exploding" in walk.table()
    huge = model()
    for branch in huge.head.box_branches:
        branch[-1].weight.data *= 1e6
    default = trace_backward(huge, BATCH, resolve(TrainConfig, {}).config)  # AdamW's first step is as long as ever
    assert {row.name: row.mark for row in default.rows}["backbone.stem"] == "exploding"
    network.get_submodule("backbone.stem").conv.weight.data[0] = torch.nan
    walk = trace_backward(network, BATCH, SGD)
    assert all(row.mark in ("exploding", "dead") for row in walk.rows)
    json.dumps(walk.to_dict(), allow_nan=False)


@pytest.mark.parametrize("backbone", ["hybrid", "transformer"])
def test_layers_of_designs(backbone: str, tmp_path: Path) -> None:
    walk = trace_backward(build_model(network(backbone, "context_bifpn", "detect"), seed=0), BATCH, SGD)
    assert {row.name for row in walk.rows} >= {"neck.passes.0", "neck.detail", "heads.detect"}
    draw_trace(walk, tmp_path / "walk.png")
    assert (tmp_path / "walk.png").stat().st_size > 1000


def test_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_data(tmp_path / "data")
    path = write_model(tmp_path / "m.safetensors", ("even", "odd"))
    assert main(["trace", str(path), "--imgsz", "64", "--json"]) == 0
    walk = json.loads(capsys.readouterr().out)
    assert walk["imgsz"] == [64, 64]
    plot = tmp_path / "p.png"
    back = ["trace", str(path), "--backward", "--data", str(data)]
    assert main([*back, "--imgsz", "64", "--batch", "2", "--plot", str(plot)]) in (0, 1)
    assert "update/weight" in capsys.readouterr().out
    assert plot.is_file()
    assert main(["trace", str(path), "--backward"]) == 2
    assert "gradients need labels" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="contradict"):
        YOLO(path).trace("a.jpg", backward=True)
    assert main(["trace", "yolov12n", "--backward", "--data", str(data), "--imgsz", "64"]) == 0  # fitted to the data
    assert "heads.detect" in capsys.readouterr().out
    assert main(["trace", str(path), "--imgsz", "64", "--plot", "walk.txt"]) == 2
    assert "walk.txt: must end in .png" in capsys.readouterr().err
    assert main(["trace", str(path), "--imgsz", "0"]) == 2
    assert "--imgsz 0: must be positive" in capsys.readouterr().err
    assert main(["trace", str(path), "--image", "nothing.jpg"]) == 2
