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

IMAGES = 6
SHAPES = ((48, 64), (64, 48), (60, 60), (48, 64), (33, 64))


def eager_file(names: tuple[str, ...] = ("a", "b", "c")) -> ModelFile:
    """The tiny network, tuned to noise: it finds small boxes of every class, whose scores follow from the pixels."""
    file = tiny_file(names=names)
    model = build_model(file.config, seed=0).train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0  # the statistics of the one batch below
    with torch.no_grad():
        model(torch.rand(8, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
        head = model.heads["detect"]
        for branch in head.class_branches:
            branch[-1].weight.mul_(4)
            branch[-1].bias.zero_()
        for branch in head.box_branches:
            branch[-1].bias.copy_(-0.7 * torch.arange(head.config.bins).repeat(4))  # short distances
    return dataclasses.replace(file, state=dict(model.state_dict()))


def write_model(path: Path, names: tuple[str, ...] = ("a", "b", "c")) -> Path:
    """`eager_file` in our format."""
    write_model_file(path, eager_file(names))
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


def write_data(root: Path) -> Path:
    """Six training and six validation images of one rectangle each, classes even and odd; the path of its YAML."""
    random = np.random.default_rng(0)
    for split in ("train", "val"):
        (root / "images" / split).mkdir(parents=True)
        (root / "labels" / split).mkdir(parents=True)
        for number in range(IMAGES):
            image = random.integers(0, 60, (64, 80, 3), dtype=np.uint8)
            cv2.rectangle(image, (20, 16), (26 + 6 * number, 50), (80, 240, 80 * (number % 2)), -1)
            write_image(root / "images" / split / f"{number}.png", image)
            row = f"{number % 2} {(23.5 + 3 * number) / 80:.4f} 0.5234 {(7 + 6 * number) / 80:.4f} 0.5469\n"
            (root / "labels" / split / f"{number}.txt").write_text(row)
    path = root / "data.yaml"
    path.write_text("train: images/train\nval: images/val\nnames: [even, odd]\n")
    return path
