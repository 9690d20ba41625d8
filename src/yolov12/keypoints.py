"""How far a keypoint may lie off, relative to the object's size: the constants of object keypoint similarity (OKS).

Those of the 17 joints of a person are COCO's (Lin et al. 2014, arXiv:1405.0312, and its keypoint evaluation page); for
other keypoints nobody has measured how well people agree, and 1 / K is the convention of this model family.
"""

from __future__ import annotations

from typing import Final

PERSON_SIGMAS: Final = (
    0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089,
    0.089,
)  # fmt: skip


def keypoint_sigmas(count: int) -> tuple[float, ...]:
    """One constant for each of `count` keypoints."""
    return PERSON_SIGMAS if count == len(PERSON_SIGMAS) else (1.0 / count,) * count
