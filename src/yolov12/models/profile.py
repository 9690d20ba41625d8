"""What a network costs: parameters and GFLOPs per layer, and which attention kernel a device would run.

Counted on the meta device, where nothing is computed, so that every size and resolution takes milliseconds. One
multiply-accumulate is two operations. `gflops` counts convolutions and linear layers with their norms folded, as the
published tables do; `gflops_with_attention` adds the two matrix products of every attention.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend

from yolov12.config.backbones import HEAD_DIM
from yolov12.models.detector import Detector
from yolov12.models.dynamic import DynamicConv
from yolov12.models.layers import IMAGE_CHANNELS, Attention

R = TypeVar("R")


@dataclass(frozen=True)
class LayerProfile:
    """One part of the figure; `shapes` are its outputs for one image, `parameters` include frozen ones, unfused.

    Parameters that belong to no layer, such as the gains of a sum, are a row without shapes.
    """

    name: str
    shapes: tuple[tuple[int, ...], ...]
    parameters: int
    gflops: float
    attention_gflops: float


@dataclass(frozen=True)
class ModelProfile:
    """All layers in order of execution, and their sums."""

    imgsz: tuple[int, int]
    layers: tuple[LayerProfile, ...]

    @property
    def parameters(self) -> int:
        """Parameters of the unfused network, frozen ones included."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def gflops(self) -> float:
        """Billions of operations per image without the attention products."""
        return sum(layer.gflops for layer in self.layers)

    @property
    def gflops_with_attention(self) -> float:
        """Billions of operations per image, attention products included."""
        return self.gflops + sum(layer.attention_gflops for layer in self.layers)

    def table(self) -> str:
        """The layers as text, one a line, and the totals."""
        lines = [f"{'layer':<20}{'output':<24}{'parameters':>12}{'GFLOPs':>9}{'attention':>11}"]
        for layer in self.layers:
            shape = "x".join(str(side) for shape in layer.shapes[:1] for side in shape)
            more = f" +{len(layer.shapes) - 1}" if len(layer.shapes) > 1 else ""
            lines.append(
                f"{layer.name:<20}{shape + more:<24}{layer.parameters:>12,}{layer.gflops:>9.3f}"
                f"{layer.attention_gflops:>11.3f}"
            )
        attention = self.gflops_with_attention - self.gflops
        lines.append(f"{'total':<44}{self.parameters:>12,}{self.gflops:>9.3f}{attention:>11.3f}")
        return "\n".join(lines)


def profile(model: Detector, imgsz: int | tuple[int, int] = 640, *, single: bool = False) -> ModelProfile:
    """Cost of one image of `imgsz` (a side, or height and width), counted on a twin of its config, by `layers_of`."""
    height, width = (imgsz, imgsz) if isinstance(imgsz, int) else imgsz
    with torch.device("meta"):
        twin = Detector(model.config).eval()
    layers = layers_of(twin, single=single)
    shapes: dict[nn.Module, tuple[tuple[int, ...], ...]] = {}
    convolutions: dict[nn.Module, int] = {}
    attention: dict[nn.Module, int] = {}
    for module in twin.modules():
        if module in layers.values():
            module.register_forward_hook(_recorder(shapes, _output_shapes))
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            module.register_forward_hook(_recorder(convolutions, _weight_products))
        elif isinstance(module, DynamicConv):
            module.register_forward_hook(_recorder(convolutions, _mixed_products))
        elif isinstance(module, Attention):
            module.register_forward_hook(_recorder(attention, _attention_products))
    with torch.inference_mode():
        twin(torch.empty(1, IMAGE_CHANNELS, height, width, device="meta"))
    called = [name for module in shapes for name, layer in layers.items() if layer is module]
    rows = tuple(
        LayerProfile(
            name=name,
            shapes=shapes.get(layer, ()),
            parameters=sum(parameter.numel() for parameter in layer.parameters(recurse=not single)),
            gflops=2e-9 * sum(convolutions.get(module, 0) for module in ([layer] if single else layer.modules())),
            attention_gflops=2e-9
            * sum(attention.get(module, 0) for module in ([layer] if single else layer.modules())),
        )
        for name, layer in ((name, layers[name]) for name in called + [name for name in layers if name not in called])
    )
    return ModelProfile((height, width), rows)


