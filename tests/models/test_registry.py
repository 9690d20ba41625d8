"""Registering and building by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest
from torch import nn

from yolov12.config.parts import PartConfig
from yolov12.errors import ConfigError
from yolov12.models import backbones, heads, necks
from yolov12.models.registry import BACKBONES, HEADS, NECKS, FeatureSpec, Registry


@dataclass(frozen=True)
class WidenConfig(PartConfig):
    kind: ClassVar[str] = "widen"
    factor: int = 2


@dataclass(frozen=True)
class WideConfig(PartConfig):
    kind: ClassVar[str] = "wide"


class Widen(nn.Module):
    def __init__(self, config: WidenConfig, features: FeatureSpec) -> None:
        super().__init__()
        self.channels = [config.factor * width for width in features.channels]


def test_build_hands_over_config_and_spec() -> None:
    parts: Registry[nn.Module, PartConfig] = Registry("neck", {})
    parts.register(WidenConfig)(Widen)
    built = parts.build(WidenConfig(3), FeatureSpec((8, 16), (8, 16)))
    assert isinstance(built, Widen)
    assert built.channels == [24, 48]
    assert parts.kinds == ("widen",)


def test_a_taken_name_is_refused() -> None:
    parts: Registry[nn.Module, PartConfig] = Registry("neck", {})
    parts.register(WidenConfig)(Widen)
    with pytest.raises(ConfigError, match=r"neck 'widen' is registered twice\. Registered: widen"):
        parts.register(WidenConfig)(Widen)


def test_an_unknown_name_lists_the_choices() -> None:
    parts: Registry[nn.Module, PartConfig] = Registry("backbone", {})
    parts.register(WideConfig)(Widen)
    with pytest.raises(ConfigError) as error:
        parts.build(WidenConfig())
    assert str(error.value) == (
        "--model.backbone 'widen' is not a registered backbone. Did you mean 'wide'? Registered: wide"
    )


def test_what_is_registered() -> None:
    assert BACKBONES.kinds == ("hybrid", "timm", "transformer", "yolo11", "yolov12", "yolov8")
    assert NECKS.kinds == ("attention_pan", "context_bifpn", "pafpn")
    heads_there = "anchor classify detect dynamic_mask heatmap_pose multi obb pose segment"
    assert " ".join(HEADS.kinds) == heads_there
    for registry, package in ((BACKBONES, backbones), (NECKS, necks), (HEADS, heads)):
        assert len(package.__all__) == len(registry.kinds)
