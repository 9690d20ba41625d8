"""Frozen configs of heads, and their published widths: functions of classes, keypoints and the width of the finest map.

No torch in here.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, Self

from yolov12.config.fields import require_choice
from yolov12.config.parts import MAX_WIDTH, PartConfig
from yolov12.errors import ConfigError

CLASS_BRANCHES = ("depthwise", "plain")
MASKS = 32
DEFAULT_KEYPOINTS = (17, 3)
"""COCO's keypoints of a person: x, y and visibility of each."""
MAY_BE_NONE = {"least": 0}
"""Of a field that may be 0: there is none of it."""


class Fit(NamedTuple):
    """What the published values of a head follow from: classes, width of the finest map, keypoints, and the family."""

    num_classes: int
    finest: int
    keypoints: tuple[int, int]
    class_branch: str


@dataclass(frozen=True)
class HeadConfig(PartConfig):
    """Base of the configs of heads; `task` is what a head is for."""

    task: ClassVar[str] = ""

    num_classes: int

    @classmethod
    def fitted(
        cls,
        num_classes: int,
        finest: int,
        *,
        keypoints: tuple[int, int] = DEFAULT_KEYPOINTS,
        class_branch: str = "depthwise",
    ) -> Self:
        """The head as published, on a finest map of `finest` channels; what it has no use for is ignored.

        `class_branch` says for which family.
        """
        return cls(num_classes, **cls.published(Fit(num_classes, finest, keypoints, class_branch)))

    @classmethod
    def published(cls, fit: Fit) -> dict[str, Any]:
        """The published values of the fields beside the classes."""
        return {}

    def with_classes(self, num_classes: int, finest: int) -> Self:
        """The same head for another number of classes; a width that is as published stays so."""
        return dataclasses.replace(self, num_classes=num_classes)


