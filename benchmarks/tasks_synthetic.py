"""Every task from scratch on synthetic scenes: train, predict held-out scenes, score; and the peer on the same files.

    python benchmarks/tasks_synthetic.py --out runs/tasks                           # ours, all tasks
    python benchmarks/tasks_synthetic.py --out runs/tasks --tasks pose obb          # some of them
    python benchmarks/tasks_synthetic.py --out runs/tasks --sides peer --peer-python PEER/bin/python
    python benchmarks/tasks_synthetic.py --out runs/tasks --sides shuffled          # the control: must fail every bar

Resumable: every job (task, side, seed) is a process of its own and leaves one JSON row in `OUT/rows`; a finished one
is only read, an interrupted one of ours goes on where it stopped. `OUT/table.md` has all rows.

The scenes are frozen: version and seed stand below, before any training. Both sides see the same pictures equally
often, predict the same test scenes through their public interfaces with the same thresholds, and are scored by this
package's evaluator. Sides:

    ours           the recipe below, which was chosen on `train` -> `val`
    peer           ultralytics 8.4.190, in an environment of its own, with the same recipe as far as it has such options
    peer-defaults  the peer with its own defaults
    shuffled       ours, with each training scene under the labels of another
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from common import machine, peer_environment

VERSION, DATA_SEED, SIZE = 1, 0, 192
TRAIN, VAL, TEST = 2000, 150, 400
SIDE_SCRIPT = Path(__file__).with_name("tasks_side.py")
THRESHOLDS = {"conf": 0.001, "iou": 0.7, "max_det": 100}
SIDES = ("ours", "peer", "peer-defaults", "shuffled")
RECIPE = {
    "batch": 8, "nbs": 8, "optimizer": "AdamW", "lr0": 0.002, "momentum": 0.9, "cos_lr": True, "warmup_epochs": 1.0,
    "warmup_bias_lr": 0.1, "mosaic": 0.0, "scale": 0.2, "close_mosaic": 0,
}  # fmt: skip
AVERAGE = {"ema_tau": 300.0, "ema_decay": 0.998}
"""Of our recipe, too; the peer has no such options."""
CLASSIFY = {
    "batch": 32, "nbs": 32, "warmup_bias_lr": 0.0, "auto_augment": "none", "erasing": 0.0,
}  # fmt: skip
"""What differs where whole pictures are classified: one class a picture is little to learn from, so there are more."""


@dataclass(frozen=True)
class Job:
    """What one task trains, and the score that a from-scratch run has to reach; `key` is its name in a comparison."""

    model: str
    peer: str
    metric: str
    key: str
    bar: float
    epochs: int = 8
    train: int = TRAIN
    imgsz: int = SIZE
    recipe: dict[str, Any] = field(default_factory=dict)


JOBS = {
    "detect": Job("yolov12n", "yolo12n.yaml", "box AP50", "box AP50", 0.90),
    "segment": Job("yolov12n-seg", "yolo12n-seg.yaml", "mask AP50", "mask AP50", 0.85),
    "pose": Job("yolov12n-pose", "yolo12n-pose.yaml", "keypoint AP50", "pose AP50", 0.85),
    "obb": Job("yolov12n-obb", "yolo12n-obb.yaml", "rotated AP50", "box AP50", 0.80),
    "classify": Job("yolov12n-cls", "yolo12n-cls.yaml", "top-1", "top-1", 0.95, 24, 8000, 96, CLASSIFY),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/tasks"))
    parser.add_argument("--tasks", nargs="+", choices=list(JOBS), default=list(JOBS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of weights, order and augmentation")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--workers", type=int, default=1, help="loader processes, on both sides")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=["ours"])
    parser.add_argument("--peer-python", type=Path, help="Python of an environment that has the peer")
    parser.add_argument("--epochs", type=int, help="instead of each task's own number")
    parser.add_argument("--quick", action="store_true", help="a few tiny pictures, one epoch: does the script run?")
    options = parser.parse_args()
    options.out = options.out.absolute()
    if any(side.startswith("peer") for side in options.sides) and not options.peer_python:
        parser.error("--peer-python is missing: where the peer is installed")
    for task in options.tasks:
        for seed in options.seeds:
            for side in options.sides:
                run_job(options, task, side, seed)
    print(machine())
    print(write_table(options.out))


def run_job(options: argparse.Namespace, task: str, side: str, seed: int) -> None:
    """Train, predict and score one side on one task, unless its row is there."""
    name = f"{task}-{side}-{seed}"
    row = options.out / "rows" / f"{name}.json"
    if row.exists():
        known = json.loads(row.read_text(encoding="utf8"))["scenes"]["version"]
        if known != VERSION:
            raise SystemExit(f"{row} is of scenes of version {known}, not {VERSION}: name another --out")
        return
    job, folder = JOBS[task], options.out / name
    folder.mkdir(parents=True, exist_ok=True)
    data = make_data(options, task)
    train_on = shuffled_copy(data.parent, options.out / "data" / f"{task}-shuffled") if side == "shuffled" else data
    theirs = side.startswith("peer")
    recipe = {"batch": 16} if side == "peer-defaults" else RECIPE | job.recipe | ({} if theirs else AVERAGE)
    if theirs and recipe.get("auto_augment") == "none":
        recipe["auto_augment"] = None
    epochs = options.epochs or (1 if options.quick else job.epochs)
    command = {
        "theirs": theirs, "task": task, "threads": options.threads, "folder": str(folder), "thresholds": THRESHOLDS,
        "model": job.peer if theirs else job.model,
        "data": str(train_on) if not theirs else peer_data(train_on, task, folder),
        "test": [str(path) for path in test_pictures(data, task)],
        "train": {
            "epochs": epochs, "imgsz": 64 if options.quick else job.imgsz, "device": options.device,
            "workers": options.workers, "seed": seed, "val": False, "plots": False, "project": str(folder),
            "name": "run", "exist_ok": True, **recipe,
        },
    }  # fmt: skip
    python = str(options.peer_python.absolute()) if theirs else sys.executable
    environment = peer_environment(folder) if theirs else {**os.environ}
    environment["OMP_NUM_THREADS"] = str(options.threads)
    (folder / "command.json").write_text(json.dumps(command, indent=1), encoding="utf8")
    with (folder / "log.txt").open("a") as log:
        words = [python, str(SIDE_SCRIPT), str(folder / "command.json")]
        done = subprocess.run(words, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
    if done.returncode:
        raise SystemExit(f"{name} failed; see {folder / 'log.txt'}")
    trained = json.loads((folder / "trained.json").read_text(encoding="utf8"))
    scores = score(data, task, folder / "found")
    write_row(row, {
        "task": task, "side": side, "seed": seed, "metric": job.metric, "bar": job.bar,
        "score": scores[job.metric], "scores": scores, "images_seen": epochs * pictures(train_on), **trained,
        "threads": options.threads, "scenes": json.loads((data.parent / "synthetic.json").read_text()),
        "train_options": command["train"], "machine": machine(), "command": sys.argv,
    })  # fmt: skip


def make_data(options: argparse.Namespace, task: str) -> Path:
    """The data YAML of a task's scenes, which are written once."""
    from yolov12.data.synthetic import SYNTHETIC_VERSION, write_synthetic

    if SYNTHETIC_VERSION != VERSION:
        raise SystemExit(f"this benchmark is about scenes of version {VERSION}; the package draws {SYNTHETIC_VERSION}")
    folder = options.out / "data" / task
    if not (folder / "data.yaml").exists():
        counts = (24, 8, 8) if options.quick else (JOBS[task].train, VAL, TEST)
        sizes = dict(zip(("train", "val", "test"), counts, strict=True))
        write_synthetic(folder, task=task, seed=DATA_SEED, size=64 if options.quick else SIZE, **sizes)
    return folder / "data.yaml"


