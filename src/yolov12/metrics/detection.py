"""Metrics of the tasks that find objects: boxes and, with them, masks or keypoints; or rotated boxes.

Precision, recall and F1 are read at the one confidence with the best class-mean F1, at IoU 0.5 (see `matching.py`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from yolov12.config.tasks import TASKS
from yolov12.data.index import ImageIndex
from yolov12.detections import Detections
from yolov12.errors import printable
from yolov12.keypoints import keypoint_sigmas
from yolov12.matching import (
    MAX_DETECTIONS,
    Floats,
    Ints,
    confidence_curves,
    confident,
    confusion_matrix,
    match_scenes,
    overlaps,
)
from yolov12.metrics.base import Metrics, aligned, cell
from yolov12.metrics.coco import Compared, coco_scores
from yolov12.metrics.comparisons import COMPARISONS, MAX_KEYPOINT_DETECTIONS
from yolov12.metrics.scores import ApMetrics, KeypointMetrics, RegionMetrics, S, named

SIMILARITIES: Final = {
    "detect": ("bbox",),
    "segment": ("bbox", "segm"),
    "pose": ("bbox", "keypoints"),
    "obb": ("rotated",),
    "multi": ("bbox", "segm", "keypoints"),
}
"""What is compared for each task; the first is `DetectionMetrics.box`."""

Comparisons = Mapping[str, Compared]
"""One image by each similarity of the task."""


@dataclass(eq=False, kw_only=True)
class DetectionMetrics(Metrics):
    """Scores of boxes, and of masks (`seg`) or keypoints (`pose`) where the task has them.

    `box` of rotated boxes is by the exact IoU of the polygons, and so are their areas and the confusion matrix.
    `confusion_matrix` (C + 1, C + 1): row = true, column = predicted, last = background; confidence 0.25, IoU 0.5.
    `instances` and `images_with` (C,) count objects and the images that hold them, crowd regions left out.
    """

    box: RegionMetrics
    seg: RegionMetrics | None = None
    pose: KeypointMetrics | None = None
    instances: Ints
    images_with: Ints
    confusion_matrix: Ints

    @property
    def parts(self) -> dict[str, ApMetrics]:
        """The scores there are, by name: "box", and "mask" or "pose"."""
        every = {"box": self.box, "mask": self.seg, "pose": self.pose}
        return {name: part for name, part in every.items() if part is not None}

    @property
    def fitness(self) -> float:
        """What "best" means in training: 0.1 AP50 + 0.9 AP of each of `parts`, summed."""
        return sum(part.fitness for part in self.parts.values())

    @property
    def main(self) -> float:
        """AP of the most detailed of `parts`: masks or keypoints before boxes."""
        return list(self.parts.values())[-1].map

    @property
    def headline(self) -> tuple[float, ...]:
        """Precision, recall, AP50 and AP of each of `parts`."""
        return tuple(value for part in self.parts.values() for value in part.headline)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the curves as plain JSON values; NaN becomes None."""
        extra = {name: part for name, part in self.parts.items() if name != "box"}
        classes = [
            {
                "id": k,
                "name": self.names[k],
                "images": int(self.images_with[k]),
                "instances": int(self.instances[k]),
                **self.box.class_dict(k),
                **{name: part.class_dict(k) for name, part in extra.items()},
            }
            for k in range(len(self.names))
        ]
        return {
            **self._common(),
            "max_detections": MAX_DETECTIONS,
            "fitness": self.fitness,
            **{name: part.to_dict() for name, part in self.parts.items()},
            "classes": classes,
            "confusion_matrix": self.confusion_matrix.tolist(),
            **self._closing(),
        }

    def table(self) -> str:
        """Aligned text: one line for all classes, one for each class, and what was counted; '-': nothing to measure."""
        heads = {name: "" if name == "box" else f"{name} " for name in self.parts}
        head = [f"{prefix}{column}" for prefix in heads.values() for column in ("P", "R", "AP50", "AP50-95")]
        rows = [["class", "images", "instances", *head]]
        rows.append(["all", str(self.images), *map(cell, (int(self.instances.sum()), *self.headline))])
        for k, name in self.names.items():
            columns = (c for part in self.parts.values() for c in (part.p, part.r, part.maps50, part.maps))
            values = (self.images_with[k], self.instances[k], *(column[k] for column in columns))
            rows.append([printable(name), *map(cell, values)])
        return "\n".join([*aligned(rows), self._counts(self._rule())])

    def _rule(self) -> str:
        where = "-" if math.isnan(self.box.confidence) else f"{self.box.confidence:.3f}"
        what = "by rotated IoU " if TASKS[self.task].rotated else ""
        pose = f" ({MAX_KEYPOINT_DETECTIONS} for keypoints)" if self.pose is not None else ""
        return (
            f"COCO AP {what}with at most {MAX_DETECTIONS} detections per image and class{pose}, "
            f"P and R at confidence {where}"
        )


