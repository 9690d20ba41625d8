"""COCO's own numbers over any similarity, from faster-coco-eval (Apache-2.0).

The tests compare them with those of pycocotools: they agree but for the rounding of one division, 1e-15. At most 100
detections per image and class count, of keypoints 20 (COCO's maxDets), whatever `max_det` let through.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from faster_coco_eval import COCO, COCOeval_faster

from yolov12.matching import THRESHOLDS, Floats, Scene

RECALLS: Final = 101
LENGTHS: Final = {"bbox": 12, "segm": 12, "rotated": 12, "keypoints": 10}
"""Kinds of similarity, and how many numbers COCO has for each."""


class Compared(NamedTuple):
    """One image as one kind of similarity sees it.

    object_areas (M,), row_areas (N,)  pixels, which decide what is small, medium and large
    object_fields, row_fields          what the similarity is computed from, in COCO's words, for each object and row
    size                               (height, width)
    ratios                             "rotated" alone: the similarity (N, M) itself
    """

    scene: Scene
    object_areas: Floats
    row_areas: Floats
    object_fields: Sequence[Mapping[str, Any]]
    row_fields: Sequence[Mapping[str, Any]]
    size: tuple[int, int]
    ratios: Floats | None = None


class CocoScores(NamedTuple):
    """`stats` in COCO's order, -1 = nothing to measure; `precision` (10 IoUs, 101 recalls, C) over all areas.

    `ratios[i + 1, k]` (n, m) is the similarity of what was found in image `i` of class `k` with what is there.
    """

    stats: Floats
    precision: Floats
    ratios: Mapping[tuple[int, int], npt.ArrayLike]


def coco_scores(
    images: Sequence[Compared], num_classes: int, kind: str, sigmas: Sequence[float] | None = None
) -> CocoScores:
    """COCO's evaluation of `images`, in this order; `kind` is a key of `LENGTHS`, keypoints need their `sigmas`."""
    if not images or num_classes == 0:
        return CocoScores(np.full(LENGTHS[kind], -1.0), np.full((len(THRESHOLDS), RECALLS, num_classes), -1.0), {})
    truth: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    given: dict[tuple[int, int], Floats] = {}
    for number, image in enumerate(images, start=1):
        truth += _objects(image, number, len(truth))
        found += _detections(image, number, len(found))
        given |= _by_class(image, number)
    common = {
        "images": [
            {"id": number, "height": image.size[0], "width": image.size[1]}
            for number, image in enumerate(images, start=1)
        ],
        "categories": [{"id": k, "name": str(k)} for k in range(num_classes)],
    }
    evaluation = _Evaluation(
        COCO(common | {"annotations": truth}, print_function=_silent),
        COCO(common | {"annotations": found}, print_function=_silent),
        "bbox" if kind == "rotated" else kind,
        print_function=_silent,
        kpt_oks_sigmas=None if sigmas is None else list(sigmas),
    )
    evaluation.given = given if kind == "rotated" else None
    evaluation.params.catIds = list(range(num_classes))  # of keypoints it would leave out classes without objects
    evaluation.run()
    stats = np.asarray(evaluation.stats, np.float64)
    return CocoScores(stats, evaluation.eval["precision"][:, :, :, 0, -1], evaluation.ious)


class _Evaluation(COCOeval_faster):  # type: ignore[misc]  # the library is not typed
    """COCO's evaluation, which can be given the similarities by image and class."""

    given: Mapping[tuple[int, int], Floats] | None = None

    def computeIoU(self, imgId: int, catId: int) -> Any:  # noqa: N802, N803  # the library's names
        """Similarity (n, m) of the detections, best first, with the objects."""
        return super().computeIoU(imgId, catId) if self.given is None else self.given.get((imgId, catId), [])


def _by_class(image: Compared, number: int) -> dict[tuple[int, int], Floats]:
    """The similarities (n, m) of the classes that were found and are there."""
    if image.ratios is None:
        return {}
    labels, found = image.scene.labels, image.scene.rows[:, 5]
    shared = np.intersect1d(labels, found).astype(np.int64).tolist()
    return {(number, label): image.ratios[found == label][:, labels == label] for label in shared}


def _objects(image: Compared, number: int, count: int) -> list[dict[str, Any]]:
    scene = image.scene
    columns = (_xywh(scene.boxes), scene.labels.tolist(), image.object_areas.tolist(), scene.crowd.tolist())
    return [
        _annotation(count + k, number, label, box, area) | {"iscrowd": int(crowd), **fields}
        for k, (box, label, area, crowd, fields) in enumerate(zip(*columns, image.object_fields, strict=True))
    ]


def _detections(image: Compared, number: int, count: int) -> list[dict[str, Any]]:
    rows = image.scene.rows
    columns = (_xywh(rows[:, :4]), rows[:, 4].tolist(), rows[:, 5].tolist(), image.row_areas.tolist())
    return [
        _annotation(count + k, number, int(label), box, area) | {"iscrowd": 0, "score": score, **fields}
        for k, (box, score, label, area, fields) in enumerate(zip(*columns, image.row_fields, strict=True))
    ]


def _annotation(count: int, number: int, label: int, box: list[float], area: float) -> dict[str, Any]:
    # Id 0 means "unmatched" there.
    return {"id": count + 1, "image_id": number, "category_id": label, "bbox": box, "area": area}


def _xywh(boxes: Floats) -> list[list[float]]:
    """Corners (N, 4) as COCO's x, y, width, height."""
    return np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]]).tolist()  # type: ignore[no-any-return]


def _silent(*_: object) -> None:
    """Takes the place of faster-coco-eval's progress messages."""
