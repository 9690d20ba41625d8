"""What a file can be checked by where there is no model to compare it with: its digest, and a few answers it once gave.

The questions are pictures that are made of whole numbers, the same on every machine; the answers stand in the
certificate. No torch.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from yolov12.artefact import Artefact
from yolov12.config.run import PredictConfig
from yolov12.config.tasks import TASKS
from yolov12.inference.predictor import view_of
from yolov12.inference.runtime import Runtime
from yolov12.inference.tolerance import CLEARLY

SHAPES: Final = ((300, 400), (416, 304))
CELL: Final = 16
"""Side of the squares of one colour that a picture is made of."""
ANCHORS: Final = 16
DIGITS: Final = 5
SCORES: Final = 0.02
PIXELS: Final = 2.0
RELATIVE: Final = 0.05
"""How far answers may be off: other processors round otherwise, and may compute in less."""
NO_DIGEST: Final = "0" * 64


def pictures() -> Iterator[NDArray[np.uint8]]:
    """The questions: (H, W, 3) uint8 BGR."""
    for number, (height, width) in enumerate(SHAPES):
        cells = np.random.default_rng(number).integers(0, 256, (height // CELL + 1, width // CELL + 1, 3), np.uint8)
        yield np.ascontiguousarray(cells.repeat(CELL, 0).repeat(CELL, 1)[:height, :width])


def answers(runtime: Runtime, artefact: Artefact) -> list[dict[str, Any]]:
    """What `runtime` says of each picture at the anchors that it is surest of, as plain values."""
    found = []
    for pixels in pictures():
        dense = runtime(canvas_for(pixels, artefact)).dense[0]  # (4 + C + E, A), or (C,)
        anchors = np.argsort(-_scores(dense, artefact), kind="stable")[:ANCHORS]
        found.append({"anchors": anchors.tolist(), "values": _values(dense, anchors)})
    return found


def wrong_answers(runtime: Runtime, artefact: Artefact, expected: Sequence[Mapping[str, Any]]) -> list[str]:
    """What `runtime` says otherwise than `expected`, in words."""
    wrong = []
    try:
        known_answers = [(np.asarray(one["anchors"], int), np.asarray(one["values"], float)) for one in expected]
    except (TypeError, KeyError, ValueError):
        known_answers = []
    if len(known_answers) != len(SHAPES):
        return ["the certificate has no answers to compare with"]
    for number, (pixels, (anchors, known)) in enumerate(zip(pictures(), known_answers, strict=True)):
        dense = runtime(canvas_for(pixels, artefact), _least(known, artefact)).dense[0]
        if anchors.size and anchors.max() >= dense.shape[-1]:
            wrong.append(f"picture {number} of the probe: {dense.shape[-1]} anchors, {anchors.max() + 1} expected")
            continue
        values = np.asarray(_values(dense, anchors))
        if values.shape != known.shape:
            wrong.append(f"picture {number} of the probe: an answer of {values.shape}, {known.shape} expected")
            continue
        apart = np.abs(values - known)
        allowed = np.maximum(_allowance(len(known), artefact)[:, None], RELATIVE * np.abs(known))
        if not bool((apart <= allowed).all()):
            wrong.append(f"picture {number} of the probe: answers are off by up to {apart.max():.3g}")
    return wrong


def payload_digest(path: Path, digest: str = NO_DIGEST) -> str:
    """SHA-256 of everything in an exported file or folder, its description included, but for `digest` itself."""
    made = hashlib.sha256()
    if path.is_dir():
        for file in sorted(file for file in path.rglob("*") if file.is_file()):
            made.update(file.relative_to(path).as_posix().encode() + b"\0" + _blank(file.read_bytes(), digest))
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            # What torch keeps in `.data` follows from the whole archive, the description included.
            for name in sorted(name for name in archive.namelist() if "/.data/" not in name):
                made.update(Path(name).name.encode() + b"\0" + _blank(archive.read(name), digest))
    else:
        made.update(_blank(path.read_bytes(), digest))
    return made.hexdigest()


def _blank(data: bytes, digest: str) -> bytes:
    return data.replace(digest.encode(), NO_DIGEST.encode()) if digest else data


def canvas_for(pixels: NDArray[np.uint8], artefact: Artefact) -> NDArray[np.uint8]:
    """A picture (H, W, 3) BGR on the canvas that a file is for, (1, H', W', 3)."""
    config = PredictConfig(imgsz=artefact.imgsz, rect=artefact.dynamic)
    return view_of(pixels, artefact.task, config).apply(pixels)[None]


def _scores(dense: NDArray[np.float32], artefact: Artefact) -> NDArray[np.float32]:
    """(A,), or (C,) of whole pictures."""
    if not TASKS[artefact.task].boxes:
        return dense
    best: NDArray[np.float32] = dense[4 : 4 + len(artefact.names)].max(axis=0)
    return best


def _values(dense: NDArray[np.float32], anchors: NDArray[np.int64]) -> list[list[float]]:
    """(rows, n)."""
    rows = np.atleast_2d(dense)[:, anchors].astype(float)
    return [[round(value, DIGITS) for value in row] for row in rows.tolist()]


def _least(known: NDArray[np.float64], artefact: Artefact) -> float:
    """The score above which boxes are asked for: that of all known answers (rows, n), whatever a file says they are."""
    if not artefact.lazy:
        return 0.0
    scores = np.atleast_2d(known)[4 : 4 + len(artefact.names)]
    return CLEARLY * float(scores.max(axis=0, initial=0.0).min(initial=1.0))


def _allowance(rows: int, artefact: Artefact) -> NDArray[np.float64]:
    """(rows,) how far each may be off: boxes in pixels, scores, and what follows as pixels."""
    if not TASKS[artefact.task].boxes:
        return np.full(rows, SCORES)
    number = np.arange(rows)
    return np.where((number >= 4) & (number < 4 + len(artefact.names)), SCORES, PIXELS)