def evaluate_detections(
    index: ImageIndex, detections: Sequence[Detections | None], task: str = "detect"
) -> DetectionMetrics:
    """Score the detections in each image of `index`, in its order; `task` says what they must hold beside `rows`.

    None stands for an image that could not be read: it is left out, with its objects, and counted as skipped.
    Raises ValueError when there is not one entry for every image, or a row has a class that is not in `names`.
    """
    if len(detections) != len(index):
        raise ValueError(f"{len(detections)} detections for {len(index)} images: give one for every image")
    return score_images(
        index, [None if found is None else compare(index, i, found, task) for i, found in enumerate(detections)], task
    )


def compare(index: ImageIndex, i: int, found: Detections, task: str) -> dict[str, Compared]:
    """What is needed of `found` to score image `i`: little memory, and the costly part of the work."""
    rows, num_classes = found.rows, len(index.names)
    if len(rows) and not (rows[:, 5].min() >= 0 and rows[:, 5].max() < num_classes):
        raise ValueError(f"detections of {index.paths[i]} name a class outside 0..{num_classes - 1}")
    return {kind: COMPARISONS[kind](index, i, found) for kind in SIMILARITIES[task]}


def score_images(index: ImageIndex, images: Sequence[Comparisons | None], task: str) -> DetectionMetrics:
    """Metrics from what `compare` says of each image of `index`, None for those that could not be read."""
    num_classes = len(index.names)
    # COCO breaks ties between images by their id: keep that order, with ids of our own that cannot collide.
    ordered = [images[int(i)] for i in np.argsort(index.image_ids, kind="stable")]
    read = [image for image in ordered if image is not None]
    boxes = SIMILARITIES[task][0]
    scenes = [image[boxes].scene for image in read]
    counted = [np.bincount(scene.labels[~scene.crowd], minlength=num_classes) for scene in scenes]
    per_image = np.array(counted, np.int64).reshape(len(scenes), num_classes)
    sigmas = None if index.keypoints is None else keypoint_sigmas(index.keypoints.shape[1])
    return DetectionMetrics(
        task=task,
        names=dict(enumerate(index.names)),
        images=len(read),
        skipped=len(index) - len(read) + index.report.skipped,
        split=index.report.split,
        box=_scores(RegionMetrics, [image[boxes] for image in read], num_classes, boxes),
        seg=_scores(RegionMetrics, [i["segm"] for i in read], num_classes, "segm") if TASKS[task].masks else None,
        pose=_scores(KeypointMetrics, [i["keypoints"] for i in read], num_classes, "keypoints", sigmas)
        if TASKS[task].keypoints
        else None,
        instances=per_image.sum(axis=0),
        images_with=(per_image > 0).sum(axis=0),
        confusion_matrix=confusion_matrix([(i[boxes].scene, _confused(i[boxes])) for i in read], num_classes),
    )


def _scores(
    cls: type[S], images: Sequence[Compared], num_classes: int, kind: str, sigmas: Sequence[float] | None = None
) -> S:
    scores = coco_scores(images, num_classes, kind, sigmas)
    matches = match_scenes([image.scene for image in images], scores.ratios, num_classes)
    return named(cls, scores, confidence_curves(matches), matches)


def _confused(image: Compared) -> Floats:
    """Overlaps (n, M) of the confident detections with all objects."""
    rows = confident(image.scene)
    if image.ratios is not None:
        return image.ratios[: len(rows)]  # rows descend in score
    return overlaps(rows[:, :4], image.scene.boxes, image.scene.crowd)
