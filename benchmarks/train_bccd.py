"""Blood cells from scratch: YOLOv12n, 60 epochs, 320 pixels, batch 16, `trainval` -> `test`, three seeds.

    python benchmarks/train_bccd.py --bccd PATH --out runs/bccd                     # train and score seeds 0, 1, 2
    python benchmarks/train_bccd.py --bccd PATH --out runs/bccd --speed --peer-python PEER/bin/python

The first form is resumable: an interrupted seed goes on where it stopped, a finished one is only read. `test` is scored
once per seed, with the averaged weights of the last epoch, COCO-exactly. The second form measures images per second in
training, validation excluded, in turns with the peer (ultralytics 8.4.190, `yolo12n`, its defaults) on the same
threads; the peer's Python must have `ultralytics-opencv-headless==8.4.190`.

The recipe (chosen on `train` -> `val`) differs from the library's defaults, which are the published COCO recipe:

* an optimizer step after every batch (`nbs=16`): 292 images are 19 batches an epoch, and accumulating four of them
  leaves too few steps;
* AdamW at 0.004 with a cosine schedule;
* an average of the weights that is as young as the run is short (`ema_tau=300`, `ema_decay=0.998`);
* upside-down flips, because a smear has no up.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

from common import machine, peer_environment

RECIPE = {
    "epochs": 60, "imgsz": 320, "batch": 16, "pretrained": False, "val": False, "plots": False,
    "optimizer": "AdamW", "lr0": 0.004, "momentum": 0.9, "nbs": 16, "cos_lr": True,
    "ema_tau": 300.0, "ema_decay": 0.998, "flipud": 0.5,
}  # fmt: skip
NAMES = ("RBC", "WBC", "Platelets")
SPEED_EPOCHS = 4  # the first one warms up
ROUNDS = 2
PEER_SCRIPT = Path(__file__).with_name("peer_train.py")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bccd", type=Path, required=True, help="folder with JPEGImages, Annotations, ImageSets")
    parser.add_argument("--out", type=Path, default=Path("runs/bccd"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--speed", action="store_true", help="measure training speed instead")
    parser.add_argument("--peer-python", type=Path, help="Python of an environment that has the peer")
    parser.add_argument("--one-seed", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.one_seed is not None:
        train_one(options, options.one_seed)
    elif options.speed:
        measure_speed(options)
    else:
        train_seeds(options)


def data_yaml(bccd: Path, folder: Path, val: str = "test") -> Path:
    """The data set as this package reads it: VOC, straight from the given folder."""
    path = folder / "bccd.yaml"
    path.write_text(
        f"path: {bccd.resolve()}\nformat: voc\ntrain: ImageSets/Main/trainval.txt\nval: ImageSets/Main/{val}.txt\n"
        f"names: [{', '.join(NAMES)}]\n",
        encoding="utf8",
    )
    return path


def train_one(options: argparse.Namespace, seed: int) -> None:
    """Train or resume one seed and write its scores."""
    import torch

    from yolov12 import YOLO

    torch.set_num_threads(options.threads)
    last = options.out / f"seed{seed}" / "weights" / "last.safetensors"
    if last.exists():
        metrics = YOLO(last).train(resume=True, workers=options.workers)
    else:
        where = {"project": options.out, "name": f"seed{seed}", "exist_ok": True, "workers": options.workers}
        data = data_yaml(options.bccd, options.out)
        metrics = YOLO("yolov12n", pretrained=False).train(data=data, seed=seed, **where, **RECIPE)
    scores = {"seed": seed, "AP": metrics.box.map, "AP50": metrics.box.map50, "per_class": list(metrics.box.maps)}
    (options.out / f"seed{seed}.json").write_text(json.dumps(scores) + "\n", encoding="utf8")


def train_seeds(options: argparse.Namespace) -> None:
    """One process a seed; then the table."""
    for seed in options.seeds:
        if not (options.out / f"seed{seed}.json").exists():
            command = [sys.executable, __file__, "--bccd", options.bccd, "--out", options.out, "--one-seed", str(seed)]
            command += ["--threads", str(options.threads), "--workers", str(options.workers)]
            subprocess.run(command, check=True)
    rows = [json.loads((options.out / f"seed{seed}.json").read_text()) for seed in options.seeds]
    print(machine())
    print("| seed | AP | AP50 |\n|---|---|---|")
    for row in rows:
        print(f"| {row['seed']} | {row['AP']:.4f} | {row['AP50']:.4f} |")
    for name in ("AP", "AP50"):
        values = [row[name] for row in rows]
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        print(f"{name}: mean {statistics.mean(values):.4f}, standard deviation {spread:.4f}, n = {len(values)}")


def measure_speed(options: argparse.Namespace) -> None:
    """Images per second of both sides, in turns; the ratio of the medians and of each round."""
    images = len((options.bccd / "ImageSets/Main/trainval.txt").read_text().split())
    ours: list[list[float]] = []
    peer: list[list[float]] = []
    with tempfile.TemporaryDirectory() as scratch:
        yolo_yaml = yolo_copy(options.bccd, Path(scratch) / "data")
        for turn in range(ROUNDS):
            ours.append(our_seconds(options, Path(scratch) / f"ours{turn}"))
            if options.peer_python:
                peer.append(peer_seconds(options, yolo_yaml, Path(scratch) / f"peer{turn}"))
    print(machine())
    print(f"threads {options.threads}, workers {options.workers}, {ROUNDS} rounds of {SPEED_EPOCHS - 1} warmed epochs")
    for name, rounds in (("yolov12", ours), ("peer", peer)):
        rates = [images / seconds for seconds in flat(rounds)]
        if rates:
            print(f"{name}: {statistics.median(rates):.2f} images/s (min {min(rates):.2f}, max {max(rates):.2f})")
    if peer:
        ratios = [statistics.median(b) / statistics.median(a) for a, b in zip(ours, peer, strict=True)]
        print(f"ratio by round: {', '.join(f'{ratio:.2f}' for ratio in ratios)}; "
              f"of medians: {statistics.median(flat(peer)) / statistics.median(flat(ours)):.2f}")  # fmt: skip


def flat(rounds: list[list[float]]) -> list[float]:
    """All epochs of all rounds."""
    return [seconds for epochs in rounds for seconds in epochs]


def our_seconds(options: argparse.Namespace, folder: Path) -> list[float]:
    """Seconds of our warmed epochs."""
    folder.mkdir()
    arguments = {**RECIPE, "epochs": SPEED_EPOCHS, "close_mosaic": 0, "workers": options.workers,
                 "data": str(data_yaml(options.bccd, folder)), "project": str(folder), "name": "run"}  # fmt: skip
    code = (
        "import sys, json, torch; from yolov12 import YOLO; "
        f"torch.set_num_threads({options.threads}); "
        "YOLO('yolov12n', pretrained=False).train(**json.loads(sys.argv[1]))"
    )
    subprocess.run([sys.executable, "-c", code, json.dumps(arguments)], check=True, stdout=subprocess.DEVNULL)
    rows = [json.loads(line) for line in (folder / "run" / "results.jsonl").read_text().splitlines()]
    return [row["seconds"] for row in rows[1:]]


def peer_seconds(options: argparse.Namespace, data: Path, folder: Path) -> list[float]:
    """Seconds of the peer's warmed epochs."""
    folder.mkdir()
    command = [
        options.peer_python.absolute(),
        PEER_SCRIPT.resolve(),
        data,
        folder,
        str(options.threads),
        str(SPEED_EPOCHS),
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=peer_environment(folder), cwd=folder)
    return [float(word) for word in json.loads(done.stdout.splitlines()[-1])][1:]


