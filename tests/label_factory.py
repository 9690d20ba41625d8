"""Small data sets in every label format, for tests of what is read from them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

HEIGHT, WIDTH = 40, 60
KEYPOINTS = "kpt_shape: [2, 3]\n"
GOOD_ROWS = {
    "detect": b"0 0.5 0.5 0.4 0.4\n",
    "segment": b"0 0.1 0.1 0.9 0.1 0.9 0.9\n",
    "obb": b"0 0.5 0.1 0.9 0.5 0.5 0.9 0.1 0.5\n",
    "pose": b"0 0.5 0.5 0.4 0.4 0.4 0.4 2 0.6 0.6 1\n",
}
GOOD_DOTA = b"30 4 54 20 30 36 6 20 a 0\n"


def write_image(path: Path, seed: int = 0, height: int = HEIGHT, width: int = WIDTH) -> None:
    """Noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)
    assert cv2.imwrite(str(path), pixels)


def write_text_set(root: Path, labels: Mapping[str, bytes], yaml: str, folder: str = "labels") -> Path:
    """Images `images/<name>.png` with their text labels; the path of the YAML, whose only split is `val`."""
    (root / folder).mkdir(parents=True)
    for seed, (name, text) in enumerate(labels.items()):
        write_image(root / f"images/{name}.png", seed)
        (root / folder / f"{name}.txt").write_bytes(text)
    path = root / "data.yaml"
    path.write_text(f"val: images\nnames: [a, b]\n{yaml}")
    return path


def write_coco(
    root: Path, annotations: Sequence[Mapping[str, Any]], categories: Sequence[Mapping[str, Any]] = (), yaml: str = ""
) -> Path:
    """One image a.png of 40 x 60 with annotations, whose image, category and box are added where they are missing."""
    write_image(root / "a.png")
    common = {"image_id": 1, "category_id": 1, "bbox": [10, 10, 20, 20]}
    document = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "annotations": [{"id": i, **common, **annotation} for i, annotation in enumerate(annotations, 1)],
        "categories": list(categories) or [{"id": 1, "name": "person"}],
    }
    (root / "x.json").write_text(json.dumps(document))
    path = root / "data.yaml"
    path.write_text(f"val: x.json\n{yaml}")
    return path


def write_folders(root: Path, images: Mapping[str, int]) -> Path:
    """`{"train/cat": 2}` writes two images into that folder."""
    seed = 0
    for folder, count in images.items():
        (root / folder).mkdir(parents=True)
        for number in range(count):
            seed += 1
            write_image(root / folder / f"{number}.png", seed)
    return root
