from __future__ import annotations

import pytest
import torch

from yolov12.ops.keypoints import keypoint_errors


def test_by_hand() -> None:
    """5 px off on an object of 200 px^2, tolerance (2 * 0.25)^2 = 1 / 4: 25 / (1/4 * 200 * 2)."""
    errors = keypoint_errors(
        torch.tensor([[[3.0, 4.0], [7.0, 7.0]]]),
        torch.tensor([[[0.0, 0.0], [7.0, 7.0]]]),
        torch.tensor([200.0]),
        torch.tensor([0.25, 1.0]),
    )
    assert errors.tolist() == [[pytest.approx(0.25), 0.0]]


def test_errors_do_not_depend_on_the_scale() -> None:
    generator = torch.Generator().manual_seed(0)
    predicted, wanted = (torch.rand(4, 3, 2, generator=generator) for _ in range(2))
    small = keypoint_errors(predicted, wanted, torch.full((4,), 2.0), torch.tensor([0.1, 0.2, 0.3]))
    large = keypoint_errors(predicted * 10, wanted * 10, torch.full((4,), 200.0), torch.tensor([0.1, 0.2, 0.3]))
    torch.testing.assert_close(small, large)


def test_an_object_without_area_has_finite_errors() -> None:
    errors = keypoint_errors(torch.ones(1, 1, 2), torch.zeros(1, 1, 2), torch.zeros(1), torch.tensor([0.1]))
    assert torch.isfinite(errors).all()
