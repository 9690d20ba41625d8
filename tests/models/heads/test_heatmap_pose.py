"""Points move to the peaks of heatmaps, and only there."""

from __future__ import annotations

import torch

from yolov12.models.heads.heatmap_pose import attracted

STRIDE = 8


def peak(x: float, y: float) -> torch.Tensor:
    """A Gaussian of height 1 at a place in pixels, on a map (1, 1, 10, 12)."""
    columns, rows = (torch.arange(side) * STRIDE + STRIDE / 2 for side in (12, 10))
    squares = (columns - x).square() + (rows - y).square()[:, None]
    return (-squares / (2 * (1.5 * STRIDE) ** 2)).exp()[None, None]


def test_a_point_moves_towards_the_peak() -> None:
    points = torch.tensor([[40.0, 36.0], [52.0, 44.0], [44.0, 40.0]]).T[None, None]  # (1, 1, 2, A)
    moved = attracted(points, peak(46.0, 41.0), STRIDE)
    before, after = ((each[0, 0].T - torch.tensor([46.0, 41.0])).norm(dim=1) for each in (points, moved))
    assert bool((after < 0.55 * before).all())


def test_without_a_peak_nothing_moves() -> None:
    points = torch.rand(2, 3, 2, 5) * 70
    torch.testing.assert_close(attracted(points, torch.zeros(2, 3, 10, 12), STRIDE), points)
    torch.testing.assert_close(attracted(points, -torch.ones(2, 3, 10, 12), STRIDE), points)
    far = torch.tensor([[80.0, 70.0]]).T[None, None]
    torch.testing.assert_close(attracted(far, peak(10.0, 10.0), STRIDE), far, rtol=0, atol=0.02)


def test_points_outside_the_picture_are_no_error() -> None:
    points = torch.tensor([[-500.0, 4000.0]]).T[None, None]
    assert attracted(points, peak(46.0, 41.0), STRIDE).isfinite().all()
