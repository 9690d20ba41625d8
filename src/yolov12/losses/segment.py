"""The loss of instance masks, mixed of prototypes by coefficients of each foreground anchor (YOLACT, arXiv:1904.02689).

A mask is judged inside its object's box only, by binary cross-entropy, and that is where all the time would go: the
maps of all foreground anchors have many times the pixels of the boxes. So only pixels inside boxes are computed. All
anchors of an object share its pixels, and objects with about as many pixels are padded to the same number and computed
in one product. With batch 16 at 320 px and 15 objects per image this takes 26 ms with gradients on two CPU cores, and
whole maps, image by image, 150 ms.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from yolov12.data.sample import Targets
from yolov12.losses.base import OPTIONS, Loss, LossTerms
from yolov12.losses.detect import DetectionLoss, Foreground
from yolov12.models.heads.detect import DetectOutputs, flatten_levels
from yolov12.models.heads.segment import SegmentOutputs
from yolov12.ops.masks import pixel_windows

GROUPS_PER_OCTAVE = 2
"""Objects of one group differ in pixels by a factor below 2 ** (1 / this): more means less padding, but more groups."""


class MaskObjects(NamedTuple):
    """The O objects that have foreground anchors, those with the fewest pixels first."""

    image: Tensor  # (O,) int64
    number: Tensor  # (O,) int64, its value in the image's index map
    start: Tensor  # (O, 2) x y, first pixel inside its box
    extent: Tensor  # (O, 2) width and height in pixels
    anchor: Tensor  # (O, K) int64, flat; an object with fewer anchors than K has some that are not its own
    weight: Tensor  # (O, K) of each anchor's sum over pixels, 0 for those that are not its own


class MaskOutputs(Protocol):
    """What the masks' term needs of a head's outputs."""

    @property
    def detect(self) -> DetectOutputs:
        """Boxes and classes."""

    @property
    def coefficients(self) -> tuple[Tensor, ...]:
        """(B, M, H_l, W_l) of each level."""

    @property
    def prototypes(self) -> Tensor:
        """(B, M, H / 4, W / 4)."""


class SegmentationLoss(Loss):
    """Loss of a segmentation head on one batch."""

    options = OPTIONS

    def prepare(self) -> None:
        """See the base."""
        self.detection = DetectionLoss(*self.settings)

    def __call__(self, outputs: SegmentOutputs, targets: Targets) -> LossTerms:
        """Gained terms `box`, `seg`, `cls`, `dfl`; `seg` is 0 without objects and for targets without masks."""
        terms, foreground = self.detection.with_foreground(outputs.detect, targets)
        seg = self.masks(outputs, targets, foreground)
        return {"box": terms["box"], "seg": seg, "cls": terms["cls"], "dfl": terms["dfl"]}

    def masks(self, outputs: MaskOutputs, targets: Targets, foreground: Foreground) -> Tensor:
        """The gained term of the masks alone, at the anchors of the foreground."""
        with torch.autocast(outputs.prototypes.device.type, enabled=False):
            prototypes, coefficients = outputs.prototypes.float(), flatten_levels(outputs.coefficients)
            if targets.masks is None or not len(foreground.anchor):
                return prototypes[:0].sum() + coefficients[:0].sum()  # 0, and reaches both outputs
            prototypes, masks = same_size(prototypes, targets.masks, self.rules)
            finest, stride = outputs.detect.box_logits[0], self.detection.strides[0]
            canvas = (finest.shape[2] * stride, finest.shape[3] * stride)
            objects = mask_objects(targets, foreground, canvas, (masks.shape[1], masks.shape[2]))
            dice = self.choices.mask == "dice_bce"
            seg = mask_term(prototypes, coefficients.flatten(0, 1), masks, objects, dice=dice)
            return seg / len(foreground.anchor) * self.gains.box


def same_size(prototypes: Tensor, masks: Tensor, rules: str) -> tuple[Tensor, Tensor]:
    """Prototypes (B, M, h, w) and index maps (B, h, w) of one size; the rule set decides which of them is resized."""
    if prototypes.shape[2:] == masks.shape[1:]:
        return prototypes, masks
    if rules == "r8363":
        return prototypes, functional.interpolate(masks[:, None].float(), prototypes.shape[2:], mode="nearest")[:, 0]
    return functional.interpolate(prototypes, masks.shape[1:], mode="bilinear", align_corners=False), masks


def mask_objects(
    targets: Targets, foreground: Foreground, canvas: tuple[int, int], size: tuple[int, int]
) -> MaskObjects:
    """Where the masks of the objects with foreground are, and how much each anchor counts.

    canvas  height and width of the network's input
    size    height and width of the masks
    """
    (height, width), device = size, foreground.anchor.device
    scale = torch.tensor([width / canvas[1], height / canvas[0]], device=device).repeat(2)
    boxes = targets.boxes_input * scale  # (N, 4) pixels of the mask
    start, stop = pixel_windows(boxes, height, width)
    counts = torch.bincount(foreground.target, minlength=len(boxes))  # (N,) anchors of each object
    first = counts.cumsum(0) - counts

    rows = counts.nonzero().squeeze(1)  # (O,)
    rows = rows[(stop - start)[rows].prod(1).argsort(stable=True)]
    column = torch.arange(int(counts.max()), device=device)
    own = column < counts[rows, None]  # (O, K)
    # Divided by the pixels of the map and by the share of it that the box takes: by the box' own pixels.
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1)[rows]
    return MaskObjects(
        image=targets.image_index[rows],
        number=numbers_in_image(targets.image_index)[rows],
        start=start[rows],
        extent=(stop - start)[rows],
        anchor=foreground.anchor[(first[rows, None] + column).clamp(max=len(foreground.anchor) - 1)],
        weight=own / area[:, None],
    )


def numbers_in_image(image_index: Tensor) -> Tensor:
    """Number (N,) of each object among those of its image, from 1, in the order of the rows."""
    order = image_index.argsort(stable=True)
    counts = torch.bincount(image_index)
    first = counts.cumsum(0) - counts
    numbers = torch.empty_like(order)
    numbers[order] = torch.arange(1, len(order) + 1, device=order.device) - first[image_index[order]]
    return numbers


def mask_term(
    prototypes: Tensor, coefficients: Tensor, masks: Tensor, objects: MaskObjects, *, dice: bool = False
) -> Tensor:
    """Sum over all anchors of the cross-entropy inside their object's box, weighted.

    With `dice` one minus the Dice coefficient (Milletari et al. 2016, arXiv:1606.04797) inside the box is added for
    each anchor; it weighs thin objects, of which a box is mostly empty, as much as others.

    prototypes    (B, M, h, w) float32
    coefficients  (B * A, M) float32
    masks         (B, h, w) index maps of any number type
    """
    channels, (height, width) = prototypes.shape[1], masks.shape[1:]
    groups = [slice(first, last) for first, last in groups_of_equal_size(objects.extent.prod(1).tolist())]
    pixels, inside = zip(*(pixels_of(objects, group, height, width) for group in groups), strict=True)
    # One gather for all groups: the gradient of a gather is as large as what it was taken from.
    flat = prototypes.permute(0, 2, 3, 1).reshape(-1, channels)
    rows = flat.index_select(0, torch.cat([each.flatten() for each in pixels]))
    mixes = coefficients.index_select(0, objects.anchor.flatten()).view(*objects.anchor.shape, channels)  # (O, K, M)

    total = prototypes.new_zeros(())
    values = rows.split_with_sizes([each.numel() for each in pixels])
    for group, pixel, within, value in zip(groups, pixels, inside, values, strict=True):
        logits = mixes[group] @ value.view(*pixel.shape, channels).mT  # (n, K, P)
        mask = within & (masks.flatten()[pixel] == objects.number[group, None])  # (n, P)
        # Binary cross-entropy is softplus(x) - t x; the products with 0 and 1 sum it over the pixels that count.
        loss = functional.softplus(logits) @ within.float()[..., None] - logits @ mask.float()[..., None]
        total = total + (loss.squeeze(2) * objects.weight[group]).sum()
        if dice:
            total = total + (dice_losses(logits, mask, within) * (objects.weight[group] > 0)).sum()
    return total


def dice_losses(logits: Tensor, mask: Tensor, within: Tensor) -> Tensor:
    """1 - (2 sum(p t) + 1) / (sum(p) + sum(t) + 1) of logits (n, K, P) over the pixels (n, P) `within`: (n, K)."""
    probability = logits.sigmoid() * within[:, None]
    both = (probability @ mask.float()[..., None]).squeeze(2)
    return 1 - (2 * both + 1) / (probability.sum(2) + mask.sum(1, keepdim=True) + 1)


def groups_of_equal_size(pixels: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Runs of ascending `pixels`, as first and one past the last, that differ by less than a group's factor."""
    groups = itertools.groupby(
        range(len(pixels)), lambda index: math.ceil(GROUPS_PER_OCTAVE * math.log2(max(pixels[index], 1)))
    )
    for _, run in groups:
        indices = list(run)
        yield indices[0], indices[-1] + 1


def pixels_of(objects: MaskObjects, group: slice, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Flat pixels (n, P) int64 of a group's objects in the maps (B, height, width), and which of them count (n, P)."""
    extent = objects.extent[group]
    count = extent.prod(1)[:, None]
    position = torch.arange(int(count[-1]), device=count.device)
    columns = extent[:, :1].clamp(min=1)
    row = position // columns
    column = position - row * columns
    left, top = objects.start[group, :1], objects.start[group, 1:]
    inside = position < count
    return ((objects.image[group, None] * height + top + row) * width + left + column) * inside, inside
