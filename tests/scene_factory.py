"""What runs need, small and drawn: bright rectangles, loose pictures, and a tiny model that finds things."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn

from model_factory import tiny_file
from yolov12.checkpoint import ModelFile, write_model_file
from yolov12.models.detector import build_model
from yolov12.models.heads.classify import ClassifyHead
from yolov12.models.heads.detect import DetectHead

IMAGES = 6
SHAPES = ((48, 64), (64, 48), (60, 60), (48, 64), (33, 64))


def eager_file(names: tuple[str, ...] = ("a", "b", "c"), task: str = "detect") -> ModelFile:
    """The tiny network, tuned to noise: it finds small boxes of every class, whose scores follow from the pixels."""
    file = tiny_file(names=names, task=task)
    model = build_model(file.config, seed=0).train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0  # the statistics of the one batch below
    with torch.no_grad():
        model(torch.rand(8, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
        head = model.heads[task]
        if isinstance(head, ClassifyHead):
            head.classifier.weight.mul_(4)
        else:
            _find_small_boxes(head if isinstance(head, DetectHead) else head.detect)
    return dataclasses.replace(file, state=dict(model.state_dict()))


def _find_small_boxes(head: DetectHead) -> None:
    for branch in head.class_branches:
        branch[-1].weight.mul_(4)
        branch[-1].bias.zero_()
    for branch in head.box_branches:
        branch[-1].bias.copy_(-0.7 * torch.arange(head.config.bins).repeat(4))  # short distances


def write_model(path: Path, names: tuple[str, ...] = ("a", "b", "c"), task: str = "detect") -> Path:
    """`eager_file` in our format."""
    write_model_file(path, eager_file(names, task))
    return path


def write_image(path: Path, pixels: np.ndarray) -> Path:
    """Pixels (H, W, 3) BGR in the format that the suffix says."""
    path.write_bytes(cv2.imencode(path.suffix, pixels)[1].tobytes())
    return path


def write_pictures(folder: Path) -> list[Path]:
    """Five PNG images of four shapes, in the order of their names."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    pictures = []
    for number, (height, width) in enumerate(SHAPES):
        pixels = random.integers(0, 40 + 50 * number, (height, width, 3), dtype=np.uint8)
        pictures.append(write_image(folder / f"{number}.png", pixels))
    return pictures


def write_data(root: Path, task: str = "detect") -> Path:
    """Six training and six validation images of one rectangle each, classes even and odd; where its `data` is.

    The rectangle's corners are its outline (segment), its rotated box (obb) and its four keypoints (pose).
    """
    random = np.random.default_rng(0)
    for split in ("train", "val"):
        for number in range(IMAGES):
            image = random.integers(0, 60, (64, 80, 3), dtype=np.uint8)
            cv2.rectangle(image, (20, 16), (26 + 6 * number, 50), (80, 240, 80 * (number % 2)), -1)
            if task == "classify":
                _write_into(root / split / ("even", "odd")[number % 2] / f"{number}.png", image)
                continue
            _write_into(root / "images" / split / f"{number}.png", image)
            labels = root / "labels" / split / f"{number}.txt"
            labels.parent.mkdir(parents=True, exist_ok=True)
            labels.write_text(f"{number % 2} {_row(task, 27 + 6 * number)}\n")
    if task == "classify":
        return root
    path = root / "data.yaml"
    keypoints = "kpt_shape: [4, 3]\nflip_idx: [1, 0, 3, 2]\n" if task == "pose" else ""
    path.write_text(f"train: images/train\nval: images/val\nnames: [even, odd]\n{keypoints}")
    return path


def _write_into(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, pixels)


def _row(task: str, right: int) -> str:
    """The label, but for its class, of a rectangle from x = 20, y = 16 to x = `right`, y = 51 in 80 x 64 pixels."""
    box = f"{(20 + right) / 160:.4f} 0.5234 {(right - 20) / 80:.4f} 0.5469"
    corners = [f"{x / 80:.4f} {y / 64:.4f}" for x, y in ((20, 16), (right, 16), (right, 51), (20, 51))]
    if task == "pose":
        return " ".join([box, *(f"{corner} 2" for corner in corners)])
    return " ".join(corners) if task in ("segment", "obb") else box
