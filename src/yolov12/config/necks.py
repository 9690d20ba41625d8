"""Frozen configs of necks. No torch in here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from yolov12.config.fields import require_choice
from yolov12.config.parts import NeckConfig, require_lengths, require_multiples
from yolov12.errors import ConfigError

UPSAMPLING = ("nearest", "transposed")
PAFPN_BLOCKS = ("relan", "c3k2", "c2f")


@dataclass(frozen=True)
class PAFPNConfig(NeckConfig):
    """Neck: top-down, then bottom-up feature pyramid.

    channels   output widths: top_p4, out_p3, down_p3, out_p4, down_p4, out_p5
    repeats    units inside each block
    block      'relan' (YOLOv12) or 'c3k2' (YOLO11), both with a C3k2 of C3k at out_p5; or 'c2f' (YOLOv8) everywhere
    use_c3k    the units of 'c3k2' blocks are C3k, not bottlenecks
    upsample   'nearest' neighbour, or a learned 'transposed' convolution
    """

    kind: ClassVar[str] = "pafpn"

    channels: tuple[int, ...]
    repeats: int
    block: str = "relan"
    use_c3k: bool = False
    upsample: str = "nearest"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_lengths(self, channels=6)
        require_multiples(self.kind, self.channels)
        require_choice("neck.block", self.block, PAFPN_BLOCKS)
        require_choice("neck.upsample", self.upsample, UPSAMPLING)

    @property
    def finest_channels(self) -> int:
        """Width of out_p3."""
        return self.channels[1]


CONTEXT_SIZES = {"n": (96, 2), "s": (128, 2), "m": (192, 2), "l": (224, 3), "x": (288, 3)}
"""Width and repeats by scale."""


@dataclass(frozen=True)
class ContextBiFPNConfig(NeckConfig):
    """Neck: a bi-directional feature network whose fusion weights come from attention, with a residual path.

    width    of all maps, a multiple of 8
    repeats  passes down and up
    """

    kind: ClassVar[str] = "context_bifpn"

    width: int = CONTEXT_SIZES["n"][0]
    repeats: int = CONTEXT_SIZES["n"][1]

    def __post_init__(self) -> None:
        super().__post_init__()
        require_multiples(self.kind, (self.width,))

    @classmethod
    def at_scale(cls, scale: str) -> Self:
        """The row of the table of sizes."""
        return cls(*CONTEXT_SIZES[scale])

    @property
    def finest_channels(self) -> int:
        """That of all maps."""
        return self.width


ATTENTION_PAN_SIZES = {
    #      p3   p4   p5
    "n": (64, 128, 192),
    "s": (128, 192, 320),
    "m": (192, 320, 448),
    "l": (256, 384, 512),
    "x": (320, 448, 640),
}
AGGREGATION = ("attention", "concat", "sum")


@dataclass(frozen=True)
class AttentionPANConfig(NeckConfig):
    """Neck: a feature pyramid down and up (FPN, PAN) that weighs places, channels and sources.

    num_heads   groups of channels that weigh the sources of a fusion each for itself
    agg_method  how a fusion joins its sources: 'attention', 'concat' or 'sum'
    channels    widths of the maps at strides 8, 16, 32
    repeats     bottlenecks of each block
    """

    kind: ClassVar[str] = "attention_pan"

    num_heads: int = 4
    agg_method: str = "attention"
    channels: tuple[int, ...] = ATTENTION_PAN_SIZES["n"]
    repeats: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        require_lengths(self, channels=3)
        require_multiples(self.kind, self.channels)
        if any(width % self.num_heads for width in self.channels):
            raise ConfigError(f"{self.kind}.num_heads = {self.num_heads}: must divide the channels {self.channels}")
        require_choice("neck.agg_method", self.agg_method, AGGREGATION)

    @classmethod
    def at_scale(cls, scale: str) -> Self:
        """The row of the table of sizes."""
        return cls(channels=ATTENTION_PAN_SIZES[scale])

    @property
    def finest_channels(self) -> int:
        """Width at stride 8."""
        return self.channels[0]


NECK_CONFIGS: dict[str, type[NeckConfig]] = {
    config.kind: config for config in (PAFPNConfig, ContextBiFPNConfig, AttentionPANConfig)
}
"""By kind; registering a neck adds its config."""
