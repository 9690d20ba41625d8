"""Frozen configs of backbones and necks.

Widths are explicit and not derived from a scale on purpose: a checkpoint may have odd ones, and a config read off its
tensors must be able to say so. `variants.model_config` fills them in for the published models. No torch in here.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import ClassVar

from yolov12.config.fields import require_choice
from yolov12.errors import ConfigError

HEAD_DIM = 32
"""Channels of one attention head; stages with attention need a hidden width that is a multiple of it."""

PSA_HEAD_DIM = 64
"""Channels of one head of YOLO11's attention, which half of the channels pass."""

WIDTH_MULTIPLE = 8
"""Every layer's width is a multiple of this."""

MAX_WIDTH = 65_536
"""Largest number in an architecture; a file that claims more is damaged or hostile."""


@dataclass(frozen=True)
class PartConfig:
    """Base of the configs of backbones, necks and heads: `kind` is the name under which the part is registered."""

    kind: ClassVar[str] = ""

    @property
    def units(self) -> int:
        """Repeated units, each of which has tensors of its own: a bound to check before anything is built."""
        counts = [value for name, value in vars(self).items() if name.endswith("repeats")]
        return sum(sum(count) if isinstance(count, tuple) else count for count in counts)

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = self.__dict__[field.name]
            numbers = value if isinstance(value, tuple) else (value,)
            for number in numbers:
                if isinstance(number, int) and not isinstance(number, bool) and not 1 <= number <= MAX_WIDTH:
                    raise ConfigError(f"{self.kind}.{field.name} = {value}: must be between 1 and {MAX_WIDTH}")


@dataclass(frozen=True)
class Yolov12BackboneConfig(PartConfig):
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
        _require_lengths(self, channels=9, down_groups=2, mlp_hidden=2, areas=2)
        _require_multiples(self.kind, self.channels)
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
class Yolov8BackboneConfig(PartConfig):
    """Backbone of YOLOv8: C2f stages, spatial pyramid pooling.

    channels   output widths: stem, then down and stage of p2, p3, p4, p5, then pooling (classifiers have none)
    repeats    bottlenecks inside each of the four stages
    """

    kind: ClassVar[str] = "yolov8"

    channels: tuple[int, ...]
    repeats: tuple[int, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_lengths(self, channels=10 if self.pooled else 9, repeats=4)
        _require_multiples(self.kind, self.channels)

    @property
    def pooled(self) -> bool:
        """Whether pyramid pooling follows the stages."""
        return _pooled(self.channels)


@dataclass(frozen=True)
class Yolo11BackboneConfig(PartConfig):
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
        _require_lengths(self, channels=10 if self.pooled else 9)
        _require_multiples(self.kind, self.channels)
        if self.channels[-1] % (2 * PSA_HEAD_DIM):
            raise ConfigError(
                f"{self.kind}.channels {self.channels}: the last, which attention works on, must be a multiple of "
                f"{2 * PSA_HEAD_DIM}"
            )

    @property
    def pooled(self) -> bool:
        """Whether pyramid pooling follows the stages."""
        return _pooled(self.channels)


PAFPN_BLOCKS = ("relan", "c3k2", "c2f")


@dataclass(frozen=True)
class PAFPNConfig(PartConfig):
    """Neck: top-down, then bottom-up feature pyramid.

    channels   output widths: top_p4, out_p3, down_p3, out_p4, down_p4, out_p5
    repeats    units inside each block
    block      'relan' (YOLOv12) or 'c3k2' (YOLO11), both with a C3k2 of C3k at out_p5; or 'c2f' (YOLOv8) everywhere
    use_c3k    the units of 'c3k2' blocks are C3k, not bottlenecks
    """

    kind: ClassVar[str] = "pafpn"

    channels: tuple[int, ...]
    repeats: int
    block: str = "relan"
    use_c3k: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_lengths(self, channels=6)
        _require_multiples(self.kind, self.channels)
        require_choice("neck.block", self.block, PAFPN_BLOCKS)


BackboneConfig = Yolov12BackboneConfig | Yolo11BackboneConfig | Yolov8BackboneConfig
NeckConfig = PAFPNConfig

BACKBONE_CONFIGS: dict[str, type[BackboneConfig]] = {
    config.kind: config for config in (Yolov12BackboneConfig, Yolo11BackboneConfig, Yolov8BackboneConfig)
}
NECK_CONFIGS: dict[str, type[NeckConfig]] = {PAFPNConfig.kind: PAFPNConfig}


def _pooled(channels: tuple[int, ...]) -> bool:
    return len(channels) != len(("stem", *("down", "stage") * 4))


def _require_lengths(config: PartConfig, **lengths: int) -> None:
    for name, length in lengths.items():
        if len(config.__dict__[name]) != length:
            raise ConfigError(f"{config.kind}.{name}: expected {length} numbers, got {config.__dict__[name]}")


def _require_multiples(kind: str, channels: tuple[int, ...]) -> None:
    if any(width % WIDTH_MULTIPLE for width in channels):
        raise ConfigError(f"{kind}.channels {channels}: every width must be a multiple of {WIDTH_MULTIPLE}")
