"""Frozen configs of backbones. No torch in here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Self

from yolov12.config.fields import require_choice
from yolov12.config.parts import BackboneConfig, require_lengths, require_multiples
from yolov12.errors import ConfigError

HEAD_DIM = 32
"""Channels of one attention head; stages with attention need a hidden width that is a multiple of it."""

PSA_HEAD_DIM = 64
"""Channels of one head of YOLO11's attention, which half of the channels pass."""


@dataclass(frozen=True)
class Yolov12BackboneConfig(BackboneConfig):
    """Backbone of YOLOv12: convolutional stages at strides 4 and 8, area-attention stages at strides 16 and 32.

    channels            output widths: stem, then down and stage of p2, p3, p4, p5
    down_groups         groups of the convolutions down_p2 and down_p3
    use_c3k             C3k instead of a bottleneck inside stage_p2 and stage_p3
    repeats             units inside stage_p2 and stage_p3
    attention_repeats   pairs of attention blocks inside stage_p4 and stage_p5
    areas               bands that stage_p4 and stage_p5 attend within
    mlp_hidden          hidden widths of the MLPs in stage_p4 and stage_p5
    position_kernel     side of the depthwise kernel of the position term
    position_bias       that convolution has a bias (the originally released v1.0 files)
    residual_scale      stage_p4 and stage_p5 add their input, with a learned scale per channel
    """

    kind: ClassVar[str] = "yolov12"

    channels: tuple[int, ...]
    down_groups: tuple[int, ...]
    use_c3k: bool
    repeats: int
    attention_repeats: int
    mlp_hidden: tuple[int, ...]
    position_kernel: int
    residual_scale: bool
    position_bias: bool = False
    areas: tuple[int, ...] = (4, 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        require_lengths(self, channels=9, down_groups=2, mlp_hidden=2, areas=2)
        require_multiples(self.kind, self.channels)
        stem, down2, stage2, down3, _, down4, stage4, down5, stage5 = self.channels
        problems = {
            f"channels {stage4}, {stage5} of the attention stages: need multiples of {2 * HEAD_DIM}": (
                stage4 % (2 * HEAD_DIM) or stage5 % (2 * HEAD_DIM)
            ),
            f"down_groups {self.down_groups}: must divide the widths {stem}, {down2} and {stage2}, {down3}": (
                math.gcd(stem, down2) % self.down_groups[0] or math.gcd(stage2, down3) % self.down_groups[1]
            ),
            "residual_scale: the attention stages need equal input and output widths": (
                self.residual_scale and (down4, down5) != (stage4, stage5)
            ),
            # Canvas sides are multiples of 32, so all that is known is that stage_p4 has a multiple of 4 positions.
            f"areas {self.areas}: must be (1, 1), (2, 1) or (4, 1)": 4 % self.areas[0] or self.areas[1] != 1,
            f"position_kernel {self.position_kernel}: must be odd": self.position_kernel % 2 == 0,
        }
        for text, wrong in problems.items():
            if wrong:
                raise ConfigError(f"{self.kind}.{text}")


@dataclass(frozen=True)
class Yolov8BackboneConfig(BackboneConfig):
    """Backbone of YOLOv8: C2f stages, spatial pyramid pooling.

    channels   output widths: stem, then down and stage of p2, p3, p4, p5, then pooling (classifiers have none)
    repeats    bottlenecks inside each of the four stages
    """

    kind: ClassVar[str] = "yolov8"

    channels: tuple[int, ...]
    repeats: tuple[int, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        require_lengths(self, channels=10 if self.pooled else 9, repeats=4)
        require_multiples(self.kind, self.channels)

    @property
    def pooled(self) -> bool:
        """Whether pyramid pooling follows the stages."""
        return _pooled(self.channels)


@dataclass(frozen=True)
class Yolo11BackboneConfig(BackboneConfig):
    """Backbone of YOLO11: C3k2 stages, spatial pyramid pooling, attention at stride 32.

    channels            output widths: stem, then down and stage of p2, p3, p4, p5, then pooling (classifiers have none)
    repeats             units inside each stage
    use_c3k             C3k instead of a bottleneck also inside stage_p2 and stage_p3
    attention_repeats   attention blocks
    """

    kind: ClassVar[str] = "yolo11"

    channels: tuple[int, ...]
    repeats: int
    use_c3k: bool
    attention_repeats: int

    def __post_init__(self) -> None:
        super().__post_init__()
        require_lengths(self, channels=10 if self.pooled else 9)
        require_multiples(self.kind, self.channels)
        if self.channels[-1] % (2 * PSA_HEAD_DIM):
            raise ConfigError(
                f"{self.kind}.channels {self.channels}: the last, which attention works on, must be a multiple of "
                f"{2 * PSA_HEAD_DIM}"
            )

    @property
    def pooled(self) -> bool:
        """Whether pyramid pooling follows the stages."""
        return _pooled(self.channels)


class HybridSize(NamedTuple):
    """A row of the table of sizes of the hybrid backbone."""

    channels: tuple[int, ...]
    repeats: tuple[int, ...]


HYBRID_SIZES = {
    #              stem p2  p3   p4   p5          p2 p3 p4 p5
    "n": HybridSize((32, 64, 128, 256, 448), (1, 2, 5, 2)),
    "s": HybridSize((32, 64, 128, 288, 544), (1, 2, 6, 3)),
    "m": HybridSize((48, 96, 192, 416, 672), (2, 2, 6, 3)),
    "l": HybridSize((64, 128, 256, 480, 800), (2, 2, 6, 3)),
    "x": HybridSize((64, 128, 256, 544, 896), (2, 2, 6, 4)),
}
MAX_WINDOW = 32
"""Positions; the table of offsets grows with the fourth power."""
WINDOW_ATTENTION = ("shifted", "twins")


@dataclass(frozen=True)
class HybridBackboneConfig(BackboneConfig):
    """Light convolutions (depthwise and pointwise) up to stride 8, windowed attention at strides 16 and 32.

    channels    output widths: stem, p2, p3, p4, p5
    repeats     units of the stages p2, p3, p4, p5
    window      side of an attention window, in positions
    attention   'shifted' windows (Swin), or windows that take turns with summaries of windows ('twins')
    mlp_ratio   hidden width of a unit over its width
    """

    kind: ClassVar[str] = "hybrid"

    channels: tuple[int, ...] = HYBRID_SIZES["n"].channels
    repeats: tuple[int, ...] = HYBRID_SIZES["n"].repeats
    window: int = 7
    attention: str = "shifted"
    mlp_ratio: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        require_lengths(self, channels=5, repeats=4)
        require_multiples(self.kind, self.channels)
        require_multiples(self.kind, self.channels[3:], HEAD_DIM)
        require_choice("backbone.attention", self.attention, WINDOW_ATTENTION)
        if self.window > MAX_WINDOW:
            raise ConfigError(f"{self.kind}.window {self.window}: at most {MAX_WINDOW}")

    @classmethod
    def at_scale(cls, scale: str) -> Self:
        """Sized so that the presets `yolov12-hybrid-*` have the parameters that the design asks for."""
        return cls(*HYBRID_SIZES[scale])


class TransformerSize(NamedTuple):
    """A row of the table of sizes of the transformer backbone."""

    channels: tuple[int, ...]
    stages: tuple[int, ...]


TRANSFORMER_SIZES = {
    #                   stem p3  p4   p5
    "n": TransformerSize((32, 64, 128, 192), (2, 2, 2)),
    "s": TransformerSize((48, 128, 192, 320), (2, 3, 3)),
    "m": TransformerSize((64, 192, 320, 448), (2, 4, 3)),
    "l": TransformerSize((64, 256, 384, 512), (3, 6, 3)),
    "x": TransformerSize((96, 320, 448, 640), (3, 8, 4)),
}
PATCH_SIZES = (8, 16, 32)


@dataclass(frozen=True)
class TransformerBackboneConfig(BackboneConfig):
    """Convolutions down to stride 8, patches, then stages of self-attention whose maps are fused channel by channel.

    stages      blocks of each stage; the first works on patches of `patch_size` pixels, each further one on maps of
                half the size until stride 32
    patch_size  8, 16 or 32 pixels
    channels    widths of the stem and of the maps at strides 8, 16, 32
    mlp_ratio   hidden width of a block over its width
    """

    kind: ClassVar[str] = "transformer"

    stages: tuple[int, ...] = TRANSFORMER_SIZES["n"].stages
    patch_size: int = 16
    channels: tuple[int, ...] = TRANSFORMER_SIZES["n"].channels
    mlp_ratio: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        require_lengths(self, channels=4)
        require_multiples(self.kind, self.channels)
        require_multiples(self.kind, self.channels[1:], HEAD_DIM)
        if self.patch_size not in PATCH_SIZES:
            raise ConfigError(
                f"{self.kind}.patch_size {self.patch_size}: choose from {', '.join(map(str, PATCH_SIZES))}"
            )
        if not self.stages:
            raise ConfigError(f"{self.kind}.stages: expected at least one")

    @property
    def units(self) -> int:
        """Blocks of all stages."""
        return sum(self.stages)

    @property
    def levels(self) -> tuple[int, ...]:
        """Which map each stage works on: 0 at stride 8, 1 at stride 16, 2 at stride 32."""
        first, last = PATCH_SIZES.index(self.patch_size), len(PATCH_SIZES) - 1
        return tuple(min(first + stage, last) for stage in range(len(self.stages)))

    @classmethod
    def at_scale(cls, scale: str) -> Self:
        """The row of the table of sizes."""
        size = TRANSFORMER_SIZES[scale]
        return cls(stages=size.stages, channels=size.channels)


TIMM_NAMES = {"n": "mobilenetv3_small_100", "s": "resnet18", "m": "resnet34", "l": "resnet50", "x": "resnet101"}


@dataclass(frozen=True)
class TimmBackboneConfig(BackboneConfig):
    """A model of the timm library as a source of feature maps at strides 8, 16 and 32, with fresh weights.

    name  as timm spells it, such as 'resnet18'
    """

    kind: ClassVar[str] = "timm"

    name: str = TIMM_NAMES["n"]

    @classmethod
    def at_scale(cls, scale: str) -> Self:
        """A well-known model of about that size."""
        return cls(TIMM_NAMES[scale])


BACKBONE_CONFIGS: dict[str, type[BackboneConfig]] = {
    config.kind: config
    for config in (
        Yolov12BackboneConfig,
        Yolo11BackboneConfig,
        Yolov8BackboneConfig,
        HybridBackboneConfig,
        TransformerBackboneConfig,
        TimmBackboneConfig,
    )
}
"""By kind; registering a backbone adds its config."""


def _pooled(channels: tuple[int, ...]) -> bool:
    return len(channels) != len(("stem", *("down", "stage") * 4))
