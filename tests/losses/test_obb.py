from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from loss_factory import (
    NO_OBJECTS,
    OBJECTS,
    STRIDES,
    changed,
    check_gradients_are_finite,
    check_half,
    check_nan,
    check_without_objects,
    random_maps,
    random_outputs,
    total,
)
from yolov12.data.sample import Targets
from yolov12.losses.base import Gains
from yolov12.losses.obb import RotatedLoss, angle_errors, large_enough
from yolov12.models.heads.obb import ObbOutputs

RULES = ("r8363", "r84190")
ROTATED = torch.tensor([[26.0, 32, 44, 30, 0.4], [22, 40, 14, 48, -0.5], [32, 32, 60, 60, 2.0]])
TARGETS = OBJECTS._replace(boxes_input=torch.zeros(3, 4), rotated_input=ROTATED)


def random_obb(images: int = 2) -> tuple[ObbOutputs, list[Tensor]]:
    """Raw outputs for a 64 px input and the leaves they consist of."""
    detect, leaves = random_outputs(images=images)
    angles = random_maps(1, torch.Generator().manual_seed(1), images=images)
    return ObbOutputs(detect, tuple(angles)), leaves + angles


def terms_of_one_anchor(box: tuple[float, ...], rules: str) -> tuple[dict[str, float], Tensor]:
    """Terms, divided by the gains, where the middle cell of stride 32 predicts `box` (cells) for the only object.

    The object is a 26 x 22 px box turned by 0.2 about that cell's middle, (48, 48). Returns the total's gradient for
    the angles, too.
    """
    outputs = changed(random_obb(images=1)[0], lambda tensor: torch.zeros_like(tensor))
    width, height, angle = box
    sides = outputs.detect.box_logits[2].view(4, 16, 2, 2)
    sides[:] = -100
    for side, distance in enumerate((width / 2, height / 2, width / 2, height / 2)):
        sides[side, 0], sides[side, 1] = math.log(1 - distance), math.log(distance)
    outputs.angles[2][:] = torch.tensor(angle / math.pi + 0.25).logit()
    for level in (0, 1):  # so far off that they do not answer
        outputs.detect.box_logits[level].view(4, 16, -1)[:, 15] = 50
    outputs.angles[2].requires_grad_()
    rotated = torch.tensor([[48.0, 48, 26, 22, 0.2]])
    targets = Targets(torch.tensor([0]), torch.tensor([0]), torch.zeros(1, 4), rotated_input=rotated)
    terms = RotatedLoss(STRIDES, Gains(1, 1, 1), rules)(outputs, targets)
    (gradient,) = torch.autograd.grad(total(terms), outputs.angles[2])
    return {name: term.item() for name, term in terms.items()}, gradient


@pytest.mark.parametrize("rules", RULES)
def test_a_perfect_prediction(rules: str) -> None:
    """Centre, size and angle are those of the object; the target score is about 1, which divides the terms."""
    terms, _ = terms_of_one_anchor((26 / 32, 22 / 32, 0.2), rules)
    assert terms["box"] == pytest.approx(0, abs=1e-3)
    entropy = [-p * math.log(p) - (1 - p) * math.log(1 - p) for p in (13 / 32, 11 / 32)]
    assert terms["dfl"] == pytest.approx(sum(entropy) / 2, rel=2e-3)
    assert terms.get("angle", 0) == pytest.approx(0, abs=1e-4)


def test_terms_by_rules() -> None:
    outputs, _ = random_obb()
    assert list(RotatedLoss(STRIDES)(outputs, TARGETS)) == ["box", "cls", "dfl"]
    plain = RotatedLoss(STRIDES, Gains(1, 1, 1, angle=1), "r84190")(outputs, TARGETS)
    gained = RotatedLoss(STRIDES, Gains(2, 3, 4, angle=5), "r84190")(outputs, TARGETS)
    assert list(plain) == ["box", "cls", "dfl", "angle"]
    for name, gain in {"box": 2, "cls": 3, "dfl": 4, "angle": 5}.items():
        torch.testing.assert_close(gained[name], plain[name] * gain)


@pytest.mark.parametrize("rules", RULES)
def test_nearer_predictions_cost_less(rules: str) -> None:
    """The score that weighs the terms falls with the overlap, too, so the terms are compared by their weight."""
    for step in ((0.06, 0, 0), (0, -0.06, 0), (0, 0, 0.1)):
        wrong = [
            terms_of_one_anchor((26 / 32 + i * step[0], 22 / 32 + i * step[1], 0.2 + i * step[2]), rules)[0]["box"]
            for i in range(3)
        ]
        assert wrong[0] < wrong[1] < wrong[2]


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("error", [-0.3, 0.3])
def test_the_gradient_turns_the_box_towards_the_object(error: float, rules: str) -> None:
    _, gradient = terms_of_one_anchor((26 / 32, 22 / 32, 0.2 + error), rules)
    assert gradient[0, 0, 1, 1].item() * error > 0


def test_distances_by_rules() -> None:
    box, point = torch.tensor([[4.0, 5.0, 6.0, 2.0, math.pi / 2]]), torch.tensor([[3.5, 4.0]])
    upright = RotatedLoss(STRIDES, rules="r8363").distances(box, point)
    turned = RotatedLoss(STRIDES, rules="r84190").distances(box, point)
    assert upright.tolist() == [[2.5, 0.0, 3.5, 2.0]]
    # The width runs down: from 2 to 8, of which 2 lie before the point; the height from 5 to 3, to the left.
    torch.testing.assert_close(turned, torch.tensor([[2.0, 1.5, 4.0, 0.5]]))