def attention_report(device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> str:
    """One line: which scaled-dot-product kernel torch picks for area attention in inference on this device."""
    # Layout as in AreaAttention: (areas, positions, heads, 32) seen as (areas, heads, positions, 32).
    tokens = torch.zeros(4, 400, 2, HEAD_DIM, device=device, dtype=dtype).transpose(1, 2)
    backend = SDPBackend(torch._fused_sdp_choice(tokens, tokens, tokens))
    return f"attention kernel on {torch.device(device)} in {str(dtype).removeprefix('torch.')}: {backend.name.lower()}"


def layers_of(model: Detector, *, single: bool = False) -> dict[str, nn.Module]:
    """Children of backbone and neck and every head, by dotted name; those of containers, which are never called.

    `single`  the single convolutions and norms: what has no parts, or has weights or a product of its own
    """
    if single:
        return {
            name: module
            for name, module in model.named_modules()
            if not [*module.children()]
            or [*module.parameters(recurse=False)]
            or isinstance(module, (Attention, DynamicConv))
        }
    layers: dict[str, nn.Module] = {}
    waiting = [("backbone", model.backbone), ("neck", model.neck), ("heads", model.heads)]
    while waiting:
        name, module = waiting.pop(0)
        parts = [(f"{name}.{child}", part) for child, part in module.named_children()]
        if "." not in name or isinstance(module, (nn.ModuleList, nn.ModuleDict)):
            waiting = parts + waiting
        else:
            layers[name] = module
    return layers


def _recorder(
    store: dict[nn.Module, R], measure: Callable[[nn.Module, object], R]
) -> Callable[[nn.Module, object, object], None]:
    def record(module: nn.Module, inputs: object, outputs: object) -> None:
        store[module] = measure(module, outputs)

    return record


def _output_shapes(module: nn.Module, outputs: object) -> tuple[tuple[int, ...], ...]:
    return shapes_of(outputs)


def shapes_of(values: object) -> tuple[tuple[int, ...], ...]:
    """Shapes without the batch of all tensors in a nest of tuples, lists and dicts; numbers have none."""
    if isinstance(values, int):
        return ()
    if isinstance(values, Tensor):
        return (tuple(values.shape[1:]),)
    if isinstance(values, dict):
        values = tuple(values.values())
    if isinstance(values, (tuple, list)):
        return tuple(shape for value in values for shape in shapes_of(value))
    raise TypeError(f"expected tensors, got {type(values).__name__}")


def _weight_products(module: nn.Module, outputs: object) -> int:
    """Multiply-accumulates of a layer, for one image."""
    weight = module.get_parameter("weight")
    if not isinstance(outputs, Tensor):
        raise TypeError(f"{type(module).__name__} returned {type(outputs).__name__}, expected a tensor")
    if isinstance(module, nn.ConvTranspose2d):  # every input position meets the whole weight once
        return outputs.shape[2] * outputs.shape[3] // math.prod(module.stride) * weight.numel()
    return outputs.numel() * weight.numel() // weight.shape[0]


def _mixed_products(module: nn.Module, outputs: object) -> int:
    """Of the one convolution that is left after the kernels are mixed."""
    if not isinstance(module, DynamicConv) or not isinstance(outputs, Tensor):
        raise TypeError("expected a dynamic convolution and its map")
    return outputs[0].numel() * module.convs[0].get_parameter("weight")[0].numel()


def _attention_products(module: nn.Module, outputs: object) -> int:
    if not isinstance(module, Attention) or not isinstance(outputs, Tensor):
        raise TypeError("expected an attention and its map")
    positions = outputs.shape[2] * outputs.shape[3] if outputs.ndim == 4 else outputs.shape[1]  # a map, or tokens
    return module.products(positions)
