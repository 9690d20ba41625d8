"""Random labels and detections that try every rule of COCO's matching."""

from __future__ import annotations

import numpy as np

from index_factory import make_index
from yolov12.data.index import ImageIndex


def random_case(seed: int, images: int = 12, classes: int = 5) -> tuple[ImageIndex, list[np.ndarray]]:
    """Jittered copies of the objects as detections: tied scores, crowd regions, a class without objects.

    Images of 600 by 700 pixels; rows (n, 6) for each of them.
    """
    rng = np.random.default_rng(seed)
    truth, found = [], []
    for _ in range(images):
        count = int(rng.integers(0, 10))
        corner, size = rng.integers(0, 300, (count, 2)), rng.integers(1, 220, (count, 2))
        boxes, labels = np.hstack([corner, corner + size]), rng.integers(0, classes - 1, count)
        crowd = rng.random(count) < 0.15
        truth.append([(*box, int(k), bool(c)) for box, k, c in zip(boxes.tolist(), labels, crowd, strict=True)])
        amount = int(rng.integers(0, 250)) if count else 3  # more than 100 of one class, at times
        source = rng.integers(0, max(count, 1), amount)
        guesses = boxes[source] + rng.integers(-15, 16, (amount, 4)) if count else np.tile([0, 0, 50, 50], (3, 1))
        guesses = guesses.clip(0)
        guesses[:, 2:] = np.maximum(guesses[:, 2:], guesses[:, :2] + 1)
        right = labels[source] if count else np.zeros(3, int)
        label = np.where(rng.random(amount) < 0.8, right, rng.integers(0, classes, amount))
        found.append(np.column_stack([guesses, rng.random(amount).round(1), label]).astype(float))
    objects = sum(map(len, truth))
    names = [str(k) for k in range(classes)]
    areas = rng.integers(1, 20_000, objects) + 0.5  # an object's area need not be its box's
    sizes = [(600, 700)] * images
    return make_index(truth, names, sizes=sizes, areas=areas, image_ids=rng.permutation(images) * 7), found
