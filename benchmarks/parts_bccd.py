"""What each part and each loss is worth: one thing changed at a time, on blood cells and on synthetic scenes.

    python benchmarks/parts_bccd.py --bccd PATH --out runs/parts                        # all rows, seeds 0 and 1
    python benchmarks/parts_bccd.py --bccd PATH --out runs/parts --rows baseline focal  # some of them
    python benchmarks/parts_bccd.py --out runs/parts --data synthetic --rows baseline hybrid twins --seeds 0
    python benchmarks/parts_bccd.py --bccd PATH --out runs/parts --table                # only the table, with times

Resumable: a job (data, row, seed) is a process of its own and leaves one JSON file in `OUT/jobs`; a finished job is
only read, an interrupted one goes on where it stopped. All rows have the same budget, recipe and pictures. Blood cells:
`trainval` -> `test`, scored with the averaged weights of the last epoch. Synthetic scenes: as `tasks_synthetic.py`
detects them. `baseline-60` is the baseline with the budget of `train_bccd.py`, to say how far the short budget goes.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common import machine
from tasks_synthetic import AVERAGE, JOBS, make_data
from tasks_synthetic import RECIPE as SCENES
from train_bccd import RECIPE as CELLS
from train_bccd import data_yaml

SIZE, EPOCHS, LONG_EPOCHS = 160, 25, 60
ROUNDS, IMAGE = 20, 640
DATA = ("bccd", "synthetic")


@dataclass(frozen=True)
class Row:
    """A network and its training, as far as they differ from the baseline, `yolov12n`."""

    says: str
    parts: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    model: str = "yolov12n"


ROWS = {
    "baseline": Row("yolov12n"),
    "baseline-60": Row("yolov12n, 60 epochs", options={"epochs": LONG_EPOCHS}),
    "yolo11": Row("backbone yolo11", {"backbone": "yolo11"}),
    "yolov8": Row("backbone yolov8", {"backbone": "yolov8"}),
    "hybrid": Row("backbone hybrid, shifted windows", {"backbone": "hybrid"}),
    "twins": Row("backbone hybrid, Twins", {"backbone": {"kind": "hybrid", "attention": "twins"}}),
    "transformer": Row("backbone transformer", {"backbone": "transformer"}),
    "context_bifpn": Row("neck context_bifpn", {"neck": "context_bifpn"}),
    "attention_pan": Row("neck attention_pan", {"neck": "attention_pan"}),
    "concat": Row("neck attention_pan, concat", {"neck": {"kind": "attention_pan", "agg_method": "concat"}}),
    "transposed": Row("neck pafpn, transposed convolutions", {"neck": {"kind": "pafpn", "upsample": "transposed"}}),
    "anchor": Row("head anchor", {"head": "anchor"}),
    "dilations": Row("head detect, dilations 1 2 3", {"head": {"kind": "detect", "dilations": [1, 2, 3]}}),
    "focal": Row("class loss focal", options={"cls_loss": "focal"}),
    "focal-mining": Row("class loss focal, 3 negatives a positive", options={"cls_loss": "focal", "negatives": 3}),
    "qfl": Row("class loss qfl", options={"cls_loss": "qfl"}),
    "varifocal": Row("class loss varifocal", options={"cls_loss": "varifocal"}),
    "ghm-c": Row("class loss ghm", options={"cls_loss": "ghm"}),
    "iou-aware-off": Row("classes not IoU-aware", options={"iou_aware": False}),
    "smoothing": Row("soft labels, 0.1", options={"label_smoothing": 0.1}),
    "diou": Row("box loss diou", options={"iou_loss": "diou"}),
    "giou": Row("box loss giou", options={"iou_loss": "giou"}),
    "ghm-r": Row("box loss ghm", options={"iou_loss": "ghm"}),
    "preset-hybrid": Row("preset yolov12-hybrid-n", model="yolov12-hybrid-n"),
    "preset-transformer": Row("preset yolov12-transformer-n", model="yolov12-transformer-n"),
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bccd", type=Path, help="folder with JPEGImages, Annotations, ImageSets")
    parser.add_argument("--out", type=Path, default=Path("runs/parts"))
    parser.add_argument("--data", choices=DATA, default="bccd")
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS), metavar="ROW")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--table", action="store_true", help="train nothing: time the networks, write the table")
    parser.add_argument("--quick", action="store_true", help="one tiny epoch each: does the script run?")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.data == "bccd" and options.bccd is None:
        parser.error("--bccd is missing: the folder of the blood cells")
    options.out = options.out.absolute()
    (options.out / "jobs").mkdir(parents=True, exist_ok=True)
    if options.job:
        train(options, options.rows[0], options.seeds[0])
    elif options.table:
        print(write_table(options))
    else:
        run_jobs(options)


def job_file(options: argparse.Namespace, row: str, seed: int) -> Path:
    """Where the scores of a job are."""
    path: Path = options.out / "jobs" / f"{options.data}-{row}-{seed}.json"
    return path


def run_jobs(options: argparse.Namespace) -> None:
    """One process a job, seed by seed, so that a first table is there early."""
    for seed in options.seeds:
        for row in options.rows:
            if job_file(options, row, seed).exists():
                continue
            command = [
                sys.executable, __file__, "--out", options.out, "--data", options.data, "--rows", row,
                "--seeds", str(seed), "--threads", str(options.threads), "--device", options.device, "--job", "one",
            ]  # fmt: skip
            command += ["--bccd", options.bccd] if options.bccd else []
            command += ["--quick"] if options.quick else []
            status = subprocess.run(command, check=False).returncode
            if status:
                print(f"{row}, seed {seed}: ended with status {status}; the next run tries again", file=sys.stderr)


def settings_of(options: argparse.Namespace, row: Row, seed: int, name: str) -> dict[str, Any]:
    """Options of `train` for a job."""
    if options.data == "bccd":
        recipe = {**CELLS, "epochs": EPOCHS, "imgsz": SIZE}
    else:
        job = JOBS["detect"]
        recipe = {**SCENES, **AVERAGE, "epochs": job.epochs, "imgsz": job.imgsz, "pretrained": False}
    recipe = {**recipe, "val": False, "plots": False, **row.options}
    if options.quick:
        recipe |= {"epochs": 1, "imgsz": 64}
    where = {"project": str(options.out / "runs"), "name": name, "exist_ok": True, "device": options.device}
    return {**recipe, **where, "seed": seed, "workers": 1}


def data_of(options: argparse.Namespace) -> Path:
    """The data set, whose description or scenes are written once."""
    if options.data == "synthetic":
        return make_data(options, "detect")
    described: Path = options.out / "bccd.yaml"
    return described if described.exists() else data_yaml(options.bccd, options.out)


def train(options: argparse.Namespace, name: str, seed: int) -> None:
    """Train or resume one job and write its scores."""
    import torch

    from yolov12 import YOLO

    torch.set_num_threads(options.threads)
    row, label = ROWS[name], f"{options.data}-{name}-{seed}"
    last = options.out / "runs" / label / "weights" / "last.safetensors"
    started = time.perf_counter()
    if last.exists():
        model = YOLO(last)
        model.train(resume=True)
    else:
        model = YOLO(row.model, parts=row.parts or None, pretrained=False)
        model.train(data=str(data_of(options)), **settings_of(options, row, seed, label))
    minutes = (time.perf_counter() - started) / 60
    split = "val" if options.data == "bccd" else "test"  # the YAML of the blood cells names their test split `val`
    metrics = YOLO(last).val(data=str(data_of(options)), split=split, precision="fp32", plots=False, verbose=False,
                             project=str(options.out / "val"), name=label, exist_ok=True)  # fmt: skip
    assert metrics.box is not None
    scores = {"row": name, "seed": seed, "AP": metrics.box.map, "AP50": metrics.box.map50, "minutes": minutes}
    job_file(options, name, seed).write_text(json.dumps(scores) + "\n", encoding="utf8")


def write_table(options: argparse.Namespace) -> str:
    """What is finished, as Markdown, also in `OUT/DATA.md`."""
    import torch

    torch.set_num_threads(options.threads)
    found = {row: [json.loads(path.read_text()) for seed in options.seeds
                   if (path := job_file(options, row, seed)).exists()] for row in options.rows}  # fmt: skip
    found = {row: jobs for row, jobs in found.items() if jobs}
    if "baseline" not in found:
        raise SystemExit("the baseline is not trained yet")
    costs = costs_of(list(found), options.data)
    base = statistics.mean(job["AP"] for job in found["baseline"])
    lines = [machine(), "", f"| changed | parameters | GFLOPs | forward ms | AP, mean of seeds {options.seeds} (each) "
             "| AP50 | AP - baseline |", "|---|---|---|---|---|---|---|"]  # fmt: skip
    for row, jobs in found.items():
        values = [job["AP"] for job in jobs]
        parameters, gflops, milliseconds = costs[row]
        each = ", ".join(f"{value:.3f}" for value in values)
        lines.append(
            f"| {ROWS[row].says} | {parameters / 1e6:.2f} M | {gflops:.1f} | {milliseconds:.0f} "
            f"| {statistics.mean(values):.3f} ({each}) | {statistics.mean(job['AP50'] for job in jobs):.3f} "
            f"| {statistics.mean(values) - base:+.3f} |"
        )
    spreads = [statistics.variance(job["AP"] for job in jobs) for jobs in found.values() if len(jobs) > 1]
    if spreads:
        pooled = statistics.mean(spreads) ** 0.5
        lines += ["", f"Standard deviation of one seed, pooled over {len(spreads)} rows: {pooled:.3f}."]
    text = "\n".join(lines) + "\n"
    (options.out / f"{options.data}.md").write_text(text, encoding="utf8")
    return text


def costs_of(rows: Sequence[str], data: str) -> dict[str, tuple[int, float, float]]:
    """Parameters, GFLOPs and median milliseconds of one picture of 640 pixels by row; the networks take turns."""
    import torch

    from yolov12 import YOLO

    classes = 3 if data == "bccd" else 8
    models = {
        row: YOLO(ROWS[row].model, parts=ROWS[row].parts or None, pretrained=False, num_classes=classes) for row in rows
    }
    profiles = {row: model.info(imgsz=IMAGE, verbose=False) for row, model in models.items()}
    times: dict[str, list[float]] = {row: [] for row in rows}
    images = torch.zeros(1, 3, IMAGE, IMAGE)
    for _ in range(ROUNDS + 2):
        for row, model in models.items():
            started = time.perf_counter()
            model.forward(images)
            times[row].append(time.perf_counter() - started)
    return {
        row: (profiles[row].parameters, profiles[row].gflops, 1000 * statistics.median(times[row][2:])) for row in rows
    }


if __name__ == "__main__":
    main()
