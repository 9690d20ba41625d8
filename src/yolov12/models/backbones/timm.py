"""Any features-only model of the timm library (Wightman 2019) as a backbone, with fresh weights; an optional extra."""

from __future__ import annotations

import torch
from torch import Tensor

from yolov12.config.backbones import TimmBackboneConfig
from yolov12.errors import ConfigError, SetupError, did_you_mean
from yolov12.models.registry import BACKBONES, FeatureModule, FeatureSpec

STRIDES = (8, 16, 32)


@BACKBONES.register(TimmBackboneConfig)
class TimmBackbone(FeatureModule):
    """RGB images (B, 3, H, W) in [0, 1] -> maps P3, P4, P5 at strides 8, 16, 32."""

    def __init__(self, config: TimmBackboneConfig) -> None:
        super().__init__()
        try:
            import timm  # type: ignore[import-not-found, unused-ignore]
        except (ImportError, OSError, RuntimeError) as error:  # also a torchvision that was built for another torch
            raise SetupError(
                f"the timm backbone needs the library timm, which cannot be imported ({error}). Install it with: "
                'pip install "yolov12[timm]"; it imports torchvision, of which the build must fit that of torch'
            ) from error
        names = timm.list_models()
        if config.name not in names:
            raise ConfigError(f"timm.name {config.name!r} is not a model of timm.{did_you_mean(config.name, names)}")
        try:
            with torch.device("meta"):  # only what it says of itself
                described = timm.create_model(config.name, features_only=True, pretrained=False)
            reductions = described.feature_info.reduction()
        except (RuntimeError, NotImplementedError, AttributeError, TypeError) as error:
            raise ConfigError(f"timm.name {config.name!r} cannot hand on its maps: {error}") from error
        missing = [stride for stride in STRIDES if stride not in reductions]
        if missing:
            raise ConfigError(f"timm.name {config.name!r} has no map at stride {missing[0]}, only at {reductions}")
        indices = [len(reductions) - 1 - reductions[::-1].index(stride) for stride in STRIDES]
        self.network = timm.create_model(config.name, features_only=True, pretrained=False, out_indices=indices)
        self.name = config.name
        self.spec = FeatureSpec(tuple(self.network.feature_info.channels()), STRIDES)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """The maps, finest first. Raises ConfigError for a model that was made for pictures of one size."""
        try:
            return tuple(self.network(images))
        except AssertionError as error:
            raise ConfigError(f"timm.name {self.name!r} cannot be used: {error}") from error
