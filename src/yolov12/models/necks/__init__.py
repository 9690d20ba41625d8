"""Necks: feature maps -> fused feature maps. Importing this package registers them all."""

from yolov12.models.necks.pafpn import PAFPN

__all__ = ["PAFPN"]
