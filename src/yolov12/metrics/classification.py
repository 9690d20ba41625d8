"""Metrics of whole pictures: how often the right class is first, and among the first five."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np

from yolov12.data.index import ImageIndex
from yolov12.detections import Detections
from yolov12.errors import printable
from yolov12.matching import Bools, Floats, Ints
from yolov12.metrics.base import Metrics, aligned, cell
from yolov12.metrics.scores import mean, plain

TOP: Final = 5


class Guess(NamedTuple):
    """One picture: its class, the class with the highest score, and how many classes come before its own."""

    label: int
    predicted: int
    rank: int


@dataclass(eq=False, kw_only=True)
class ClassificationMetrics(Metrics):
    """Accuracies between 0 and 1; NaN where there is nothing to measure.

    `top1`, `top5`: share of the pictures whose class is the first, or among the first five, by score. With five classes
    or fewer top-5 is 1. Of equal scores the lower class number comes first.
    `accuracies`, `accuracies5` (C,): the same among the `instances` (C,) pictures of each class.
    `confusion_matrix` (C, C): row = true, column = predicted.
    `hits` (images, 2): whether each picture was right, top-1 and top-5; what `evaluation.bootstrap` needs.
    """

    top1: float
    top5: float
    accuracies: Floats
    accuracies5: Floats
    instances: Ints
    confusion_matrix: Ints
    hits: Bools

    @property
    def fitness(self) -> float:
        """What "best" means in training: the mean of top-1 and top-5; 0 where there was nothing to measure."""
        value = (self.top1 + self.top5) / 2
        return 0.0 if math.isnan(value) else value

    @property
    def main(self) -> float:
        """Top-1 accuracy."""
        return self.top1

    @property
    def headline(self) -> tuple[float, ...]:
        """Top-1 and top-5."""
        return self.top1, self.top5

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain JSON values; NaN becomes None."""
        classes = [
            {
                "id": k,
                "name": name,
                "images": int(self.instances[k]),
                "top1": plain(self.accuracies[k]),
                "top5": plain(self.accuracies5[k]),
            }
            for k, name in self.names.items()
        ]
        return {
            **self._common(),
            "fitness": self.fitness,
            "top1": plain(self.top1),
            "top5": plain(self.top5),
            "classes": classes,
            "confusion_matrix": self.confusion_matrix.tolist(),
            **self._closing(),
        }

    def table(self) -> str:
        """Aligned text: one line for all classes, one for each class, and what was counted; '-': nothing to measure."""
        rows = [["class", "images", "top-1", "top-5"], ["all", *map(cell, (self.images, *self.headline))]]
        for k, name in self.names.items():
            rows.append([printable(name), *map(cell, (self.instances[k], self.accuracies[k], self.accuracies5[k]))])
        return "\n".join([*aligned(rows), self._counts("share of right answers")])


def evaluate_classification(index: ImageIndex, detections: Sequence[Detections | None]) -> ClassificationMetrics:
    """Score the class scores of each picture of `index`, in its order; None stands for one that could not be read.

    Raises ValueError when there is not one entry for every picture, or not one class and C scores for each.
    """
    if len(detections) != len(index):
        raise ValueError(f"scores of {len(detections)} pictures for {len(index)}: give one for every picture")
    guesses = [None if found is None else guess(index, i, found) for i, found in enumerate(detections)]
    return score_guesses(index, guesses)


def guess(index: ImageIndex, i: int, found: Detections) -> Guess:
    """How the scores of picture `i` compare with its class. A score that is not a number comes last."""
    labels, num_classes = index.labels[index.objects(i)], len(index.names)
    if len(labels) != 1:
        raise ValueError(f"{index.paths[i]} has {len(labels)} labels: a picture to classify has one")
    if found.scores is None or found.scores.shape != (num_classes,):
        shape = None if found.scores is None else found.scores.shape
        raise ValueError(f"{index.paths[i]}: scores of {num_classes} classes are needed, got {shape}")
    scores = np.where(np.isnan(found.scores), -np.inf, found.scores)
    label = int(labels[0])
    before = np.count_nonzero(scores > scores[label]) + np.count_nonzero(scores[:label] == scores[label])
    rank = num_classes + TOP if math.isnan(found.scores[label]) else int(before)
    return Guess(label, int(scores.argmax()), rank)


def score_guesses(index: ImageIndex, guesses: Sequence[Guess | None]) -> ClassificationMetrics:
    """Metrics from what `guess` says of each picture of `index`, None for those that could not be read."""
    num_classes = len(index.names)
    read = np.array([each for each in guesses if each is not None], np.int64).reshape(-1, 3)
    labels, predicted, ranks = read.T
    hits = np.column_stack([ranks < 1, ranks < TOP])
    instances = np.bincount(labels, minlength=num_classes)
    right = np.stack([np.bincount(labels, column, num_classes) for column in hits.T])  # (2, C)
    accuracies, accuracies5 = np.divide(right, instances, out=np.full(right.shape, np.nan), where=instances > 0)
    confusion = np.zeros((num_classes, num_classes), np.int64)
    np.add.at(confusion, (labels, predicted), 1)
    return ClassificationMetrics(
        task="classify",
        names=dict(enumerate(index.names)),
        images=len(read),
        skipped=len(index) - len(read) + index.report.skipped,
        split=index.report.split,
        top1=mean(hits[:, 0].astype(np.float64)),
        top5=mean(hits[:, 1].astype(np.float64)),
        accuracies=accuracies,
        accuracies5=accuracies5,
        instances=instances,
        confusion_matrix=confusion,
        hits=hits,
    )
