"""Surfaces of synthetic scenes: textures, backgrounds, and what a camera does to a picture.

Backgrounds and things that are no class are calm: their patterns are between colours that are alike. Objects wear a
coat: a bold pattern between a dark and a light colour. Colours themselves tell nothing.
Pictures are float32 BGR (H, W, 3) in 0..255 until `photograph` makes them 8-bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

Random = np.random.Generator
Picture = npt.NDArray[np.float32]
Plane = npt.NDArray[np.float32]
"""(H, W) float32."""


def smooth_noise(random: Random, height: int, width: int, cells: float, octaves: int = 1) -> Plane:
    """Noise in 0..1 with about `cells` bumps along the longer side, each octave twice as fine and half as strong."""
    total = np.zeros((height, width), np.float32)
    longer = max(height, width)
    for octave in range(octaves):
        step = longer / (cells * 2**octave)
        rows, columns = max(2, math.ceil(height / step) + 1), max(2, math.ceil(width / step) + 1)
        grid = random.random((rows, columns), dtype=np.float32)
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) * 0.5**octave
    low, high = float(total.min()), float(total.max())
    return (total - low) / max(high - low, 1e-6)


def _ramp(random: Random, height: int, width: int, period: float) -> Plane:
    """How many periods each pixel lies along a random direction."""
    angle, phase = random.uniform(0, 2 * math.pi), random.uniform(0, 1)
    x = np.arange(width, dtype=np.float32) * np.float32(math.cos(angle) / period)
    y = np.arange(height, dtype=np.float32) * np.float32(math.sin(angle) / period)
    return np.asarray(y[:, None] + x + np.float32(phase), np.float32)


def _clouds(random: Random, height: int, width: int, unit: float) -> Plane:
    return smooth_noise(random, height, width, max(height, width) / unit * random.uniform(0.5, 1.5), 4)


def _stripes(random: Random, height: int, width: int, unit: float) -> Plane:
    ramp = _ramp(random, height, width, unit * random.uniform(0.3, 1.0))
    if random.random() < 0.5:
        ramp += smooth_noise(random, height, width, 3) * random.uniform(0.5, 2)
    wave = np.sin(ramp * np.float32(2 * math.pi)) * random.uniform(0.6, 3)
    return np.asarray((np.clip(wave, -1, 1) + 1) * np.float32(0.5), np.float32)


def _checks(random: Random, height: int, width: int, unit: float) -> Plane:
    period = unit * random.uniform(0.5, 1.2)
    angle = random.uniform(0, math.pi / 2)
    cosine, sine = (np.float32(part * 2 * math.pi / period) for part in (math.cos(angle), math.sin(angle)))
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    wave = np.sin(x * cosine + y * sine) * np.sin(y * cosine - x * sine) * 4
    return np.asarray((np.clip(wave, -1, 1) + 1) * np.float32(0.5), np.float32)


def _speckles(random: Random, height: int, width: int, unit: float) -> Plane:
    noise = smooth_noise(random, height, width, max(height, width) / unit * random.uniform(3, 6), 2)
    return np.asarray(np.clip((noise - np.float32(random.uniform(0.35, 0.65))) * 8 + np.float32(0.5), 0, 1), np.float32)


def _shade(random: Random, height: int, width: int, unit: float) -> Plane:
    ramp = _ramp(random, height, width, 2 * max(height, width))
    return np.asarray((np.sin(ramp * np.float32(2 * math.pi)) + 1) * np.float32(0.5), np.float32)


PATTERNS: tuple[Callable[[Random, int, int, float], Plane], ...] = (_clouds, _stripes, _checks, _speckles, _shade)
SCRATCHES = (3, 9)
PERIODS = (0.18, 0.28)
"""Of a coat's pattern, as parts of its object's longer side."""
DARK, LIGHT = (15, 80), (160, 240)
"""Mean brightness of the two colours of a coat."""
DARKEST = 0.5
"""Least part of the light that reaches any place."""


def _bold(wave: Plane) -> Plane:
    """A wave around 0 as 0 and 1 with soft edges."""
    return np.asarray((np.clip(wave * 3, -1, 1) + 1) * np.float32(0.5), np.float32)


def _around(random: Random, height: int, width: int, period: float) -> tuple[Plane, Plane]:
    """Coordinates of each pixel in periods (as angles) along two directions at a right angle, turned at random."""
    along = random.uniform(0, math.pi)
    cosine, sine = (np.float32(part * 2 * math.pi / period) for part in (math.cos(along), math.sin(along)))
    x = np.arange(width, dtype=np.float32) - np.float32(width / 2)
    y = (np.arange(height, dtype=np.float32) - np.float32(height / 2))[:, None]
    return np.asarray(x * cosine + y * sine), np.asarray(y * cosine - x * sine)


def _striped(random: Random, height: int, width: int, period: float) -> Plane:
    across, _ = _around(random, height, width, period)
    return _bold(np.sin(across + np.float32(random.uniform(0, 2 * math.pi))))


def _checked(random: Random, height: int, width: int, period: float) -> Plane:
    across, along = _around(random, height, width, 1.6 * period)
    return _bold(2 * np.sin(across) * np.sin(along))


def _spotted(random: Random, height: int, width: int, period: float) -> Plane:
    across, along = _around(random, height, width, period)
    return _bold(np.cos(across) + np.cos(along) - np.float32(0.6))


def _ringed(random: Random, height: int, width: int, period: float) -> Plane:
    across, along = _around(random, height, width, period)
    return _bold(np.sin(np.hypot(across, along) + np.float32(random.uniform(0, 2 * math.pi))))


def _rayed(random: Random, height: int, width: int, period: float) -> Plane:
    across, along = _around(random, height, width, period)
    return _bold(2 * np.sin(np.arctan2(along, across) * random.integers(5, 9)))


COATS: tuple[Callable[[Random, int, int, float], Plane], ...] = (_striped, _checked, _spotted, _ringed, _rayed)
"""What objects wear, by class; more classes than coats begin again."""


class Material(NamedTuple):
    """A pattern between two colours (BGR)."""

    pattern: int
    first: npt.NDArray[np.float32]
    second: npt.NDArray[np.float32]

    @property
    def mean(self) -> npt.NDArray[np.float32]:
        """The colour half-way."""
        return np.asarray((self.first + self.second) / 2, np.float32)


def random_materials(random: Random, count: int) -> list[Material]:
    """Any patterns; each of two colours that are somewhat alike."""
    first = random_colours(random, count)
    near = first + random.uniform(-40, 40, (count, 1)) + random.uniform(-20, 20, (count, 3))
    second = np.clip(near, 0, 255).astype(np.float32)
    patterns = random.integers(len(PATTERNS), size=count).tolist()
    return [Material(*parts) for parts in zip(patterns, first, second, strict=True)]


def random_colours(random: Random, count: int) -> npt.NDArray[np.float32]:
    """BGR colours (count, 3): any grey, each tinted by a random amount."""
    tint = random.normal(0, 1, (count, 3))
    tint -= tint.mean(axis=1, keepdims=True)
    grey, strength = random.uniform(30, 225, (count, 1)), random.uniform(5, 60, (count, 1))
    return np.clip(grey + tint * strength, 0, 255).astype(np.float32)


def paint(random: Random, material: Material, height: int, width: int, unit: float) -> Picture:
    """A surface of `material`, whose features are about `unit` pixels large, with a fine grain."""
    plane = PATTERNS[material.pattern](random, height, width, unit)
    grain = smooth_noise(random, height, width, max(height, width) / 2)
    strength = float(random.uniform(10, 50))
    # One pass over the pixels: colour = first + plane * (second - first) + (grain - 1/2) * strength.
    change = material.second - material.first
    matrix = np.stack([change, np.full(3, strength), material.first - strength / 2], axis=1)
    return np.asarray(cv2.transform(cv2.merge([plane, grain]), matrix), np.float32)


def paint_coat(random: Random, label: int, height: int, width: int, side: float) -> Picture:
    """The bold surface, dark on light or the reverse, of an object of class `label` whose longer side is `side`."""
    plane = COATS[label % len(COATS)](random, height, width, side * random.uniform(*PERIODS))
    tint = random.normal(0, 25, (2, 3))
    tint -= tint.mean(axis=1, keepdims=True)
    shades = np.array([[random.uniform(*DARK)], [random.uniform(*LIGHT)]])
    colours = np.clip(shades + tint, 0, 255).astype(np.float32)[:: int(random.choice([1, -1]))]
    return np.asarray(colours[0] + plane[:, :, None] * (colours[1] - colours[0]), np.float32)


def blend(over: Picture, under: Picture, cover: Plane) -> Picture:
    """`over` where `cover` is 1, `under` where it is 0."""
    return np.asarray(cv2.blendLinear(over, under, cover, 1 - cover), np.float32)


def background(random: Random, size: int) -> Picture:
    """A scene without things: surfaces that meet at random edges, with lines and spots on them."""
    first, *others = random_materials(random, int(random.integers(2, 6)))
    canvas = paint(random, first, size, size, size * random.uniform(0.05, 0.25))
    for material in others:
        surface = paint(random, material, size, size, size * random.uniform(0.05, 0.25))
        canvas = blend(surface, canvas, patches(random, size, size))
    for _ in range(random.integers(2, 10)):
        colour = tuple(float(value) for value in random_colours(random, 1)[0])
        points = random.uniform(-0.1, 1.1, (int(random.integers(2, 4)), 2)) * size
        if random.random() < 0.6:
            line, thickness = np.round(points).astype(np.int32), int(random.integers(1, max(2, size // 60)))
            cv2.polylines(canvas, [line], False, colour, thickness, cv2.LINE_AA)
        else:
            centre = (round(float(points[0, 0])), round(float(points[0, 1])))
            cv2.circle(canvas, centre, int(random.integers(1, max(2, size // 25))), colour, -1, cv2.LINE_AA)
    return canvas


def patches(random: Random, height: int, width: int) -> Plane:
    """Where another surface lies, 0..1: beyond a straight edge, or in patches with winding edges."""
    longer = max(height, width)
    if random.random() < 0.5:
        field = _ramp(random, height, width, longer)
        field -= float(field.mean()) + random.uniform(-0.2, 0.2)
    else:
        field = smooth_noise(random, height, width, random.uniform(2, 5)) - np.float32(random.uniform(0.4, 0.7))
    sharpness = np.float32(longer / random.uniform(1, 12))
    return np.asarray(np.clip(field * sharpness + np.float32(0.5), 0, 1), np.float32)


def cast_light(random: Random, picture: Picture) -> Picture:
    """Light and shade that fall on everything: a beam or two across the scene, and a slow change over all of it.

    They hide nothing, so they change no label; but an edge of light is not the edge of a thing.
    """
    height, width = picture.shape[:2]
    light = 1 + (smooth_noise(random, height, width, random.uniform(1, 3)) - np.float32(0.5)) * random.uniform(0, 0.6)
    for _ in range(random.integers(0, 4)):
        light *= 1 + patches(random, height, width) * np.float32(random.uniform(-0.5, 0.5))
    return np.asarray(picture * np.clip(light, DARKEST, None)[:, :, None], np.float32)


def behind_glass(random: Random, picture: Picture) -> Picture:
    """Scratches on the glass in front of everything: they cut areas of one colour, but belong to no thing."""
    height, width = picture.shape[:2]
    cover = np.zeros((height, width), np.uint8)
    colours = np.empty_like(picture)
    colours[:] = random_colours(random, 1)[0]
    for _ in range(random.integers(*SCRATCHES)):
        ends = np.round(random.uniform(-0.2, 1.2, (2, 2)) * (width, height)).astype(np.int32)
        bend = np.round(ends.mean(axis=0) + random.normal(0, 0.08, 2) * width).astype(np.int32)
        thickness = max(1, round(random.uniform(1, 2.5) * width / 256))
        strength = int(random.integers(140, 256))
        cv2.polylines(cover, [np.stack([ends[0], bend, ends[1]])], False, strength, thickness, cv2.LINE_AA)
    return blend(colours, picture, cover.astype(np.float32) / np.float32(255))


def photograph(random: Random, picture: Picture) -> npt.NDArray[np.uint8]:
    """What a camera makes of it: contrast and brightness, blur, noise. Nothing moves, so labels stay exact."""
    middle = float(picture.mean())
    contrast, offset = random.uniform(0.7, 1.2), random.uniform(-25, 25)
    picture = (picture - middle) * np.float32(contrast) + np.float32(middle + offset)
    if random.random() < 0.6:
        sigma = random.uniform(0.3, 1.1) * picture.shape[0] / 256
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101), np.float32)
    noise = random.standard_normal(picture.shape, dtype=np.float32) * np.float32(random.uniform(1, 12))
    return np.clip(picture + noise, 0, 255).astype(np.uint8)
