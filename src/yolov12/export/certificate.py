"""The check that every export ends with: the written file against torch, on pictures, and what came of it. No torch.

The exported file is loaded as a user would load it. Its outputs and those of the reference are compared on the same
canvases by the measures of `inference.tolerance`, its detections with theirs, and both are scored on the labels where
the pictures have labels that fit the model.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from yolov12.artefact import Artefact
from yolov12.config.parse import STRIDE
from yolov12.config.run import ValConfig
from yolov12.config.tasks import TASKS
from yolov12.data.image_io import read_image
from yolov12.data.index import ImageIndex
from yolov12.detections import Decoded
from yolov12.errors import ExportError
from yolov12.evaluation.evaluator import evaluate
from yolov12.export.agreement import DETECTIONS, ROW, Rows, agreement, rows_of
from yolov12.export.probe import canvas_for
from yolov12.inference.exported import ExportedRuntime
from yolov12.inference.runtime import Runtime
from yolov12.inference.tolerance import LIMITS, differences, least_compared
from yolov12.metrics import main_name

FULL: Final = 0.05
"""Share of half precision's limits that a file in full precision may differ by."""
MAP_LOSS: Final[Mapping[str, float]] = {"fp32": 0.001, "fp16": 0.005, "int8": 0.02}
"""Largest loss of AP50-95, or of top-1, by the file's precision."""
AGREEMENT: Final[Mapping[str, float]] = {"fp32": 0.99, "fp16": 0.95, "int8": 0.0}
"""Smallest share of the reference's detections that the file finds, too."""
NOTICED: Final = 0.01
"""Share of the best score that scores may differ by where nothing is found."""
WORTH: Final = 0.1
"""Share of its accuracy that an int8 file may lose."""
TOGETHER: Final = 3
"""Pictures in one call of a graph of free batch."""


@dataclass(frozen=True)
class Check:
    """What the check runs on: pictures with labels, and whether the labels are of the model's classes.

    `pictures` says what they are: the name of a data set, or 'synthetic scenes'.
    """

    index: ImageIndex
    labelled: bool
    pictures: str


def certify(reference: Runtime, exported: ExportedRuntime, check: Check) -> dict[str, Any]:
    """The certificate, as plain values; its 'failures' are empty if the file may be handed over."""
    artefact = exported.artefact
    found: dict[str, float] = {}
    pairs: list[tuple[Rows, Rows]] = []
    batch: list[NDArray[np.uint8]] = []
    best = 0.0
    for canvas in canvases(check.index, artefact):
        expected, got = reference(canvas), exported(canvas)
        if artefact.suppression is None:
            widen(found, apart(expected, got, artefact))
            if artefact.lazy:  # it computes boxes in one way for all anchors, as above, and for a few
                least = least_compared(expected, artefact.task, len(artefact.names))
                widen(found, apart(expected, exported(canvas, least), artefact))
            best = max(best, float(expected.dense[:, 4 : 4 + len(artefact.names)].max(initial=0.0)))
        else:
            widen(found, baked_differences(expected, got, artefact))
        pairs.append((rows_of(expected, artefact), rows_of(got, artefact, suppressed=True)))
        if len(batch) < max(artefact.batch, TOGETHER):
            batch.append(canvas)
    for expected, got in together(reference, exported, batch):
        if artefact.suppression is None:
            widen(found, apart(expected, got, artefact))
            continue
        for one, other in zip(single_pictures(expected), single_pictures(got), strict=True):
            widen(found, baked_differences(one, other, artefact))
            pairs.append((rows_of(one, artefact), rows_of(other, artefact, suppressed=True)))
    certificate: dict[str, Any] = {
        "pictures": check.pictures,
        "images": len(check.index),
        "reference": f"{reference.name} {reference.precision}",
        "differences": {name: _plain(value) for name, value in found.items()},
        "limits": limits_of(artefact),
        **agreement(pairs, artefact),
        **_scores(reference, exported, check),
    }
    if TASKS[artefact.task].boxes and artefact.suppression is None and certificate["detections"] < DETECTIONS:
        certificate["limits"].pop("agreement", None)  # one tie that rounding decides would be a large share of them
        if not certificate["detections"] and "scores" in certificate["limits"]:  # all are next to nothing
            certificate["limits"]["scores"] = min(certificate["limits"]["scores"], NOTICED * best)
    if artefact.precision == "int8" and certificate["expected"]:  # of a weak model a small loss may be all
        certificate["limits"]["loss"] = min(MAP_LOSS["int8"], WORTH * certificate["expected"])
    certificate["failures"] = failures(certificate)
    return certificate


def widen(found: dict[str, float], more: Mapping[str, float]) -> None:
    """Put larger differences in the place of smaller ones; NaN is the largest."""
    for name, value in more.items():
        found[name] = float(np.maximum(found.get(name, 0.0), value))


def together(
    reference: Runtime, exported: ExportedRuntime, batch: Sequence[NDArray[np.uint8]]
) -> Iterator[tuple[Decoded, Decoded]]:
    """Both answers to several pictures in one call of the graph; where shapes are free, on canvases of other shapes."""
    artefact = exported.artefact
    if artefact.dynamic:
        height, width = (
            min(side) // 2 // STRIDE * STRIDE or STRIDE for side in zip(*(one.shape[1:3] for one in batch), strict=True)
        )
        groups = [[one[:, :height] for one in batch], [one[:, :, :width] for one in batch]]
        groups = [[one for one in group if one.shape == group[0].shape][:TOGETHER] for group in groups]
    else:
        groups = [[batch[i % len(batch)] for i in range(artefact.batch)]]
    for group in groups:
        images = np.ascontiguousarray(np.concatenate(group))
        got = exported.whole(images)  # before torch is asked: what the file cannot do is said at once
        yield reference(images), got


