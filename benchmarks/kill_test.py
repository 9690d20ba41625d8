"""Kill -9 a training run at random moments, resume each time, and compare with the run that nobody touched.

    python benchmarks/kill_test.py [--kills 10] [--seed 0]

YOLOv12n at 96 pixels on 24 drawn images, two loader processes, a state saved every second batch. Two of three kills
wait until a file is being written (a temporary file is in the weights folder) and strike then; the others come after a
random delay. In the end the weights, their average, the optimizer and the result rows must equal the uninterrupted
run's, bit for bit. Exit code 1 if not.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import torch

from yolov12.checkpoint import read_model_file, read_tensors

OPTIONS = {
    "epochs": 6, "imgsz": 96, "batch": 4, "nbs": 8, "workers": 2, "save_steps": 2, "plots": False, "name": "run",
    "optimizer": "AdamW", "lr0": 0.001, "exist_ok": True,
}  # fmt: skip
START = (
    "import sys, json; from yolov12 import YOLO; YOLO('yolov12n', pretrained=False).train(**json.loads(sys.argv[1]))"
)
RESUME = "import sys; from yolov12 import YOLO; YOLO(sys.argv[1]).train(resume=True)"
IMAGES = 24


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        data = draw_data(folder / "data")
        started = time.perf_counter()
        run(folder / "whole", data)
        length = time.perf_counter() - started
        kills = inside = 0
        while not finished(folder / "killed"):
            process = start(folder / "killed", data)
            if kills < options.kills and strike(process, folder / "killed", rng, length, writing=kills % 3 != 2):
                kills += 1
                inside += temporary_files(folder / "killed")
            elif process.wait() != 0:
                print("a resumed run failed\n" + (folder / "killed.log").read_text())
                return 1
        differences = compare(folder / "whole" / "run", folder / "killed" / "run")
    print(f"{kills} kills, {inside} of them inside a write; uninterrupted run {length:.0f} s")
    print(f"differences: {differences or 'none'}")
    return 1 if differences or kills < options.kills else 0


def draw_data(root: Path) -> Path:
    """Coloured rectangles on noise."""
    rng = np.random.default_rng(0)
    for kind in ("images", "labels"):
        (root / kind).mkdir(parents=True)
    for number in range(IMAGES):
        image = rng.integers(0, 90, (96, 96, 3), dtype=np.uint8)
        x, y, w, h = (int(value) for value in rng.integers((5, 5, 15, 15), (40, 40, 50, 50)))
        cv2.rectangle(image, (x, y), (x + w, y + h), (60, 230, 240 * (number % 2)), -1)
        cv2.imwrite(str(root / "images" / f"{number}.png"), image)
        box = (x + w / 2) / 96, (y + h / 2) / 96, (w + 1) / 96, (h + 1) / 96
        (root / "labels" / f"{number}.txt").write_text(f"{number % 2} " + " ".join(f"{v:.5f}" for v in box) + "\n")
    (root / "data.yaml").write_text("train: images\nval: images\nnames: [even, odd]\n")
    return root / "data.yaml"


def start(project: Path, data: Path) -> subprocess.Popen[bytes]:
    """A new process group that starts the run, or resumes it when it has saved something."""
    last = project / "run" / "weights" / "last.safetensors"
    arguments = [START, json.dumps({**OPTIONS, "data": str(data), "project": str(project)})]
    if any((project / "run" / "weights").glob("last*.state.safetensors")):
        arguments = [RESUME, str(last)]
    output = (project.parent / f"{project.name}.log").open("ab")
    return subprocess.Popen([sys.executable, "-c", *arguments], stdout=output, stderr=output, start_new_session=True)


def run(project: Path, data: Path) -> None:
    """A run that nobody disturbs."""
    if start(project, data).wait() != 0:
        raise SystemExit((project.parent / f"{project.name}.log").read_text())


def strike(
    process: subprocess.Popen[bytes], project: Path, rng: random.Random, length: float, *, writing: bool
) -> bool:
    """Kill the process and its workers at a random moment; False if it ended before."""
    earliest = time.perf_counter() + rng.uniform(0.15, 0.5) * length
    while process.poll() is None:
        due = time.perf_counter() > earliest or writing
        if due and (not writing or temporary_files(project)):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return True
        time.sleep(0.0005)
    return False


def temporary_files(project: Path) -> bool:
    """Whether a file was being written."""
    weights = project / "run" / "weights"
    return weights.is_dir() and any(name.endswith(".tmp") for name in os.listdir(weights))


def finished(project: Path) -> bool:
    """Whether the run has ended by itself."""
    rows = project / "run" / "metrics.json"
    return rows.exists()


def compare(first: Path, second: Path) -> list[str]:
    """Names of everything that differs."""
    different = []
    for name in ("last.state.safetensors",):
        a, b = read_tensors(first / "weights" / name)[0], read_tensors(second / "weights" / name)[0]
        different += [
            key for key in a.keys() | b.keys() if key not in a or key not in b or not torch.equal(a[key], b[key])
        ]
    for name in ("last.safetensors", "best.safetensors"):
        a, b = read_model_file(first / "weights" / name).state, read_model_file(second / "weights" / name).state
        different += [f"{name}: {key}" for key in a if not torch.equal(a[key], b[key])]
    if (first / "results.csv").read_text() != (second / "results.csv").read_text():
        different.append("results.csv")
    return different


if __name__ == "__main__":
    sys.exit(main())
