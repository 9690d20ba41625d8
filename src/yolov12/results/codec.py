"""A result's detections as plain values ready for JSON, and back. Numbers are the shortest for a float32."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from yolov12.results.boxes import BOX_COLUMNS, OBB, ROTATED_COLUMNS, Boxes
from yolov12.results.masks import Masks
from yolov12.results.points import Keypoints, Probs

BOX_KEYS = ("x1", "y1", "x2", "y2")
CORNER_KEYS = ("x1", "y1", "x2", "y2", "x3", "y3", "x4", "y4")
ROTATED_KEYS = ("cx", "cy", "w", "h", "angle")
POINT_KEYS = ("x", "y", "visible")


class Found(NamedTuple):
    """What was found in one image; boxes are always there, the rest as the task has it."""

    boxes: Boxes
    masks: Masks | None = None
    keypoints: Keypoints | None = None
    obb: OBB | None = None
    probs: Probs | None = None


def detections_to_dicts(found: Found, names: Mapping[int, str]) -> list[dict[str, Any]]:
    """One for each box: class, name, confidence, box, and what else is known of it."""
    boxes = found.boxes
    detections: list[dict[str, Any]] = [
        {
            "class": label,
            "name": names.get(label, str(label)),
            "confidence": _short(row[4]),
            "box": dict(zip(BOX_KEYS, _shortest(row[:4]), strict=True)),
        }
        for row, label in zip(boxes.data.numpy(), boxes.cls.tolist(), strict=True)
    ]
    for extra in (_rotated(found.obb), _segments(found.masks), _keypoints(found.keypoints), _ids(boxes)):
        for detection, values in zip(detections, extra, strict=False):  # what is not known of any is empty
            detection.update(values)
    return detections


def _rotated(obb: OBB | None) -> Iterator[dict[str, Any]]:
    if obb is not None:
        for row, corners in zip(obb.data.numpy(), obb.xyxyxyxy.numpy(), strict=True):
            yield {
                "corners": dict(zip(CORNER_KEYS, _shortest(corners.ravel()), strict=True)),
                "rotated": dict(zip(ROTATED_KEYS, _shortest(row[:5]), strict=True)),
            }


def _segments(masks: Masks | None) -> Iterator[dict[str, Any]]:
    if masks is not None:
        for outline in masks.xy:
            yield {"segments": {"x": _shortest(outline[:, 0]), "y": _shortest(outline[:, 1])}}


def _keypoints(keypoints: Keypoints | None) -> Iterator[dict[str, Any]]:
    if keypoints is not None:
        known = POINT_KEYS[: keypoints.data.shape[2]]
        for points in keypoints.data.numpy():
            yield {"keypoints": dict(zip(known, map(_shortest, points.T), strict=True))}


def _ids(boxes: Boxes) -> Iterator[dict[str, Any]]:
    if boxes.id is not None:
        for number in boxes.id.tolist():
            yield {"id": number}


def detections_from_dicts(detections: Sequence[Mapping[str, Any]], shape: tuple[int, int]) -> Found:
    """Inverse of `detections_to_dicts`; a mask comes back as its outline was, without holes and specks."""
    ends = np.array([[item["confidence"], item["class"]] for item in detections], np.float32).reshape(-1, 2)
    corners = np.array([[item["box"][key] for key in BOX_KEYS] for item in detections], np.float32)
    tracks = _column(detections, "id")
    ids = None if tracks is None else np.array(tracks, np.int64)
    boxes = Boxes(np.concatenate((corners.reshape(-1, BOX_COLUMNS - 2), ends), axis=1), shape, ids)
    masks = keypoints = obb = None
    if (rotated := _column(detections, "rotated")) is not None:
        turned = np.array([[item[key] for key in ROTATED_KEYS] for item in rotated], np.float32)
        obb = OBB(np.concatenate((turned.reshape(-1, ROTATED_COLUMNS - 2), ends), axis=1), shape, ids)
    if (segments := _column(detections, "segments")) is not None:
        outlines = [np.array([item["x"], item["y"]], np.float32).T.reshape(-1, 2) for item in segments]
        masks = Masks.from_outlines(outlines, shape)
    if (points := _column(detections, "keypoints")) is not None:
        known = [key for key in POINT_KEYS if key in points[0]]
        values = np.array([[item[key] for key in known] for item in points], np.float32)  # (N, D, K)
        keypoints = Keypoints(values.transpose(0, 2, 1), shape)
    return Found(boxes, masks, keypoints, obb)


def _column(detections: Sequence[Mapping[str, Any]], key: str) -> list[Any] | None:
    """That value of each, None where it is not known (also where there is nothing to know it of)."""
    return [item[key] for item in detections] if detections and key in detections[0] else None


def probs_to_dicts(probs: Probs, names: Mapping[int, str]) -> list[dict[str, Any]]:
    """The five likeliest classes, likeliest first."""
    return [
        {"class": label, "name": names.get(label, str(label)), "confidence": _short(probs.data[label])}
        for label in probs.top5
    ]


def probs_from_dicts(values: Sequence[Mapping[str, Any]], num_classes: int) -> Probs:
    """Inverse of `probs_to_dicts`: the classes that it left out get 0."""
    data = np.zeros(max([num_classes, *(item["class"] + 1 for item in values)]), np.float32)
    for item in values:
        data[item["class"]] = item["confidence"]
    return Probs(data)


def _shortest(values: npt.NDArray[np.float32]) -> list[float]:
    return [_short(value) for value in values]


def _short(value: np.float32) -> float:
    """The double with the fewest digits that rounds to the same float32."""
    return float(str(value))
