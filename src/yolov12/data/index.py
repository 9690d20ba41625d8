"""The index of one split: which images, how large, and every object in them, in contiguous arrays.

All label formats end here, so nothing behind this module knows about label files. The arrays are flat (one row per
object, `offsets` says which rows belong to an image), so that loader processes share them without copying.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from yolov12.data.coco_masks import RunLength, rasterise
from yolov12.errors import DataError, printable

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]
UInt8 = npt.NDArray[np.uint8]

SKIP_FLAG = "--on-bad-label skip"
MAX_PRINTED = 50
MAX_KEPT = 1000
MAX_REASONS = 20
MANY_OBJECTS = 1000


@dataclass
class DataReport:
    """What the scan of one split found. The counts are images unless the name says otherwise."""

    split: str = ""
    read: int = 0
    """Images that can be used."""
    skipped: int = 0
    """Images that were left out because they, or their entry, cannot be used."""
    rows: int = 0
    """Objects that can be used."""
    rows_skipped: int = 0
    """Label rows that were left out because they cannot be used."""
    clipped: int = 0
    """Objects whose box left the image and was cut at its edge."""
    deduplicated: int = 0
    """Rows or list entries that repeat an earlier one and were dropped."""
    degenerate: int = 0
    """Rows dropped because their box has no area."""
    subpixel: int = 0
    """Objects kept although a side is shorter than a pixel."""
    polygons: int = 0
    """Objects that came with a polygon."""
    masks: int = 0
    """Objects with a mask (segment): from polygons or from run lengths."""
    keypoints: int = 0
    """Keypoints that are labelled (pose)."""
    crowd: int = 0
    """Objects that stand for a crowd, or are marked difficult (DOTA): ignored in evaluation, not trained on."""
    background: int = 0
    """Images whose label file is there and empty."""
    missing_labels: int = 0
    """Images without a label file; they count as background, too."""
    orphans: int = 0
    """Label files without an image."""
    warnings: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    """`file:line: field: reason` of what cannot be used, the first of them."""

    @property
    def total(self) -> int:
        """Number of findings, also of those that `findings` had no room for."""
        return self.skipped + self.rows_skipped

    @property
    def reasons(self) -> list[str]:
        """The first few findings, for a report."""
        return self.findings[:MAX_REASONS]

    def bad_image(self, text: str, count: int = 1) -> None:
        """Note `count` images that cannot be used, with the reason."""
        self.skipped += count
        self._note(text)

    def bad_row(self, text: str) -> None:
        """Note a label row that cannot be used, with the reason."""
        self.rows_skipped += 1
        self._note(text)

    def _note(self, text: str) -> None:
        if len(self.findings) < MAX_KEPT:
            self.findings.append(text)

    def summary(self) -> str:
        """One line: `val: 4988 of 5000 images, 36335 objects (images skipped 12, boxes clipped 3)`."""
        counts = {
            "images skipped": self.skipped,
            "label rows skipped": self.rows_skipped,
            "boxes clipped": self.clipped,
            "duplicates dropped": self.deduplicated,
            "boxes without area dropped": self.degenerate,
            "boxes below a pixel": self.subpixel,
            "polygons": self.polygons,
            "masks": self.masks,
            "labelled keypoints": self.keypoints,
            "crowds": self.crowd,
            "images with empty labels": self.background,
            "images without a label file": self.missing_labels,
            "label files without an image": self.orphans,
        }
        notes = ", ".join(f"{what} {count}" for what, count in counts.items() if count)
        images = f"{self.read} of {self.read + self.skipped} images" if self.skipped else f"{self.read} images"
        return f"{self.split}: {images}, {self.rows} objects" + (f" ({notes})" if notes else "")

    def error(self, where: Path) -> DataError:
        """The error that lists the findings (the first 50) and ends with the flag that skips them."""
        listed = "\n  ".join(self.findings[:MAX_PRINTED])
        unlisted = max(len(self.findings) - MAX_PRINTED, 0)
        more = f"\n  ... and {unlisted}{' or' if len(self.findings) == MAX_KEPT else ''} more" if unlisted else ""
        what = "1 label row or image cannot" if self.total == 1 else f"{self.total} label rows or images cannot"
        way_out = f"Correct them, or leave them out with {SKIP_FLAG}"
        return DataError(f"{printable(where)}: {self.split}: {what} be used:\n  {listed}{more}\n{way_out}")

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON: every count, the warnings and the first reasons."""
        record = asdict(self)
        del record["findings"]
        return {**record, "reasons": self.reasons}


