"""Put a benchmark seed into the package: `python scripts/embed_model.py runs/bccd/seed0 --bccd PATH`.

Writes src/yolov12/assets/models/yolov12n-bccd.safetensors in half precision, without the paths of the machine that
trained it, and scores the written file on the test split.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from yolov12 import YOLO
from yolov12.checkpoint import ModelFile, read_model_file, write_model_file

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "src/yolov12/assets/models/yolov12n-bccd.safetensors"
MACHINE_OPTIONS = ("data", "project", "name", "device", "workers")
LICENCE = "Apache-2.0 (weights, trained by this project); training data: BCCD, MIT"


def main() -> None:
    sys.path.insert(0, str(ROOT / "benchmarks"))
    from train_bccd import data_yaml

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--bccd", type=Path, required=True)
    arguments = parser.parse_args()
    file = read_model_file(arguments.run / "weights" / "last.safetensors")
    training = dict(file.metadata["training"])
    training["options"] = {name: entry for name, entry in training["options"].items() if name not in MACHINE_OPTIONS}
    training["data"] = "BCCD, trainval split (292 images)"
    metadata = {**file.metadata, "training": training, "licence": LICENCE}
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    write_model_file(TARGET, ModelFile(file.config, file.state, file.names, metadata), half=True)
    with tempfile.TemporaryDirectory() as scratch:
        data = data_yaml(arguments.bccd, Path(scratch))
        options = {"imgsz": 320, "plots": False, "verbose": False, "precision": "fp32", "project": scratch}
        metrics = YOLO(TARGET).val(data=data, **options)
    print(metrics.table())
    size = TARGET.stat().st_size
    print(f"{TARGET.relative_to(ROOT)}: {size} bytes, AP {metrics.box.map:.4f}, AP50 {metrics.box.map50:.4f}")


if __name__ == "__main__":
    main()