@pytest.mark.parametrize(
    ("off", "cost"), [(0.0, 0.0), (math.pi / 4, 1.0), (-math.pi / 4, 1.0), (math.pi / 2, 0.0), (math.pi, 0.0)]
)
def test_angle_errors(off: float, cost: float) -> None:
    square, long = torch.tensor([[0.0, 0, 3, 3, 0.7], [0.0, 0, 3, 3 * math.e**3, 0.7]])
    assert angle_errors(torch.tensor([0.7 + off]), square[None]).item() == pytest.approx(cost, abs=1e-6)
    assert angle_errors(torch.tensor([0.7 + off]), long[None]).item() == pytest.approx(cost / math.e, abs=1e-6)


@pytest.mark.parametrize(
    ("width", "height", "kept"),
    [
        pytest.param(2, 4, (False, True), id="width 2 of 160 is 1.6 of the height"),
        pytest.param(2.5, 4, (True, True), id="width 2.5 is just 2 of the height"),
        pytest.param(4, 1.9, (True, False), id="height 1.9 of 128 is 2.4 of the width"),
        pytest.param(4, 1.5, (False, False), id="height 1.5 is not"),
        pytest.param(4, 2, (True, True), id="2 is large enough"),
    ],
)
def test_small_objects_are_dropped(width: float, height: float, kept: tuple[bool, bool]) -> None:
    box = torch.tensor([[50.0, 50, width, height, 0.3], [50.0, 50, 30, 30, 0.3]])
    targets = Targets(torch.tensor([1, 0]), torch.tensor([2, 1]), torch.zeros(2, 4), rotated_input=box)
    for rules, keep in zip(RULES, kept, strict=True):
        result = large_enough(targets, (128, 160), rules)
        assert result.labels.tolist() == ([2, 1] if keep else [1])
        assert result.image_index.tolist() == ([1, 0] if keep else [0])
        assert result.rotated_input is not None
        assert torch.equal(result.rotated_input, box if keep else box[1:])


def test_small_objects_do_not_count() -> None:
    outputs, _ = random_obb()
    small = torch.tensor([[20.0, 20, 1.5, 30, 0.3]])
    more = Targets(
        torch.tensor([0, 0, 1, 1]),
        torch.tensor([1, 0, 2, 1]),
        torch.zeros(4, 4),
        rotated_input=torch.cat((small, ROTATED)),
    )
    terms, same = (RotatedLoss(STRIDES)(outputs, each) for each in (TARGETS, more))
    assert all(torch.equal(terms[name], same[name]) for name in terms)


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("targets", [NO_OBJECTS, NO_OBJECTS._replace(rotated_input=torch.zeros(0, 5))])
def test_without_objects(targets: Targets, rules: str) -> None:
    outputs, leaves = random_obb()
    check_without_objects(RotatedLoss(STRIDES, rules=rules)(outputs, targets), leaves, outputs.detect.class_logits)


def test_objects_without_rotated_boxes_are_an_error() -> None:
    with pytest.raises(ValueError, match="without rotated boxes"):
        RotatedLoss(STRIDES)(random_obb()[0], OBJECTS)


@pytest.mark.parametrize("rules", RULES)
def test_every_output_gets_a_gradient(rules: str) -> None:
    outputs, leaves = random_obb()
    check_gradients_are_finite(RotatedLoss(STRIDES, rules=rules)(outputs, TARGETS), leaves)


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("magnitude", [1e-30, 30.0, 1e4])
def test_extreme_but_finite_outputs_stay_finite(magnitude: float, rules: str) -> None:
    """Sure of its bins, a box may be without width or height."""
    outputs, leaves = random_obb()
    terms = RotatedLoss(STRIDES, rules=rules)(changed(outputs, lambda tensor: tensor * magnitude), TARGETS)
    assert torch.isfinite(total(terms))
    check_gradients_are_finite({name: term / magnitude for name, term in terms.items()}, leaves)


@pytest.mark.parametrize("rules", RULES)
def test_half_outputs_are_computed_in_float32(rules: str) -> None:
    check_half(RotatedLoss(STRIDES, rules=rules), random_obb()[0], TARGETS)


@pytest.mark.parametrize("rules", RULES)
def test_nan(rules: str) -> None:
    check_nan(RotatedLoss(STRIDES, rules=rules), random_obb()[0], TARGETS)


@pytest.mark.parametrize("rules", RULES)
def test_rotated_boxes_can_be_learned(rules: str) -> None:
    outputs, leaves = random_obb()
    optimizer, loss = torch.optim.Adam(leaves, lr=0.2), RotatedLoss(STRIDES, rules=rules)
    history = []
    for _ in range(40):
        terms = loss(outputs, TARGETS)
        optimizer.zero_grad()
        total(terms).backward()
        optimizer.step()
        history.append(terms)
    for name in history[0]:
        if name != "dfl":  # by the earlier rules its targets belong to unturned boxes
            assert history[-1][name] < 0.4 * history[0][name], name
