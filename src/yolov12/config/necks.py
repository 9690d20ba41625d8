"""Frozen configs of necks. No torch in here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from yolov12.config.fields import require_choice
from yolov12.config.parts import NeckConfig, require_lengths, require_multiples

PAFPN_BLOCKS = ("relan", "c3k2", "c2f")


@dataclass(frozen=True)
class PAFPNConfig(NeckConfig):
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
        require_lengths(self, channels=6)
        require_multiples(self.kind, self.channels)
        require_choice("neck.block", self.block, PAFPN_BLOCKS)

    @property
    def finest_channels(self) -> int:
        """Width of out_p3."""
        return self.channels[1]


NECK_CONFIGS: dict[str, type[NeckConfig]] = {PAFPNConfig.kind: PAFPNConfig}
"""By kind; registering a neck adds its config."""
