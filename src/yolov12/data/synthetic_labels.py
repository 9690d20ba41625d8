"""Labels of synthetic scenes as text rows and as COCO records. Both say the same, to a millionth of the picture."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from yolov12.config.tasks import TASKS
from yolov12.data.synthetic_scene import Scene, SceneObject
from yolov12.data.synthetic_shapes import FLIP_IDX, KEYPOINT_NAMES

Record = dict[str, Any]

SKELETON = ((1, 2), (1, 3), (4, 6), (5, 6), (1, 6))
"""Pairs of keypoints, counted from 1 as COCO does."""


def yolo_text(scene: Scene, task: str) -> str:
    """The label file of one scene: a row an object, coordinates as fractions of the picture."""
    return "".join(f"{item.label} {_fractions(item, task, scene.image.shape[0])}\n" for item in scene.objects)


def _fractions(item: SceneObject, task: str, size: int) -> str:
    if TASKS[task].masks:
        return _joined(item.outline.ravel() / size)
    if TASKS[task].rotated and item.corners is not None:
        return _joined(item.corners.ravel() / size)
    x1, y1, x2, y2 = (side / size for side in item.box)
    box = _joined(((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1))
    if item.keypoints is None:
        return box
    return f"{box} " + " ".join(f"{_joined((x / size, y / size))} {int(flag)}" for x, y, flag in item.keypoints)


def _joined(values: Iterable[float]) -> str:
    return " ".join(f"{value:.6f}" for value in values)


def coco_annotations(scene: Scene) -> list[Record]:
    """The annotations of one scene, without ids."""
    return [_annotation(item) for item in scene.objects]


def _annotation(item: SceneObject) -> Record:
    x1, y1, x2, y2 = item.box
    record: Record = {
        "category_id": item.label + 1,
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "area": int(item.mask.sum()),
        "iscrowd": 0,
        "segmentation": [[round(value, 4) for value in item.outline.ravel().tolist()]],
    }
    if item.keypoints is not None:
        record["keypoints"] = [
            value for x, y, flag in item.keypoints.tolist() for value in (round(x, 4), round(y, 4), int(flag))
        ]
        record["num_keypoints"] = int((item.keypoints[:, 2] > 0).sum())
    return record


def coco_categories(names: Iterable[str], task: str) -> list[Record]:
    """The categories, numbered from 1."""
    extra: Record = {"keypoints": list(KEYPOINT_NAMES), "skeleton": SKELETON} if TASKS[task].keypoints else {}
    return [{"id": number, "name": name, **extra} for number, name in enumerate(names, 1)]


def yaml_text(task: str, names: Iterable[str], splits: dict[str, str], form: str, note: str) -> str:
    """The data YAML. `splits`: what each split is, relative to the file."""
    lines = [f"# {note}", *(f"{split}: {where}" for split, where in splits.items())]
    lines += ["names:", *(f"  {number}: {name}" for number, name in enumerate(names))]
    lines.append(f"format: {form if TASKS[task].boxes else 'folders'}")
    if TASKS[task].keypoints:
        lines += [f"kpt_shape: [{len(KEYPOINT_NAMES)}, 3]", f"flip_idx: {list(FLIP_IDX)}"]
    return "\n".join(lines) + "\n"
