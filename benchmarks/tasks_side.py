"""One side of `tasks_synthetic.py`, run by that side's Python: train from scratch, then predict the test pictures.

Uses only what both libraries document: `YOLO(...).train(...)`, `.predict(...)`, callbacks of the peer, and the arrays
of results. Argument: a JSON file with the command. Writes `trained.json` (seconds, weights, versions) and
`found/NAME.npz`.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np


def main() -> None:
    command = json.loads(Path(sys.argv[1]).read_text(encoding="utf8"))
    import torch

    torch.set_num_threads(command["threads"])
    folder = Path(command["folder"])
    if not (folder / "trained.json").exists():
        trained = train_peer(command) if command["theirs"] else train_ours(command)
        trained["versions"] = versions(command["theirs"])
        (folder / "trained.tmp").write_text(json.dumps(trained), encoding="utf8")
        (folder / "trained.tmp").replace(folder / "trained.json")
    predict(command, json.loads((folder / "trained.json").read_text(encoding="utf8"))["weights"])


def versions(theirs: bool) -> dict[str, str]:
    """What computed it."""
    import torch

    if theirs:
        import ultralytics as package
    else:
        import yolov12 as package
    return {"package": package.__version__, "torch": torch.__version__}


def train_ours(command: dict[str, Any]) -> dict[str, Any]:
    """Train or resume; seconds are those of the steps, as the run's table has them."""
    from yolov12 import YOLO

    run = Path(command["folder"]) / "run"
    last = run / "weights" / "last.safetensors"
    if last.exists():
        YOLO(last).train(resume=True)
    else:
        YOLO(command["model"], pretrained=False).train(data=command["data"], pretrained=False, **command["train"])
    rows = [json.loads(line) for line in (run / "results.jsonl").read_text(encoding="utf8").splitlines()]
    return {"seconds": sum(row["seconds"] for row in rows), "weights": str(last)}


def train_peer(command: dict[str, Any]) -> dict[str, Any]:
    """Train; seconds are those of the epochs, validation excluded."""
    import torch
    from ultralytics import YOLO

    starts: list[float] = []
    seconds: list[float] = []
    model = YOLO(command["model"])
    model.add_callback("on_train_start", lambda trainer: torch.set_num_threads(command["threads"]))
    model.add_callback("on_train_epoch_start", lambda trainer: starts.append(time.perf_counter()))
    model.add_callback("on_train_epoch_end", lambda trainer: seconds.append(time.perf_counter() - starts[-1]))
    model.train(data=command["data"], pretrained=False, **command["train"])
    return {"seconds": sum(seconds), "weights": str(Path(command["folder"]) / "run" / "weights" / "last.pt")}


def predict(command: dict[str, Any], weights: str) -> None:
    """One file of arrays for each test picture."""
    extra: dict[str, Any] = {}
    if not command["theirs"]:
        from yolov12 import YOLO
    else:
        from ultralytics import YOLO

        extra = {"retina_masks": True}  # masks at the size of the picture, as ours are
    found = Path(command["folder"]) / "found"
    found.mkdir(exist_ok=True)
    model = YOLO(weights)
    options = {"imgsz": command["train"]["imgsz"], "device": command["train"]["device"], "verbose": False, **extra}
    for path in command["test"]:
        (result,) = model.predict(path, **command["thresholds"], **options)
        np.savez_compressed(found / f"{Path(path).stem}.npz", **arrays(result, command["task"]))


def arrays(result: Any, task: str) -> dict[str, np.ndarray]:
    """What a result holds, as NumPy arrays in the picture's own pixels."""
    if task == "classify":
        return {"scores": plain(result.probs.data)}
    boxes = result.obb if task == "obb" else result.boxes
    held = {"conf": plain(boxes.conf), "cls": plain(boxes.cls)}
    if task == "obb":
        return {**held, "xywhr": plain(boxes.xywhr)}
    held["xyxy"] = plain(boxes.xyxy)
    if task == "segment":
        height, width = result.orig_shape
        masks = np.zeros((0, height, width)) if result.masks is None else plain(result.masks.data)
        held |= {"masks": np.packbits(masks > 0.5), "masks_shape": np.array(masks.shape)}
    if task == "pose":
        held["keypoints"] = plain(result.keypoints.data)
    return held


def plain(values: Any) -> np.ndarray:
    """An array or tensor as a NumPy array."""
    return np.asarray(values.cpu().numpy())


if __name__ == "__main__":
    main()
