"""How far colours and contours get on synthetic scenes: the bar that says whether a network has anything to learn.

    python benchmarks/synthetic_baseline.py --data shapes            # a folder of `yolov12 data synth --task detect`

No network: every picture is cut into areas in several ways (clusters of colours, thresholds of brightness and
saturation, closed edges), each area is described by its outline (Hu moments, spectrum of its radius, solidity, how
round and how long it is) and by its contrast, and a random forest that was grown on the training labels names it.
Scored on `--split` by this package's evaluator. Version 1 of the scenes must keep it under AP50 0.4.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from yolov12.data.dataset import load_index
from yolov12.data.index import ImageIndex
from yolov12.detections import Detections
from yolov12.metrics import evaluate_detections

Array = npt.NDArray[Any]

SMALLEST, LARGEST = 0.003, 0.4  # areas, of the picture
SPECTRUM = 12
TREES, DEPTH = 40, 14


@dataclass(frozen=True, eq=False)
class Tree:
    """A node: shares (classes,) of the samples in it and, unless it is a leaf, how it splits them."""

    shares: Array
    column: int = 0
    threshold: float = 0.0
    less: Tree | None = None
    more: Tree | None = None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder or YAML of a synthetic set with boxes in YOLO form")
    parser.add_argument("--split", default="test", choices=("val", "test"))
    parser.add_argument(
        "--train-images", type=int, default=1000, help="how many training scenes the forest learns from"
    )
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path, help="also write the scores into this file")
    options = parser.parse_args()
    task = {"pose": "pose", "obb": "obb"}.get(task_of(options.data), "detect")
    train, held_out = (load_index(options.data, split, task=task) for split in ("train", options.split))
    scores = score(train, held_out, min(options.train_images, len(train)), options.workers)
    print(f"boxes AP50 {scores['AP50']:.4f}, AP {scores['AP']:.4f}, recall of its areas {scores['reach']:.4f}")
    if options.json:
        options.json.write_text(json.dumps(scores) + "\n", encoding="utf8")


def task_of(data: str) -> str:
    """The task that a synthetic set was made for."""
    folder = Path(data) if Path(data).is_dir() else Path(data).parent
    return str(json.loads((folder / "synthetic.json").read_text(encoding="utf8"))["task"])


def score(train: ImageIndex, held_out: ImageIndex, images: int, workers: int) -> dict[str, float]:
    """AP50 and AP of the boxes; and for how many objects there was an area at all (`reach`)."""
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        known = list(pool.map(areas, train.paths[:images], chunksize=16))
        unknown = list(pool.map(areas, held_out.paths, chunksize=16))
    background = len(train.names)
    features = np.concatenate([described for _, described in known])
    labels = np.concatenate([named(boxes, train, i, background) for i, (boxes, _) in enumerate(known)])
    forest = grow_forest(features, labels, background + 1)
    found = [detections(boxes, class_shares(forest, described, background + 1)) for boxes, described in unknown]
    metrics = evaluate_detections(held_out, [Detections(rows) for rows in found], "detect")
    pairs = list(enumerate(unknown))
    reached = [
        overlaps(held_out.boxes[held_out.objects(i)], boxes).max(axis=1, initial=0) > 0.5 for i, (boxes, _) in pairs
    ]
    return {
        "AP50": metrics.box.map50, "AP": metrics.box.map, "reach": float(np.concatenate(reached).mean()),
        "train_images": images, "images": len(held_out),
    }  # fmt: skip


def areas(path: Path) -> tuple[Array, Array]:
    """Boxes (N, 4) and features (N, F) of the areas of one picture."""
    cv2.setNumThreads(1)
    image = cv2.imread(str(path))
    boxes, features = [np.zeros((0, 4))], []
    for mask in segmentations(cv2.medianBlur(image, 5)):
        contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        for contour in contours:
            described = describe(contour, image)
            if described is not None:
                x, y, w, h = cv2.boundingRect(contour)
                boxes.append(np.array([[x, y, x + w, y + h]], np.float64))
                features.append(described)
    stacked = np.array(features, np.float32).reshape(len(features), -1)
    return np.concatenate(boxes), stacked


def segmentations(image: Array) -> Iterator[Array]:
    """Masks (H, W) uint8 whose parts may be objects."""
    lab = cv2.cvtColor(image, cv2.COLOR_BGR2LAB)
    pixels = lab.reshape(-1, 3).astype(np.float32)
    for clusters in (4, 7, 11):
        cv2.setRNGSeed(0)
        criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 8, 1.0)
        _, members, _ = cv2.kmeans(pixels, clusters, None, criteria, 1, cv2.KMEANS_PP_CENTERS)
        plane = members.reshape(image.shape[:2])
        for cluster in range(clusters):
            yield cv2.morphologyEx((plane == cluster).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    saturation = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)[:, :, 1]
    for plane in (saturation, lab[:, :, 0], lab[:, :, 1], lab[:, :, 2]):
        _, above = cv2.threshold(plane, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
        yield above
        yield 255 - above
    for low in (40, 90):
        edges = np.maximum.reduce([cv2.Canny(plane, low, 2.5 * low) for plane in cv2.split(lab)])
        yield cv2.dilate(edges, np.ones((3, 3), np.uint8))
        yield 255 - cv2.dilate(edges, np.ones((3, 3), np.uint8))


def describe(contour: Array, image: Array) -> list[float] | None:
    """Features of one area, none of which changes when it turns; None where it is too small, large or thin."""
    height, width = image.shape[:2]
    area, length = cv2.contourArea(contour), cv2.arcLength(contour, True)
    if not SMALLEST * height * width < area < LARGEST * height * width:
        return None
    (_, _), sides, _ = cv2.minAreaRect(contour)
    hull = cv2.convexHull(contour)
    moments = cv2.HuMoments(cv2.moments(contour)).ravel()
    logs = [-math.copysign(math.log10(abs(value) + 1e-12), value) for value in moments]
    points = contour[:, 0].astype(np.float64)
    middle = points.mean(axis=0)
    radius = np.hypot(*(points - middle).T)
    even = np.interp(np.linspace(0, len(radius), 64, endpoint=False), np.arange(len(radius)), radius)
    spectrum = np.abs(np.fft.rfft(even / max(even.mean(), 1e-6)))[1 : SPECTRUM + 1] / 64
    inside = np.zeros((height, width), np.uint8)
    cv2.drawContours(inside, [contour], -1, 1, -1)
    around = cv2.dilate(inside, np.ones((9, 9), np.uint8)) - inside
    contrast = np.abs(np.subtract(cv2.mean(image, inside), cv2.mean(image, around)))[:3]
    corners = len(cv2.approxPolyDP(contour, 0.03 * length, True))
    return [
        *logs, *spectrum, area / max(cv2.contourArea(hull), 1), area / max(sides[0] * sides[1], 1),
        4 * math.pi * area / max(length, 1) ** 2, min(sides) / max(*sides, 1), corners, area / (height * width),
        *contrast,
    ]  # fmt: skip


def named(boxes: Array, index: ImageIndex, i: int, background: int) -> Array:
    """The class of each area of image `i`: that of the object whose box it has, else `background`."""
    where = index.objects(i)
    shared = overlaps(boxes, index.boxes[where])
    if not shared.shape[1]:
        return np.full(len(boxes), background)
    return np.where(shared.max(axis=1) > 0.6, index.labels[where][shared.argmax(axis=1)], background)


def overlaps(a: Array, b: Array) -> Array:
    """IoU of every box of `a` with every one of `b`."""
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    sizes = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (a, b)]
    return shared / np.maximum(sizes[0][:, None] + sizes[1][None] - shared, 1e-9)


def grow_forest(features: Array, labels: Array, classes: int) -> list[Tree]:
    """Extremely randomized trees (Geurts, Ernst, Wehenkel 2006)."""
    random = np.random.default_rng(0)
    return [grow(features, labels, np.arange(len(labels)), classes, random, DEPTH) for _ in range(TREES)]


def grow(features: Array, labels: Array, rows: Array, classes: int, random: np.random.Generator, depth: int) -> Tree:
    """A tree for the samples `rows`: the best of a few random splits, down to leaves with shares of the classes."""
    counts = np.bincount(labels[rows], minlength=classes)
    if depth == 0 or len(rows) < 8 or counts.max() == len(rows):
        return Tree(counts / counts.sum())
    best: tuple[float, int, float] = (np.inf, 0, 0.0)
    for column in random.choice(features.shape[1], 8, replace=False):
        values = features[rows, column]
        threshold = float(random.uniform(values.min(), values.max()))
        left = np.bincount(labels[rows[values < threshold]], minlength=classes)
        right = counts - left
        mixed = sum(side.sum() - (side**2).sum() / max(side.sum(), 1) for side in (left, right))  # Gini
        best = min(best, (float(mixed), int(column), threshold))
    _, column, threshold = best
    less = features[rows, column] < threshold
    if less.all() or not less.any():
        return Tree(counts / counts.sum())
    parts = [grow(features, labels, part, classes, random, depth - 1) for part in (rows[less], rows[~less])]
    return Tree(counts / counts.sum(), column, threshold, parts[0], parts[1])


def class_shares(forest: list[Tree], features: Array, classes: int) -> Array:
    """What the trees think of each sample (N, F): (N, classes), each row adding up to 1."""
    shares = np.zeros((len(features), classes))

    def walk(tree: Tree, rows: Array) -> None:
        if tree.less is None or tree.more is None:
            shares[rows] += tree.shares / len(forest)
            return
        less = features[rows, tree.column] < tree.threshold
        walk(tree.less, rows[less])
        walk(tree.more, rows[~less])

    for tree in forest:
        walk(tree, np.arange(len(features)))
    return shares


def detections(boxes: Array, shares: Array) -> Array:
    """Rows x1, y1, x2, y2, score, class: what most trees agree on, one for each place and class."""
    rows = []
    for label in range(shares.shape[1] - 1):
        order = [int(k) for k in np.argsort(-shares[:, label], kind="stable") if shares[k, label] > 0.02]
        while order:
            best = order.pop(0)
            rows.append([*boxes[best], shares[best, label], label])
            apart = overlaps(boxes[best : best + 1], boxes[order])[0] < 0.5
            order = [k for k, keep in zip(order, apart, strict=True) if keep]
    return np.array(rows, np.float64).reshape(-1, 6)


if __name__ == "__main__":
    main()