def test_pictures(data: Path, task: str) -> list[Path]:
    """The held-out pictures, by number; class folders are not part of what a side is told."""
    folder = data.parent / "test" if task == "classify" else data.parent / "images" / "test"
    return sorted(folder.rglob("*.jpg"), key=lambda path: path.stem)


def pictures(data: Path) -> int:
    """How many pictures there are to train on."""
    return len(list((data.parent / "train").rglob("*.jpg")) or list((data.parent / "images" / "train").glob("*.jpg")))


def peer_data(data: Path, task: str, folder: Path) -> str:
    """The same data set in words that the peer understands: an absolute root; a folder where pictures have classes."""
    if task == "classify":
        return str(data.parent)
    lines = [line for line in data.read_text(encoding="utf8").splitlines() if not line.startswith("format:")]
    path = folder / "peer.yaml"
    path.write_text("\n".join([f"path: {data.parent}", *lines]) + "\n", encoding="utf8")
    return str(path)


def shuffled_copy(source: Path, target: Path) -> Path:
    """`source` with each training picture under the labels of another, and no picture under its own."""
    if not target.exists():
        finished, target = target, target.with_suffix(".tmp")
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target, copy_function=os.link)
        random = np.random.default_rng(0)
        folder = source / "train" if (source / "train").is_dir() else source / "labels" / "train"
        files = sorted(path.relative_to(source) for path in folder.rglob("*.*"))
        order = random.permutation(len(files))
        givers = {int(a): int(b) for a, b in zip(order, np.roll(order, 1), strict=True)}
        for taker, giver in givers.items():
            if files[taker].suffix == ".txt":
                (target / files[taker]).unlink()
                shutil.copyfile(source / files[giver], target / files[taker])
            else:  # the class is the folder
                (target / files[taker]).unlink()
                os.link(source / files[taker], target / files[giver].parent / files[taker].name)
        target = target.rename(finished)
    return target / "data.yaml"


