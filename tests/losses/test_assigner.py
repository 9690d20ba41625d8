from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from yolov12.data.sample import Targets
from yolov12.errors import ConfigError
from yolov12.losses.assigner import (
    ROTATED,
    SMALLEST_SIDE,
    Assignment,
    Pairs,
    TaskAlignedAssigner,
    pairs_inside,
    pairs_inside_rotated,
    rotated_input,
)
from yolov12.ops.boxes import anchor_points, xyxy_to_cxcywh
from yolov12.ops.rotated import probiou
from yolov12.ops.similarity import ciou

SIZES, STRIDES = ((4, 6), (2, 3)), (8, 16)  # a 32 x 48 input: 24 + 6 anchors
ANCHORS = 30


def make_targets(*rows: tuple[int, int, tuple[float, float, float, float]]) -> Targets:
    """Rows of image, label, corners."""
    return Targets(
        torch.tensor([row[0] for row in rows], dtype=torch.int64),
        torch.tensor([row[1] for row in rows], dtype=torch.int64),
        torch.tensor([row[2] for row in rows], dtype=torch.float32).reshape(-1, 4),
    )


def perfect(boxes: list[tuple[float, float, float, float]], anchors: int = ANCHORS) -> Tensor:
    """One image's predictions (1, A, 4): every anchor predicts the same box, or its own if there is one for each."""
    return torch.tensor(boxes, dtype=torch.float32).expand(anchors, 4)[None]


# ---- which anchors are inside ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("box", "rules", "expected"),
    [
        pytest.param((0, 0, 16, 16), "r8363", [0, 1, 6, 7, 24], id="four small cells, one large"),
        pytest.param((0, 0, 8.1, 8.1), "r8363", [0, 24], id="the middle of the large cell is at 8"),
        pytest.param((0, 0, 8, 8), "r8363", [0], id="a middle on the border is outside"),
        pytest.param((4, 4, 12, 12), "r8363", [24], id="on both borders"),
        pytest.param((3.9, 3.9, 12.1, 12.1), "r8363", [0, 1, 6, 7, 24], id="just over both borders"),
        pytest.param((5, 5, 7, 7), "r8363", [], id="between all middles"),
        pytest.param((5, 5, 7, 7), "r84190", [0, 1, 6, 7, 24], id="enlarged to -2 .. 14"),
        pytest.param((11.8, 11.8, 11.9, 11.9), "r84190", [0, 1, 6, 7, 24], id="enlarged to 3.85 .. 19.85"),
        pytest.param((5, 5, 7, 30), "r84190", [6, 7, 12, 13, 18, 19, 24, 27], id="only the short side grows"),
        pytest.param((40, 24, 48, 32), "r8363", [23], id="last small cell"),
        pytest.param((-50, -50, 100, 100), "r8363", list(range(30)), id="larger than the image"),
        pytest.param((60, 60, 90, 90), "r84190", [], id="outside of the image"),
        pytest.param((0, 0, 0, 0), "r84190", [], id="no object: not enlarged either"),
        pytest.param((20, 20, 20, 20), "r8363", [], id="without area"),
        pytest.param((20, 20, 20, 20), "r84190", [14, 28], id="without area, enlarged to 12 .. 28"),
        pytest.param((12, 12, 4, 4), "r8363", [], id="corners swapped"),
    ],
)
def test_pairs_inside(box: tuple[float, float, float, float], rules: str, expected: list[int]) -> None:
    pairs = pairs_inside(make_targets((0, 0, box)), SIZES, STRIDES, SMALLEST_SIDE[rules])
    assert pairs.anchor.tolist() == expected
    assert pairs.counts.tolist() == [len(expected)]


def test_pairs_are_listed_by_object_and_numbered_through_the_batch() -> None:
    targets = make_targets((2, 0, (0, 0, 8, 8)), (0, 0, (40, 24, 48, 32)), (2, 0, (0, 0, 0, 0)))
    pairs = pairs_inside(targets, SIZES, STRIDES, 0.0)
    assert pairs.target.tolist() == [0, 1]
    assert pairs.anchor.tolist() == [2 * ANCHORS, 23]
    assert pairs.counts.tolist() == [1, 1, 0]


def rotated_targets(*boxes: tuple[float, ...]) -> Targets:
    """Objects of class 0 in image 0."""
    count = torch.zeros(len(boxes), dtype=torch.int64)
    return Targets(count, count, torch.zeros(len(boxes), 4), rotated_input=torch.tensor(boxes).reshape(-1, 5))


