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
CALIBRATION_BATCH = 4
ANCHORS_PER_LEVEL = 10


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


def make_weights(size: str, checkpoint: Path | None, images: Sequence[Path], folder: Path) -> dict[str, Any]:
    """Write the same weights for both sides into `folder`; returns what their `load` needs."""
    if checkpoint:
        model = YOLO(checkpoint)
        if model.layout != "v1.0":
            raise SystemExit(f"{checkpoint}: a {model.layout} model, which the peer cannot run; v1.0 is needed")
    else:
        model = YOLO(f"yolov12{size}", pretrained=False, layout="v1.0")
        give_detections(model.model, images[: len(WIDTHS_HEIGHTS)])
    ours, official = folder / "ours.safetensors", folder / "official.pt"
    model.save(ours)
    torch.save(dict(model.official_state_dict()), official)
    return {"ours": str(ours), "official": str(official), "size": size, "classes": len(model.names), "imgsz": IMGSZ}


def give_detections(network: Detector, images: Sequence[Path]) -> None:
    """Calibrate the batch norms and class biases of fresh weights, in place, so that they find something."""
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average over the passes
    batches = read_canvases(images).split(CALIBRATION_BATCH)
    with torch.no_grad():
        network.train()
        for batch in batches:
            network(batch)
        network.eval()
        outputs = [network(batch)["detect"].class_logits for batch in batches]  # per batch and level (B, C, H_l, W_l)
        for level, branch in enumerate(network.heads["detect"].class_branches):
            best = torch.cat([logits[level].amax(1).flatten() for logits in outputs])
            lowest = best.topk(ANCHORS_PER_LEVEL * len(images)).values[-1]
            branch[-1].bias += math.log(CONF / (1 - CONF)) - lowest


def read_canvases(images: Sequence[Path]) -> torch.Tensor:
    """(B, 3, 640, 640) RGB in 0..1."""
    canvases = []
    for path in images:
        image = cv2.imread(str(path))
        canvases.append(Letterbox.fit(image.shape[:2], IMGSZ, rect=False).apply(image)[..., ::-1])
    return torch.from_numpy(np.stack(canvases)).permute(0, 3, 1, 2).float().div(255)
