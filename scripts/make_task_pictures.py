"""Draw the sample pictures of the embedded task models, and what these models find on them:

    python scripts/make_task_pictures.py

Writes src/yolov12/assets/samples/TASK/*.jpg, synthetic scenes that no model was trained on, and docs/images/TASK.jpg.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from yolov12 import YOLO
from yolov12.data.synthetic_scene import make_scene
from yolov12.loading import trained_size

ROOT = Path(__file__).resolve().parents[1]
SEED, COUNT, SIZE = 1, 3, 384
MODELS = {
    "segment": "yolov12n-seg-shapes",
    "pose": "yolov12n-pose-shapes",
    "obb": "yolov12n-obb-shapes",
    "classify": "yolov12n-cls-shapes",
}


def main() -> None:
    for task, name in MODELS.items():
        folder = ROOT / "src/yolov12/assets/samples" / task
        folder.mkdir(parents=True, exist_ok=True)
        pictures = [folder / f"{task}_{number}.jpg" for number in range(COUNT)]
        for number, picture in enumerate(pictures):
            picture.write_bytes(make_scene(task, "test", number, seed=SEED, size=SIZE).jpeg())
        model = YOLO(name)
        size = trained_size(model.metadata)
        drawn = [result.plot() for result in model.predict(pictures, imgsz=size, verbose=False)]
        strip = cv2.imencode(".jpg", np.hstack(drawn), [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
        (ROOT / f"docs/images/{task}.jpg").write_bytes(strip.tobytes())
        print(f"docs/images/{task}.jpg")


if __name__ == "__main__":
    main()