@dataclass(frozen=True)
class DetectHeadConfig(HeadConfig):
    """Anchor-free detection head: hidden widths of its two branches, bins of a box side's distribution.

    class_branch  'depthwise' (depthwise and 1x1 convolutions) or 'plain' (3x3 convolutions, YOLOv8)
    dilations     how far apart the taps of the two branches' 3x3 convolutions lie, for each level, finest first: a
                  receptive field for each scale, at no cost; none: 1 everywhere, as published
    """

    kind: ClassVar[str] = "detect"
    task: ClassVar[str] = "detect"

    box_channels: int
    class_channels: int
    bins: int = 16
    class_branch: str = "depthwise"
    dilations: tuple[int, ...] = field(kw_only=True, default=())

    @property
    def is_dilated(self) -> bool:
        """Whether a branch looks farther than at neighbouring cells."""
        return any(dilation > 1 for dilation in self.dilations)

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("head.class_branch", self.class_branch, CLASS_BRANCHES)
        if self.bins < 2:
            raise ConfigError(f"{self.kind}.bins {self.bins}: a distribution needs 2 or more")

    @classmethod
    def published(cls, fit: Fit) -> dict[str, Any]:
        """Those of the two branches."""
        return {
            "box_channels": max(16, fit.finest // 4, 4 * cls.bins),
            "class_channels": class_width(fit.num_classes, fit.finest),
            "class_branch": fit.class_branch,
        }

    def with_classes(self, num_classes: int, finest: int) -> Self:
        """The same head for another number of classes; a class branch of the published width stays one."""
        before, after = class_width(self.num_classes, finest), class_width(num_classes, finest)
        hidden = after if self.class_channels == before else self.class_channels
        return dataclasses.replace(self, num_classes=num_classes, class_channels=hidden)


@dataclass(frozen=True)
class SegmentHeadConfig(DetectHeadConfig):
    """A detection head with instance masks.

    mask_channels       hidden width of the branches of mask coefficients
    prototype_channels  hidden width of the prototypes
    masks               prototypes, and coefficients of a detection
    """

    kind: ClassVar[str] = "segment"
    task: ClassVar[str] = "segment"

    mask_channels: int = field(kw_only=True)
    prototype_channels: int = field(kw_only=True)
    masks: int = field(kw_only=True, default=MASKS)

    @classmethod
    def published(cls, fit: Fit) -> dict[str, Any]:
        """Those of a detection head, and of its own."""
        shared = super().published(fit)
        # Prototypes are nominally as wide as the stride-8 map, 256, and scale with it.
        return {**shared, "mask_channels": max(fit.finest // 4, MASKS), "prototype_channels": fit.finest}


@dataclass(frozen=True)
class PoseHeadConfig(DetectHeadConfig):
    """A detection head with keypoints.

    keypoints          K keypoints of D values each: x, y, and where D = 3 visibility
    keypoint_channels  hidden width of the keypoint branches
    """

    kind: ClassVar[str] = "pose"
    task: ClassVar[str] = "pose"

    keypoints: tuple[int, int] = field(kw_only=True)
    keypoint_channels: int = field(kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        count, values = self.keypoints
        if values not in (2, 3) or count * values > MAX_WIDTH:
            raise ConfigError(
                f"pose.keypoints {self.keypoints}: need K keypoints of 2 values (x, y) or 3 (and visibility), "
                f"{MAX_WIDTH} in all at most"
            )

    @classmethod
    def published(cls, fit: Fit) -> dict[str, Any]:
        """Those of a detection head, and of its own."""
        shared = super().published(fit)
        return {**shared, "keypoints": fit.keypoints, "keypoint_channels": keypoint_width(fit.keypoints, fit.finest)}

    def with_keypoints(self, keypoints: tuple[int, int], finest: int) -> Self:
        """The same head for other keypoints; a branch of the published width stays one."""
        before, after = keypoint_width(self.keypoints, finest), keypoint_width(keypoints, finest)
        width = after if self.keypoint_channels == before else self.keypoint_channels
        return dataclasses.replace(self, keypoints=keypoints, keypoint_channels=width)


COCO_ANCHORS = (12, 16, 19, 36, 40, 28, 36, 75, 76, 55, 72, 146, 142, 110, 192, 243, 459, 401)
"""Widths and heights in pixels, three for each of three levels: those of YOLOv4 for COCO (arXiv:2004.10934)."""


@dataclass(frozen=True)
class AnchorHeadConfig(DetectHeadConfig):
    """A detection head with anchor boxes: several predictions per cell, each of which measures with its own rule.

    anchors  width and height in input pixels of each anchor, level by level, as many on every level; training computes
             them from the data set
    """

    kind: ClassVar[str] = "anchor"

    anchors: tuple[int, ...] = field(kw_only=True, default=COCO_ANCHORS)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.anchors or len(self.anchors) % 2:
            raise ConfigError(f"anchor.anchors {self.anchors}: need a width and a height for each")


@dataclass(frozen=True)
class DynamicMaskHeadConfig(SegmentHeadConfig):
    """Masks whose prototypes are made by convolutions that adapt to the picture: a mix of `kernels` fixed ones."""

    kind: ClassVar[str] = "dynamic_mask"

    kernels: int = field(kw_only=True, default=4)


@dataclass(frozen=True)
class HeatmapPoseHeadConfig(PoseHeadConfig):
    """Keypoints that are regressed and then moved to the nearest peak of a map of the whole picture's keypoints.

    heatmap_channels  hidden width of the branch of heatmaps
    """

    kind: ClassVar[str] = "heatmap_pose"

    heatmap_channels: int = field(kw_only=True)

    @classmethod
    def published(cls, fit: Fit) -> dict[str, Any]:
        """Those of a detection head, and of its own."""
        shared = super().published(fit)
        return {**shared, "heatmap_channels": fit.finest}


@dataclass(frozen=True)
class MultiHeadConfig(PoseHeadConfig):
    """One detection head with masks and keypoints of the same objects.

    mask_channels, prototype_channels, masks   as of the segment head
    kernels            as of the dynamic mask head; 0: the prototypes' convolutions are plain
    heatmap_channels   as of the heatmap pose head; 0: keypoints are regressed alone
    uncertainty        the tasks' losses are weighed by learned uncertainties
    """

    kind: ClassVar[str] = "multi"
    task: ClassVar[str] = "multi"

    mask_channels: int = field(kw_only=True)
    prototype_channels: int = field(kw_only=True)
    masks: int = field(kw_only=True, default=MASKS)
    kernels: int = field(kw_only=True, default=0, metadata=MAY_BE_NONE)
    heatmap_channels: int = field(kw_only=True, default=0, metadata=MAY_BE_NONE)
    uncertainty: bool = field(kw_only=True, default=False)

    @classmethod
    def published(cls, fit: Fit) -> dict[str, Any]:
        """Those of a detection head, and of its own."""
        shared = super().published(fit)
        masks = {"mask_channels": max(fit.finest // 4, MASKS), "prototype_channels": fit.finest}
        return {**shared, **masks}


@dataclass(frozen=True)
class ObbHeadConfig(DetectHeadConfig):
    """A detection head whose boxes are rotated; `angle_channels` is the hidden width of the angle branches."""

    kind: ClassVar[str] = "obb"
    task: ClassVar[str] = "obb"

    angle_channels: int = field(kw_only=True)

    @classmethod
    def published(cls, fit: Fit) -> dict[str, Any]:
        """Those of a detection head, and of its own."""
        shared = super().published(fit)
        return {**shared, "angle_channels": max(fit.finest // 4, 1)}


@dataclass(frozen=True)
class ClassifyHeadConfig(HeadConfig):
    """A head for whole pictures; `hidden` is the width that is averaged over the map."""

    kind: ClassVar[str] = "classify"
    task: ClassVar[str] = "classify"

    hidden: int = 1280


HEAD_CONFIGS: dict[str, type[HeadConfig]] = {
    config.kind: config
    for config in (
        DetectHeadConfig,
        AnchorHeadConfig,
        SegmentHeadConfig,
        DynamicMaskHeadConfig,
        PoseHeadConfig,
        HeatmapPoseHeadConfig,
        MultiHeadConfig,
        ObbHeadConfig,
        ClassifyHeadConfig,
    )
}
"""By kind; registering a head adds its config. The usual head of a task has the task's name."""


def class_width(num_classes: int, finest: int) -> int:
    """Hidden width of the class branches."""
    return max(finest, min(num_classes, 100))


def keypoint_width(keypoints: tuple[int, int], finest: int) -> int:
    """Hidden width of the keypoint branches."""
    return max(finest // 4, keypoints[0] * keypoints[1])
