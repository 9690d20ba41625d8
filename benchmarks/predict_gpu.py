"""Prediction on a GPU, from files to results: latency of one image and throughput of batches of 32; n to x at 640.

    python benchmarks/predict_gpu.py --bccd PATH --peer-python PEER/bin/python
    python benchmarks/predict_gpu.py --bccd PATH --device cpu --sizes n --images 4 --turns 2    # does the script run?

The peer is ultralytics 8.4.190 with its torch path, at its defaults and with `quantize=16`, its half precision. Both
sides are long-lived processes that take turns, with the same fresh weights and pictures as in `predict_cpu.py`. Ours
runs with its defaults, which take half precision where the first pictures agree with float32. Also printed: the most
memory that a side's torch held meanwhile, the models of its other setting included, and which attention kernel runs.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from common import Side, machine, peer_environment
from predict_cpu import OUR_SCRIPT, PEER_SCRIPT, run
from predict_inputs import make_folder, make_weights

BATCH = 32
OURS: dict[str, dict[str, Any]] = {"ours": {}, "ours, fp32": {"precision": "fp32"}}
PEER: dict[str, dict[str, Any]] = {"peer": {}, "peer, half": {"quantize": 16}}


def main() -> None:
    from yolov12.models.profile import attention_report

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bccd", type=Path, required=True, help="folder with JPEGImages")
    parser.add_argument("--peer-python", type=Path, help="Python of an environment that has the peer")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--sizes", nargs="+", default=list("nsmlx"), choices=list("nsmlx"))
    parser.add_argument("--images", type=int, default=256, help="images in the folder")
    parser.add_argument("--turns", type=int, default=20)
    options = parser.parse_args()
    print(machine())
    if options.device != "cpu":
        print(torch.cuda.get_device_name(options.device))
    for dtype in (torch.float32, torch.float16):
        print(attention_report(options.device, dtype))
    print("| size | job | side | ms per image | side / ours | memory MB |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        images = make_folder(options.bccd, Path(scratch) / "images", options.images)
        for size in options.sizes:
            measure(options, size, images, Path(scratch) / size)


def measure(options: argparse.Namespace, size: str, images: Sequence[Path], scratch: Path) -> None:
    """The lines of one size."""
    scratch.mkdir()
    threads = os.cpu_count() or 1
    start = {"threads": threads, "device": options.device, **make_weights(size, None, images, scratch)}
    environment = {**os.environ, "YOLOV12_CACHE": str(scratch), "YOLOV12_TUNING": "off"}
    with ExitStack() as stack:
        sides = {
            "ours": stack.enter_context(Side([sys.executable, str(OUR_SCRIPT)], start, scratch / "a", environment))
        }
        if options.peer_python:
            command = [str(options.peer_python.absolute()), str(PEER_SCRIPT)]
            sides["peer"] = stack.enter_context(Side(command, start, scratch / "b", peer_environment(scratch)))
        settings = [(side, name, more) for side, named in (("ours", OURS), ("peer", PEER)) if side in sides
                    for name, more in named.items()]  # fmt: skip
        for job, source, batch in (("one image", images[0], {}), ("folder", images[0].parent, {"batch": BATCH})):
            times: dict[str, list[float]] = {name: [] for _, name, _ in settings}
            memory: dict[str, int] = {}
            for turn in range(options.turns + 2):
                for side, name, more in settings:
                    try:
                        answer = run(sides[side], source, {**batch, **more})
                    except RuntimeError as error:  # a setting that a version refuses is one line less
                        if not turn:
                            print(f"{name}: {error}", file=sys.stderr)
                        continue
                    memory[name] = answer["memory"]
                    if turn > 1:  # the first ones warm both sides
                        times[name].append(1000 * answer["seconds"] / answer["images"])
            for name, values in times.items():
                if not values:
                    continue
                ratios = [a / b for a, b in zip(values, times["ours"], strict=True)]
                print(
                    f"| {size} | {job} | {name} | {statistics.median(values):.2f} | {statistics.median(ratios):.2f} "
                    f"| {memory[name] / 1e6:.0f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
