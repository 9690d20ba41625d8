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
from yolov12.config.heads import ClassifyHeadConfig, DetectHeadConfig, ObbHeadConfig, PoseHeadConfig, SegmentHeadConfig
from yolov12.config.necks import PAFPNConfig
from yolov12.config.variants import model_config
from yolov12.models.attention import RELAN, AreaAttention, AttentionBlock, AttentionOptions
from yolov12.models.backbones.yolov12 import Yolov12Backbone
from yolov12.models.blocks import Bottleneck, C3k, C3k2
from yolov12.models.checkpoint_map import HEAD, TRUNK, official_path
from yolov12.models.heads.classify import ClassifyHead, ClassifyOutputs
from yolov12.models.heads.detect import DetectHead
from yolov12.models.heads.obb import ObbHead
from yolov12.models.heads.pose import PoseHead
from yolov12.models.heads.segment import Prototypes, SegmentHead
from yolov12.models.layers import ConvNormAct, DepthwiseConv
from yolov12.models.necks.pafpn import PAFPN
from yolov12.models.registry import Decoded, FeatureSpec, Head

PATH = Path(__file__).with_suffix(".json")
VALUES = 12
"""Numbers kept of each output, evenly spread over it."""

TURBO = AttentionOptions(areas=4, mlp_hidden=96, position_kernel=5, position_bias=False)
PAPER = AttentionOptions(areas=1, mlp_hidden=76, position_kernel=7, position_bias=True)
SPEC = FeatureSpec((16, 24, 32), (8, 16, 32))
LEVELS = [(1, 16, 8, 12), (1, 24, 4, 6), (1, 32, 2, 3)]

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
        LEVELS,
    ),
    "prototypes": (lambda: Prototypes(16, 24, 8), [(1, 16, 8, 12)]),
    "segment_head": (
        lambda: SegmentHead(SegmentHeadConfig(3, 16, 16, mask_channels=12, prototype_channels=16, masks=8), SPEC),
        LEVELS,
    ),
    "pose_head": (lambda: PoseHead(PoseHeadConfig(1, 16, 16, keypoints=(5, 3), keypoint_channels=15), SPEC), LEVELS),
    "obb_head": (lambda: ObbHead(ObbHeadConfig(3, 16, 16, class_branch="plain", angle_channels=4), SPEC), LEVELS),
    "classify_head": (lambda: ClassifyHead(ClassifyHeadConfig(10, 32), SPEC), LEVELS),
}
MODELS = ("turbo_n", "v1_n", "turbo_n_seg", "v1_n_pose", "v1_n_obb", "turbo_n_cls")


def block_numbers(name: str) -> list[float]:
    """The recorded numbers of one block, computed now."""
    build, shapes = BLOCKS[name]
    block = build().eval()
    steps = HEAD if isinstance(block, Head | Prototypes) else TRUNK
    # The filler's rules go by published names, and an attention's by the name of the module that holds it.
    prefix = "model.0.attn" if isinstance(block, AreaAttention) else "model.0"
    filled = {
        key: filled_tensor(f"{prefix}.{official_path(key, steps)}", tuple(tensor.shape))
        for key, tensor in block.state_dict().items()
    }
    block.load_state_dict(filled)
    inputs = tuple(_noise(shape, seed) for seed, shape in enumerate(shapes))
    with torch.inference_mode():
        outputs = block(inputs if len(inputs) > 1 else inputs[0])
        return _numbers(_tensors(block.decode(outputs)) if isinstance(block, Head) else outputs)


def model_numbers(name: str) -> list[float]:
    """The recorded numbers of one whole network's decoded output (a classifier's logits), computed now."""
    with torch.inference_mode():
        model = filled_model(name)
        outputs = model(image(1, 64, 96))[model.config.task]
        # Of a thousand scores that sum to 1 none would be missed within the tolerance.
        return _numbers(outputs if isinstance(outputs, ClassifyOutputs) else _tensors(model.head.decode(outputs)))


def _tensors(decoded: Decoded) -> tuple[Tensor, ...]:
    return decoded[:1] if decoded.prototypes is None else decoded


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
