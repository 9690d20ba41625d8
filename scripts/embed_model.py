"""Put a trained model into the package:

    python scripts/embed_model.py RUN NAME --data DATA.yaml --described "what it was trained on" --licence TEXT

Writes src/yolov12/assets/models/NAME.safetensors in half precision from the last weights of the run's folder, without
the paths of the machine that trained it, and scores the written file.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from yolov12 import YOLO
from yolov12.checkpoint import ModelFile, read_model_file, write_model_file

ROOT = Path(__file__).resolve().parents[1]
MACHINE_OPTIONS = ("data", "project", "name", "device", "workers", "weights")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of the training run")
    parser.add_argument("name", help="name under which the package finds it")
    parser.add_argument("--data", type=Path, required=True, help="data set to score it on")
    parser.add_argument("--split", default="test", help="split to score it on (default test)")
    parser.add_argument("--described", required=True, help="what it was trained on")
    parser.add_argument("--licence", required=True, help="licence of weights and training data")
    arguments = parser.parse_args()
    file = read_model_file(arguments.run / "weights" / "last.safetensors")
    training = dict(file.metadata["training"])
    training["options"] = {name: entry for name, entry in training["options"].items() if name not in MACHINE_OPTIONS}
    training["data"] = arguments.described
    metadata = {**file.metadata, "training": training, "licence": arguments.licence}
    target = ROOT / f"src/yolov12/assets/models/{arguments.name}.safetensors"
    write_model_file(target, ModelFile(file.config, file.state, file.names, metadata), half=True)
    with tempfile.TemporaryDirectory() as scratch:
        model = YOLO(target)
        metrics = model.val(
            data=arguments.data, split=arguments.split, plots=False, verbose=False, precision="fp32", project=scratch
        )
    print(metrics.table())
    print(f"{target.relative_to(ROOT)}: {target.stat().st_size} bytes, {model.task}, {len(model.names)} classes")


if __name__ == "__main__":
    main()
