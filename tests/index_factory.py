"""Image indexes made of plain lists, for tests that score detections or make batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from yolov12.data.index import DataReport, ImageIndex, RunLengths

Object = tuple[float, float, float, float, int] | tuple[float, float, float, float, int, bool]
"""x1, y1, x2, y2, class, and whether it is a crowd region."""
Ring = Sequence[Sequence[float]]
"""Points x, y of one outline."""


def make_index(
    images: Sequence[Sequence[Object]],
    names: Sequence[str] = ("a", "b"),
    *,
    sizes: Sequence[tuple[int, int]] | None = None,
    paths: Sequence[Path] | None = None,
    areas: np.ndarray | None = None,
    image_ids: np.ndarray | None = None,
    split: str = "val",
    rings: Sequence[Sequence[Ring]] | None = None,
    keypoints: np.ndarray | None = None,
    keypoint_shape: tuple[int, int] | None = None,
    flip_idx: tuple[int, ...] | None = None,
    run_lengths: Mapping[int, bytes] | None = None,
) -> ImageIndex:
    """One list of objects per image; everything else has a plausible default.

    `rings` has the outlines of each object, of all images one after the other; `keypoints` is (objects, K, 3).
    """
    count = len(images)
    objects = [(*thing, False)[:6] for image in images for thing in image]
    boxes = np.array([thing[:4] for thing in objects], np.float64).reshape(-1, 4)
    outlines = [[np.array(ring, np.float32) for ring in part] for part in rings or [()] * len(objects)]
    flat = [ring for outline in outlines for ring in outline]
    if keypoints is not None:
        keypoints = np.asarray(keypoints, np.float32)
        keypoint_shape = keypoint_shape or (keypoints.shape[1], 3)
    return ImageIndex(
        names=tuple(names),
        paths=tuple(paths) if paths else tuple(Path(f"{i}.png") for i in range(count)),
        sizes=np.array(sizes if sizes else [(500, 700)] * count, np.int32).reshape(-1, 2),
        offsets=np.cumsum([0, *map(len, images)], dtype=np.int64),
        labels=np.array([thing[4] for thing in objects], np.int64),
        boxes=boxes,
        areas=(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) if areas is None else areas,
        crowd=np.array([thing[5] for thing in objects], bool),
        polygon_offsets=np.cumsum([0, *map(len, outlines)], dtype=np.int64),
        ring_offsets=np.cumsum([0, *map(len, flat)], dtype=np.int64),
        polygon_points=np.concatenate([np.zeros((0, 2), np.float32), *flat]),
        image_ids=np.arange(count, dtype=np.int64) if image_ids is None else image_ids,
        digests=np.zeros((count, 16), np.uint8),
        report=DataReport(split=split, read=count, rows=len(objects)),
        keypoints=keypoints,
        keypoint_shape=keypoint_shape,
        flip_idx=flip_idx,
        run_lengths=RunLengths.pack(run_lengths or {}),
    )