def single_pictures(decoded: Decoded) -> Iterator[Decoded]:
    """A batch as batches of one."""
    for i in range(len(decoded.dense)):
        prototypes = None if decoded.prototypes is None else decoded.prototypes[i : i + 1]
        yield decoded._replace(dense=decoded.dense[i : i + 1], prototypes=prototypes)


def apart(expected: Decoded, found: Decoded, artefact: Artefact) -> dict[str, float]:
    """The differences of dense outputs; ExportError where not even their shapes agree."""
    if expected.dense.shape != found.dense.shape:
        raise ExportError(
            f"the exported graph answers {found.dense.shape} where the model answers {expected.dense.shape}. "
            "Nothing was written"
        )
    return differences(expected, found, artefact.task, len(artefact.names))


def baked_differences(expected: Decoded, found: Decoded, artefact: Artefact) -> dict[str, float]:
    """Differences of rows that a graph has suppressed by itself, and of its prototypes; of as many rows in one order.

    Extras, coefficients of masks or keypoints, are taken relative to their size. What has other rows differs in them.
    """
    apart: dict[str, float] = {}
    if expected.prototypes is not None and found.prototypes is not None:
        apart["masks"] = _relative(expected.prototypes, found.prototypes)
    a, b = rows_of(expected, artefact), rows_of(found, artefact, suppressed=True)
    if len(a) and len(a) == len(b) and bool((a[:, 5] == b[:, 5]).all()):
        apart |= {"scores": float(np.abs(a[:, 4] - b[:, 4]).max()), "pixels": float(np.abs(a[:, :4] - b[:, :4]).max())}
        if a.shape[1] > ROW:
            apart["masks"] = float(np.maximum(apart.get("masks", 0.0), _relative(a[:, ROW:], b[:, ROW:])))
    return apart


def _relative(expected: NDArray[np.float32], found: NDArray[np.float32]) -> float:
    """The largest difference in units of the root mean square."""
    return float(np.abs(expected - found).max()) / (float(np.sqrt((expected**2).mean())) or 1.0)


def limits_of(artefact: Artefact) -> dict[str, float]:
    """What a file of this precision may differ by; int8 is judged by its scores alone."""
    if artefact.precision == "int8":
        return {"loss": MAP_LOSS["int8"]}
    share = FULL if artefact.precision == "fp32" else 1.0
    names = ["scores"] if not TASKS[artefact.task].boxes else list(LIMITS)
    limits = {name: LIMITS[name] * share for name in names}
    return {**limits, "agreement": AGREEMENT[artefact.precision], "loss": MAP_LOSS[artefact.precision]}


def failures(certificate: Mapping[str, Any]) -> list[str]:
    """What is over its limit, in words."""
    limits = certificate["limits"]
    found = [
        f"{name} differ by {value if value is None else format(value, '.3g')}, at most {limits[name]:g} are allowed"
        for name, value in certificate["differences"].items()
        if name in limits and (value is None or value > limits[name])
    ]
    shared, loss = certificate.get("agreement"), certificate.get("loss")
    if shared is None and "agreement" in limits:
        found.append("nothing was found on the pictures, so nothing was compared: name other ones with --data")
    if shared is not None and shared < limits.get("agreement", 0.0):
        found.append(f"only {shared:.1%} of the detections are the same")
    if loss is not None and loss > limits.get("loss", np.inf):
        found.append(f"{certificate['metric']} falls by {loss:.4f}, at most {limits['loss']:g} is allowed")
    return found


def canvases(index: ImageIndex, artefact: Artefact) -> Iterator[NDArray[np.uint8]]:
    """Each picture of `index` on the canvas that the file is for, (1, H, W, 3) uint8 BGR."""
    for path in index.paths:
        yield canvas_for(read_image(path), artefact)


def _scores(reference: Runtime, exported: ExportedRuntime, check: Check) -> dict[str, Any]:
    """AP, or top-1, of both on the labels, and what the file loses; None where there are no labels to score on."""
    artefact = exported.artefact
    nothing = {"metric": None, "expected": None, "found": None, "loss": None}
    if not check.labelled or artefact.suppression is not None:
        return nothing
    config = ValConfig(imgsz=artefact.imgsz, rect=artefact.dynamic, batch=1, verbose=False)
    expected, found = (evaluate(one, check.index, config, artefact.task).main for one in (reference, exported))
    if not np.isfinite(expected):  # no objects in these pictures
        return nothing
    loss = expected - found if np.isfinite(found) else expected
    return {"metric": main_name(artefact.task), "expected": expected, "found": found, "loss": loss}


def certified(artefact: Artefact, certificate: Mapping[str, Any]) -> Artefact:
    """The description with its certificate; raises ExportError when something is over its limit."""
    if certificate["failures"]:
        raise ExportError(
            f"the exported file is not equal to the model: {'; '.join(certificate['failures'])}. Nothing was written"
        )
    return dataclasses.replace(artefact, certificate=dict(certificate))


def summary(certificate: Mapping[str, Any]) -> str:
    """One line for people."""
    parts = [f"{name} differ by at most {value:.2g}" for name, value in certificate["differences"].items()]
    if certificate["agreement"] is not None:
        parts.append(f"{certificate['agreement']:.1%} of {certificate['detections']} detections are the same")
    if certificate["loss"] is not None:
        parts.append(f"{certificate['metric']} {certificate['expected']:.4f} -> {certificate['found']:.4f}")
    return f"checked on {certificate['images']} pictures ({certificate['pictures']}): {', '.join(parts)}"


def _plain(value: float) -> float | None:
    return value if np.isfinite(value) else None
