"""Synthetic scenes: the labels say exactly what is drawn, and a scene follows from its number alone."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from typing import NamedTuple

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask

from yolov12.config.tasks import TASKS
from yolov12.data import synthetic_scene as scene_module
from yolov12.data.synthetic_labels import yolo_text
from yolov12.data.synthetic_layout import DISTRACTOR, RECIPES, Thing, lay_out
from yolov12.data.synthetic_masks import box_of, is_one_part
from yolov12.data.synthetic_scene import SPLITS, SYNTHETIC_VERSION, Scene, SceneObject, make_scene
from yolov12.data.synthetic_shapes import FLIP_IDX, KEYPOINT_NAMES, LONG_SHAPES, SHAPES

SCENES = 8


@cache
def scenes(task: str) -> tuple[Scene, ...]:
    return tuple(make_scene(task, "val", number) for number in range(SCENES))


def objects(task: str) -> list[SceneObject]:
    return [item for scene in scenes(task) for item in scene.objects]


@pytest.mark.parametrize("task", TASKS)
def test_a_scene_is_a_function_of_its_number(task: str) -> None:
    again, other = make_scene(task, "val", 3), make_scene(task, "val", 4)
    assert again.jpeg() == scenes(task)[3].jpeg() != other.jpeg()
    assert yolo_text(again, task) == yolo_text(scenes(task)[3], task)


class Pinned(NamedTuple):
    """What a scene of version 1 will always be: classes and boxes, JPEG quality, spread of all values, mean difference
    of a pixel from the one above it, mean of each quarter."""

    objects: list[tuple[int, int, int, int, int]]
    quality: int
    spread: float
    step: float
    quarters: list[list[float]]


VERSION_1 = {
    "detect": Pinned(
        [(2, 162, 140, 234, 219), (2, 52, 149, 124, 224), (0, 112, 170, 199, 256), (0, 126, 0, 201, 85)],
        83, 68.1, 7.78, [[145.5, 186.1], [137.8, 139.7]],
    ),
    "pose": Pinned([(0, 50, 0, 210, 127)], 68, 51.9, 8.08, [[186.1, 207.9], [189.6, 222.7]]),
    "obb": Pinned(
        [(2, 138, 120, 234, 176), (3, 64, 155, 182, 209), (1, 41, 27, 154, 147), (1, 186, 69, 254, 181)],
        82, 48.3, 8.18, [[59.9, 87.7], [72.3, 81.4]],
    ),
    "classify": Pinned([(2, 64, 61, 238, 256)], 49, 49.2, 8.49, [[93.9, 100.3], [92.8, 101.0]]),
}  # fmt: skip


@pytest.mark.parametrize("task", VERSION_1)
def test_scenes_of_a_version_never_change(task: str) -> None:
    scene, pinned = scenes(task)[0], VERSION_1[task]
    pixels = scene.image.astype(float)
    assert (SYNTHETIC_VERSION, scene.quality) == (1, pinned.quality)
    assert [item.label for item in scene.objects] == [row[0] for row in pinned.objects]
    np.testing.assert_allclose([item.box for item in scene.objects], [row[1:] for row in pinned.objects], atol=1)
    assert pixels.std() == pytest.approx(pinned.spread, abs=0.1)
    assert np.abs(np.diff(pixels, axis=0)).mean() == pytest.approx(pinned.step, abs=0.05)
    quarters = pixels.reshape(2, 128, 2, 128, 3).mean(axis=(1, 3, 4))
    np.testing.assert_allclose(quarters, pinned.quarters, atol=0.2)


def test_splits_and_seeds_have_scenes_of_their_own() -> None:
    made = [make_scene("detect", split, 0, seed=seed).jpeg() for split in SPLITS for seed in (0, 1)]
    assert len(set(made)) == len(made)


def test_segment_sees_the_scenes_of_detect() -> None:
    assert make_scene("segment", "val", 2).jpeg() == scenes("detect")[2].jpeg()


@pytest.mark.parametrize("task", TASKS)
def test_pictures_and_classes(task: str) -> None:
    names = RECIPES[task].names
    assert list(names) == sorted(names)  # class folders are numbered in this order
    for scene in scenes(task):
        assert scene.image.shape == (256, 256, 3)
        assert scene.image.dtype == np.uint8
        assert scene.image.std() > 10
        assert 40 <= scene.quality <= 95
        assert 1 <= len(scene.objects) <= RECIPES[task].objects[1]
        assert all(0 <= item.label < len(names) for item in scene.objects)


@pytest.mark.parametrize("task", ["segment", "pose", "classify"])
def test_boxes_are_the_extent_of_what_is_seen(task: str) -> None:
    for item in objects(task):
        assert item.box == box_of(item.mask)
        assert (*item.outline.min(axis=0), *item.outline.max(axis=0)) == item.box


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # in pycocotools
def test_outlines_filled_as_coco_does_are_the_masks() -> None:
    for item in objects("segment"):
        rles = coco_mask.frPyObjects([item.outline.ravel().tolist()], *item.mask.shape)
        filled = coco_mask.decode(coco_mask.merge(rles)).astype(bool)
        assert (filled & item.mask).sum() / (filled | item.mask).sum() >= 0.98


def test_masks_do_not_overlap_and_what_is_hidden_is_not_in_them() -> None:
    hidden = 0
    for scene in scenes("segment"):
        assert sum(item.mask.astype(int) for item in scene.objects).max() == 1
        for item in scene.objects:
            assert is_one_part(item.mask)
            assert not (item.mask & ~item.whole).any()
            assert item.mask.sum() >= RECIPES["segment"].visible * item.whole.sum()
            hidden += int(item.mask.sum() < item.whole.sum())
    assert hidden >= 5  # things do lie over each other


def test_masks_lie_where_the_things_were_painted(monkeypatch: pytest.MonkeyPatch) -> None:
    """With flat colours, without light and camera, the picture itself says which pixels are whose."""
    shades = iter(range(1, 1000))

    def flat(random: object, material: object, height: int, width: int, unit: float) -> np.ndarray:
        return np.full((height, width, 3), next(shades) * 10.0, np.float32)

    plain = replace(RECIPES["segment"], patches=0)
    monkeypatch.setitem(scene_module.RECIPES, "segment", plain)
    monkeypatch.setattr(scene_module, "paint", flat)
    monkeypatch.setattr(scene_module, "paint_coat", flat)
    monkeypatch.setattr(scene_module, "background", lambda random, size: np.zeros((size, size, 3), np.float32))
    monkeypatch.setattr(scene_module, "_shading", lambda random, thing: np.ones(thing.cover.shape, np.float32))
    monkeypatch.setattr(scene_module, "_shadow", lambda random, thing: np.zeros(thing.cover.shape, np.float32))
    monkeypatch.setattr(scene_module, "_blurred", lambda plane, sigma: plane)
    monkeypatch.setattr(scene_module, "behind_glass", lambda random, picture: picture)
    monkeypatch.setattr(scene_module, "cast_light", lambda random, picture: picture)
    monkeypatch.setattr(scene_module, "photograph", lambda random, picture: picture)
    layout = np.random.default_rng([scene_module.SYNTHETIC_VERSION, 0, 1, 0, 5, 0])  # the stream of geometry of scene 5
    scene = make_scene("segment", "val", 5)
    things = lay_out(layout, "segment", 256)
    wanted = [place for place, thing in enumerate(things, 1) if thing.label != DISTRACTOR]
    for place, item in zip(wanted, scene.objects, strict=True):
        inner = cv2.erode(item.mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
        outer = cv2.dilate(item.mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
        painted = np.abs(scene.image[:, :, 0] - 10.0 * place) < 0.01
        assert painted[inner].all()
        assert not painted[~outer].any()


def test_keypoints_lie_on_the_creature_and_flags_say_whether_they_are_seen() -> None:
    seen = {0: 0, 1: 0, 2: 0}
    for number in range(30):
        layout = np.random.default_rng([1, number])
        for thing in lay_out(layout, "pose", 256):
            if thing.keypoints is None:
                continue
            flags = flags_of(thing)
            for (x, y), flag in zip(thing.keypoints, flags, strict=True):
                inside = 0 <= x < 256 and 0 <= y < 256
                assert inside == (flag > 0)
                if inside:
                    assert thing.whole[int(y), int(x)]
                    assert (flag == 2) == bool(thing.visible[int(y), int(x)])
                seen[flag] += 1
    assert min(seen.values()) > 0  # outside, hidden and seen all occur


def flags_of(thing: Thing) -> list[int]:
    assert thing.keypoints is not None
    flagged = scene_module._with_flags(thing.keypoints, thing.visible)
    assert np.array_equal(flagged[flagged[:, 2] > 0, :2], thing.keypoints[flagged[:, 2] > 0])
    assert not flagged[flagged[:, 2] == 0].any()
    return [int(flag) for flag in flagged[:, 2]]


def test_left_is_left_of_where_the_creature_looks() -> None:
    left = [KEYPOINT_NAMES.index(name) for name in ("left_hand", "left_foot")]
    checked = 0
    for item in objects("pose"):
        points = item.keypoints
        assert points is not None
        if (points[:, 2] == 0).any():
            continue
        ahead = points[0, :2] - points[5, :2]  # from the tail to the nose
        for k in left:
            across = points[k, :2] - points[FLIP_IDX[k], :2]
            assert ahead[0] * across[1] - ahead[1] * across[0] < 0  # anti-clockwise, with y down
        checked += 1
    assert checked >= 3
    assert [FLIP_IDX[k] for k in FLIP_IDX] == list(range(len(KEYPOINT_NAMES)))
    mirrored = [name.replace("left", "*").replace("right", "left").replace("*", "right") for name in KEYPOINT_NAMES]
    assert [KEYPOINT_NAMES[k] for k in FLIP_IDX] == mirrored


def test_rotated_boxes_are_tight_around_the_whole_shape() -> None:
    for item in objects("obb"):
        assert item.corners is not None
        assert item.corners.min() >= 0
        assert item.corners.max() <= 256
        sides = np.roll(item.corners, -1, axis=0) - item.corners
        assert abs(sides[0] @ sides[1]) < 1e-6
        assert np.allclose(sides[0], -sides[2])
        rows, columns = np.nonzero(item.whole)
        pixels = np.stack([columns + 0.5, rows + 0.5], axis=1) - item.corners[0]
        for side in sides[:2]:
            length = math.hypot(*side)
            along = pixels @ (side / length)
            # A pixel's centre may be half a diagonal inside of the edge; a pointed end covers less than half a pixel.
            assert -0.8 < along.min() < 4
            assert -0.8 < length - along.max() < 4
        x1, y1, x2, y2 = item.box
        assert (x1, y1, x2, y2) == (*item.corners.min(axis=0), *item.corners.max(axis=0))


@pytest.mark.parametrize("name", LONG_SHAPES)
def test_long_shapes_fill_the_square(name: str) -> None:
    points = LONG_SHAPES[name]()
    assert np.allclose([points.min(axis=0), points.max(axis=0)], [[-1, -1], [1, 1]], atol=1e-9)


@pytest.mark.parametrize("shapes", [SHAPES, LONG_SHAPES])
def test_a_mirrored_shape_is_the_same_shape(shapes: dict) -> None:
    for make in shapes.values():
        points = make()
        pictures = []
        for ring in (points, points * (1, -1), points * (-1, 1)):
            canvas = np.zeros((220, 220), np.uint8)
            cv2.fillPoly(canvas, [np.round(ring * 100 + 110).astype(np.int32)], 1)
            pictures.append(canvas)
        overlaps = [(pictures[0] & other).sum() / (pictures[0] | other).sum() for other in pictures[1:]]
        assert max(overlaps) > 0.97


def test_a_large_picture_shows_the_same_things() -> None:
    small, large = make_scene("pose", "train", 0), make_scene("pose", "train", 0, size=512)
    assert large.image.shape == (512, 512, 3)
    assert [item.label for item in large.objects] == [item.label for item in small.objects]
    for a, b in zip(small.objects, large.objects, strict=True):
        assert np.abs(np.array(b.box) / 2 - a.box).max() < 3
