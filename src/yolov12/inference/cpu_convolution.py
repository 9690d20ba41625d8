"""Convolution and SiLU in one oneDNN call, for inference on the CPU.

Why not the model's own layers: torch picks between two convolution libraries by batch size and thread count, so that
the last bits of a result depend on both. This operator is always oneDNN's, whose sums hardly ever depend on the number
of threads, and its activation costs no second pass over memory. It is the one that torch's own compiler emits for a
folded convolution; where a build of torch lacks it, the plain layers stay.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

from yolov12.models.layers import ConvNormAct

OPERATOR: Final = "mkldnn::_convolution_pointwise"


class FusedConv(nn.Module):
    """A convolution with bias and optional SiLU: (B, in, H, W) -> (B, out, H', W'), channels_last kept."""

    def __init__(self, conv: nn.Conv2d, *, activation: bool) -> None:
        super().__init__()
        self.weight, self.bias = conv.weight, conv.bias
        geometry = (conv.padding, conv.stride, conv.dilation)
        self._operator = torch.ops.mkldnn._convolution_pointwise.default
        self._arguments = (*map(list, geometry), conv.groups, "swish" if activation else "none", [], "")

    def forward(self, features: Tensor) -> Tensor:
        """One map in, one map out."""
        result: Tensor = self._operator(features, self.weight, self.bias, *self._arguments)
        return result


def available() -> bool:
    """Whether this build of torch has the operator for the CPU."""
    return torch._C._dispatch_has_kernel_for_dispatch_key(OPERATOR, "CPU")


def fuse_activations(module: nn.Module) -> None:
    """Replace every convolution below `module`, whose batch norms are folded already, in place."""
    for name, child in list(module.named_children()):
        if isinstance(child, ConvNormAct):
            setattr(module, name, FusedConv(child.conv, activation=child.activation))
        elif type(child) is nn.Conv2d and child.padding_mode == "zeros" and not isinstance(child.padding, str):
            setattr(module, name, FusedConv(child, activation=False))
        else:
            fuse_activations(child)