def measure(data: Path, task: str, found: Path) -> Any:
    """Metrics of one side's detections, which lie in `found`, one file for each test picture."""
    from yolov12.data.dataset import load_index
    from yolov12.metrics import evaluate_classification, evaluate_detections

    index = load_index(data, "test", task=task)
    detections = [read_found(found / f"{path.stem}.npz") for path in index.paths]
    return (
        evaluate_classification(index, detections)
        if task == "classify"
        else evaluate_detections(index, detections, task)
    )


def score(data: Path, task: str, found: Path) -> dict[str, float]:
    """The scores of one side."""
    metrics = measure(data, task, found)
    if task == "classify":
        return {"top-1": metrics.top1, "top-5": metrics.top5}
    main = "rotated" if task == "obb" else "box"
    scores = {f"{main} AP50": metrics.box.map50, f"{main} AP": metrics.box.map}
    for name, part in (("mask", metrics.seg), ("keypoint", metrics.pose)):
        if part is not None:
            scores |= {f"{name} AP50": part.map50, f"{name} AP": part.map}
    return scores


def read_found(path: Path) -> Any:
    """One file of `tasks_side.py` as our evaluator takes it."""
    from yolov12.detections import Detections
    from yolov12.results import Masks
    from yolov12.results.boxes import rotated_extents

    with np.load(path) as file:
        held = {name: file[name] for name in file.files}
    if "scores" in held:
        return Detections(np.zeros((0, 6)), scores=held["scores"])
    order = np.argsort(-held["conf"], kind="stable")
    conf, labels = held["conf"][order], held["cls"][order]
    if "xywhr" in held:
        x, y, w, h, angle = held["xywhr"][order].astype(np.float64).T
        turned = w < h
        w, h, angle = np.where(turned, h, w), np.where(turned, w, h), (angle + turned * np.pi / 2) % np.pi
        rotated = np.stack([x, y, w, h, angle], axis=1)
        return Detections(np.column_stack([rotated_extents(rotated), conf, labels]), rotated=rotated)
    rows = np.column_stack([held["xyxy"][order], conf, labels]).astype(np.float64)
    masks = None
    if "masks" in held:
        shape = tuple(held["masks_shape"].tolist())
        whole = np.unpackbits(held["masks"], count=int(np.prod(shape))).reshape(shape).astype(bool)
        masks = Masks.from_data(whole[order])
    keypoints = held["keypoints"][order].astype(np.float32) if "keypoints" in held else None
    return Detections(rows, masks=masks, keypoints=keypoints)


def write_row(path: Path, row: dict[str, Any]) -> None:
    """All of it or nothing."""
    path.parent.mkdir(exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(row, indent=1) + "\n", encoding="utf8")
    os.replace(temporary, path)


def write_table(out: Path) -> str:
    """A Markdown table of all rows, also written into `table.md`."""
    lines = [
        "| task | side | seed | pictures seen | minutes | score | | bar |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for path in sorted((out / "rows").glob("*.json")):
        row = json.loads(path.read_text(encoding="utf8"))
        others = ", ".join(f"{name} {value:.3f}" for name, value in row["scores"].items() if name != row["metric"])
        lines.append(
            f"| {row['task']} | {row['side']} | {row['seed']} | {row['images_seen']} | {row['seconds'] / 60:.1f} "
            f"| {row['metric']} **{row['score']:.3f}** | {others} | {row['bar']:.2f} |"
        )
    lines += [
        "",
        "| task | seed | ours against | difference of the score, 95 % of resamples | |",
        "|---|---|---|---|---|",
    ]
    lines += differences(out)
    text = "\n".join(lines) + "\n"
    (out / "table.md").write_text(text, encoding="utf8")
    return text


def differences(out: Path) -> list[str]:
    """A table row for every side that saw the same test pictures as ours: by how much ours is better."""
    from yolov12.evaluation.bootstrap import difference, draw_weights
    from yolov12.evaluation.comparison import resampled_scores

    lines = []
    for ours in sorted((out / "rows").glob("*-ours-*.json")):
        task, seed = ours.stem.split("-ours-")
        for other in ("peer", "peer-defaults"):
            if not (out / "rows" / f"{task}-{other}-{seed}.json").exists():
                continue
            folders = (out / f"{task}-{side}-{seed}" / "found" for side in ("ours", other))
            data = out / "data" / task / "data.yaml"
            metrics = [measure(data, task, folder) for folder in folders]
            weights = draw_weights(len(test_pictures(data, task)))
            first, second = (resampled_scores(each, weights)[JOBS[task].key] for each in metrics)
            found = difference((first[0], second[0]), first[1], second[1])
            said = "significant" if found.significant else "not significant"
            lines.append(f"| {task} | {seed} | {other} | {found.interval} | {said} |")
    return lines


if __name__ == "__main__":
    main()
