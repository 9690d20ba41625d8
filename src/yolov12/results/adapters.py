"""Results in the types of other packages, which are imported when they are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from yolov12.extras import require
from yolov12.results.codec import BOX_KEYS, ROTATED_KEYS, Found


def as_pandas(found: Found, names: Mapping[int, str]) -> Any:
    """A DataFrame with a row per detection: class, name, confidence, x1, y1, x2, y2, and what the task adds.

    Rotated boxes add cx, cy, w, h, angle; masks `segments`, an outline (P, 2) each; keypoints `keypoints`, (K, D) each.
    A classified picture gives class, name, confidence of all classes, likeliest first.
    """
    pandas = require("pandas", "pandas")
    if found.probs is not None:
        scores = found.probs.data.numpy()
        labels = np.argsort(-scores, kind="stable").tolist()
        return pandas.DataFrame(_classes(labels, names) | {"confidence": scores[labels]})
    data, labels = found.boxes.data.numpy(), found.boxes.cls.tolist()
    columns = _classes(labels, names) | {"confidence": data[:, 4]}
    columns |= {key: data[:, i] for i, key in enumerate(BOX_KEYS)}
    if found.obb is not None:
        columns |= {key: found.obb.data.numpy()[:, i] for i, key in enumerate(ROTATED_KEYS)}
    if found.masks is not None:
        columns["segments"] = found.masks.xy
    if found.keypoints is not None:
        columns["keypoints"] = list(found.keypoints.data.numpy())
    return pandas.DataFrame(columns)


def as_supervision(found: Found, names: Mapping[int, str]) -> Any:
    """`supervision.Detections` of the boxes, with masks or the corners of rotated boxes where there are any.

    Keypoints give `supervision.KeyPoints`, whose `data` has the boxes' scores; a classified picture `Classifications`.
    """
    supervision = require("supervision", "supervision")
    if found.probs is not None:
        scores = found.probs.data.numpy().copy()
        return supervision.Classifications(class_id=np.arange(len(scores)), confidence=scores)
    labels = found.boxes.cls.numpy()
    data = {"class_name": np.array(_classes(labels.tolist(), names)["name"], dtype=str)}
    confidence = found.boxes.conf.numpy().copy()
    if found.keypoints is not None:
        seen = found.keypoints.conf
        return supervision.KeyPoints(
            found.keypoints.xy.numpy().copy(),
            labels,
            None if seen is None else seen.numpy().copy(),  # by position: its name differs between versions
            data=data | {"confidence": confidence},
        )
    if found.obb is not None:
        data[require("supervision.config", "supervision").ORIENTED_BOX_COORDINATES] = found.obb.xyxyxyxy.numpy()
    return supervision.Detections(
        xyxy=found.boxes.xyxy.numpy().copy(),
        mask=None if found.masks is None else found.masks.data.numpy(),
        confidence=confidence,
        class_id=labels,
        tracker_id=None if found.boxes.id is None else found.boxes.id.numpy().copy(),
        data=data,
    )


def _classes(labels: list[int], names: Mapping[int, str]) -> dict[str, Any]:
    return {"class": labels, "name": [names.get(label, str(label)) for label in labels]}
