"""How fast instance masks are decoded to full size on this machine, without a network.

    python benchmarks/masks.py

Prototypes and coefficients are smooth noise, boxes have sides between a tenth and a half of the image's (typical for
photographs of objects) or fill it. Printed are the median of the wall time over the repetitions, the range of its
middle half, and the median processor time, which other programs on the machine disturb less.
"""

from __future__ import annotations

import argparse
import time

import cv2
import numpy as np
from numpy.typing import NDArray

from yolov12.data.letterbox import Letterbox
from yolov12.postprocess.masks import PROTOTYPE_STRIDE, decode_masks

SHAPES = ((480, 640), (1080, 1920))
COUNTS = (20, 100)
PROTOTYPES = 32


def scene(
    shape: tuple[int, int], count: int, *, full: bool
) -> tuple[Letterbox, NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]]:
    """Letterbox, prototypes, coefficients and boxes in original pixels."""
    random = np.random.default_rng(0)
    letterbox = Letterbox.fit(shape, 640, rect=True)
    size = [side // PROTOTYPE_STRIDE for side in letterbox.canvas]
    noise = random.standard_normal((PROTOTYPES, *size), dtype=np.float32)
    prototypes = np.stack([cv2.GaussianBlur(plane, (0, 0), 5) for plane in noise])
    coefficients = random.standard_normal((count, PROTOTYPES), dtype=np.float32)
    whole = np.array(shape[::-1])
    sides = whole * (1.0 if full else random.uniform(0.1, 0.5, (count, 2)))
    corner = random.uniform(0, 1, (count, 2)) * (whole - sides)
    return letterbox, prototypes, coefficients, np.concatenate((corner, corner + sides), axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=30)
    repeats = parser.parse_args().repeats
    head = ("image", "masks", "boxes", "decode ms", "CPU ms", "masks/s", "run lengths ms", "bytes")
    print("{:>10}{:>7}{:>7}{:>24}{:>9}{:>9}{:>16}{:>10}".format(*head))
    for shape in SHAPES:
        for count in COUNTS:
            for full in (False, True):
                letterbox, prototypes, coefficients, boxes = scene(shape, count, full=full)
                decoding, working, encoding = [], [], []
                for _ in range(repeats + 1):  # the first warms up
                    started, busy = time.perf_counter(), time.process_time()
                    masks = decode_masks(coefficients, prototypes, boxes, letterbox)
                    decoded = time.perf_counter()
                    working.append(1000 * (time.process_time() - busy))
                    masks.to_rle()
                    decoding.append(1000 * (decoded - started))
                    encoding.append(1000 * (time.perf_counter() - decoded))
                low, middle, high = np.percentile(decoding[1:], (25, 50, 75))
                stored = sum(bits.nbytes for bits in masks._packed)
                times = f"{middle:.2f} ({low:.2f}-{high:.2f})"
                print(
                    f"{f'{shape[1]}x{shape[0]}':>10}{count:>7}{'whole' if full else 'part':>7}{times:>24}"
                    f"{np.median(working[1:]):>9.2f}{1000 * count / middle:>9.0f}{np.median(encoding[1:]):>16.2f}"
                    f"{stored:>10}"
                )


if __name__ == "__main__":
    main()
