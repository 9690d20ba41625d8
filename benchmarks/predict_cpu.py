"""Prediction on the CPU, from files to results: one image, and a folder of 200 of mixed sizes; YOLOv12 n, s, m at 640.

    python benchmarks/predict_cpu.py --bccd PATH --peer-python PEER/bin/python --checkpoints N.pt S.safetensors

The peer is ultralytics 8.4.190; its Python must have `ultralytics-opencv-headless==8.4.190`. Without `--peer-python`
only this package is timed. Both sides should have `openvino`, `onnx` and `onnxruntime` installed.

Both sides are long-lived processes with the same number of threads, kept on as many cores, and both are warmed on the
images that are timed. Then they take turns (ours, peer, ours, peer ...), and each turn gives one ratio. Ours runs with
its defaults, which take the runtime that was measured to be the fastest, as happens by itself from the third call on;
the measuring is not timed. The peer runs with its defaults, and also at its best setting, which is what is fastest in a
short trial: `rect=False`, `batch=8`, both, `quantize=16` (its half precision), its exports to ONNX and OpenVINO, and
with `--peer-compile` also `compile=True`, which takes minutes and a C++ compiler. A folder turn takes a minute or more,
hence 3 of them by default.

Images: JPEGs of quality 90, made from the first of BCCD by resizing to a cycle of 12 sizes. The one image is the
first of them, 640x480.

Weights, the same on both sides: the v1.0 layout, which the peer can run, exchanged as a state dict with the official
keys. `--checkpoints` names trained ones. For other sizes they are fresh ones of seed 0, made to find something by one
pass over 12 images of the folder: each batch norm takes the means of its channels and twice their average variance;
the class biases of each level are shifted together until 10 of its anchors pass the score threshold of 0.25 on half of
the images; box logits are scaled by 0.25 and lean towards small boxes. One variance a layer, not one a channel: a fresh
network whose every channel is stretched to unit variance magnifies rounding until float32 is 0.5 px off float64, which
leaves nothing to compare. As calibrated here it is 0.003 px. Exports of s still differ by more than a certificate
allows, so that plain torch is taken: use trained weights to see what users see.

Identity: all images of the folder, ours with `precision="fp32", runtime="torch"` against the peer's defaults, without
suppression (`iou=1`) and with it. Detections are matched within their class; boxes must agree within 0.5 px and scores
within 0.005, and none may be left over, except where it is that close to the score threshold. Exit status 1 if they do
not agree. Fresh weights crowd an image with overlapping boxes, so that rounding tips an overlap over the threshold of
0.7 here and there and a chain of suppressions changes: with them the second comparison is only reported.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import Side, machine, peer_environment
from predict_inputs import CONF, make_folder, make_weights, size_of

TRIAL_IMAGES, TRIAL_TURNS = 24, 3
BOX_TOLERANCE, SCORE_TOLERANCE = 0.5, 0.005
SEARCH = 20.0  # a pair this many tolerances apart is still the same object, whose difference is reported
OUR_SCRIPT, PEER_SCRIPT = (Path(__file__).resolve().with_name(name) for name in ("our_predict.py", "peer_predict.py"))

Options = dict[str, Any]
DEFAULTS: Options = {}
UNSUPPRESSED: Options = {"iou": 1.0, "max_det": 3000}
EXPORTS: list[Options] = [{"exported_as": "onnx"}, {"exported_as": "openvino"}]
PEER_SETTINGS: dict[str, list[Options]] = {
    "one image": [DEFAULTS, {"quantize": 16}, *EXPORTS],
    "folder": [DEFAULTS, {"rect": False}, {"batch": 8}, {"batch": 8, "rect": False}, {"quantize": 16}, *EXPORTS],
}


@dataclass(frozen=True)
class Job:
    """What is timed: `source` for `pairs` turns; the peer's settings compete on `trial`."""

    name: str
    source: Path
    trial: Path
    pairs: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bccd", type=Path, required=True, help="folder with JPEGImages")
    parser.add_argument("--peer-python", type=Path, help="Python of an environment that has the peer")
    parser.add_argument("--checkpoints", type=Path, nargs="*", default=[], help="v1.0 weights trained on BCCD")
    parser.add_argument("--sizes", nargs="+", default=["n", "s", "m"], choices=list("nsmlx"))
    parser.add_argument("--pairs", type=int, default=30, help="turns on one image")
    parser.add_argument("--folder-pairs", type=int, default=3, help="turns on the folder")
    parser.add_argument("--images", type=int, default=200, help="images in the folder")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--peer-compile", action="store_true", help="also try the peer with compile=True")
    options = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as scratch:
        images = make_folder(options.bccd, Path(scratch) / "images", options.images)
        agreed = [measure(options, size, images, Path(scratch) / size) for size in options.sizes]
    sys.exit(0 if all(agreed) else 1)


