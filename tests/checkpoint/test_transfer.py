"""Weights of a model with other classes: what fits is kept, class outputs follow the class names."""

from __future__ import annotations

import pytest
import torch

from model_factory import tiny_config, tiny_file
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
