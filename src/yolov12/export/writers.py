"""How each format is written: a writer traces the graph once and hands back what saves it with a description."""

from __future__ import annotations

import copy
import errno
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from yolov12.config.tasks import TASKS
from yolov12.export.finetuning import finetune
from yolov12.export.graph import ExportGraph
from yolov12.export.mobile import coreml_writer, executorch_writer, litert_writer, ncnn_writer
from yolov12.export.plan import ExportPlan
from yolov12.export.quantization import Quantizer
from yolov12.export.suppression import add_suppression
from yolov12.export.tracing import Save, inputs, quietly, traced
from yolov12.extras import openvino_core, require
from yolov12.inference.backends.base import DESCRIPTION, DESCRIPTION_FILE

OPSET = 20
STRIDE = 32


def onnx_writer(graph: ExportGraph, plan: ExportPlan) -> Save:
    """ONNX by torch.export. A free batch needs an example of two pictures, free sides are multiples of 32."""
    onnx = require("onnx", "onnx")
    proto = onnx_model(graph.halved() if plan.artefact.precision == "fp16" else graph, plan)

    def save(path: Path, text: str) -> None:
        del proto.metadata_props[:]
        onnx.helper.set_model_props(proto, {DESCRIPTION: text})
        path.write_bytes(proto.SerializeToString())

    return save


def onnx_model(graph: ExportGraph, plan: ExportPlan) -> Any:
    """The graph as an ONNX message, checked."""
    onnx = require("onnx", "onnx")
    require("onnxscript", "onnx")
    artefact = plan.artefact
    dimensions: Any = None
    if artefact.dynamic:
        height, width = torch.export.Dim("height_32"), torch.export.Dim("width_32")
        dimensions = ({0: torch.export.Dim("batch"), 2: STRIDE * height, 3: STRIDE * width}, {})
        dimensions = dimensions[: len(artefact.inputs)]
    with quietly():
        program = torch.onnx.export(
            graph, inputs(plan), dynamo=True, opset_version=OPSET, dynamic_shapes=dimensions, verbose=False,
            input_names=list(artefact.inputs), output_names=list(artefact.outputs),
        )  # fmt: skip
    if program is None:
        raise RuntimeError("the ONNX exporter returned nothing")
    proto = program.model_proto
    del proto.graph.metadata_props[:]
    for node in proto.graph.node:  # where in our source each node is from: paths of this machine
        del node.metadata_props[:]
    if artefact.suppression is not None:
        extras = TASKS[artefact.task].masks or artefact.keypoint_shape is not None
        proto = add_suppression(proto, artefact.suppression, len(artefact.names), extras=extras)
    if plan.simplify:
        proto = require("onnxslim", "onnx").slim(proto)
    onnx.checker.check_model(proto)
    return proto


def openvino_writer(graph: ExportGraph, plan: ExportPlan) -> Save:
    """OpenVINO's two files, from a trace, with suppression by way of ONNX; `half` stores the weights in 16 bits."""
    openvino, artefact = require("openvino", "openvino"), plan.artefact
    model = openvino_model(graph, plan)
    if plan.calibration is not None:
        quantizer = Quantizer(model, artefact, plan.calibration)
        if plan.finetune:
            tuned = copy.deepcopy(graph)  # OpenVINO's model shares the weights of the first one
            finetune(tuned, quantizer.pictures, plan.finetune, plan.say)
            taken = quantizer.prefer(openvino_model(tuned, plan), plan.say)
            plan.notes["finetune"] = plan.finetune if taken else 0
        model = quantizer.search(plan.say)
        if plan.verbose:
            plan.say(f"int8: {quantizer.speed(model)}")

    def save(path: Path, text: str) -> None:
        path.mkdir(exist_ok=True)
        try:
            openvino.save_model(model, path / "model.xml", compress_to_fp16=artefact.precision == "fp16")
        except RuntimeError as error:  # the library's own word for a write that failed
            raise OSError(errno.ENOSPC, str(error).strip()) from error
        (path / DESCRIPTION_FILE).write_text(text + "\n", encoding="utf8")

    return save


def openvino_model(graph: ExportGraph, plan: ExportPlan) -> Any:
    """The graph as OpenVINO's, in floats."""
    openvino, artefact = require("openvino", "openvino"), plan.artefact
    if artefact.suppression is not None:
        return openvino_core().read_model(onnx_model(graph, plan).SerializeToString())
    shapes: list[list[int]] = [[-1, 3, -1, -1] if artefact.dynamic else [artefact.batch, 3, *artefact.imgsz]]
    if artefact.lazy:
        shapes.append([])  # a score
    with quietly():
        return openvino.convert_model(traced(graph, plan), example_input=inputs(plan), input=shapes)


def torchscript_writer(graph: ExportGraph, plan: ExportPlan) -> Save:
    """TorchScript by tracing."""
    with quietly():
        module = traced(graph, plan)

    def save(path: Path, text: str) -> None:
        buffer = io.BytesIO()
        with quietly():
            torch.jit.save(module, buffer, _extra_files={DESCRIPTION_FILE: text})
        path.write_bytes(buffer.getvalue())

    return save


WRITERS: dict[str, Callable[[ExportGraph, ExportPlan], Save]] = {
    "onnx": onnx_writer,
    "openvino": openvino_writer,
    "torchscript": torchscript_writer,
    "ncnn": ncnn_writer,
    "litert": litert_writer,
    "executorch": executorch_writer,
    "coreml": coreml_writer,
}