def measure(options: argparse.Namespace, size: str, images: Sequence[Path], scratch: Path) -> bool:
    """Both jobs and the identity check for one size; False if the detections differ."""
    scratch.mkdir()
    checkpoint = next((path for path in options.checkpoints if size_of(path) == size), None)
    start = {"threads": options.threads, **make_weights(size, checkpoint, images, scratch)}
    weights = "trained" if checkpoint else "fresh calibrated"
    print(f"\nYOLOv12{size}, {start['classes']} classes, {weights} weights, {options.threads} threads", flush=True)
    with ExitStack() as stack:
        command = [sys.executable, str(OUR_SCRIPT)]
        ours = stack.enter_context(
            Side(command, start, scratch / "ours.log", {**os.environ, "YOLOV12_CACHE": str(scratch)})
        )
        print("  ours:", ", ".join(f"{name} {version}" for name, version in ours.versions.items()))
        peer = None
        if options.peer_python:
            command = [str(options.peer_python.absolute()), str(PEER_SCRIPT)]
            peer = stack.enter_context(Side(command, start, scratch / "peer.log", peer_environment(scratch)))
            print("  peer:", ", ".join(f"{name} {version}" for name, version in peer.versions.items()))
        folder, trial = images[0].parent, copy_images(images[:TRIAL_IMAGES], scratch / "trial")
        for job in (
            Job("one image", images[0], images[0], options.pairs),
            Job("folder", folder, trial, options.folder_pairs),
        ):
            time_job(job, ours, peer, options.peer_compile)
        if peer is None:
            return True
        same = compare(ours, peer, folder, UNSUPPRESSED)
        return (compare(ours, peer, folder, DEFAULTS) or checkpoint is None) and same


def copy_images(images: Sequence[Path], folder: Path) -> Path:
    """A folder of just these images."""
    folder.mkdir()
    for image in images:
        (folder / image.name).write_bytes(image.read_bytes())
    return folder


# ---- speed ---------------------------------------------------------------------------------------------------------


def time_job(job: Job, ours: Side, peer: Side | None, try_compile: bool) -> None:
    """Time one job, in turns with each of the peer's settings, and print its lines."""
    precision = run(ours, job.source, DEFAULTS)["precision"]  # this warms it, too
    mine: list[float] = []
    lines = []
    if peer is None:
        mine = [milliseconds(ours, job.source, DEFAULTS) for _ in range(job.pairs)]
    else:
        settings = peer_settings(job, peer, try_compile)
        for setting in settings.values():
            run(peer, job.source, setting)
        times: dict[str, list[float]] = {name: [] for name in settings}
        ratios: dict[str, list[float]] = {name: [] for name in settings}
        for _ in range(job.pairs):
            for name, setting in settings.items():
                mine.append(milliseconds(ours, job.source, DEFAULTS))
                times[name].append(milliseconds(peer, job.source, setting))
                ratios[name].append(times[name][-1] / mine[-1])
        lines = [
            f"    peer, {name}: {spread(times[name], 1)} ms/image; ratio {spread(ratios[name], 2)}" for name in settings
        ]
    print(f"  {job.name}, {job.pairs} turns; median (min-max)")
    print(
        "\n".join([f"    ours, defaults ({precision}): {spread(mine, 1)} ms/image", *lines]),
        flush=True,
    )


