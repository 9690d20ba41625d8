"""From the start of the process to its end: the two command lines on one picture, taking turns.

    python benchmarks/cold_start.py --checkpoint YOLO12N.pt --image IMAGE.jpg --yolo PEER/bin/yolo

Ours runs as it does once it has measured its runtimes (`yolov12 tune`, not timed), and also in plain torch. The peer is
the `yolo` command of ultralytics on the same checkpoint. Also the time of `yolov12 --help`. Medians of the turns and of
the ratios, turn by turn.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from common import machine, peer_environment

OURS = [sys.executable, "-m", "yolov12"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, required=True, help="a detector that both sides can read")
    parser.add_argument("--image", type=Path, required=True)
    parser.add_argument("--yolo", type=Path, help="the peer's command")
    parser.add_argument("--turns", type=int, default=10)
    options = parser.parse_args()
    image = str(options.image.absolute())
    print(machine())
    with tempfile.TemporaryDirectory() as scratch:
        model = str(Path(scratch) / "model.safetensors")
        mine = {**os.environ, "YOLOV12_CACHE": scratch}
        subprocess.run([*OURS, "convert", str(options.checkpoint), model], env=mine, check=True)
        subprocess.run([*OURS, "tune", "--model", model], env=mine, check=True)
        predict = [*OURS, "predict", image, "--model", model]
        commands = {
            "ours": (predict, mine),
            "ours, torch": ([*predict, "--runtime", "torch"], mine),
            "help": ([*OURS, "--help"], mine),
        }
        if options.yolo:
            peer = [
                str(options.yolo.absolute()),
                "predict",
                f"model={options.checkpoint.absolute()}",
                f"source={image}",
            ]
            commands["peer"] = ([*peer, "save=False", f"project={scratch}"], peer_environment(Path(scratch)))
        times: dict[str, list[float]] = {name: [] for name in commands}
        for turn in range(options.turns + 1):
            for name, (command, environment) in commands.items():
                seconds = wall(command, environment, scratch)
                if turn:  # the first one warms the disk
                    times[name].append(seconds)
    for name, values in times.items():
        line = f"{name}: {statistics.median(values):.2f} s ({min(values):.2f} to {max(values):.2f})"
        if "peer" in times and name.startswith("ours"):
            ratios = [a / b for a, b in zip(values, times["peer"], strict=True)]
            line += f"; {statistics.median(ratios):.2f} of the peer's ({min(ratios):.2f} to {max(ratios):.2f})"
        print(line)


def wall(command: Sequence[str], environment: Mapping[str, str], folder: str) -> float:
    """Seconds that a command takes; it must succeed."""
    started = time.perf_counter()
    subprocess.run(command, env=dict(environment), cwd=folder, capture_output=True, check=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
