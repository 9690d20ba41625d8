"""One synthetic scene: its picture and exact labels, a pure function of version, task, seed, split, number and size.

Boxes and outlines are those of what can be seen, as in COCO: a pixel that another thing hides is not in the mask.
Rotated boxes are those of the whole shape, as in aerial data sets. Keypoints lie where they were drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from yolov12.data.synthetic_layout import DISTRACTOR, RECIPES, Recipe, Thing, lay_out
from yolov12.data.synthetic_masks import Mask, Points, box_of, coverage, outline
from yolov12.data.synthetic_textures import (
    Material,
    Picture,
    Random,
    background,
    behind_glass,
    blend,
    cast_light,
    paint,
    paint_coat,
    patches,
    photograph,
    random_colours,
    random_materials,
)

SYNTHETIC_VERSION = 1
"""Scenes of one version never change."""

SPLITS = ("train", "val", "test")
STREAMS = {"detect": 0, "segment": 0, "pose": 1, "multi": 1, "obb": 2, "classify": 3}
"""Tasks with the same number see the same scenes."""

MATERIALS_TRIED = 10


@dataclass(frozen=True, eq=False)
class SceneObject:
    """One labelled object, in pixels of the picture.

    box        x1, y1, x2, y2: the extent of `mask`; for obb that of `corners`
    mask       (size, size) the pixels where it can be seen, all in one part and without holes
    whole      (size, size) its pixels if nothing hid it
    outline    (P, 2) around `mask`
    keypoints  (K, 3) x, y, and 2 seen, 1 hidden by another thing, 0 outside of the picture (x and y are 0, too)
    corners    (4, 2) of the rotated box of the whole shape, each next to the one before it
    """

    label: int
    box: tuple[float, float, float, float]
    mask: Mask
    whole: Mask
    outline: Points
    keypoints: Points | None
    corners: Points | None


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture (size, size, 3) uint8 BGR, the JPEG quality it is to be stored with, and its objects."""

    image: npt.NDArray[np.uint8]
    quality: int
    objects: list[SceneObject]

    def jpeg(self) -> bytes:
        """The picture's file."""
        return cv2.imencode(".jpg", self.image, [cv2.IMWRITE_JPEG_QUALITY, self.quality])[1].tobytes()


def make_scene(task: str, split: str, number: int, *, seed: int = 0, size: int = 256) -> Scene:
    """Scene `number` of `split`."""
    layout, surface = (
        np.random.default_rng([SYNTHETIC_VERSION, STREAMS[task], SPLITS.index(split), seed, number, part])
        for part in range(2)
    )
    things = lay_out(layout, task, size)
    picture = background(surface, size)
    for thing in things:
        _draw(surface, picture, thing, RECIPES[task])
    picture = behind_glass(surface, cast_light(surface, picture))
    image = photograph(surface, picture)
    quality = int(surface.integers(40, 96))
    return Scene(image, quality, [_labelled(thing) for thing in things if thing.label != DISTRACTOR])


def _labelled(thing: Thing) -> SceneObject:
    box: tuple[float, float, float, float] = box_of(thing.visible)
    if thing.corners is not None:
        (x1, y1), (x2, y2) = thing.corners.min(axis=0).tolist(), thing.corners.max(axis=0).tolist()
        box = (x1, y1, x2, y2)
    keypoints = None if thing.keypoints is None else _with_flags(thing.keypoints, thing.visible)
    return SceneObject(thing.label, box, thing.visible, thing.whole, outline(thing.visible), keypoints, thing.corners)


def _with_flags(points: Points, visible: Mask) -> Points:
    """Keypoints (K, 2) with a column that says whether they can be seen."""
    flagged = np.zeros((len(points), 3))
    height, width = visible.shape
    for row, (x, y) in zip(flagged, points.tolist(), strict=True):
        if 0 <= x < width and 0 <= y < height:
            row[:] = x, y, 2 if visible[int(y), int(x)] else 1
    return flagged


def _draw(random: Random, picture: Picture, thing: Thing, recipe: Recipe) -> None:
    """Paint one thing into `picture`, with its shadow, its own shading and slightly soft edges."""
    area = thing.region.slices
    ground, unit = picture[area], thing.spot.side
    if random.random() < 0.5:
        ground *= 1 - _shadow(random, thing)[:, :, None]
    height, width = thing.cover.shape
    if thing.label != DISTRACTOR:
        surface = paint_coat(random, thing.label, height, width, unit)
    else:
        surroundings, contrast = ground.mean(axis=(0, 1)), random.uniform(*recipe.contrast)
        surface = paint(
            random, _unlike(random, surroundings, contrast), height, width, unit * random.uniform(0.15, 0.6)
        )
        for _ in range(random.integers(recipe.patches + 1)):  # piebald: an area of one colour need not be a thing
            patch = paint(
                random, _unlike(random, surroundings, contrast), height, width, unit * random.uniform(0.15, 0.6)
            )
            surface = blend(patch, surface, patches(random, height, width))
    for mark in thing.marks:
        colour = random_colours(random, 1)[0]
        cover = coverage(mark, thing.region) * np.float32(0.8)  # the grain of the rest can still be seen
        surface = blend(np.broadcast_to(colour, surface.shape).copy(), surface, cover)
    surface *= _shading(random, thing)[:, :, None]
    cover = thing.cover
    if random.random() < 0.5:
        cover = _blurred(cover, random.uniform(0.3, 0.8))
    ground[:] = blend(surface, ground, cover)


def _unlike(random: Random, surroundings: npt.NDArray[np.float32], contrast: float) -> Material:
    """A random material whose mean colour is at least `contrast` away from `surroundings`, or the best of a few."""
    materials = random_materials(random, MATERIALS_TRIED)
    means = np.array([material.mean for material in materials])
    distances = np.abs(means - surroundings).mean(axis=1)
    enough = np.flatnonzero(distances >= contrast)
    return materials[int(enough[0] if len(enough) else distances.argmax())]


def _shadow(random: Random, thing: Thing) -> npt.NDArray[np.float32]:
    reach = random.uniform(-0.1, 0.1, 2) * min(thing.spot.side, 80)
    move = np.array([[1, 0, reach[0]], [0, 1, reach[1]]], np.float64)
    moved = cv2.warpAffine(thing.cover, move, thing.cover.shape[::-1], flags=cv2.INTER_LINEAR)
    return _blurred(np.asarray(moved, np.float32), random.uniform(1, 4)) * np.float32(random.uniform(0.2, 0.6))


def _shading(random: Random, thing: Thing) -> npt.NDArray[np.float32]:
    """Factors around 1: lit from one side, darker or lighter towards the edge."""
    height, width = thing.cover.shape
    across, down = random.uniform(-0.35, 0.35, 2)
    x, y = np.linspace(-1, 1, width, dtype=np.float32), np.linspace(-1, 1, height, dtype=np.float32)
    light = 1 + np.float32(across) * x + np.float32(down) * y[:, None]
    if random.random() < 0.6:
        edge = 1 - _blurred(thing.cover, max(1.0, thing.spot.side * random.uniform(0.02, 0.1)))
        light -= edge * np.float32(random.uniform(-0.5, 0.8))
    return np.asarray(light, np.float32)


def _blurred(plane: npt.NDArray[np.float32], sigma: float) -> npt.NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), np.float32)
