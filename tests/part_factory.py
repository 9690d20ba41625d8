"""Every registered part at a width at which a network of it is built in milliseconds."""

from __future__ import annotations

import dataclasses
import itertools

from model_factory import tiny_config, tiny_head
from yolov12.config.backbones import (
    HybridBackboneConfig,
    TransformerBackboneConfig,
    Yolo11BackboneConfig,
    Yolov8BackboneConfig,
)
from yolov12.config.heads import (
    AnchorHeadConfig,
    DynamicMaskHeadConfig,
    HeadConfig,
    HeatmapPoseHeadConfig,
    MultiHeadConfig,
)
from yolov12.config.model import STANDARD, ModelConfig
from yolov12.config.necks import AttentionPANConfig, ContextBiFPNConfig, PAFPNConfig
from yolov12.config.parts import BackboneConfig, NeckConfig

CLASSES = 3
CSP = (8, 8, 8, 8, 16, 16, 16, 16, 128, 128)
BACKBONES: dict[str, BackboneConfig] = {
    "yolov12": tiny_config().backbone,
    "yolo11": Yolo11BackboneConfig(CSP, repeats=1, use_c3k=False, attention_repeats=1),
    "yolov8": Yolov8BackboneConfig(CSP, repeats=(1, 1, 1, 1)),
    "hybrid": HybridBackboneConfig((8, 8, 16, 32, 64), (1, 1, 2, 2), window=2),
    "twins": HybridBackboneConfig((8, 8, 16, 32, 64), (1, 1, 2, 2), window=2, attention="twins"),
    "transformer": TransformerBackboneConfig((1, 1, 1), 16, (8, 32, 32, 64)),
    "transformer-8": TransformerBackboneConfig((1, 1, 1), 8, (8, 32, 32, 64)),
    "transformer-32": TransformerBackboneConfig((1,), 32, (8, 32, 32, 64)),
}
NECKS: dict[str, NeckConfig] = {
    "pafpn": PAFPNConfig((16, 16, 16, 16, 16, 24), 1),
    "pafpn-transposed": PAFPNConfig((16, 16, 16, 16, 16, 24), 1, block="c2f", upsample="transposed"),
    "context_bifpn": ContextBiFPNConfig(16, 2),
    "attention_pan": AttentionPANConfig(channels=(16, 24, 32)),
    "attention_pan-concat": AttentionPANConfig(agg_method="concat", channels=(16, 24, 32)),
    "attention_pan-sum": AttentionPANConfig(agg_method="sum", channels=(16, 24, 32)),
}
NECKS_BY_KIND = ("pafpn", "context_bifpn", "attention_pan")
SMALL_ANCHORS = (8, 8, 12, 12, 16, 24, 24, 16, 30, 30, 40, 40)
"""Two for each of three levels."""
HEADS: dict[str, HeadConfig] = {
    **{task: tiny_head(task, CLASSES) for task in ("detect", "segment", "pose", "obb", "classify")},
    "anchor": AnchorHeadConfig(CLASSES, 16, 8, anchors=SMALL_ANCHORS, dilations=(1, 2, 3)),
    "dynamic_mask": DynamicMaskHeadConfig(CLASSES, 16, 8, mask_channels=12, prototype_channels=8, masks=6, kernels=3),
    "multi": MultiHeadConfig(
        CLASSES, 16, 8, keypoints=(4, 3), keypoint_channels=10, mask_channels=12, prototype_channels=8, masks=6
    ),
    "multi-all": MultiHeadConfig(
        CLASSES,
        16,
        8,
        keypoints=(4, 3),
        keypoint_channels=10,
        mask_channels=12,
        prototype_channels=8,
        masks=6,
        kernels=3,
        heatmap_channels=12,
    ),
    "heatmap_pose": HeatmapPoseHeadConfig(CLASSES, 16, 8, keypoints=(4, 3), keypoint_channels=10, heatmap_channels=12),
}


def network(backbone: str, neck: str, head: str) -> ModelConfig:
    """The config of a network of three parts, by their names above."""
    part = HEADS[head]
    whole = part.task == "classify"
    made = BACKBONES[backbone]
    if whole and backbone in ("yolo11", "yolov8"):
        made = dataclasses.replace(made, channels=CSP[:-1])
    return ModelConfig("custom", STANDARD, part.task, made, None if whole else NECKS[neck], {part.task: part})


LOCATING = [head for head in HEADS if head != "classify"]
PRODUCT = [
    *itertools.product(("yolov12", "yolo11", "yolov8", "hybrid", "transformer"), NECKS_BY_KIND, LOCATING),
    *((backbone, "none", "classify") for backbone in BACKBONES),
]
"""Every kind of backbone with every kind of neck and every head."""


def pairs() -> list[tuple[str, str, str]]:
    """Combinations in which any two parts meet, variants of parts included."""
    rows = [
        (backbone, neck, LOCATING[(i + j) % len(LOCATING)])
        for i, backbone in enumerate(BACKBONES)
        for j, neck in enumerate(NECKS)
    ]
    met = {(backbone, head) for backbone, _, head in rows}
    necks = itertools.cycle(NECKS)
    rows += [
        (backbone, next(necks), head) for backbone in BACKBONES for head in LOCATING if (backbone, head) not in met
    ]
    return rows


PAIRS = [*pairs(), *((backbone, "none", "classify") for backbone in BACKBONES)]
