"""One network for boxes, masks and keypoints against three networks, one for each, on the same synthetic scenes.

    python benchmarks/multi_task.py --out runs/multi                  # train all, then measure
    python benchmarks/multi_task.py --out runs/multi --quick          # does the script run?

Resumable: each of the four trainings is a run of its own that goes on where it stopped. All see the same pictures in
the same order with the same recipe. Accuracy is that of the held-out test scenes; time is that of one forward pass in
turns, memory is weights plus the most activations that live at once (for three networks: the sum, as they are all kept
ready). `OUT/table.md` has the result.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from common import machine
from tasks_synthetic import AVERAGE, RECIPE

TASKS = ("detect", "segment", "pose", "multi")
TRAIN, VAL, TEST, SIZE, EPOCHS = 2000, 150, 400, 192, 8
PAIRS = 40
BALANCE = {"pose": 4.0, "kobj": 0.5}
"""Of the one network, chosen on `val`: with the usual gains (12 and 1) its keypoints gain at its masks' cost."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/multi"))
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    options.out = options.out.absolute()
    torch.set_num_threads(options.threads)
    data = make_data(options)
    for task in options.tasks:
        train(options, data, task)
    if all(last(options, task).exists() for task in TASKS):
        print(write_table(options, data))


def make_data(options: argparse.Namespace) -> Path:
    """Scenes of creatures whose COCO labels have boxes, masks and keypoints; written once."""
    from yolov12.data.synthetic import write_synthetic

    folder: Path = options.out / "data"
    if not (folder / "data.yaml").exists():
        train, val, test = (24, 8, 8) if options.quick else (TRAIN, VAL, TEST)
        size = 64 if options.quick else SIZE
        write_synthetic(folder, task="multi", format="coco", train=train, val=val, test=test, size=size)
    return folder / "data.yaml"


def last(options: argparse.Namespace, task: str) -> Path:
    """The trained model of a task."""
    path: Path = options.out / f"{task}-{options.seed}" / "weights" / "last.safetensors"
    return path


def train(options: argparse.Namespace, data: Path, task: str) -> None:
    """Train, or go on, or leave a finished run alone."""
    from yolov12 import YOLO
    from yolov12.config.tasks import TASKS as KNOWN

    done = last(options, task).parent.parent / "metrics.json"
    if done.exists():
        return
    if last(options, task).exists():
        YOLO(last(options, task)).train(resume=True)
        return
    settings: dict[str, Any] = {
        "epochs": 1 if options.quick else EPOCHS, "imgsz": 64 if options.quick else SIZE, "device": options.device,
        "seed": options.seed, "workers": 1, "val": False, "plots": False, "project": str(options.out),
        "name": f"{task}-{options.seed}", "exist_ok": True, **RECIPE, **AVERAGE,
        **(BALANCE if task == "multi" else {}),
    }  # fmt: skip
    YOLO(f"yolov12n{KNOWN[task].suffix}.yaml").train(data=str(data), **settings)


def write_table(options: argparse.Namespace, data: Path) -> str:
    """Accuracy, time and memory as Markdown, also in `OUT/table.md`; all figures in `OUT/result.json`."""
    from yolov12 import YOLO

    models = {task: YOLO(last(options, task)) for task in TASKS}
    size = 64 if options.quick else SIZE
    scores = {
        task: scores_of(model.val(data=str(data), split="test", imgsz=size, precision="fp32", plots=False,
                                  verbose=False, project=str(options.out), name="val", exist_ok=True))
        for task, model in models.items()
    }  # fmt: skip
    separate = [models[task].model for task in ("detect", "segment", "pose")]
    images = torch.zeros(1, 3, 640, 640)
    seconds = in_turns(models["multi"].model, separate, images)
    memory = [network_memory([models["multi"].model], images), network_memory(separate, images)]
    result = {"scores": scores, "seconds": seconds, "bytes": memory, "machine": machine(), "threads": options.threads}
    (options.out / "result.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf8")
    lines = ["| score on the test scenes | one network | its own network |", "|---|---|---|"]
    for name, task in (("box AP", "detect"), ("mask AP", "segment"), ("keypoint AP", "pose")):
        lines.append(f"| {name} | {scores['multi'][name]:.3f} | {scores[task][name]:.3f} |")
    lines += ["", "| one picture of 640 pixels, fp32 | one network | three networks | ratio |", "|---|---|---|---|"]
    lines.append(f"| forward, ms (median of {PAIRS}) | {seconds[0] * 1000:.1f} | {seconds[1] * 1000:.1f} "
                 f"| {seconds[1] / seconds[0]:.2f} |")  # fmt: skip
    lines.append(f"| memory, MB | {memory[0] / 1e6:.1f} | {memory[1] / 1e6:.1f} | {memory[1] / memory[0]:.2f} |")
    text = "\n".join([machine(), "", *lines]) + "\n"
    (options.out / "table.md").write_text(text, encoding="utf8")
    return text


def scores_of(metrics: Any) -> dict[str, float]:
    """AP by what is compared."""
    parts = {"box AP": metrics.box, "mask AP": metrics.seg, "keypoint AP": metrics.pose}
    return {name: float(part.map) for name, part in parts.items() if part is not None}


def in_turns(one: torch.nn.Module, several: list[torch.nn.Module], images: torch.Tensor) -> tuple[float, float]:
    """Median seconds of one network, and of all of the others after each other."""
    times: tuple[list[float], list[float]] = ([], [])
    with torch.inference_mode():
        for _ in range(PAIRS + 3):
            for networks, found in zip(([one], several), times, strict=True):
                started = time.perf_counter()
                for network in networks:
                    network(images)
                found.append(time.perf_counter() - started)
    return statistics.median(times[0][3:]), statistics.median(times[1][3:])


def network_memory(networks: list[torch.nn.Module], images: torch.Tensor) -> int:
    """Weights and peak activations in bytes, summed."""
    from yolov12.inference.peak_memory import network_bytes

    return sum(network_bytes(network, images) for network in networks)


if __name__ == "__main__":
    main()
