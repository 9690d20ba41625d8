"""The tasks as data: what labels and results of each consist of, so nothing else asks for their names. No torch.

`multi` is one network for boxes, masks and keypoints of the same objects; an object may be labelled for some of them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Task:
    """What an object of a task has beside its class.

    suffix      of model names
    boxes       False: there are no objects, the whole picture has a class
    masks       an outline
    keypoints   points with visibility
    rotated     a box that may be turned
    usual_size  side in pixels at which the published models were trained
    """

    suffix: str
    boxes: bool = True
    masks: bool = False
    keypoints: bool = False
    rotated: bool = False
    usual_size: int = 640

    @property
    def several(self) -> bool:
        """Whether an object may be labelled for a part of the task alone."""
        return self.masks and self.keypoints

    @property
    def plain(self) -> bool:
        """Whether an object has its box alone."""
        return self.boxes and not (self.masks or self.keypoints or self.rotated)


TASKS: dict[str, Task] = {
    "detect": Task(""),
    "segment": Task("-seg", masks=True),
    "classify": Task("-cls", boxes=False, usual_size=224),
    "pose": Task("-pose", keypoints=True),
    "obb": Task("-obb", rotated=True),
    "multi": Task("-multi", masks=True, keypoints=True),
}
JOINT = {
    frozenset({"detect"}): "detect",
    frozenset({"segment"}): "segment",
    frozenset({"pose"}): "pose",
    frozenset({"segment", "pose"}): "multi",
    frozenset({"obb"}): "obb",
}
"""Heads that share one set of boxes -> the task whose head has all of them; `detect` is a part of each.

The upright boxes of `obb` are the extents of its rotated ones.
"""
PUBLISHED = tuple(name for name, task in TASKS.items() if not task.several)
"""Tasks of the published models."""
TASK_SUFFIXES = {task.suffix: name for name, task in TASKS.items()}
"""Task by the suffix of model names."""
