"""Where the things of a synthetic scene are, and which of them hide which: geometry only, nothing is painted here."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from yolov12.config.tasks import TASKS
from yolov12.data.synthetic_masks import Mask, Plane, Points, Region, coverage, is_one_part, region_around
from yolov12.data.synthetic_shapes import (
    DISTRACTORS,
    LONG_SHAPES,
    ROUND_DISTRACTORS,
    SHAPES,
    Rings,
    figure,
    place,
)

Random = np.random.Generator

DISTRACTOR = -1
TRIES = 12
"""How often a thing that does not fit is thrown anew before it is left out."""
CROWDING = 0.3
"""How often a thing is thrown at an earlier one, so that they touch or overlap."""
HEADING = math.pi / 2
"""How far a creature may look away from upwards, in radians."""
FRINGE = 16
"""Pixels around a thing, for its shadow, in a picture of 256."""


@dataclass(frozen=True)
class Recipe:
    """What a task's scenes hold. Numbers of things are inclusive ranges; sides are fractions of the picture's side."""

    names: tuple[str, ...]
    objects: tuple[int, int]
    side: tuple[float, float]
    """Longest side of an object; small ones are as likely as large ones, by ratio."""
    visible: float
    """Least part of an object that can be seen, of what it would show if it were alone and whole."""
    distractors: tuple[int, int] = (1, 5)
    distractor_side: tuple[float, float] = (0.08, 0.35)
    contrast: tuple[float, float] = (28, 70)
    """Least distance of a distractor's mean colour from that of its surroundings, of 255 a channel; drawn for each."""
    patches: int = 3
    """Most patches of other materials on a distractor."""


COMPACT = Recipe(("cross", "disc", "rectangle", "star", "triangle"), (1, 4), (0.25, 0.55), 0.75)
RECIPES = {
    "detect": COMPACT,
    "segment": COMPACT,
    "pose": Recipe(("creature",), (1, 2), (0.45, 0.8), 0.7),
    "multi": Recipe(("creature",), (1, 2), (0.45, 0.8), 0.7),
    "obb": Recipe(tuple(LONG_SHAPES), (1, 4), (0.3, 0.65), 0.75, distractor_side=(0.08, 0.25)),
    "classify": Recipe(tuple(SHAPES), (1, 1), (0.4, 0.8), 0.85, (3, 8), (0.06, 0.25)),
}


class Spot(NamedTuple):
    """The length of a thing's longer axis (pixels), its direction (radians, x towards y) and its centre."""

    side: float
    angle: float
    centre: tuple[float, float]


@dataclass(eq=False)
class Thing:
    """One shape of a scene, in pixels. Later things lie on top of earlier ones.

    label      class, or DISTRACTOR
    spot       its size, direction and place
    region     the pixels that it and its shadow may touch, inside the picture
    cover      (region) how much of each pixel it covers
    whole      (size, size) its pixels if it were alone
    visible    (size, size) its pixels that no later thing hides
    area       its pixels if the picture had no edges
    marks      parts of it that are painted differently, one after the other
    keypoints  (K, 2), None for shapes without
    corners    (4, 2) of its rotated box, None for shapes without
    """

    label: int
    spot: Spot
    region: Region
    cover: Plane
    whole: Mask
    visible: Mask
    area: float
    marks: list[Rings] = field(default_factory=list)
    keypoints: Points | None = None
    corners: Points | None = None


def lay_out(random: Random, task: str, size: int) -> list[Thing]:
    """The things of one scene of `size` x `size` pixels, from the back to the front; at least one object."""
    recipe = RECIPES[task]
    while True:
        objects = int(random.integers(recipe.objects[0], recipe.objects[1] + 1))
        distractors = int(random.integers(recipe.distractors[0], recipe.distractors[1] + 1))
        is_object = np.arange(objects + distractors) < objects
        random.shuffle(is_object)
        things: list[Thing] = []
        for wanted in is_object:
            label = int(random.integers(len(recipe.names))) if wanted else DISTRACTOR
            _add(random, things, task, label, size)
        if any(thing.label != DISTRACTOR for thing in things):
            return things


