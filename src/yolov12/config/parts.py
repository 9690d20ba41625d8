"""What the configs of all parts have in common: a name, limits, and a size for each scale.

Widths are explicit and not derived from a scale on purpose: a checkpoint may have odd ones, and a config read off its
tensors must be able to say so. No torch in here.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar, Self

from yolov12.config.fields import checked_fields
from yolov12.errors import ConfigError

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
        checked = checked_fields(self.kind, type(self), vars(self))
        for field in dataclasses.fields(self):
            value = checked[field.name]
            object.__setattr__(self, field.name, value)  # a tuple where somebody wrote a list
            least = field.metadata.get("least", 1)
            for number in value if isinstance(value, tuple) else (value,):
                if type(number) is int and not least <= number <= MAX_WIDTH:
                    raise ConfigError(f"{self.kind}.{field.name} = {value}: must be between {least} and {MAX_WIDTH}")


@dataclass(frozen=True)
class BackboneConfig(PartConfig):
    """Base of the configs of backbones."""

    @classmethod
    def at_scale(cls, scale: str) -> Self:
        """The part as it belongs into a network of a scale: n, s, m, l, x. As it stands, the same for all."""
        return cls()


@dataclass(frozen=True)
class NeckConfig(PartConfig):
    """Base of the configs of necks."""

    @classmethod
    def at_scale(cls, scale: str) -> Self:
        """The part as it belongs into a network of a scale: n, s, m, l, x. As it stands, the same for all."""
        return cls()

    @property
    def finest_channels(self) -> int:
        """Width of the finest map that it hands on; those of heads follow from it."""
        raise NotImplementedError


def require_lengths(config: PartConfig, **lengths: int) -> None:
    """Raise ConfigError unless the named fields have so many numbers."""
    for name, length in lengths.items():
        if len(config.__dict__[name]) != length:
            raise ConfigError(f"{config.kind}.{name}: expected {length} numbers, got {config.__dict__[name]}")


def require_multiples(kind: str, channels: tuple[int, ...], multiple: int = WIDTH_MULTIPLE) -> None:
    """Raise ConfigError unless all widths are multiples of `multiple`."""
    if any(width % multiple for width in channels):
        raise ConfigError(f"{kind}.channels {channels}: every width must be a multiple of {multiple}")
