"""Weights of a model with other classes: what fits is kept, class outputs follow the class names."""

from __future__ import annotations

import pytest
import torch

from model_factory import tiny_config, tiny_file
from part_factory import network
from yolov12.checkpoint import fit_state
from yolov12.models.detector import build_model

OUTPUT = "heads.detect.class_branches.0.2."


@pytest.mark.parametrize(
    ("old", "new", "rows"),
    [
        (("a", "b", "c"), ("a", "b", "c"), {0: 0, 1: 1, 2: 2}),
        (("a", "b", "c"), ("c", "a", "b"), {0: 2, 1: 0, 2: 1}),
        (("a", "b", "c"), ("x", "b"), {1: 1}),
        (("a",), ("x", "y", "a", "z"), {2: 0}),
        (("a", "b"), ("x", "y"), {}),
    ],
)
def test_rows_follow_the_names(old: tuple[str, ...], new: tuple[str, ...], rows: dict[int, int]) -> None:
    file = tiny_file(names=old)
    fresh = build_model(tiny_config(num_classes=len(new)), seed=5).state_dict()
    state, report = fit_state(fresh, file.state, file.names, dict(enumerate(new)))
    assert state.keys() == fresh.keys()
    for part in ("weight", "bias"):
        for row in range(len(new)):
            source = file.state[OUTPUT + part][rows[row]] if row in rows else fresh[OUTPUT + part][row]
            assert torch.equal(state[OUTPUT + part][row], source)
    for name, value in state.items():
        if ".2." not in name or "class_branches" not in name:
            assert torch.equal(value, file.state[name])
    if old == new:
        assert report.fresh == ()
    else:
        assert report.classes == tuple(name for name in new if name in old)
        assert len(report.fresh) == 6
        assert all("class_branches" in name for name in report.fresh)


def test_a_class_branch_of_another_width_starts_fresh() -> None:
    file = tiny_file(names=("a",))
    fresh = build_model(tiny_config(num_classes=1), seed=5).state_dict()
    narrow = {name: value[:, :4] if name == OUTPUT + "weight" else value for name, value in file.state.items()}
    state, report = fit_state(fresh, narrow, {0: "a"}, {0: "b"})
    assert torch.equal(state[OUTPUT + "weight"], fresh[OUTPUT + "weight"])
    assert OUTPUT + "weight" in report.fresh


def test_nothing_is_shared_with_the_inputs() -> None:
    file = tiny_file()
    fresh = build_model(tiny_config(), seed=5).state_dict()
    state, _ = fit_state(fresh, file.state, file.names, file.names)
    pointers = {value.data_ptr() for value in (*file.state.values(), *fresh.values())}
    assert not pointers & {value.data_ptr() for value in state.values()}


def test_the_summary_says_what_is_kept_and_what_is_fresh() -> None:
    file = tiny_file(names=("cat", "dog"))
    fresh = build_model(tiny_config(num_classes=2), seed=5).state_dict()
    _, report = fit_state(fresh, file.state, file.names, {0: "dog", 1: "cow"})
    total = len(fresh)
    assert report.summary() == (
        f"kept {total - 6} of {total} tensors; fresh: {', '.join(report.fresh)}; class outputs kept for dog"
    )


def test_rows_of_a_classifier_follow_the_names() -> None:
    file = tiny_file(names=("a", "b", "c"), task="classify")
    fresh = build_model(tiny_config(num_classes=2, task="classify"), seed=5).state_dict()
    state, report = fit_state(fresh, file.state, file.names, {0: "x", 1: "b"})
    for part in ("weight", "bias"):
        name = f"heads.classify.classifier.{part}"
        assert torch.equal(state[name][1], file.state[name][1])
        assert torch.equal(state[name][0], fresh[name][0])
    assert report.classes == ("b",)
    assert report.fresh == ("heads.classify.classifier.weight", "heads.classify.classifier.bias")


@pytest.mark.parametrize("task", ["segment", "pose", "obb"])
def test_a_detector_becomes_a_model_of_another_task_and_back(task: str) -> None:
    """Backbone, neck and the branches of boxes and classes go along; what only one of them has stays fresh."""
    detector, other = tiny_file(), tiny_file(task=task)
    for source, target in ((detector, other), (other, detector)):
        fresh = build_model(target.config, seed=5).state_dict()
        state, report = fit_state(fresh, source.state, source.names, target.names)
        for name, value in source.state.items():
            short = name.replace(f"heads.{task}.detect.", "heads.detect.")
            there = [found for found in state if found.replace(f"heads.{task}.detect.", "heads.detect.") == short]
            assert all(torch.equal(state[found], value) for found in there), name
        assert report.heads == (f"{source.config.task} -> {target.config.task}",)
        assert f"(head {source.config.task} -> {target.config.task})" in report.summary()
        extras = ("prototypes", "coefficient_branches", "keypoint_branches", "angle_branches")
        assert all(name.split(".")[2] in extras for name in report.fresh)
        assert bool(report.fresh) == (target is other)


def test_class_rows_follow_the_names_also_into_another_task() -> None:
    file = tiny_file(names=("a", "b", "c"))
    fresh = build_model(tiny_config(num_classes=2, task="obb"), seed=5).state_dict()
    state, report = fit_state(fresh, file.state, file.names, {0: "c", 1: "y"})
    name = "heads.obb.detect.class_branches.0.2.bias"
    assert torch.equal(state[name][0], file.state[OUTPUT + "bias"][2])
    assert torch.equal(state[name][1], fresh[name][1])
    assert report.classes == ("c",)


def test_a_classifier_gives_its_backbone() -> None:
    file = tiny_file(task="classify")
    fresh = build_model(tiny_config(), seed=5).state_dict()
    state, report = fit_state(fresh, file.state, file.names, file.names)
    assert [name for name in report.kept if not name.startswith("backbone.")] == []
    assert set(report.kept) == {name for name in fresh if name.startswith("backbone.")}
    assert all(torch.equal(state[name], file.state[name]) for name in report.kept)
    assert report.heads == ()


def test_a_head_that_the_file_has_is_not_taken_from_another() -> None:
    file = tiny_file()
    both = {**file.state, "heads.obb.detect.box_branches.0.2.bias": torch.full((64,), 7.0)}
    fresh = build_model(tiny_config(), seed=5).state_dict()
    state, report = fit_state(fresh, both, file.names, file.names)
    assert all(torch.equal(state[name], file.state[name]) for name in fresh)
    assert report.heads == ()


def test_class_rows_of_anchors_stay_fresh() -> None:
    """They are one for each anchor and class, in another order than the classes'."""
    model = build_model(network("yolov12", "pafpn", "anchor"), seed=0).state_dict()
    file = build_model(network("yolov12", "pafpn", "anchor"), seed=1).state_dict()
    names = {0: "a", 1: "b", 2: "c"}
    state, report = fit_state(model, file, names, {0: "c", 1: "a", 2: "x"})
    key = next(name for name in model if name.endswith("class_branches.0.2.weight"))
    assert torch.equal(state[key], model[key])
    assert report.classes == ()
    state, _ = fit_state(model, file, names, names)
    assert torch.equal(state[key], file[key])