def _add(random: Random, things: list[Thing], task: str, label: int, size: int) -> None:
    """Put one more thing on top where it leaves enough of the others and of itself, if there is such a place."""
    recipe = RECIPES[task]
    for _ in range(TRIES):
        beside = things[int(random.integers(len(things)))] if things and random.random() < CROWDING else None
        spot = _spot(random, recipe, label, size, beside)
        thing = None if spot is None else _thing(random, task, label, spot, size)
        if thing is None or (label != DISTRACTOR and not _is_seen(thing, thing.whole, recipe.visible)):
            continue
        left = [old.visible & ~thing.whole for old in things]
        pairs = zip(things, left, strict=True)
        if all(old.label == DISTRACTOR or _is_seen(old, visible, recipe.visible) for old, visible in pairs):
            for old, visible in zip(things, left, strict=True):
                old.visible = visible
            things.append(thing)
            return


def _is_seen(thing: Thing, visible: Mask, least: float) -> bool:
    return bool(visible.sum() >= least * thing.area) and is_one_part(visible)


def _spot(random: Random, recipe: Recipe, label: int, size: int, beside: Thing | None) -> Spot | None:
    """A random size, direction and place, somewhere or partly over `beside`; None where that leaves the picture."""
    low, high = recipe.side if label != DISTRACTOR else recipe.distractor_side
    side = size * math.exp(random.uniform(math.log(low), math.log(high)))
    angle = float(random.uniform(0, 2 * math.pi))
    margin = 0.25 * side if label != DISTRACTOR else 0.0
    if beside is None:
        x, y = (float(value) for value in random.uniform(margin, size - margin, 2))
        return Spot(side, angle, (x, y))
    away, way = random.uniform(0.25, 0.55) * (side + beside.spot.side), random.uniform(0, 2 * math.pi)
    x, y = beside.spot.centre[0] + away * math.cos(way), beside.spot.centre[1] + away * math.sin(way)
    inside = margin <= x <= size - margin and margin <= y <= size - margin
    return Spot(side, angle, (x, y)) if inside else None


def _thing(random: Random, task: str, label: int, spot: Spot, size: int) -> Thing | None:
    """A distractor, or an object of class `label`, at `spot`; None where it does not fit the picture."""
    half = spot.side / 2
    if label == DISTRACTOR:
        kinds = ROUND_DISTRACTORS if TASKS[task].rotated else DISTRACTORS
        rings = kinds[int(random.integers(len(kinds)))](random)
        return _drawn(label, _placed(rings, _stretched(random, half), spot), spot, size)
    if TASKS[task].keypoints:
        spot = spot._replace(angle=float(random.uniform(-HEADING, HEADING)) - math.pi / 2)  # upwards, more or less
        rings, keypoints, marks = figure(random)
        thing = _drawn(label, _placed(rings, (half, half), spot), spot, size)
        if thing is not None:
            thing.marks = [_placed(mark, (half, half), spot) for mark in marks]
            thing.keypoints = place(keypoints, (half, half), spot.angle, spot.centre)
        return thing
    if TASKS[task].rotated:
        scale = (half, half / float(random.uniform(2, 4)))
        corners = place(np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float64), scale, spot.angle, spot.centre)
        if corners.min() < 0 or corners.max() > size:
            return None  # a rotated box cannot be cut at the picture's edge
        thing = _drawn(label, _placed([LONG_SHAPES[RECIPES[task].names[label]]()], scale, spot), spot, size)
        if thing is not None:
            thing.corners = corners
        return thing
    shape = SHAPES[RECIPES[task].names[label]]()
    return _drawn(label, _placed([shape], _stretched(random, half), spot), spot, size)


def _stretched(random: Random, half: float) -> tuple[float, float]:
    """Half a side along each axis, one of them up to a third shorter."""
    squeeze = float(random.uniform(0.67, 1))
    return (half, half * squeeze) if random.random() < 0.5 else (half * squeeze, half)


def _placed(rings: Rings, scale: tuple[float, float], spot: Spot) -> Rings:
    return [place(ring, scale, spot.angle, spot.centre) for ring in rings]


def _drawn(label: int, rings: Rings, spot: Spot, size: int) -> Thing | None:
    """The thing that `rings` (pixels) are the outline of; None if it is outside of the picture."""
    full = region_around(rings, max(2, FRINGE * size // 256))
    region = full.within(size)
    if region.x1 >= region.x2 or region.y1 >= region.y2:
        return None
    cover = coverage(rings, full)
    pixels = cover >= 0.5
    inside = np.s_[region.y1 - full.y1 : region.y2 - full.y1, region.x1 - full.x1 : region.x2 - full.x1]
    whole = np.zeros((size, size), np.bool_)
    whole[region.slices] = pixels[inside]
    area = float(np.count_nonzero(pixels))
    return Thing(label, spot, region, np.ascontiguousarray(cover[inside]), whole, whole.copy(), area)
