"""How far predicted keypoints lie off, by the scale of object keypoint similarity (OKS, COCO's keypoint evaluation)."""

from __future__ import annotations

from torch import Tensor

EPS = 1e-9


def keypoint_errors(predicted: Tensor, wanted: Tensor, area: Tensor, sigmas: Tensor, eps: float = EPS) -> Tensor:
    """Squared distances (..., K) of keypoints (..., K, 2) by what is tolerated; exp(-error) is their similarity.

    area    (...) of the object, in the unit of the keypoints squared; `eps` is added to it
    sigmas  (K,) constants, see `yolov12.keypoints`
    """
    variance = (2 * sigmas).square()  # (K,)
    return (predicted - wanted).square().sum(-1) / (variance * (area[..., None] + eps) * 2)
