"""Can every part learn with every other? Combinations of them are trained on eight pictures until they know these.

    python benchmarks/overfit_parts.py --out runs/overfit
    python benchmarks/overfit_parts.py --out runs/overfit --only transformer      # those with such a part

The combinations are a pairwise cover: any two parts of different roles meet in one of them. Each must reach AP50 0.9 on
the pictures that it was trained on, of boxes, masks, keypoints or rotated boxes, as its head finds them. Resumable: a
combination leaves one JSON file in `OUT/rows`. Ends with status 1 when one of them fails.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from common import machine

BACKBONES: dict[str, Any] = {
    "yolov12": "yolov12",
    "yolo11": "yolo11",
    "yolov8": "yolov8",
    "hybrid": "hybrid",
    "twins": {"kind": "hybrid", "attention": "twins"},
    "transformer": "transformer",
}
NECKS: dict[str, Any] = {
    "pafpn": "pafpn",
    "transposed": {"kind": "pafpn", "upsample": "transposed"},
    "context_bifpn": "context_bifpn",
    "attention_pan": "attention_pan",
    "concat": {"kind": "attention_pan", "agg_method": "concat"},
    "sum": {"kind": "attention_pan", "agg_method": "sum"},
}
HEADS = {
    "detect": "detect",
    "anchor": "detect",
    "segment": "segment",
    "dynamic_mask": "segment",
    "pose": "pose",
    "heatmap_pose": "pose",
    "obb": "obb",
    "multi": "multi",
}
"""Heads with their tasks."""
PICTURES, SIZE, BAR = 8, 128, 0.9
STEPS, LOOK = 600, 50
"""At most so many steps, with a look at the score after every few."""


def pairwise() -> list[tuple[str, str, str]]:
    """Combinations in which every backbone meets every neck and every head, and every neck every head."""
    missing = {
        *itertools.product(BACKBONES, NECKS), *itertools.product(BACKBONES, HEADS), *itertools.product(NECKS, HEADS),
    }  # fmt: skip
    product = list(itertools.product(BACKBONES, NECKS, HEADS))
    chosen = []
    while missing:
        best = max(product, key=lambda row: len(missing & set(itertools.combinations(row, 2))))
        missing -= set(itertools.combinations(best, 2))
        chosen.append(best)
    return chosen


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/overfit"))
    parser.add_argument("--only", nargs="+", metavar="PART", help="combinations with one of these parts")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--job", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.out = options.out.absolute()
    (options.out / "rows").mkdir(parents=True, exist_ok=True)
    if options.job:
        overfit(options, *options.job)
        return 0
    rows = [row for row in pairwise() if not options.only or set(options.only) & set(row)]
    for row in rows:
        if not row_file(options, row).exists():
            command = [sys.executable, __file__, "--out", options.out, "--threads", str(options.threads)]
            subprocess.run([*command, "--steps", str(options.steps), "--job", *row], check=False)
    return report(options, rows)


def row_file(options: argparse.Namespace, row: tuple[str, str, str]) -> Path:
    """Where the outcome of a combination is."""
    path: Path = options.out / "rows" / f"{'-'.join(row)}.json"
    return path


def overfit(options: argparse.Namespace, backbone: str, neck: str, head: str) -> None:
    """Train one combination and write how it went."""
    import torch

    from yolov12 import YOLO
    from yolov12.config.refit import fit_to_data
    from yolov12.config.run import TrainConfig, ValConfig
    from yolov12.config.tasks import TASKS
    from yolov12.data.dataset import load_index
    from yolov12.data.loader import TrainLoader
    from yolov12.engine.run import with_anchors
    from yolov12.evaluation.evaluator import evaluate
    from yolov12.inference.torch_runtime import TorchRuntime
    from yolov12.losses.criterion import Criterion
    from yolov12.models.detector import build_model

    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    task = HEADS[head]
    parts: dict[str, object] = {"backbone": BACKBONES[backbone], "neck": NECKS[neck]}
    if head not in ("multi", task):
        parts["head"] = head
    data = str(pictures(options, task))
    index = load_index(data, "train", task=task)
    config = TrainConfig(
        data=data, imgsz=SIZE, batch=PICTURES, workers=0, mosaic=0.0, hsv_h=0.0, hsv_s=0.0, hsv_v=0.0, translate=0.0,
        scale=0.0, fliplr=0.0,
    )  # fmt: skip
    described = YOLO(f"yolov12n{TASKS[task].suffix}", parts=parts, pretrained=False).config
    described = with_anchors(fit_to_data(described, len(index.names), index.keypoint_shape), None, index, SIZE)
    model = build_model(described, seed=0)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not name.endswith("bins.weight"))  # a constant
    criterion = Criterion(described)
    weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=0.001, weight_decay=0.0)
    with TrainLoader(index, config, task=task) as loader:
        batch = next(iter(loader.epoch(0)))
    images = batch.images.float() / 255
    score, started = 0.0, time.perf_counter()
    for step in range(1, options.steps + 1):
        model.train()
        total = criterion.total(criterion(model(images), batch.targets), len(images))
        optimizer.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(weights, 10.0)
        optimizer.step()
        if step % LOOK == 0:
            metrics = evaluate(TorchRuntime(model), index, ValConfig(imgsz=SIZE, verbose=False), task)
            score = min(part.map50 for part in metrics.parts.values())
            if score >= BAR:
                break
    seconds = time.perf_counter() - started
    outcome = {"parts": [backbone, neck, head], "AP50": score, "steps": step, "seconds": round(seconds, 1)}
    row_file(options, (backbone, neck, head)).write_text(json.dumps(outcome) + "\n", encoding="utf8")
    print(f"{backbone:<12}{neck:<14}{head:<14}AP50 {score:.3f} after {step} steps, {seconds:.0f} s", flush=True)


def pictures(options: argparse.Namespace, task: str) -> Path:
    """Eight synthetic scenes for a task, written once."""
    from yolov12.data.synthetic import write_synthetic

    folder = options.out / "data" / task
    if not (folder / "data.yaml").exists():
        form = "coco" if task == "multi" else "yolo"
        write_synthetic(folder, task=task, format=form, train=PICTURES, val=1, test=0, size=SIZE)
    return folder / "data.yaml"


def report(options: argparse.Namespace, rows: list[tuple[str, str, str]]) -> int:
    """Print how all went; status 1 unless every combination has reached the bar."""
    found = [json.loads(path.read_text()) for row in rows if (path := row_file(options, row)).exists()]
    failed = [row for row in found if row["AP50"] < BAR]
    steps = sorted(row["steps"] for row in found)
    print(machine())
    print(f"{len(found)} of {len(rows)} combinations run, {len(found) - len(failed)} reach AP50 {BAR} "
          f"(median {steps[len(steps) // 2] if steps else 0} steps)")  # fmt: skip
    for row in failed:
        print(f"  {' + '.join(row['parts'])}: AP50 {row['AP50']:.3f} after {row['steps']} steps")
    return int(bool(failed) or len(found) < len(rows))


if __name__ == "__main__":
    sys.exit(main())