def peer_settings(job: Job, peer: Side, try_compile: bool) -> dict[str, Options]:
    """The peer's defaults, and its best setting in a short trial unless that is the same."""
    tried = []
    candidates = PEER_SETTINGS[job.name] + ([{"compile": True}] if try_compile else [])
    for setting in candidates:
        try:
            run(peer, job.trial, setting)
        except RuntimeError as error:
            print(f"  peer with {describe(setting)}: {error}")
            continue
        fastest = min(milliseconds(peer, job.trial, setting) for _ in range(TRIAL_TURNS))
        tried.append((fastest, setting))
    trial = ", ".join(f"{describe(setting)} {fastest:.0f}" for fastest, setting in tried)
    print(f"  {job.name}, trial of the peer's settings, best of {TRIAL_TURNS} in ms/image: {trial}", flush=True)
    best = min(tried, key=lambda pair: pair[0])[1]
    if best == DEFAULTS:
        return {"defaults (its best setting)": DEFAULTS}
    return {"defaults": DEFAULTS, f"best setting ({describe(best)})": best}


def describe(setting: Options) -> str:
    """A setting as it is typed."""
    return " ".join(f"{name}={value}" for name, value in setting.items()) or "defaults"


def run(side: Side, source: Path, setting: Options, *, rows: bool = False) -> dict[str, Any]:
    """One command to one side; it must have read every image."""
    answer = side.ask({"source": str(source), "options": setting, "rows": rows})
    expected = len(list(source.iterdir())) if source.is_dir() else 1
    if answer["images"] != expected:
        raise SystemExit(f"{source}: {answer['images']} results for {expected} images")
    return answer


def milliseconds(side: Side, source: Path, setting: Options) -> float:
    """Milliseconds per image."""
    answer = run(side, source, setting)
    return float(answer["seconds"]) * 1000 / int(answer["images"])


def spread(values: Sequence[float], digits: int) -> str:
    """Median and range."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


# ---- identity ------------------------------------------------------------------------------------------------------


Row = list[float]  # x1, y1, x2, y2, score, class


def compare(ours: Side, peer: Side, folder: Path, setting: Options) -> bool:
    """Compare all detections of the folder and print the differences."""
    mine = run(ours, folder, {"precision": "fp32", "runtime": "torch", **setting}, rows=True)["rows"]
    theirs = run(peer, folder, setting, rows=True)["rows"]
    pairs: list[tuple[Row, Row]] = []
    unmatched: list[tuple[str, str, Row]] = []
    for name in sorted(theirs):
        found, left, right = match(mine[name], theirs[name])
        pairs += found
        unmatched += [(name, "ours only", row) for row in left] + [(name, "peer only", row) for row in right]
    serious = [entry for entry in unmatched if entry[2][4] > CONF + SCORE_TOLERANCE]
    box = max((box_difference(a, b) for a, b in pairs), default=0.0)
    score = max((abs(a[4] - b[4]) for a, b in pairs), default=0.0)
    agree = bool(pairs) and not serious and box <= BOX_TOLERANCE and score <= SCORE_TOLERANCE
    print(
        f"  identity in fp32, {describe(setting)}: {'yes' if agree else 'NO'}; "
        f"{len(theirs)} images, {len(pairs)} pairs of detections; "
        f"worst box {box:.4f} px, worst score {score:.6f}; unmatched {len(unmatched)}, "
        f"of which at the score threshold {len(unmatched) - len(serious)}"
    )
    for name, whose, row in serious[:10]:
        print(f"    {name}, {whose}: {', '.join(f'{value:.4f}' for value in row)}")
    return agree


def match(mine: list[Row], theirs: list[Row]) -> tuple[list[tuple[Row, Row]], list[Row], list[Row]]:
    """Pairs of one image, the closest first, and what is left on either side."""
    distances = sorted(
        (distance, i, j)
        for i, a in enumerate(mine)
        for j, b in enumerate(theirs)
        if a[5] == b[5] and (distance := difference(a, b)) <= SEARCH
    )
    left, right, pairs = dict(enumerate(mine)), dict(enumerate(theirs)), []
    for _, i, j in distances:
        if i in left and j in right:
            pairs.append((left.pop(i), right.pop(j)))
    return pairs, list(left.values()), list(right.values())


def difference(a: Row, b: Row) -> float:
    """How far two detections are apart, in tolerances."""
    return max(box_difference(a, b) / BOX_TOLERANCE, abs(a[4] - b[4]) / SCORE_TOLERANCE)


def box_difference(a: Row, b: Row) -> float:
    """The largest difference of a coordinate, in pixels."""
    return max(abs(x - y) for x, y in zip(a[:4], b[:4], strict=True))


if __name__ == "__main__":
    main()
