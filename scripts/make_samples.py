"""Draw the sample images that ship with the package: `python scripts/make_samples.py`.

Drawings of blood smears under a microscope, made from a seed and nothing else, so that the repository contains no
third-party picture: pale discs with a lighter middle (red cells), large ones with a lobed violet nucleus (white cells)
and small violet specks (platelets), with uneven light, blur and sensor noise.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

TARGET = Path(__file__).resolve().parents[1] / "src/yolov12/assets/samples/detect"
HEIGHT, WIDTH = 480, 640
BACKGROUND = (196, 206, 204)  # BGR
RED, RED_EDGE, RED_MIDDLE = (146, 150, 190), (122, 124, 176), (168, 176, 200)
WHITE, NUCLEUS, PLATELET = (196, 168, 182), (150, 62, 102), (152, 84, 122)
Pixels = npt.NDArray[np.uint8]


def blob(rng: np.random.Generator, x: float, y: float, radius: float, wobble: float) -> npt.NDArray[np.int32]:
    """Outline (K, 2) of a slightly irregular disc."""
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    bumps = sum(rng.normal(0, wobble / k) * np.cos(k * angle + rng.uniform(0, 6.3)) for k in (2, 3, 4))
    r = radius * (1 + bumps)
    return np.stack((x + r * np.cos(angle), y + r * np.sin(angle)), axis=1).astype(np.int32)


def red_cell(image: Pixels, rng: np.random.Generator, x: float, y: float) -> None:
    """A disc with a darker rim and a paler middle."""
    radius = rng.uniform(44, 56)
    outline = blob(rng, x, y, radius, 0.03)
    cv2.fillPoly(image, [outline], RED_EDGE, cv2.LINE_AA)
    inner = ((outline - (x, y)) * 0.93 + (x, y)).astype(np.int32)
    cv2.fillPoly(image, [inner], RED, cv2.LINE_AA)
    if rng.random() < 0.8:
        mask = np.zeros(image.shape[:2], np.float32)
        cv2.circle(mask, (int(x), int(y)), int(radius * rng.uniform(0.3, 0.45)), 0.7, -1, cv2.LINE_AA)
        mask = cv2.GaussianBlur(mask, (0, 0), 6)[..., None]
        image[:] = (image * (1 - mask) + np.array(RED_MIDDLE) * mask).astype(np.uint8)


def white_cell(image: Pixels, rng: np.random.Generator, x: float, y: float) -> None:
    """A large pale cell with two to four dark lobes."""
    radius = rng.uniform(82, 104)
    cv2.fillPoly(image, [blob(rng, x, y, radius, 0.04)], WHITE, cv2.LINE_AA)
    lobes = rng.integers(2, 5)
    for angle in np.linspace(0, 2 * np.pi, lobes, endpoint=False) + rng.uniform(0, 6.3):
        at = (x + 0.38 * radius * np.cos(angle), y + 0.38 * radius * np.sin(angle))
        cv2.fillPoly(image, [blob(rng, *at, radius * rng.uniform(0.38, 0.5), 0.08)], NUCLEUS, cv2.LINE_AA)


def platelet(image: Pixels, rng: np.random.Generator, x: float, y: float) -> None:
    """A small dark speck with a soft border."""
    cv2.fillPoly(image, [blob(rng, x, y, rng.uniform(14, 19), 0.1)], PLATELET, cv2.LINE_AA)


def scene(seed: int) -> Pixels:
    """One smear (480, 640, 3) uint8 BGR."""
    rng = np.random.default_rng(seed)
    image = np.full((HEIGHT, WIDTH, 3), BACKGROUND, np.uint8)
    places: list[tuple[float, float, float]] = []

    def free_place(radius: float, overlap: float) -> tuple[float, float] | None:
        for _ in range(200):
            x, y = rng.uniform(10, WIDTH - 10), rng.uniform(10, HEIGHT - 10)
            if all(np.hypot(x - a, y - b) > overlap * (radius + r) for a, b, r in places):
                places.append((x, y, radius))
                return x, y
        return None

    places.append((rng.uniform(180, 460), rng.uniform(150, 330), 95))
    for _ in range(rng.integers(10, 15)):
        if place := free_place(52, 0.85):
            red_cell(image, rng, *place)
    white_cell(image, rng, *places[0][:2])
    for _ in range(rng.integers(1, 4)):
        if place := free_place(18, 1.0):
            platelet(image, rng, *place)
    image = cv2.GaussianBlur(image, (0, 0), 1.6)
    light = 1 + 0.05 * np.cos(np.linspace(-1.2, 1.2, WIDTH))[None, :, None] * np.ones((HEIGHT, 1, 1))
    grain = cv2.GaussianBlur(rng.normal(0, 7, (HEIGHT, WIDTH, 3)), (0, 0), 0.8)
    return np.clip(image * light + grain, 0, 255).astype(np.uint8)


def main() -> None:
    TARGET.mkdir(parents=True, exist_ok=True)
    for number in (1, 2, 3):
        cv2.imwrite(str(TARGET / f"smear{number}.jpg"), scene(number), [cv2.IMWRITE_JPEG_QUALITY, 88])


if __name__ == "__main__":
    main()