def yolo_copy(bccd: Path, folder: Path) -> Path:
    """The same images and boxes as YOLO text labels, for the peer."""
    for split in ("trainval", "test"):
        images, labels = folder / "images" / split, folder / "labels" / split
        images.mkdir(parents=True)
        labels.mkdir(parents=True)
        for stem in (bccd / f"ImageSets/Main/{split}.txt").read_text().split():
            (images / f"{stem}.jpg").write_bytes((bccd / f"JPEGImages/{stem}.jpg").read_bytes())
            (labels / f"{stem}.txt").write_text("\n".join(yolo_rows(bccd / f"Annotations/{stem}.xml")))
    path = folder / "bccd.yaml"
    path.write_text(f"path: {folder}\ntrain: images/trainval\nval: images/test\nnames: [{', '.join(NAMES)}]\n")
    return path


def yolo_rows(xml: Path) -> list[str]:
    """`class cx cy w h` rows of one image; boxes clipped to the image, those without area left out."""
    tree = ET.parse(xml).getroot()
    width, height = (float(tree.findtext(f"size/{side}", "0")) for side in ("width", "height"))
    rows = []
    for item in tree.iter("object"):
        x1, y1, x2, y2 = (float(item.findtext(f"bndbox/{key}", "0")) for key in ("xmin", "ymin", "xmax", "ymax"))
        x1, x2, y1, y2 = max(x1, 0) / width, min(x2, width) / width, max(y1, 0) / height, min(y2, height) / height
        if x2 > x1 and y2 > y1:
            label = NAMES.index(item.findtext("name", ""))
            rows.append(f"{label} {(x1 + x2) / 2:.6f} {(y1 + y2) / 2:.6f} {x2 - x1:.6f} {y2 - y1:.6f}")
    return rows


if __name__ == "__main__":
    main()