@pytest.mark.parametrize(
    ("box", "rules", "expected"),
    [
        pytest.param((8, 8, 16, 16, 0), "r8363", [0, 1, 6, 7, 24], id="as an upright one"),
        pytest.param((8, 8, 8, 8, 0), "r8363", [0, 1, 6, 7, 24], id="on the edge is inside here"),
        pytest.param((8, 8, 7.9, 7.9, 0), "r8363", [24], id="just behind the edge"),
        pytest.param((8, 8, 11.4, 11.4, math.pi / 4), "r8363", [0, 1, 6, 7, 24], id="4 sqrt 2 is below half of 11.4"),
        pytest.param((8, 8, 11.2, 11.2, math.pi / 4), "r8363", [24], id="but not of 11.2, though the corners are far"),
        pytest.param((16, 16, 40, 1, math.pi / 4), "r8363", [0, 7, 14, 21, 24, 28], id="the diagonal"),
        pytest.param((16, 16, 1, 40, -math.pi / 4), "r8363", [0, 7, 14, 21, 24, 28], id="the same written differently"),
        pytest.param((8, 8, 2, 2, 0.3), "r8363", [24], id="small"),
        pytest.param((8, 8, 2, 2, 0.3), "r84190", [0, 1, 6, 7, 24], id="enlarged to 16 by 16"),
        pytest.param((36, 20, 2, 30, math.pi / 2), "r8363", [15, 16, 17], id="lying: from 21 to 51 in one row"),
        pytest.param((-60, -60, 20, 20, 0), "r8363", [], id="outside of the image"),
        pytest.param((0, 0, 0, 0, 0), "r84190", [], id="no object"),
    ],
)
def test_pairs_inside_rotated(box: tuple[float, ...], rules: str, expected: list[int]) -> None:
    pairs = pairs_inside_rotated(rotated_targets(box), SIZES, STRIDES, SMALLEST_SIDE[rules])
    assert pairs.anchor.tolist() == expected
    assert pairs.counts.tolist() == [len(expected)]


def test_rotated_pairs_are_listed_by_object() -> None:
    boxes = (44.0, 28.0, 3.0, 3.0, 0.5), (0.0, 0, 0, 0, 0), (4.0, 4.0, 3.0, 3.0, 2.0)
    targets = rotated_targets(*boxes)._replace(image_index=torch.tensor([0, 1, 2]))
    pairs = pairs_inside_rotated(targets, SIZES, STRIDES, 0.0)
    assert pairs.target.tolist() == [0, 2]
    assert pairs.anchor.tolist() == [23, 2 * ANCHORS]
    assert pairs.counts.tolist() == [1, 0, 1]


def test_objects_need_rotated_boxes() -> None:
    with pytest.raises(ValueError, match="without rotated boxes"):
        rotated_input(make_targets((0, 0, (0, 0, 8, 8))))
    assert rotated_input(make_targets()).shape == (0, 5)


# ---- small decisions ------------------------------------------------------------------------------------------------


def assign(boxes: Tensor, targets: Targets, logits: Tensor | None = None, top_k: int = 10) -> dict[int, int]:
    """Object per foreground anchor."""
    logits = torch.zeros(len(boxes), boxes.shape[1], 3) if logits is None else logits
    result = TaskAlignedAssigner(top_k)(logits, boxes, targets, SIZES, STRIDES)
    return dict(zip(result.anchor.tolist(), result.target.tolist(), strict=True))


def test_all_anchors_inside_answer_when_they_are_few() -> None:
    assert assign(perfect([(0, 0, 16, 16)]), make_targets((0, 1, (0, 0, 16, 16)))) == dict.fromkeys([0, 1, 6, 7, 24], 0)


def test_only_the_best_answer_when_they_are_many() -> None:
    logits = torch.zeros(1, ANCHORS, 3)
    logits[0, :, 2] = torch.arange(ANCHORS) / 10
    whole = (0.0, 0.0, 48.0, 32.0)
    assert sorted(assign(perfect([whole]), make_targets((0, 2, whole)), logits)) == list(range(20, 30))
    assert sorted(assign(perfect([whole]), make_targets((0, 2, whole)), logits, top_k=1)) == [29]


def test_anchors_without_overlap_do_not_answer() -> None:
    assert assign(perfect([(40, 24, 48, 32)]), make_targets((0, 0, (0, 0, 16, 16)))) == {}


