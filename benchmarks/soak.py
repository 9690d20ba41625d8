"""Does prediction stay the same in many threads, and memory flat over a long video? Ends with status 1 if not.

    python benchmarks/soak.py --out runs/soak

10,000 predictions with mixed options in 8 threads are compared with the same ones made one after the other. Then a
video of 10,000 frames is read, and the resident memory is noted along the way: the second half must add under 16 MB.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from common import machine

CALLS, FRAMES, THREADS, SIDE = 10_000, 10_000, 8, 96
FLAT = 16 * 2**20
ROW_BYTES = 6 * 4


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/soak"))
    parser.add_argument("--calls", type=int, default=CALLS)
    parser.add_argument("--frames", type=int, default=FRAMES, help="10 or more")
    parser.add_argument("--model", default="yolov12n-bccd", help="a model, or an exported file of free shape")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("YOLOV12_TUNING", "off")  # the runtime must not change on the way
    print(machine())
    good = threads_agree(options)
    return 0 if memory_is_flat(options) and good else 1


def threads_agree(options: argparse.Namespace) -> bool:
    """Predictions in threads against the same ones in a row."""
    from yolov12 import YOLO
    from yolov12.samples import sample_images

    model = YOLO(options.model)
    pictures = [cv2.imread(str(path)) for path in sorted(sample_images(model.task).iterdir())]
    kinds = [
        {"imgsz": imgsz, "conf": conf, "iou": iou, "max_det": most, "classes": classes, "agnostic_nms": agnostic}
        for imgsz, conf, iou, most, classes, agnostic in itertools.product(
            (64, SIDE, (SIDE, 128)), (0.05, 0.25), (0.5, 0.7), (3, 300), (None, [0]), (False, True)
        )
    ]
    chosen = random.Random(0)
    calls = [(chosen.randrange(len(pictures)), chosen.randrange(len(kinds))) for _ in range(options.calls)]

    def answer(call: tuple[int, int]) -> bytes:
        (result,) = model.predict(pictures[call[0]], verbose=False, **kinds[call[1]])
        return np.ascontiguousarray(result.boxes.data).tobytes()

    started = time.perf_counter()
    expected = {call: answer(call) for call in sorted(set(calls))}
    middle = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(answer, calls))
    wrong = sum(expected[call] != one for call, one in zip(calls, found, strict=True))
    alone, together = middle - started, time.perf_counter() - middle
    boxes = sum(map(len, expected.values())) // ROW_BYTES
    print(
        f"{len(calls)} predictions in {THREADS} threads, {len(expected)} different ones with {boxes} boxes: "
        f"{wrong} differ from those made in a row ({alone:.0f} s for the different ones, {together:.0f} s for all)"
    )
    return not wrong and boxes > 0


def memory_is_flat(options: argparse.Namespace) -> bool:
    """Resident memory along a video."""
    from yolov12 import YOLO

    video = options.out / "video.mp4"
    write_video(video, options.frames)
    model, seen, tenth = YOLO(options.model), [], max(options.frames // 10, 1)
    started = time.perf_counter()
    for number, result in enumerate(model.predict(video, stream=True, imgsz=64, verbose=False)):
        assert result.error is None
        if number % tenth == tenth - 1:
            seen.append(resident())
    frames = number + 1
    print(f"{frames} frames in {time.perf_counter() - started:.0f} s; resident MB after each tenth: "
          f"{', '.join(f'{value / 2**20:.0f}' for value in seen)}")  # fmt: skip
    return frames == options.frames and seen[-1] - seen[len(seen) // 2 - 1] < FLAT


def write_video(path: Path, frames: int) -> None:
    """Squares that wander over noise, 96x64."""
    writer: Any = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25, (SIDE, 64))
    if not writer.isOpened():
        raise SystemExit(f"{path}: this OpenCV writes no mp4")
    noise = np.random.default_rng(0).integers(0, 60, (64, SIDE, 3), np.uint8)
    for number in range(frames):
        frame = noise.copy()
        x = number % (SIDE - 20)
        frame[20:40, x : x + 20] = 200
        writer.write(frame)
    writer.release()


def resident() -> int:
    """Bytes of this process in memory."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    raise SystemExit(main())
