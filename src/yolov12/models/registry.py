"""Named backbones, necks and heads, and what they promise each other: channels and strides, nothing else.

A backbone declares a `FeatureSpec`; a neck and a head see only that. To add one, write a config and a class and
decorate the class with `BACKBONES.register(TheConfig)`, in any module; importing that makes the part known.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

from torch import Tensor, nn

from yolov12.config.backbones import BACKBONE_CONFIGS
from yolov12.config.heads import HEAD_CONFIGS, HeadConfig
from yolov12.config.necks import NECK_CONFIGS
from yolov12.config.parts import BackboneConfig, NeckConfig, PartConfig
from yolov12.errors import ConfigError, did_you_mean


class FeatureSpec(NamedTuple):
    """Widths and strides (input pixels per cell) of the maps that a part hands on, finest first."""

    channels: tuple[int, ...]
    strides: tuple[int, ...]


class Decoded(NamedTuple):
    """What a head's raw outputs mean, float32.

    dense       (B, 4 + C + E, A): centre x, centre y, width, height in input pixels, C scores in 0..1, and E extras:
                mask coefficients, keypoints, or an angle in radians; of whole pictures (B, C) scores
    prototypes  (B, M, H / 4, W / 4) that mask coefficients combine; None for other heads
    """

    dense: Tensor
    prototypes: Tensor | None = None


class Head(nn.Module):
    """Base of heads: `forward` makes raw outputs, a tuple of a type of its own, from a tuple of maps, finest first."""

    def decode(self, outputs: Any) -> Decoded:
        """What raw outputs mean, in float32."""
        raise NotImplementedError


class FeatureModule(nn.Module):
    """Base of backbones and necks: a module that says what it hands on."""

    spec: FeatureSpec


P = TypeVar("P", bound=nn.Module)
C = TypeVar("C", bound=PartConfig)


class Registry(Generic[P, C]):
    """Classes by the kind of their config, each built from that and then the specs of what it receives.

    A kind that is taken or unknown is a ConfigError that lists the kinds there are.
    """

    def __init__(self, role: str, configs: dict[str, type[C]]) -> None:
        self.role, self.configs = role, configs
        self._classes: dict[str, type[P]] = {}

    @property
    def kinds(self) -> tuple[str, ...]:
        """Registered names, sorted."""
        return tuple(sorted(self._classes))

    def register(self, config: type[C]) -> Callable[[type[P]], type[P]]:
        """Class decorator: `@BACKBONES.register(Yolov12BackboneConfig)`. Model files with such a part can be read."""

        def add(part: type[P]) -> type[P]:
            if config.kind in self._classes or self.configs.setdefault(config.kind, config) is not config:
                raise ConfigError(
                    f"{self.role} {config.kind!r} is registered twice. Registered: {', '.join(self.kinds)}"
                )
            self._classes[config.kind] = part
            return part

        return add

    def build(self, config: C, *inputs: FeatureSpec) -> P:
        """A fresh part for `config`, on features of the given specs."""
        if config.kind not in self._classes:
            raise ConfigError(
                f"--model.{self.role} {config.kind!r} is not a registered {self.role}."
                f"{did_you_mean(config.kind, self.kinds)} Registered: {', '.join(self.kinds)}"
            )
        return self._classes[config.kind](config, *inputs)


BACKBONES: Registry[FeatureModule, BackboneConfig] = Registry("backbone", BACKBONE_CONFIGS)
NECKS: Registry[FeatureModule, NeckConfig] = Registry("neck", NECK_CONFIGS)
HEADS: Registry[Head, HeadConfig] = Registry("head", HEAD_CONFIGS)
