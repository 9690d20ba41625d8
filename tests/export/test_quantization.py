"""Which layers stay floats: by a network whose accuracy is made up."""

from __future__ import annotations

import pytest
import torch

from model_factory import tiny_file
from yolov12.errors import ExportError
from yolov12.export.graph import ExportGraph
from yolov12.export.quantization import GROUP, Quantizer
from yolov12.export.tracing import quietly
from yolov12.extras import require
from yolov12.models.detector import build_model


class Pretended(Quantizer):
    """Loses `costs` of each group that is not kept, without a model."""

    def __init__(self, costs: dict[str, float]) -> None:
        self.costs, self.before, self.pictures = costs, 0.9, []
        self.made: list[tuple[str, ...]] = []

    def groups(self) -> list[str]:
        return list(self.costs)

    def make(self, kept: object = (), pictures: int | None = None) -> tuple[str, ...]:
        self.made.append(tuple(kept))  # type: ignore[arg-type]
        return self.made[-1]

    def score(self, model: tuple[str, ...]) -> float:
        return self.before - sum(cost for group, cost in self.costs.items() if group not in model)


def test_all_in_eight_bits_where_that_is_exact_enough() -> None:
    quantizer = Pretended({"a": 0.001, "b": 0.003})
    assert quantizer.search(lambda text: None) == ()
    assert quantizer.made == [()]


def test_those_that_cost_most_stay_floats() -> None:
    quantizer = Pretended({"a": 0.001, "b": 0.02, "c": 0.003, "d": 0.01})
    said: list[str] = []
    assert quantizer.search(said.append) == ("b", "d")
    assert said[-1] == "int8 with b, d in floats: 0.8960"


def test_what_cannot_be_had_is_said() -> None:
    with pytest.raises(
        ExportError, match=r"falls from 0\.9000 to 0\.8900 even with a, b in floats; --finetune may help"
    ):
        Pretended({"a": 0.01, "b": 0.01, "c": 0.01}).search(lambda text: None)
    with pytest.raises(ExportError, match="even with nothing in floats"):
        Pretended({"a": 0.01}).search(lambda text: None)


@pytest.mark.parametrize(("tuned", "kept"), [(0.5, "tuned"), (0.4, "plain"), (0.3, "plain")])
def test_fine_tuning_is_taken_where_it_helps(tuned: float, kept: str) -> None:
    class Scored(Quantizer):
        def __init__(self) -> None:
            self.model = "plain"

        def make(self, kept: object = (), pictures: int | None = None) -> str:
            return str(self.model)

        def score(self, model: str) -> float:
            return {"plain": 0.4, "tuned": tuned}[model]

    quantizer, said = Scored(), list[str]()
    assert quantizer.prefer("tuned", said.append) == (kept == "tuned")
    assert quantizer.model == quantizer._whole[0] == kept  # type: ignore[index]
    assert said == [f"int8: 0.4000 as it was, {tuned:.4f} fine-tuned: the better one is taken"]


@pytest.mark.parametrize("task", ["detect", "segment", "pose", "obb"])
def test_layers_are_of_groups(task: str) -> None:
    file = tiny_file(task=task)
    images = torch.rand(1, 3, 64, 64)
    with torch.inference_mode(), quietly():
        graph = torch.jit.trace(ExportGraph(build_model(file.config, seed=0)).eval(), images, check_trace=False)
    model = require("openvino", "openvino").convert_model(graph, example_input=images)
    layers = [node.get_friendly_name() for node in model.get_ordered_ops() if "Convolution" in node.get_type_name()]
    groups = {match[1] for name in layers if (match := GROUP.match(name))}
    assert all(GROUP.match(name) for name in layers)
    detect = f"heads.{task}" + ("" if task == "detect" else ".detect")
    assert {
        "backbone.stem",
        "backbone.stage_p4",
        "neck.top_p4",
        f"{detect}.box_branches",
        f"{detect}.class_branches",
    } <= groups
    assert not {"backbone", "neck", f"heads.{task}"} & groups
