"""Run by the peer's Python: train its `yolo12n` with its defaults and print the seconds of each epoch as JSON.

Uses only the peer's documented interface (model, callbacks, arguments).
"""

from __future__ import annotations

import json
import sys
import time


def main() -> None:
    """Arguments: data YAML, folder, threads, epochs."""
    import torch
    from ultralytics import YOLO

    data, folder, threads, epochs = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    starts: list[float] = []
    seconds: list[float] = []
    model = YOLO("yolo12n.yaml")
    model.add_callback("on_train_epoch_start", lambda trainer: starts.append(time.perf_counter()))
    model.add_callback("on_train_epoch_end", lambda trainer: seconds.append(time.perf_counter() - starts[-1]))
    model.add_callback("on_train_start", lambda trainer: torch.set_num_threads(threads))
    model.train(
        data=data, epochs=epochs, imgsz=320, batch=16, device="cpu", project=folder, name="run", close_mosaic=0,
        val=False, plots=False, pretrained=False,
    )  # fmt: skip
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
