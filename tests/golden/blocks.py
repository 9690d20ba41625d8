"""Small networks and blocks with filler weights, and a few numbers of each one's output in `blocks.json`.

The numbers come from this package's own implementation, written when it reproduced every full-size reference fixture
of the published models within tolerance (tests/parity/test_forward.py). They let a clone without those fixtures notice
when a block changes. Rewrite them with `python -m golden.blocks` from the tests folder, only with that test passing.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from golden.models import filled_model, filled_tensor, image
from yolov12.config.model import DetectHeadConfig, PAFPNConfig
from yolov12.config.variants import model_config
from yolov12.models.attention import RELAN, AreaAttention, AttentionBlock, AttentionOptions
from yolov12.models.backbones.yolov12 import Yolov12Backbone
from yolov12.models.blocks import Bottleneck, C3k, C3k2
from yolov12.models.checkpoint_map import HEAD, TRUNK
from yolov12.models.heads.detect import DetectHead, DetectOutputs, decode
from yolov12.models.layers import ConvNormAct, DepthwiseConv
from yolov12.models.necks.pafpn import PAFPN
from yolov12.models.registry import FeatureSpec

PATH = Path(__file__).with_suffix(".json")
VALUES = 12
"""Numbers kept of each output, evenly spread over it."""

TURBO = AttentionOptions(areas=4, mlp_hidden=96, position_kernel=5, position_bias=False)
PAPER = AttentionOptions(areas=1, mlp_hidden=76, position_kernel=7, position_bias=True)
SPEC = FeatureSpec((16, 24, 32), (8, 16, 32))
STRIDES = (8, 16, 32)

# name -> a block and the shapes of its inputs (batch, channels, height, width)
BLOCKS: dict[str, tuple[Callable[[], nn.Module], list[tuple[int, int, int, int]]]] = {
    "conv_stride2_groups2": (lambda: ConvNormAct(16, 32, 3, stride=2, groups=2), [(1, 16, 8, 12)]),
    "conv_linear": (lambda: ConvNormAct(16, 8, activation=False), [(1, 16, 8, 12)]),
    "depthwise7_bias": (lambda: DepthwiseConv(16, 7, bias=True), [(1, 16, 8, 12)]),
    "bottleneck": (lambda: Bottleneck(16, 8), [(1, 16, 8, 12)]),
    "c3k": (lambda: C3k(16), [(1, 16, 8, 12)]),
    "c3k2_bottleneck": (lambda: C3k2(16, 32, repeats=1, expansion=0.25, use_c3k=False), [(1, 16, 8, 12)]),
    "c3k2_c3k": (lambda: C3k2(16, 32, repeats=2, expansion=0.5, use_c3k=True), [(1, 16, 8, 12)]),
    "area_attention_4": (lambda: AreaAttention(64, TURBO), [(2, 64, 6, 10)]),
    "area_attention_1": (lambda: AreaAttention(64, PAPER), [(2, 64, 6, 10)]),
    "attention_block": (lambda: AttentionBlock(64, TURBO), [(1, 64, 6, 10)]),
    "relan_c3k": (lambda: RELAN(24, 32, repeats=2), [(1, 24, 8, 12)]),
    "relan_attention": (lambda: RELAN(64, 128, repeats=1, attention=PAPER), [(1, 64, 6, 10)]),
    "relan_residual": (lambda: RELAN(128, 128, repeats=2, attention=TURBO, residual_scale=True), [(1, 128, 6, 10)]),
    "backbone": (lambda: Yolov12Backbone(model_config("yolov12n").backbone), [(1, 3, 64, 96)]),
    "pafpn": (
        lambda: PAFPN(PAFPNConfig((32, 16, 16, 32, 32, 64), 1), SPEC),
        [(1, 16, 8, 12), (1, 24, 4, 6), (1, 32, 2, 3)],
    ),
    "detect_head": (
        lambda: DetectHead(DetectHeadConfig(3, 16, 16), SPEC),
        [(1, 16, 8, 12), (1, 24, 4, 6), (1, 32, 2, 3)],
    ),
}
MODELS = ("turbo_n", "v1_n")


def block_numbers(name: str) -> list[float]:
    """The recorded numbers of one block, computed now."""
    build, shapes = BLOCKS[name]
    block = build().eval()
    steps = HEAD if isinstance(block, DetectHead) else TRUNK
    # The filler's rules go by published names, and an attention's by the name of the module that holds it.
    prefix = "model.0.attn" if isinstance(block, AreaAttention) else "model.0"
    filled = {
        key: filled_tensor(".".join([prefix, *(steps.get(step, step) for step in key.split("."))]), tuple(tensor.shape))
        for key, tensor in block.state_dict().items()
    }
    block.load_state_dict(filled)
    inputs = tuple(_noise(shape, seed) for seed, shape in enumerate(shapes))
    with torch.inference_mode():
        outputs = block(inputs if len(inputs) > 1 else inputs[0])
    return _numbers(decode(outputs, STRIDES) if isinstance(outputs, DetectOutputs) else outputs)


def model_numbers(name: str) -> list[float]:
    """The recorded numbers of one whole network's decoded output, computed now."""
    with torch.inference_mode():
        return _numbers(decode(filled_model(name)(image(1, 64, 96))["detect"], STRIDES))


def _noise(shape: tuple[int, int, int, int], seed: int) -> Tensor:
    """Uniform in [0, 1), (B, C, H, W), from the filler's image generator (which makes 3 channels)."""
    batch, channels, height, width = shape
    planes = image(batch * -(-channels // 3), height, width, seed).flatten(0, 1)  # (B * ceil(C / 3) * 3, H, W)
    return planes[: batch * channels].reshape(shape)


def _numbers(outputs: Tensor | tuple[Tensor, ...]) -> list[float]:
    tensors = (outputs,) if isinstance(outputs, Tensor) else outputs
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    return [round(value, 6) for value in flat[:: max(1, len(flat) // VALUES)][:VALUES].tolist()]


def main() -> None:
    numbers = {name: block_numbers(name) for name in BLOCKS} | {name: model_numbers(name) for name in MODELS}
    rows = [f'  "{name}": {json.dumps(values)}' for name, values in numbers.items()]
    PATH.write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf8")


if __name__ == "__main__":
    main()
