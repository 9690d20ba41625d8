"""The shapes of synthetic scenes: outlines of classes, of distractors, and of the figure that has keypoints.

An outline is a list of rings (P, 2) of x, y whose union is the shape. Shapes of classes fill the square -1..1, so a
scale and a rotation say exactly where their sides are. All are mirror images of themselves, apart from the figure,
whose left and right are keypoints; a mirrored scene is therefore still labelled correctly.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]
Rings = list[Points]

CURVE = 48
"""Corners of a full turn of a curve."""

KEYPOINT_NAMES = ("nose", "left_hand", "right_hand", "left_foot", "right_foot", "tail")
FLIP_IDX = (0, 2, 1, 4, 3, 5)


def _turn(count: int, start: float = 0.0, end: float = 2 * math.pi) -> Points:
    """`count` points on the unit circle from angle `start` to `end`, the end left out; (count, 2)."""
    angles = np.linspace(start, end, count, endpoint=False)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _filling(points: Points) -> Points:
    """`points` moved and stretched so that they just fill the square -1..1."""
    low, high = points.min(axis=0), points.max(axis=0)
    return np.asarray((points - low) / (high - low) * 2 - 1, np.float64)


def _disc() -> Points:
    return _turn(CURVE)


def _rectangle() -> Points:
    return np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float64) * 0.85


def _triangle() -> Points:
    return _turn(3, math.pi / 2, 2.5 * math.pi)


def _star() -> Points:
    points = _turn(10)
    points[1::2] *= 0.42
    return points


def _cross() -> Points:
    a = 0.3
    corners = [
        (a, a),
        (a, 1),
        (-a, 1),
        (-a, a),
        (-1, a),
        (-1, -a),
        (-a, -a),
        (-a, -1),
        (a, -1),
        (a, -a),
        (1, -a),
        (1, a),
    ]
    return np.array(corners, np.float64)


def _crescent() -> Points:
    outer = _turn(CURVE, 0.3 * math.pi, 1.7 * math.pi)
    tip = outer[0]
    radius = math.hypot(tip[0] - 0.75, tip[1])
    angle = math.atan2(tip[1], tip[0] - 0.75)
    inner = _turn(CURVE // 2, -angle, angle - 2 * math.pi) * radius + (0.75, 0)
    return np.concatenate([outer, inner])


def _heart() -> Points:
    t = np.linspace(0, 2 * math.pi, CURVE, endpoint=False)
    x = 16 * np.sin(t) ** 3
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return _filling(np.stack([x, y], axis=1))


def _arrow() -> Points:
    corners = [(1, 0), (0.1, 1), (0.1, 0.38), (-1, 0.38), (-1, -0.38), (0.1, -0.38), (0.1, -1)]
    return np.array(corners, np.float64)


SHAPES: dict[str, Callable[[], Points]] = {
    "arrow": _arrow,
    "crescent": _crescent,
    "cross": _cross,
    "disc": _disc,
    "heart": _heart,
    "rectangle": _rectangle,
    "star": _star,
    "triangle": _triangle,
}
"""Compact shapes, told apart by their outline whatever their size and direction."""


def _plank() -> Points:
    return np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float64)


def _leaf() -> Points:
    x = np.linspace(-1, 1, CURVE // 2 + 1)
    upper = np.stack([x, np.cos(x * math.pi / 2)], axis=1)
    return np.concatenate([upper, -upper[1:-1]])


def _dart() -> Points:
    corners = [(1, 0), (0.3, 1), (0.3, 0.4), (-1, 0.4), (-1, -0.4), (0.3, -0.4), (0.3, -1)]
    return np.array(corners, np.float64)


def _bone() -> Points:
    x = np.linspace(-1, 1, CURVE // 2 * 2 + 1)
    end = np.sqrt(np.clip(1 - ((np.abs(x) - 0.7) / 0.3) ** 2, 0, 1))
    half = np.where(np.abs(x) > 0.7, end, np.maximum(end, 0.35))
    upper = np.stack([x, half / half.max()], axis=1)
    return np.concatenate([upper, -upper[1:-1]])


LONG_SHAPES: dict[str, Callable[[], Points]] = {"bone": _bone, "dart": _dart, "leaf": _leaf, "plank": _plank}
"""Long shapes: the first axis is their length. Each fills the square, so its rotated box is exact."""


def blob(random: np.random.Generator) -> Rings:
    """A lobed blotch that is no class."""
    angles = np.linspace(0, 2 * math.pi, CURVE, endpoint=False)
    radius = np.ones(CURVE)
    for lobes in (2, 3, 5):
        radius += random.uniform(0.15, 0.3) * np.cos(lobes * angles + random.uniform(0, 2 * math.pi))
    return [_filling(np.stack([radius * np.cos(angles), radius * np.sin(angles)], axis=1))]


def half_disc(random: np.random.Generator) -> Rings:
    """A part of a disc."""
    return [_turn(CURVE // 2, 0, math.pi * random.uniform(0.5, 0.95))]


def bar(random: np.random.Generator) -> Rings:
    """A thin bar."""
    return [_plank() * (1, random.uniform(0.08, 0.2))]


def hook(random: np.random.Generator) -> Rings:
    """Two bars at an angle: a part of a cross or a square."""
    width = random.uniform(0.25, 0.45)
    return [np.array([[-1, -1], [1, -1], [1, width - 1], [width - 1, width - 1], [width - 1, 1], [-1, 1]], np.float64)]


def zigzag(random: np.random.Generator) -> Rings:
    """A band that goes to and fro."""
    width = random.uniform(0.25, 0.5)
    steps = np.array([[-1, -0.5], [-0.33, 0.5], [0.33, -0.5], [1, 0.5]])
    half = np.array([0, width / 2])
    return [np.concatenate([steps + half, steps[::-1] - half])]


DISTRACTORS: tuple[Callable[[np.random.Generator], Rings], ...] = (blob, half_disc, bar, hook, zigzag)
"""What is no class of any task."""
ROUND_DISTRACTORS: tuple[Callable[[np.random.Generator], Rings], ...] = (blob, half_disc, hook)
"""What is no class among long shapes."""


def place(points: Points, scale: tuple[float, float], angle: float, centre: tuple[float, float]) -> Points:
    """`points` stretched, turned by `angle` radians (x towards y) and moved; (P, 2)."""
    cosine, sine = math.cos(angle), math.sin(angle)
    x, y = points[:, 0] * scale[0], points[:, 1] * scale[1]
    return np.stack([centre[0] + x * cosine - y * sine, centre[1] + x * sine + y * cosine], axis=1)


def figure(random: np.random.Generator) -> tuple[Rings, Points, list[Rings]]:
    """A creature seen from above that looks along +x: outline, keypoints (K, 2), marks (head, eyes).

    Its left is where -y is: a picture's y runs down, so left is left of where it looks. Limbs bend at random; all of it
    lies about within -1..1.
    """
    length, breadth = random.uniform(0.4, 0.5), random.uniform(0.2, 0.27)
    body = _turn(CURVE) * (length, breadth)
    head_radius = random.uniform(0.17, 0.21)
    head = _turn(CURVE // 2) * head_radius + (length + 0.6 * head_radius, 0)
    nose = np.array([length + 1.45 * head_radius, 0.0])
    tail = np.array([-0.95, random.uniform(-0.2, 0.2)])
    rings, ends = [body, head, _limb([np.array([-0.2 * length, 0.0]), tail], (0.13, 0.05))], []
    for joint, reach in ((0.6, (10, 80)), (-0.5, (110, 165))):  # hands, feet: where, and in which direction (degrees)
        for side in (-1, 1):
            shoulder = np.array([joint * length, side * 0.6 * breadth])
            upper, lower = (math.radians(random.uniform(*reach)) for _ in range(2))
            elbow = shoulder + 0.36 * np.array([math.cos(upper), side * math.sin(upper)])
            end = elbow + 0.33 * np.array([math.cos(lower), side * math.sin(lower)])
            rings.append(_limb([shoulder, elbow], (0.085, 0.075)))
            rings.append(_limb([elbow, end], (0.075, 0.07)))
            ends.append(end)
    eyes = [
        _turn(12) * 0.3 * head_radius + (length + 0.95 * head_radius, side * 0.45 * head_radius) for side in (-1, 1)
    ]
    return rings, np.stack([nose, *ends, tail]), [[head], eyes]


def _limb(line: list[Points], radius: tuple[float, float]) -> Points:
    """A band around the line from one point to another, round at its ends; its radius changes from first to last."""
    (x1, y1), (x2, y2) = line
    angle = math.atan2(y2 - y1, x2 - x1)
    near = _turn(8, angle + math.pi / 2, angle + 1.5 * math.pi) * radius[0] + (x1, y1)
    far = _turn(8, angle - math.pi / 2, angle + math.pi / 2) * radius[1] + (x2, y2)
    return np.concatenate([near, far])
