"""Rotated boxes `cxcywht`: centre x, y, width, height and the angle in radians from the x axis to the width's side.

Two rotated boxes are compared as two Gaussians of their centre and spread, by the Hellinger distance between these
(ProbIoU, Llerena et al. 2021, arXiv:2106.06072): cheap, and with a gradient also where the boxes do not meet. The small
constants sit where the published models were trained with them. Image coordinates: y points down, so a positive angle
turns clockwise on the screen.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

EPS = 1e-7
FARTHEST = 100.0
"""Largest Bhattacharyya distance that still counts; beyond it the boxes share nothing that a float can hold."""


def logits_to_angles(logits: Tensor) -> Tensor:
    """What an angle branch predicts (...) -> radians (...) between -pi/4 and 3 pi/4."""
    return (logits.sigmoid() - 0.25) * math.pi


def distances_to_rotated(distances: Tensor, points: Tensor, angles: Tensor) -> Tensor:
    """Boxes (..., 5) whose sides lie at `distances` (..., 4) left, top, right, bottom from `points` (..., 2).

    The distances are measured along axes through the point that are turned by `angles` (...).
    """
    left, top, right, bottom = distances.unbind(-1)
    x, y = points.unbind(-1)
    along, across = (right - left) / 2, (bottom - top) / 2
    cos, sin = angles.cos(), angles.sin()
    return torch.stack(
        (x + along * cos - across * sin, y + along * sin + across * cos, left + right, top + bottom, angles), -1
    )


def rotated_to_distances(boxes: Tensor, points: Tensor) -> Tensor:
    """Inverse of `distances_to_rotated`: distances (..., 4) of `points` (..., 2) in the frame of each box (..., 5)."""
    x, y, width, height, angle = boxes.unbind(-1)
    cos, sin = angle.cos(), angle.sin()
    right, down = x - points[..., 0], y - points[..., 1]
    along, across = right * cos + down * sin, down * cos - right * sin
    return torch.stack((width / 2 - along, height / 2 - across, width / 2 + along, height / 2 + across), -1)


def rotated_corners(boxes: Tensor) -> Tensor:
    """Corners (..., 4, 2) x y of boxes (..., 5): centre + half width + half height, + -, - -, - +."""
    centre, angle = boxes[..., :2], boxes[..., 4]
    cos, sin = angle.cos(), angle.sin()
    along = torch.stack((cos, sin), -1) * boxes[..., 2:3] / 2
    across = torch.stack((-sin, cos), -1) * boxes[..., 3:4] / 2
    return torch.stack(
        (centre + along + across, centre + along - across, centre - along - across, centre - along + across), -2
    )


def probiou(a: Tensor, b: Tensor, floor: float = 0.0) -> Tensor:
    """Probabilistic IoU of corresponding boxes, (..., 5) and (..., 5) -> (...): about 1 where they are the same.

    floor  added to the variance along either side of both boxes, in their unit: keeps tiny boxes comparable
    """
    p, q = _gaussian(a, floor), _gaussian(b, floor)
    xx, yy, xy = p.xx + q.xx, p.yy + q.yy, p.xy + q.xy
    # xx yy - xy^2, but without a difference that rounding could make negative.
    turn = a[..., 4] - b[..., 4]
    determinant = (
        p.along * p.across
        + q.along * q.across
        + (p.along * q.across + p.across * q.along) * turn.cos().square()
        + (p.along * q.along + p.across * q.across) * turn.sin().square()
    )
    dx, dy = (b[..., :2] - a[..., :2]).unbind(-1)
    apart = (xx * dy.square() + yy * dx.square()) / 4 - xy * dx * dy / 2
    unlike = (determinant / (4 * p.spread * q.spread + EPS) + EPS).log() / 2
    distance = (apart / (determinant + EPS) + unlike).clamp(EPS, FARTHEST)
    return 1 - (1 - (-distance).exp() + EPS).sqrt()


class _Gaussian(NamedTuple):
    """A box as a normal distribution, each (...)."""

    along: Tensor  # variance in the direction of the width
    across: Tensor  # and of the height
    spread: Tensor  # root of their product, which is the determinant of the covariance
    xx: Tensor
    yy: Tensor
    xy: Tensor


def _gaussian(boxes: Tensor, floor: float) -> _Gaussian:
    width, height, angle = boxes[..., 2:].unbind(-1)
    along, across = width.square() / 12 + floor, height.square() / 12 + floor
    # Of the sides where possible: the root of a square has no gradient at 0.
    spread = along.sqrt() * across.sqrt() if floor else width * height / 12
    cos, sin = angle.cos(), angle.sin()
    xx = along * cos.square() + across * sin.square()
    yy = along * sin.square() + across * cos.square()
    return _Gaussian(along, across, spread, xx, yy, (along - across) * sin * cos)
