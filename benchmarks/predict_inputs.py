"""Images and weights for `predict_cpu.py`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from yolov12 import YOLO
from yolov12.data.letterbox import Letterbox
from yolov12.models.detector import Detector

WIDTHS_HEIGHTS = (
    (640, 480), (480, 640), (640, 427), (427, 640), (500, 375), (640, 640),
    (640, 360), (612, 612), (500, 333), (640, 512), (333, 500), (640, 426),
)  # fmt: skip
JPEG_QUALITY = 90
IMGSZ, CONF = 640, 0.25
CALIBRATION_IMAGES = 12
ANCHORS_PER_LEVEL = 10
VARIANCE_SCALE = 2.0
BOX_WEIGHT_SCALE, BOX_BIAS_SLOPE = 0.25, 0.2


def make_folder(bccd: Path, folder: Path, count: int) -> list[Path]:
    """JPEGs of mixed sizes, made from the first `count` images of BCCD."""
    folder.mkdir()
    paths = []
    for number, source in enumerate(sorted((bccd / "JPEGImages").glob("*.jpg"))[:count]):
        image = cv2.resize(cv2.imread(str(source)), WIDTHS_HEIGHTS[number % len(WIDTHS_HEIGHTS)])
        paths.append(folder / f"{number:03d}.jpg")
        cv2.imwrite(str(paths[-1]), image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if len(paths) < count:
        raise SystemExit(f"{bccd / 'JPEGImages'}: {len(paths)} images, but {count} are wanted")
    return paths


def size_of(checkpoint: Path) -> str:
    """The letter of a checkpoint's size."""
    return YOLO(checkpoint).model.config.variant[-1]


def make_weights(size: str, checkpoint: Path | None, images: Sequence[Path], folder: Path) -> dict[str, Any]:
    """Write the same weights for both sides into `folder`; returns what their `load` needs."""
    if checkpoint:
        model = YOLO(checkpoint)
        if model.layout != "v1.0":
            raise SystemExit(f"{checkpoint}: a {model.layout} model, which the peer cannot run; v1.0 is needed")
    else:
        model = YOLO(f"yolov12{size}", pretrained=False, layout="v1.0")
        few = min(CALIBRATION_IMAGES, len(images))
        give_detections(model.model, [images[i * len(images) // few] for i in range(few)])
    ours, official = folder / "ours.safetensors", folder / "official.pt"
    model.save(ours)
    torch.save(dict(model.official_state_dict()), official)
    return {"ours": str(ours), "official": str(official), "size": size, "classes": len(model.names), "imgsz": IMGSZ}


def give_detections(network: Detector, images: Sequence[Path]) -> None:
    """Calibrate fresh weights in place, so that they find something and rounding does not decide what."""
    hooks = [
        module.register_forward_pre_hook(calibrate)
        for module in network.modules()
        if isinstance(module, torch.nn.BatchNorm2d)
    ]
    with torch.no_grad():
        levels = network.eval()(read_canvases(images))["detect"].class_logits  # (B, C, H_l, W_l) each
        for hook in hooks:
            hook.remove()
        head = network.heads["detect"]
        for logits, branch in zip(levels, head.class_branches, strict=True):
            lowest = logits.amax(1).flatten(1).topk(ANCHORS_PER_LEVEL).values[:, -1]  # (B,)
            branch[-1].bias += math.log(CONF / (1 - CONF)) - lowest.median()
        for branch in head.box_branches:
            branch[-1].weight *= BOX_WEIGHT_SCALE
            bins = branch[-1].bias.view(4, -1)
            bins.copy_(-BOX_BIAS_SLOPE * torch.arange(float(bins.shape[1])))


def calibrate(norm: torch.nn.BatchNorm2d, inputs: tuple[torch.Tensor]) -> None:
    """Before a batch norm runs in eval mode: take the means of its input's channels, and one variance for all."""
    variance, mean = torch.var_mean(inputs[0], (0, 2, 3))
    norm.running_mean.copy_(mean)
    norm.running_var.fill_(VARIANCE_SCALE * variance.mean())


def read_canvases(images: Sequence[Path]) -> torch.Tensor:
    """(B, 3, 640, 640) RGB in 0..1."""
    canvases = []
    for path in images:
        image = cv2.imread(str(path))
        canvases.append(Letterbox.fit(image.shape[:2], IMGSZ, rect=False).apply(image)[..., ::-1])
    return torch.from_numpy(np.stack(canvases)).permute(0, 3, 1, 2).float().div(255)
