"""The measuring as a process of its own, so that nothing of it can disturb the one that predicts.

    python -m yolov12.tuning.job MODEL FOLDER IMGSZ PARENT

It gives way to everything else on the machine. It ends by itself when the process that started it is gone.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from pathlib import Path

from yolov12.checkpoint import read_model_file
from yolov12.errors import YoloError
from yolov12.tuning.measure import tune

PATIENCE = 2.0
"""Seconds between two looks at whether somebody still waits."""


def main(words: list[str]) -> int:
    """Tune; status 1 when it did not work out."""
    model, folder, imgsz = Path(words[0]), Path(words[1]), int(words[2])
    with contextlib.suppress(OSError, AttributeError):
        os.nice(15)
    threading.Thread(target=watch, args=(int(words[3]),), daemon=True).start()
    try:
        tune(read_model_file(model), folder, imgsz)
    except YoloError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def watch(parent: int) -> None:
    """End this process when its parent has."""
    while os.getppid() == parent:
        time.sleep(PATIENCE)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
