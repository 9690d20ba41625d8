"""Necks: feature maps -> as many fused ones. Importing this package registers them all."""

from yolov12.models.necks.attention_pan import AttentionPAN
from yolov12.models.necks.context_bifpn import ContextBiFPN
from yolov12.models.necks.pafpn import PAFPN

__all__ = ["PAFPN", "AttentionPAN", "ContextBiFPN"]
