from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

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
from yolov12.losses.detect import DetectionLoss, flatten_levels
from yolov12.losses.segment import SegmentationLoss, groups_of_equal_size, numbers_in_image
from yolov12.models.heads.segment import SegmentOutputs

MASKS = 5
SIDE = 16  # of the masks of a 64 px input


def random_segment(images: int = 2) -> tuple[SegmentOutputs, list[Tensor]]:
    """Raw outputs for a 64 px input and the leaves they consist of."""
    detect, leaves = random_outputs(images=images)
    generator = torch.Generator().manual_seed(1)
    coefficients = random_maps(MASKS, generator, images=images)
    prototypes = torch.randn(images, MASKS, SIDE, SIDE, generator=generator).requires_grad_()
    return SegmentOutputs(detect, tuple(coefficients), prototypes), [*leaves, *coefficients, prototypes]


def index_maps(numbers: int, images: int = 2, side: int = SIDE) -> Tensor:
    """Random index maps with the values 0 to `numbers`."""
    generator = torch.Generator().manual_seed(2)
    return torch.randint(0, numbers + 1, (images, side, side), generator=generator).to(torch.int16)


TARGETS = OBJECTS._replace(masks=index_maps(2))


def plain_mask_loss(outputs: SegmentOutputs, targets: Targets, rules: str = "r8363") -> Tensor:
    """The rule word by word: whole maps, one foreground anchor after the other."""
    _, foreground = DetectionLoss(STRIDES, rules=rules).with_foreground(outputs.detect, targets)
    coefficients = flatten_levels(outputs.coefficients)
    assert targets.masks is not None
    height, width = targets.masks.shape[1:]
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    losses = []
    for flat, target in zip(foreground.anchor.tolist(), foreground.target.tolist(), strict=True):
        image, position = divmod(flat, coefficients.shape[1])
        number = int((targets.image_index[:target] == image).sum()) + 1
        logits = torch.einsum("m,mhw->hw", coefficients[image, position], outputs.prototypes[image])
        mask = (targets.masks[image] == number).float()
        x1, y1, x2, y2 = (targets.boxes_input[target] / 4).tolist()
        inside = (columns >= x1) & (columns < x2) & (rows >= y1) & (rows < y2)
        share = (x2 - x1) * (y2 - y1) / (height * width)
        entropy = functional.binary_cross_entropy_with_logits(logits, mask, reduction="none")
        losses.append((entropy * inside).mean() / share)
    return torch.stack(losses).mean()


@pytest.mark.parametrize("rules", ["r8363", "r84190"])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("seed", range(4))
def test_equals_the_plain_rule(seed: int, rules: str, memory_format: torch.memory_format) -> None:
    generator = torch.Generator().manual_seed(seed)
    outputs, leaves = random_segment(images=3)
    outputs = outputs._replace(prototypes=outputs.prototypes.to(memory_format=memory_format))
    objects = 12
    centre, half = (torch.rand(objects, 2, generator=generator) * scale for scale in (64, 24))
    image = (torch.rand(objects, generator=generator) * 3).long()  # in no order
    boxes = torch.cat((centre - half, centre + half), 1).clamp(0, 64)
    targets = Targets(image, image % 3, boxes, index_maps(4, 3))

    actual = SegmentationLoss(STRIDES, Gains(box=2), rules)(outputs, targets)["seg"]
    expected = plain_mask_loss(outputs, targets, rules) * 2
    torch.testing.assert_close(actual, expected)
    mask_leaves = leaves[6:]
    gradients, wanted = (torch.autograd.grad(value, mask_leaves) for value in (actual, expected))
    for a, b in zip(gradients, wanted, strict=True):
        assert b.any() or a.shape[-1] < 4
        torch.testing.assert_close(a, b)


def test_one_object_by_hand() -> None:
    """All logits 2, a quarter of the box' 8 x 8 pixels belong to the object: 16 of the loss of 1, 48 of that of 0."""
    outputs, _ = random_segment(images=1)
    outputs = changed(outputs, lambda tensor: tensor.detach() * 0)
    outputs.prototypes[:, 0] = 1
    for level in outputs.coefficients:
        level[:, 0] = 2
    masks = torch.zeros(1, SIDE, SIDE, dtype=torch.int16)
    masks[0, 4:8, 4:8] = 1
    masks[0, 0:2] = 1  # outside of the box: does not count
    targets = Targets(torch.tensor([0]), torch.tensor([1]), torch.tensor([[16.0, 16, 48, 48]]), masks)
    seg = SegmentationLoss(STRIDES, Gains(box=1))(outputs, targets)["seg"]
    zero, one = functional.softplus(torch.tensor(2.0)), functional.softplus(torch.tensor(-2.0))
    torch.testing.assert_close(seg, (48 * zero + 16 * one) / 64)


def test_other_terms_are_those_of_detection() -> None:
    outputs, _ = random_segment()
    gains = Gains(3, 2, 1)
    terms = SegmentationLoss(STRIDES, gains, "r84190")(outputs, TARGETS)
    assert list(terms) == ["box", "seg", "cls", "dfl"]
    for name, term in DetectionLoss(STRIDES, gains, "r84190")(outputs.detect, TARGETS).items():
        assert torch.equal(terms[name], term)


