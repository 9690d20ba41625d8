"""How equal is every exported format to torch, for every task? The certificates of exports of the embedded models.

    python benchmarks/export_parity.py --bccd PATH --out runs/parity
    python benchmarks/export_parity.py --bccd PATH --out runs/parity --formats ncnn litert executorch

The detector is checked on the test split of the blood cells, the other models on 48 synthetic scenes, all at the size
of their training. Resumable: a certificate is one JSON file in `OUT/rows`. A format whose tools are missing is left out
and said.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from common import machine
from train_bccd import data_yaml

FORMATS = (("onnx", ""), ("onnx", "half"), ("onnx", "lazy"), ("openvino", ""), ("openvino", "half"),
           ("openvino", "lazy"), ("torchscript", ""), ("ncnn", ""), ("ncnn", "half"), ("litert", ""),
           ("executorch", ""))  # fmt: skip
IMAGES = 72


def main() -> None:
    from yolov12 import EMBEDDED_MODELS

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bccd", type=Path, required=True, help="folder with JPEGImages, Annotations, ImageSets")
    parser.add_argument("--out", type=Path, default=Path("runs/parity"))
    parser.add_argument("--formats", nargs="+", choices=sorted({name for name, _ in FORMATS}))
    parser.add_argument("--models", nargs="+", default=list(EMBEDDED_MODELS))
    options = parser.parse_args()
    options.out = options.out.absolute()
    (options.out / "rows").mkdir(parents=True, exist_ok=True)
    for name, way in FORMATS:
        for model in options.models:
            if not options.formats or name in options.formats:
                certify(options, model, name, way)
    print(table(options))


def row_file(options: argparse.Namespace, model: str, name: str, way: str) -> Path:
    """Where a certificate is."""
    path: Path = options.out / "rows" / f"{Path(model).stem}-{name}{way and '-' + way}.json"
    return path


def certify(options: argparse.Namespace, model: str, name: str, way: str) -> None:
    """Export a model once, in a `way` ("half", "lazy" or ""); keep its certificate, or why there is none."""
    from yolov12 import YOLO
    from yolov12.errors import ExportError, SetupError
    from yolov12.export.plan import FORMATS as KNOWN

    file = row_file(options, model, name, way)
    if file.exists():
        return
    opened = YOLO(model)
    if way == "lazy" and opened.task == "classify":  # which has no boxes
        return
    data = str(data_yaml(options.bccd, options.out)) if model.endswith("bccd") else ""
    try:
        path = opened.export(
            format=name, half=way == "half", lazy=way == "lazy", imgsz=opened.trained_size or opened.usual_size,
            data=data, images=IMAGES, verbose=False,
            output=options.out / f"{Path(model).stem}-{way or 'full'}{KNOWN[name].suffix}",
        )  # fmt: skip
    except SetupError as error:
        print(f"{name}: left out: {error}", file=sys.stderr)
        return
    except ExportError as error:
        found: dict[str, Any] = {"failed": str(error)}
    else:
        found = dict(YOLO(path).artefact.certificate)
    file.write_text(json.dumps(found) + "\n", encoding="utf8")


def table(options: argparse.Namespace) -> str:
    """What is there, as Markdown, also in `OUT/table.md`."""
    head = "| format | model | scores | pixels | masks | same detections | accuracy |"
    lines = [machine(), "", head, "|" + "---|" * 7]
    for name, way in FORMATS:
        for model in options.models:
            file = row_file(options, model, name, way)
            if file.exists():
                found = json.loads(file.read_text())
                lines.append(f"| {name} {way} | {model} | {cells(found)} |")
    text = "\n".join(lines) + "\n"
    (options.out / "table.md").write_text(text, encoding="utf8")
    return text


def cells(found: dict[str, Any]) -> str:
    """The figures of one certificate."""
    if "failed" in found:
        return f"{found['failed']} | | | | "
    apart = (found["differences"].get(kind) for kind in ("scores", "pixels", "masks"))
    figures = ["" if value is None else f"{value:.1e}" for value in apart]
    same = "" if found["agreement"] is None else f"{found['agreement']:.1%} of {found['detections']}"
    loss = "" if found["loss"] is None else f"{found['metric']} {found['expected']:.4f} -> {found['found']:.4f}"
    return " | ".join([*figures, same, loss])


if __name__ == "__main__":
    main()
