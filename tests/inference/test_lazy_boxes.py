"""Boxes at chosen cells equal those of the whole map, wherever the cells lie and however many they are."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from model_factory import tiny_file
from yolov12.export.tracing import quietly
from yolov12.inference import lazy_boxes
from yolov12.inference.lazy_boxes import LazyBoxes, LocatingHead
from yolov12.models.detector import build_model, fuse
from yolov12.models.heads.detect import DetectHead

TASKS = ("detect", "segment", "pose", "obb")
SCORES = slice(4, 7)


@pytest.fixture(scope="module")
def heads() -> dict[str, LocatingHead]:
    found: dict[str, LocatingHead] = {}
    for task in TASKS:
        file = tiny_file(task=task)
        model = build_model(file.config, seed=0)
        model.load_state_dict(file.state)
        head = fuse(model).head
        assert isinstance(head, LocatingHead)
        found[task] = head
    return found


@pytest.fixture(scope="module")
def head(heads: dict[str, LocatingHead]) -> DetectHead:
    found = heads["detect"]
    assert isinstance(found, DetectHead)
    return found


def whole(head: LocatingHead, features: list[Tensor]) -> tuple[Tensor, Tensor | None]:
    """The head everywhere."""
    return head.decode(head(tuple(features)))


def maps(head: LocatingHead, height: int, width: int, seed: int) -> list[Tensor]:
    """Features of an image of `height` x `width` strides of 32."""
    generator = torch.Generator().manual_seed(seed)
    branches = head.box_branches if isinstance(head, DetectHead) else head.detect.box_branches
    channels = [next(branch.parameters()).shape[1] for branch in branches]
    sides = [32 // stride for stride in head.strides]
    return [
        torch.randn(1, count, height * side, width * side, generator=generator).to(memory_format=torch.channels_last)
        for count, side in zip(channels, sides, strict=True)
    ]


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(TASKS), st.integers(1, 4), st.integers(1, 4), st.integers(0, 99), st.floats(0, 1))
def test_equals_the_whole_map(
    heads: dict[str, LocatingHead], task: str, height: int, width: int, seed: int, rank: float
) -> None:
    head = heads[task]
    features = maps(head, height, width, seed)
    with torch.inference_mode():
        dense, prototypes = whole(head, features)
        best = dense[0, SCORES].amax(0)
        threshold = float(best.sort().values[int(rank * (len(best) - 1))])  # from all cells but one to none
        found, found_prototypes = LazyBoxes(head).decode(features, threshold)
    assert found.shape == dense.shape
    torch.testing.assert_close(found[0, SCORES], dense[0, SCORES])
    shown = found[0, SCORES].amax(0) > threshold  # the last bit of a score is not that of the whole map
    assert torch.all((shown == (best > threshold)) | ((best - threshold).abs() < 1e-6))
    torch.testing.assert_close(found[0][:, shown], dense[0][:, shown], atol=2e-3, rtol=1e-5)
    assert not found[0, :4, ~shown].any()
    assert not found[0, 7:, ~shown].any()
    assert (prototypes is None) == (found_prototypes is None) == (task != "segment")
    if prototypes is not None:
        torch.testing.assert_close(found_prototypes, prototypes)


def test_few_cells_do_not_run_the_convolutions(head: DetectHead, monkeypatch: pytest.MonkeyPatch) -> None:
    features = maps(head, 4, 4, seed=0)
    with torch.inference_mode():
        best = whole(head, features)[0][0, SCORES].amax(0)
        runs: list[nn.Module] = []
        hooks = [branch.register_forward_hook(lambda branch, *_: runs.append(branch)) for branch in head.box_branches]
        LazyBoxes(head).decode(features, float(best.max()))
        assert runs == []
        monkeypatch.setattr(lazy_boxes, "DENSE_SHARE", 0.0)
        LazyBoxes(head).decode(features, 0.0)
        assert runs == list(head.box_branches)
    for hook in hooks:
        hook.remove()


def test_a_score_that_is_not_a_number_hides_nothing(head: DetectHead) -> None:
    features = maps(head, 1, 1, seed=0)
    with torch.inference_mode():
        dense, _ = whole(head, features)
        features[0][0, :, 0, 0] = float("nan")
        found, _ = LazyBoxes(head).decode(features, 0.999)
    assert found[0, 4:, 0].isnan().all()
    assert found[0, :4, 0].isnan().any()
    assert not found[0, :4, -1].any()
    assert dense.shape == found.shape


@pytest.mark.parametrize("task", ["pose", "obb"])
def test_what_is_decoded_is_float32(task: str) -> None:
    """As the head does, whatever the network computes in."""
    file = tiny_file(task=task)
    model = build_model(file.config, seed=0)
    model.load_state_dict(file.state)
    head = fuse(model).head.bfloat16()
    assert isinstance(head, LocatingHead)
    with torch.inference_mode():
        features = [level.bfloat16() for level in maps(head, 3, 4, seed=1)]
        dense, _ = whole(head, features)
        found = LazyBoxes(head).decode(features, float(dense[0, SCORES].amax(0).median())).dense
    shown = found[0, :4].any(0)
    assert 0 < shown.sum() < shown.numel()
    torch.testing.assert_close(found[0, 7:, shown], dense[0, 7:, shown], atol=2e-3, rtol=2e-2)
    sure = found[0, 9::3, shown] if task == "pose" else found[0, 7:, shown]  # how clearly keypoints are seen; angles
    assert not torch.equal(sure, sure.bfloat16().float())


@pytest.mark.parametrize("task", TASKS)
def test_a_trace_holds_for_any_score(heads: dict[str, LocatingHead], task: str) -> None:
    head = heads[task]
    features, other = maps(head, 2, 3, seed=1), maps(head, 4, 2, seed=2)
    boxes = LazyBoxes(head, traced=True)

    class Graph(nn.Module):
        def forward(self, levels: list[Tensor], min_score: Tensor) -> Tensor:
            return boxes.decode(levels, min_score).dense

    with torch.inference_mode(), quietly():
        best = whole(head, features)[0][0, SCORES].amax(0)
        graph = torch.jit.trace(Graph(), (features, best.median()), check_trace=False)
        for levels in (features, other):
            best = whole(head, levels)[0][0, SCORES].amax(0)
            for rank in (0.0, 0.3, 0.9, 1.0):
                expected = boxes.decode(levels, float(best.quantile(rank))).dense
                torch.testing.assert_close(graph(levels, best.quantile(rank)), expected)


@pytest.mark.parametrize("task", TASKS)
def test_the_number_of_threads_does_not_matter(heads: dict[str, LocatingHead], task: str) -> None:
    head = heads[task]
    features, before = maps(head, 3, 4, seed=1), torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            with torch.inference_mode():
                best = whole(head, features)[0][0, SCORES].amax(0)
                found.append(LazyBoxes(head).decode(features, float(best.quantile(0.9))).dense)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])
