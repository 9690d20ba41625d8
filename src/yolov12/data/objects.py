"""The objects of one image as a label format reads them, and how those of all images are packed into flat arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from yolov12.data.index import Bool, Float32, Float64, Int64, RunLengths


@dataclass
class Objects:
    """The objects of one image, before they join the index."""

    labels: list[int] = field(default_factory=list)
    boxes: list[tuple[float, float, float, float]] = field(default_factory=list)
    areas: list[float | None] = field(default_factory=list)
    """None: the area of the box."""
    crowd: list[bool] = field(default_factory=list)
    polygons: list[list[Float32]] = field(default_factory=list)
    """The outlines of each object, one for each of its visible parts."""
    keypoints: list[Float32 | None] = field(default_factory=list)
    """(K, 3) x, y in pixels and flag; None: none is labelled."""
    run_lengths: list[bytes | None] = field(default_factory=list)
    """COCO's compressed form; None: the outlines say it all."""

    def add(
        self,
        label: int,
        box: tuple[float, float, float, float],
        *,
        area: float | None = None,
        crowd: bool = False,
        polygon: Sequence[Float32] = (),
        keypoints: Float32 | None = None,
        run_length: bytes | None = None,
    ) -> None:
        """Append one object; `box` in pixels, inside the image."""
        self.labels.append(label)
        self.boxes.append(box)
        self.areas.append(area)
        self.crowd.append(crowd)
        self.polygons.append(list(polygon))
        self.keypoints.append(keypoints)
        self.run_lengths.append(run_length)


@dataclass(frozen=True, eq=False)
class PackedObjects:
    """The objects of all images; the fields are those of `ImageIndex`."""

    offsets: Int64
    labels: Int64
    boxes: Float64
    areas: Float64
    area_of_box: Bool
    crowd: Bool
    polygon_offsets: Int64
    ring_offsets: Int64
    polygon_points: Float32
    keypoints: Float32 | None
    run_lengths: RunLengths

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Plain arrays, for a file."""
        arrays = {name: value for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        runs = self.run_lengths
        return {**arrays, "run_length_rows": runs.rows, "run_length_ends": runs.ends, "run_length_data": runs.data}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> PackedObjects:
        """Back from `to_arrays`."""
        return cls(
            offsets=arrays["offsets"],
            labels=arrays["labels"],
            boxes=arrays["boxes"],
            areas=arrays["areas"],
            area_of_box=arrays["area_of_box"],
            crowd=arrays["crowd"],
            polygon_offsets=arrays["polygon_offsets"],
            ring_offsets=arrays["ring_offsets"],
            polygon_points=arrays["polygon_points"],
            keypoints=arrays.get("keypoints"),
            run_lengths=RunLengths(arrays["run_length_rows"], arrays["run_length_ends"], arrays["run_length_data"]),
        )


def pack_objects(images: Sequence[Objects], keypoints: int = 0) -> PackedObjects:
    """Flat arrays from the objects of each image; `keypoints` is their number per object, 0 for data without them."""
    boxes = np.array([box for image in images for box in image.boxes], np.float64).reshape(-1, 4)
    given = np.array([np.nan if a is None else a for image in images for a in image.areas], np.float64)
    polygons = [rings for image in images for rings in image.polygons]
    rings = [ring for polygon in polygons for ring in polygon]
    runs = enumerate(run for image in images for run in image.run_lengths)
    return PackedObjects(
        offsets=_ends([len(image.labels) for image in images]),
        labels=np.array([label for image in images for label in image.labels], np.int64),
        boxes=boxes,
        areas=np.where(np.isnan(given), (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]), given),
        area_of_box=np.isnan(given),
        crowd=np.array([crowd for image in images for crowd in image.crowd], np.bool_),
        polygon_offsets=_ends([len(polygon) for polygon in polygons]),
        ring_offsets=_ends([len(ring) for ring in rings]),
        polygon_points=np.concatenate([np.zeros((0, 2), np.float32), *rings]),
        keypoints=_keypoints(images, keypoints) if keypoints else None,
        run_lengths=RunLengths.pack({row: run for row, run in runs if run is not None}),
    )


def _keypoints(images: Sequence[Objects], count: int) -> Float32:
    """(M, count, 3)."""
    unlabelled = np.zeros((count, 3), np.float32)
    points = [unlabelled if p is None else p for image in images for p in image.keypoints]
    return np.array(points, np.float32).reshape(-1, count, 3)


def _ends(lengths: Sequence[int]) -> Int64:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(np.array(lengths, np.int64))])