def test_a_wanted_anchor_goes_to_the_object_it_overlaps_most() -> None:
    small, large = (0.0, 0.0, 16.0, 16.0), (0.0, 0.0, 24.0, 24.0)
    predicted = perfect([small])
    assert assign(predicted, make_targets((0, 0, large), (0, 0, small)))[0] == 1
    assert assign(predicted, make_targets((0, 0, small), (0, 0, large)))[0] == 0


def test_the_first_of_equal_objects_wins() -> None:
    box = (0.0, 0.0, 16.0, 16.0)
    assert set(assign(perfect([box]), make_targets((0, 0, box), (0, 0, box))).values()) == {0}


def test_an_anchor_can_go_to_an_object_that_did_not_want_it() -> None:
    """Two objects want anchor 0 for its class score; it goes to a third, which it overlaps most."""
    box, near = (0.0, 0.0, 16.0, 16.0), (0.0, 0.0, 16.0, 15.0)
    logits = torch.full((1, ANCHORS, 3), -8.0)
    logits[0, 0, :2] = 8.0  # sure that it is class 0 and class 1, not class 2
    logits[0, 1, 2] = 8.0
    targets = make_targets((0, 0, near), (0, 1, near), (0, 2, box))
    assert assign(perfect([box]), targets, logits, top_k=1) == {0: 2, 1: 2}


def test_images_do_not_mix() -> None:
    box = (0.0, 0.0, 8.0, 8.0)
    targets = make_targets((1, 0, box))
    assert assign(perfect([box]).repeat(3, 1, 1), targets) == {ANCHORS: 0}


def test_scores_scale_the_best_metric_to_the_best_overlap() -> None:
    box = (0.0, 0.0, 16.0, 16.0)
    predicted = perfect([box]).clone()
    predicted[0, 1] = torch.tensor([0.0, 0, 16, 8])  # half the box
    result = TaskAlignedAssigner()(torch.zeros(1, ANCHORS, 3), predicted, make_targets((0, 0, box)), SIZES, STRIDES)
    score = dict(zip(result.anchor.tolist(), result.score.tolist(), strict=True))
    half = ciou(torch.tensor([box]), predicted[:1, 1]).item()
    assert score[0] == pytest.approx(1, abs=1e-6)
    assert score[1] == pytest.approx(half**6, rel=1e-5)


def test_no_objects() -> None:
    assert assign(perfect([(0, 0, 1, 1)]), make_targets()) == {}


def test_a_nan_prediction_is_assigned_so_that_the_loss_shows_it() -> None:
    nan = math.nan
    assert assign(perfect([(nan, nan, nan, nan)]), make_targets((0, 0, (0, 0, 8, 8)))) == {0: 0}


@pytest.mark.parametrize("bits", [0x7FC00000, 0xFFC00000 - 2**32])
def test_nan_of_either_sign_ranks_first_within_its_object(bits: int) -> None:
    nan = torch.tensor([bits], dtype=torch.int32).view(torch.float32)
    pairs = Pairs(torch.tensor([0, 0, 1, 1]), torch.arange(4), torch.tensor([2, 2]))
    metric = torch.cat((torch.tensor([0.5, 0.25, 0.125]), nan))
    assert TaskAlignedAssigner(top_k=1).best_of_each_target(pairs, metric).tolist() == [True, False, False, True]


def test_a_label_beyond_the_classes_is_an_error() -> None:
    with pytest.raises(IndexError):
        assign(perfect([(0, 0, 8, 8)]), make_targets((0, 3, (0, 0, 8, 8))))


def test_unknown_rules() -> None:
    with pytest.raises(ConfigError, match=r"'r8364'.*Did you mean 'r8363'"):
        TaskAlignedAssigner(rules="r8364")


# ---- against a plain rendering of the rules -------------------------------------------------------------------------