class RunLengths(Mapping[int, bytes]):
    """{object row: mask} in three arrays, so that loader processes share them without copying."""

    def __init__(self, rows: Int64, ends: Int64, data: UInt8) -> None:
        self.rows = rows
        """(R,) object rows, ascending."""
        self.ends = ends
        """(R + 1,): bytes of `data` that belong to each of `rows`."""
        self.data = data

    @classmethod
    def pack(cls, entries: Mapping[int, bytes]) -> RunLengths:
        """From any mapping."""
        rows = sorted(entries)
        ends = np.cumsum([0, *(len(entries[row]) for row in rows)], dtype=np.int64)
        data = np.frombuffer(b"".join(entries[row] for row in rows), np.uint8)
        return cls(np.array(rows, np.int64), ends, data)

    def __getitem__(self, row: int) -> bytes:
        i = int(np.searchsorted(self.rows, row))
        if i == len(self.rows) or self.rows[i] != row:
            raise KeyError(row)
        return self.data[self.ends[i] : self.ends[i + 1]].tobytes()

    def __iter__(self) -> Iterator[int]:
        return iter(self.rows.tolist())

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, eq=False)
class ImageIndex:
    """N images with M objects. Boxes are corners x1, y1, x2, y2 in pixels of the upright original image."""

    names: tuple[str, ...]
    paths: tuple[Path, ...]
    sizes: Int32
    """(N, 2) height and width after EXIF rotation, from the files."""
    offsets: Int64
    """(N + 1,): the objects of image i are the rows offsets[i] to offsets[i + 1]."""
    labels: Int64
    """(M,) class of each object."""
    boxes: Float64
    """(M, 4)."""
    areas: Float64
    """(M,) as the label file gives them (COCO), else of the outline (segment, obb), else of the box."""
    crowd: Bool
    """(M,) crowd regions and difficult objects (DOTA): ignored in evaluation, not trained on."""
    polygon_offsets: Int64
    """(M + 1,): rows of `ring_offsets` that belong to each object; none if it has no polygon."""
    ring_offsets: Int64
    """(R + 1,): rows of `polygon_points` that belong to each ring. An object seen in parts has several rings."""
    polygon_points: Float32
    """(P, 2) x, y in pixels."""
    image_ids: Int64
    """(N,) as the label file gives them (COCO), else 1, 2, ..."""
    report: DataReport
    digests: npt.NDArray[np.uint8] = field(default_factory=lambda: np.zeros((0, 16), np.uint8))
    """(N, 16) hash of each file's bytes; may be left out of an index made by hand."""
    keypoints: Float32 | None = None
    """(M, K, 3) x, y in pixels and 0 not labelled, 1 hidden, 2 visible; None for data without keypoints."""
    keypoint_shape: tuple[int, int] | None = None
    """K, and the numbers per keypoint in the label files: 2 (x, y) or 3 (and a flag)."""
    flip_idx: tuple[int, ...] | None = None
    """(K,) which keypoint each one becomes in a mirrored picture; None: unknown, so nothing may be mirrored."""
    run_lengths: Mapping[int, bytes] = field(default_factory=dict)
    """Object row -> its mask in COCO's compressed run-length form, where the rings do not say it exactly: masks that
    come as run lengths (crowds, mostly), polygons that leave the image. Only `task="segment"` fills it."""
    area_of_box: Bool | None = None
    """(M,) objects whose area is that of their box, as the label file tells no other; None: none of them."""
    partial: bool = False
    """Whether objects may be labelled for a part of the tasks: without an outline, without keypoints."""

    def __len__(self) -> int:
        return len(self.paths)

    def objects(self, i: int) -> slice:
        """Rows of `labels`, `boxes`, `areas`, `crowd` that belong to image `i`."""
        return slice(int(self.offsets[i]), int(self.offsets[i + 1]))

    def rings(self, row: int) -> list[Float32]:
        """The outlines (P, 2) of object `row`, one for each of its visible parts; none if it has only a box."""
        ends = self.ring_offsets[self.polygon_offsets[row] : self.polygon_offsets[row + 1] + 1]
        return [self.polygon_points[first:last] for first, last in itertools.pairwise(ends)]

    def run_length(self, row: int) -> RunLength:
        """The mask of object `row` in pixels of the original image, exactly as COCO's own tools draw it.

        Raises ValueError for an object that has only a box.
        """
        image = int(np.searchsorted(self.offsets, row, side="right")) - 1
        height, width = map(int, self.sizes[image])
        counts = self.run_lengths.get(row)
        if counts is None:
            rings = self.rings(row)
            if not rings:
                raise ValueError(f"object {row} has no mask, only a box")
            counts = rasterise(rings, height, width)
        return {"size": [height, width], "counts": counts}


def shared_images(a: ImageIndex, b: ImageIndex) -> int:
    """How many images of `b` are, byte for byte, also in `a`: a validation set must not repeat the training set."""
    known = {digest.tobytes() for digest in a.digests}
    return sum(digest.tobytes() in known for digest in b.digests)
