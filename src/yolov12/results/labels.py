"""Label rows of one result as this ecosystem writes them, one for each object; coordinates are fractions of the image.

boxes           class cx cy w h
masks           class x1 y1 x2 y2 ...                       the outline
keypoints       class cx cy w h x1 y1 visible1 ...          without the visible where the model says nothing of it; also
                                                            where there are masks, too
rotated boxes   class x1 y1 x2 y2 x3 y3 x4 y4               the corners
whole picture   score name                                  of the five likeliest classes
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from yolov12.errors import printable
from yolov12.results.codec import Found

POLYGON_POINTS = 3


def label_rows(found: Found, names: Mapping[int, str], *, scores: bool) -> list[str]:
    """The rows, with an object's score last if `scores`. An object whose mask has no area has no row."""
    if found.probs is not None:
        top = zip(found.probs.top5conf.tolist(), found.probs.top5, strict=True)
        return [f"{score:.2f} {printable(names.get(label, str(label)))}" for score, label in top]
    ends = found.boxes.conf.tolist()
    return [
        " ".join([str(label), *(f"{value:.6f}" for value in values), *([f"{score:.6f}"] if scores else [])])
        for label, values, score in zip(found.boxes.cls.tolist(), _values(found), ends, strict=True)
        if len(values)
    ]


def _values(found: Found) -> Iterator[npt.NDArray[np.float32]]:
    """The coordinates of each object."""
    if found.obb is not None:
        yield from found.obb.xyxyxyxyn.numpy().reshape(-1, 8)
    elif found.masks is not None and found.keypoints is None:
        for outline in found.masks.xyn:
            yield outline.ravel() if len(outline) >= POLYGON_POINTS else np.empty(0, np.float32)
    elif found.keypoints is not None:
        points = found.keypoints.xyn.numpy()
        if found.keypoints.conf is not None:
            points = np.concatenate((points, found.keypoints.conf.numpy()[:, :, None]), axis=2)
        for box, row in zip(found.boxes.xywhn.numpy(), points, strict=True):
            yield np.concatenate((box, row.ravel()))
    else:
        yield from found.boxes.xywhn.numpy()