def plain_assignment(
    logits: Tensor, boxes: Tensor, targets: Targets, inside: Tensor, overlap_of: Callable[[Tensor, Tensor], Tensor]
) -> dict[int, tuple[int, float]]:
    """The rules one by one with dense arrays, image by image: object and score per foreground anchor.

    inside  (N, A) bool, every object with every anchor
    """
    objects = targets.boxes_input if targets.rotated_input is None else targets.rotated_input
    result: dict[int, tuple[int, float]] = {}
    for image in range(len(boxes)):
        rows = (targets.image_index == image).nonzero().squeeze(1)
        if not len(rows):
            continue
        overlap = overlap_of(objects[rows, None].expand(-1, ANCHORS, -1), boxes[image].expand(len(rows), ANCHORS, -1))
        overlap = overlap.clamp(min=0) * inside[rows]
        metric = logits[image].sigmoid()[:, targets.labels[rows]].T.sqrt() * overlap**6
        candidate = torch.zeros(len(rows), ANCHORS, dtype=torch.bool)
        candidate.scatter_(1, metric.topk(10).indices, True)
        candidate &= metric > 0
        rivals = candidate.sum(0)
        owner = torch.where(rivals > 1, overlap.argmax(0), candidate.int().argmax(0))
        final = (torch.arange(len(rows))[:, None] == owner) & (rivals > 0)
        best = (metric * final).amax(1), (overlap * final).amax(1)
        for anchor in rivals.nonzero().squeeze(1).tolist():
            g = int(owner[anchor])
            score = metric[g, anchor] * best[1][g] / (best[0][g] + 1e-9)
            result[image * ANCHORS + anchor] = (int(rows[g]), float(score))
    return result


class Scene(NamedTuple):
    """Random objects on three images, and predictions that lie near their anchors."""

    targets: Targets
    boxes: Tensor
    logits: Tensor
    points: Tensor  # (A, 2) input pixels


def random_scene(seed: int, angles: bool) -> Scene:
    generator = torch.Generator().manual_seed(seed)
    images, objects, classes = 3, 14, 4

    def random(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator)

    def random_boxes(*shape: int) -> Tensor:
        centre, half = random(*shape, 2) * torch.tensor([48.0, 32.0]), random(*shape, 2) * 12 + 1
        return torch.cat((centre - half, centre + half), -1)

    targets = Targets(
        (random(objects) * images).long(), (random(objects) * classes).long(), random_boxes(objects).clamp(min=0)
    )
    points, strides = anchor_points(SIZES, STRIDES)
    boxes = random_boxes(images, ANCHORS) * 0.2 + 0.8 * torch.cat((points - 1, points + 1), 1) * strides
    if angles:
        rotated = torch.cat((xyxy_to_cxcywh(targets.boxes_input), random(objects, 1) * 3), 1)
        targets = targets._replace(rotated_input=rotated)
        boxes = torch.cat((xyxy_to_cxcywh(boxes), random(images, ANCHORS, 1) * 3), 2)
    return Scene(targets, boxes, torch.randn((images, ANCHORS, classes), generator=generator), points * strides)


def check_equal(result: Assignment, expected: dict[int, tuple[int, float]]) -> None:
    assert len(result.anchor.unique()) == len(result.anchor) == len(expected) > 10
    for anchor, target, score in zip(*(values.tolist() for values in result), strict=True):
        assert expected[anchor] == (target, pytest.approx(score, rel=1e-5, abs=1e-7))
    order = list(zip(result.target.tolist(), result.anchor.tolist(), strict=True))
    assert order == sorted(order)


@pytest.mark.parametrize("rules", list(SMALLEST_SIDE))
@pytest.mark.parametrize("seed", range(15))
def test_equals_the_plain_rules(seed: int, rules: str) -> None:
    targets, boxes, logits, points = random_scene(seed, angles=False)
    low, high = targets.boxes_input[:, None, :2], targets.boxes_input[:, None, 2:]
    grow = (SMALLEST_SIDE[rules] - (high - low)).clamp(min=0) / 2
    inside = ((points > low - grow) & (points < high + grow)).all(2)
    result = TaskAlignedAssigner(rules=rules)(logits, boxes, targets, SIZES, STRIDES)
    check_equal(result, plain_assignment(logits, boxes, targets, inside, ciou))


@pytest.mark.parametrize("rules", list(SMALLEST_SIDE))
@pytest.mark.parametrize("seed", range(15))
def test_rotated_equals_the_plain_rules(seed: int, rules: str) -> None:
    targets, boxes, logits, points = random_scene(seed, angles=True)
    objects = rotated_input(targets)[:, None]  # (N, 1, 5)
    offset, angle = points - objects[..., :2], objects[..., 4]
    along = offset[..., 0] * angle.cos() + offset[..., 1] * angle.sin()
    across = offset[..., 1] * angle.cos() - offset[..., 0] * angle.sin()
    half = objects[..., 2:4].clamp(min=SMALLEST_SIDE[rules]) / 2
    inside = (along.abs() <= half[..., 0]) & (across.abs() <= half[..., 1])  # (N, A)
    result = TaskAlignedAssigner(rules=rules, geometry=ROTATED)(logits, boxes, targets, SIZES, STRIDES)
    check_equal(result, plain_assignment(logits, boxes, targets, inside, probiou))