def test_a_box_between_two_columns_has_no_pixels() -> None:
    """An object from 16.5 to 19.5 px has an anchor by the later rules, but no column of the mask (16, 20 ...)."""
    outputs = changed(random_segment(images=1)[0], torch.detach)
    sides = outputs.detect.box_logits[0].view(4, 16, 8, 8)
    sides[:] = -100
    sides[:, 0] = 0
    sides[:2, 1] = math.log(7 / 9)  # every anchor predicts 3.5 px to the left and up
    box, masks = torch.tensor([[16.5, 16.5, 19.5, 19.5]]), torch.ones(1, SIDE, SIDE, dtype=torch.int16)
    targets = Targets(torch.tensor([0]), torch.tensor([0]), box, masks)
    loss = SegmentationLoss(STRIDES, rules="r84190")
    terms = loss(outputs, targets)
    assert terms["dfl"] > 0
    assert terms["seg"] == 0
    assert loss(outputs, targets._replace(boxes_input=box + torch.tensor([[0.0, 0, 1, 1]])))["seg"] > 0


def test_sizes_that_differ() -> None:
    """By the one rule set the masks are resized to the prototypes, by the other the prototypes to the masks."""
    outputs, _ = random_segment()
    large = OBJECTS._replace(masks=index_maps(2, side=2 * SIDE))
    assert large.masks is not None
    nearest = large._replace(masks=large.masks[:, ::2, ::2])
    seg = SegmentationLoss(STRIDES)(outputs, large)["seg"]
    torch.testing.assert_close(seg, SegmentationLoss(STRIDES)(outputs, nearest)["seg"])

    wide = functional.interpolate(outputs.prototypes, scale_factor=2, mode="bilinear")
    seg = SegmentationLoss(STRIDES, rules="r84190")(outputs, large)["seg"]
    expected = SegmentationLoss(STRIDES, rules="r84190")(outputs._replace(prototypes=wide), large)["seg"]
    torch.testing.assert_close(seg, expected)
    assert seg != SegmentationLoss(STRIDES, rules="r84190")(outputs, nearest)["seg"]


@pytest.mark.parametrize("targets", [NO_OBJECTS, NO_OBJECTS._replace(masks=index_maps(0))])
def test_without_objects(targets: Targets) -> None:
    outputs, leaves = random_segment()
    check_without_objects(SegmentationLoss(STRIDES)(outputs, targets), leaves, outputs.detect.class_logits)


def test_objects_without_masks() -> None:
    outputs, leaves = random_segment()
    terms = SegmentationLoss(STRIDES)(outputs, OBJECTS)
    assert terms["seg"] == 0
    assert terms["box"] > 0
    total(terms).backward()
    assert outputs.prototypes.grad is not None
    assert not outputs.prototypes.grad.any()
    assert all(leaf.grad is not None for leaf in leaves)


def test_every_output_gets_a_gradient() -> None:
    outputs, leaves = random_segment()
    check_gradients_are_finite(SegmentationLoss(STRIDES)(outputs, TARGETS), leaves)


def test_half_outputs_are_computed_in_float32() -> None:
    check_half(SegmentationLoss(STRIDES), random_segment()[0], TARGETS)


def test_nan() -> None:
    check_nan(SegmentationLoss(STRIDES), random_segment()[0], TARGETS)


def test_the_same_batch_gives_the_same_bits() -> None:
    results = []
    for _ in range(3):
        outputs, leaves = random_segment()
        terms = SegmentationLoss(STRIDES)(outputs, TARGETS)
        results.append([*terms.values(), *torch.autograd.grad(total(terms), leaves)])
    for again in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], again, strict=True))


def test_masks_can_be_learned() -> None:
    outputs, leaves = random_segment()
    masks = torch.zeros(2, SIDE, SIDE, dtype=torch.int16)
    masks[0, 3:9, 2:9], masks[1, 4:12, 3:6], masks[1, 0:3] = 1, 1, 2
    targets = OBJECTS._replace(masks=masks)
    optimizer, loss = torch.optim.Adam(leaves, lr=0.1), SegmentationLoss(STRIDES)
    history = []
    for _ in range(40):
        terms = loss(outputs, targets)
        optimizer.zero_grad()
        total(terms).backward()
        optimizer.step()
        history.append(terms["seg"].item())
    assert history[-1] < 0.1 * history[0]


def test_numbers_count_within_the_image() -> None:
    assert numbers_in_image(torch.tensor([2, 0, 2, 2, 0, 5])).tolist() == [1, 1, 2, 3, 2, 1]
    assert numbers_in_image(torch.zeros(0, dtype=torch.int64)).tolist() == []


@pytest.mark.parametrize(
    ("pixels", "runs"),
    [
        ([], []),
        ([0, 0, 1, 1], [(0, 4)]),
        ([4, 5, 6, 8, 9], [(0, 1), (1, 2), (2, 4), (4, 5)]),
        ([400, 420, 1600], [(0, 2), (2, 3)]),
    ],
)
def test_groups(pixels: list[int], runs: list[tuple[int, int]]) -> None:
    assert list(groups_of_equal_size(pixels)) == runs
