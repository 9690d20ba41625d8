"""Writers for phones and small machines: ncnn, LiteRT, ExecuTorch, Core ML. Their graphs have one shape."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from yolov12.errors import ExportError
from yolov12.export import litert_process
from yolov12.export.graph import ExportGraph
from yolov12.export.plan import ExportPlan
from yolov12.export.tracing import Save, example, quietly, traced
from yolov12.extras import is_installed, missing, require
from yolov12.inference.backends import executorch, litert, ncnn
from yolov12.inference.backends.base import DESCRIPTION, DESCRIPTION_FILE

CONVERT_SECONDS = 3600


class MatrixAttention(TorchFunctionMode):
    """Inside, attention is two matrix products and a softmax.

    The fused operator hands out its result transposed in memory; programs in which it is replaced later, when the
    reshaping behind it is fixed, do not fit together.
    """

    def __torch_function__(self, function: Any, types: Any, given: Any = (), named: Any = None) -> Any:
        if function is functional.scaled_dot_product_attention:
            function = matrix_attention
        return function(*given, **(named or {}))


def matrix_attention(query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None) -> Tensor:
    """Scaled dot product attention (..., P, C), (..., K, C), (..., K, V) -> (..., P, V); the mask is added."""
    scores = query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5  # (..., P, K)
    attended: Tensor = (scores if attn_mask is None else scores + attn_mask).softmax(-1) @ value
    return attended


def program_of(graph: ExportGraph, plan: ExportPlan) -> Any:
    """The graph as torch's exported program, of one shape."""
    with quietly(), MatrixAttention():
        return torch.export.export(graph, (example(plan),))


def ncnn_writer(graph: ExportGraph, plan: ExportPlan) -> Save:
    """ncnn's two files, from a trace by pnnx, a program of its own; `half` stores the weights in 16 bits."""
    pnnx, artefact = require("pnnx", "ncnn"), plan.artefact
    half = int(artefact.precision == "fp16")
    shape = f"[{artefact.batch},3,{artefact.imgsz[0]},{artefact.imgsz[1]}]f32"
    with tempfile.TemporaryDirectory() as scratch:
        with quietly():
            torch.jit.save(traced(graph, plan), Path(scratch) / "model.pt")
        run_converter("pnnx", [pnnx.EXEC_PATH, "model.pt", f"inputshape={shape}", f"fp16={half}"], scratch)
        return folder_of(made(scratch, ncnn.PARAM_FILE, ncnn.BIN_FILE))


def litert_writer(graph: ExportGraph, plan: ExportPlan) -> Save:
    """A TensorFlow Lite file."""
    if not is_installed("litert_torch"):
        raise missing("litert_torch", "litert")
    program = program_of(graph, plan)
    with tempfile.TemporaryDirectory() as scratch:
        traced_file, file = (str(Path(scratch) / name) for name in ("model.pt2", litert.MODEL_FILE))
        torch.export.save(program, traced_file)
        run_converter("litert-torch", [sys.executable, "-P", "-m", litert_process.__name__, traced_file, file])
        return folder_of(made(scratch, litert.MODEL_FILE))


def executorch_writer(graph: ExportGraph, plan: ExportPlan) -> Save:
    """An ExecuTorch program whose heavy parts are XNNPACK's."""
    exir = require("executorch.exir", "executorch")
    xnnpack = require("executorch.backends.xnnpack.partition.xnnpack_partitioner", "executorch")
    program = program_of(graph, plan)
    with quietly():
        lowered = exir.to_edge_transform_and_lower(program, partitioner=[xnnpack.XnnpackPartitioner()])
        return folder_of({executorch.MODEL_FILE: bytes(lowered.to_executorch().buffer)})


def coreml_writer(graph: ExportGraph, plan: ExportPlan) -> Save:
    """A Core ML package; `half` computes in 16 bits, as Apple's accelerators do."""
    library, artefact = require("coremltools", "coreml"), plan.artefact
    program = program_of(graph, plan).run_decompositions({})
    precision = library.precision.FLOAT16 if artefact.precision == "fp16" else library.precision.FLOAT32
    with quietly():
        model = library.convert(
            program,
            inputs=[library.TensorType("images", (artefact.batch, 3, *artefact.imgsz))],
            outputs=[library.TensorType(name) for name in artefact.outputs],
            compute_precision=precision,
            minimum_deployment_target=library.target.iOS16,
            skip_model_load=True,
        )

    def save(path: Path, text: str) -> None:
        model.user_defined_metadata[DESCRIPTION] = text
        with quietly():
            model.save(str(path))

    return save


def run_converter(name: str, command: Sequence[str], folder: str | None = None) -> None:
    """Run a converter, in a folder; ExportError with its last words when it fails."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=CONVERT_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise ExportError(f"{name} was stopped after {CONVERT_SECONDS // 60} minutes") from error
    except OSError as error:
        raise ExportError(f"{name} cannot be started: {error}") from error
    if done.returncode:
        said = (done.stderr or done.stdout).decode("utf8", "replace").strip().splitlines()[-1:]
        raise ExportError(f"{name} cannot convert this network (status {done.returncode}) {''.join(said)[:200]}")


def made(folder: str, *names: str) -> dict[str, bytes]:
    """The files that a converter was to write; ExportError where one is missing."""
    if lost := [name for name in names if not (Path(folder) / name).is_file()]:
        raise ExportError(f"the converter has not written {', '.join(lost)}")
    return {name: (Path(folder) / name).read_bytes() for name in names}


def folder_of(files: Mapping[str, bytes]) -> Save:
    """What saves these files with a description beside them."""

    def save(path: Path, text: str) -> None:
        path.mkdir(exist_ok=True)
        for name, data in {**files, DESCRIPTION_FILE: f"{text}\n".encode()}.items():
            (path / name).write_bytes(data)

    return save
