"""Writers for phones and small machines: ncnn, LiteRT, ExecuTorch, Core ML. Their graphs have one shape."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from yolov12.errors import ExportError
from yolov12.export.graph import ExportGraph
from yolov12.export.plan import ExportPlan
from yolov12.export.tracing import Save, example, quietly, traced
from yolov12.extras import require
from yolov12.inference.backends import executorch, litert, ncnn
from yolov12.inference.backends.base import DESCRIPTION, DESCRIPTION_FILE

CONVERT_SECONDS = 600


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
    with tempfile.TemporaryDirectory() as scratch, quietly():
        torch.jit.save(traced(graph, plan), Path(scratch) / "model.pt")
        shape = [artefact.batch, 3, *artefact.imgsz]
        command = [pnnx.EXEC_PATH, "model.pt", f"inputshape={shape}f32".replace(" ", ""), f"fp16={half}"]
        done = subprocess.run(
            command, cwd=scratch, capture_output=True, text=True, timeout=CONVERT_SECONDS, check=False
        )
        missing = [name for name in (ncnn.PARAM_FILE, ncnn.BIN_FILE) if not (Path(scratch) / name).exists()]
        if done.returncode or missing:
            said = (done.stderr or done.stdout).strip().splitlines()[-1:]
            raise ExportError(f"ncnn: pnnx cannot convert this network (status {done.returncode}) {said}")
        return folder_of({name: (Path(scratch) / name).read_bytes() for name in (ncnn.PARAM_FILE, ncnn.BIN_FILE)})


def litert_writer(graph: ExportGraph, plan: ExportPlan) -> Save:
    """A TensorFlow Lite file."""
    library = require("litert_torch", "litert")
    with quietly(), tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / litert.MODEL_FILE
        library.convert(graph.eval(), (example(plan),)).export(str(file))
        return folder_of({litert.MODEL_FILE: file.read_bytes()})


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


def folder_of(files: Mapping[str, bytes]) -> Save:
    """What saves these files with a description beside them."""

    def save(path: Path, text: str) -> None:
        path.mkdir(exist_ok=True)
        for name, data in {**files, DESCRIPTION_FILE: f"{text}\n".encode()}.items():
            (path / name).write_bytes(data)

    return save
