"""Suppression as a part of an ONNX graph, by the operator that the standard has for it.

The same rules as `postprocess.nms` with its defaults: each anchor stands for its best class, scores are above `conf`,
boxes of a class that overlap a better one by more than `iou` go, the best `max_det` stay.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from yolov12.artefact import Suppression
from yolov12.extras import require

ROWS = "detections"
DENSE = "dense"


def add_suppression(proto: Any, options: Suppression, num_classes: int) -> Any:
    """`proto` with rows (B, M, 6 + E) in place of its dense output: x1, y1, x2, y2, score, class, extras.

    M is at most `max_det`. Rows are best first; those that fill up the smaller pictures of a batch have the score 0.
    """
    onnx = require("onnx", "onnx")
    nodes: list[Any] = []

    def constant(name: str, value: Any, kind: type = np.int64) -> str:
        tensor = onnx.numpy_helper.from_array(np.asarray(value, kind), f"nms.{name}")
        proto.graph.initializer.append(tensor)
        return str(tensor.name)

    def node(kind: str, name: str, *inputs: str, **attributes: Any) -> str:
        nodes.append(onnx.helper.make_node(kind, list(inputs), [f"nms.{name}"], f"nms.{name}", **attributes))
        return f"nms.{name}"

    first, second, last = constant("first", [1]), constant("second", [2]), constant("last", [-1])
    start, classes_end, end = constant("start", [4]), constant("end", [4 + num_classes]), constant("max", [2**31])
    boxes = node("Slice", "boxes", DENSE, constant("zero", [0]), start, first)  # (B, 4, A)
    scores = node("Slice", "scores", DENSE, start, classes_end, first)  # (B, C, A)
    extras = node("Slice", "extras", DENSE, classes_end, end, first)  # (B, E, A)
    boxes = node("Transpose", "boxes_last", boxes, perm=[0, 2, 1])  # (B, A, 4)
    extras = node("Transpose", "extras_last", extras, perm=[0, 2, 1])  # (B, A, E)
    labels = node("ArgMax", "labels", scores, axis=1, keepdims=1)  # (B, 1, A), the first of equal ones
    best = node("ReduceMax", "best", scores, first, keepdims=0)  # (B, A)
    numbers = constant("numbers", np.arange(num_classes)[None, :, None])  # (1, C, 1)
    wanted = node("Equal", "wanted", labels, numbers)  # (B, C, A)
    sole = node("Where", "sole", wanted, scores, constant("none", 0.0, np.float32))
    limits = (constant("conf", options.conf, np.float32), constant("iou", options.iou, np.float32))
    kept = node(
        "NonMaxSuppression", "kept", boxes, sole, constant("max_det", options.max_det), limits[1], limits[0],
        center_point_box=1,
    )  # (K, 3): picture, class, anchor  # fmt: skip
    where = node("Gather", "where", kept, constant("pair", [0, 2]), axis=1)  # (K, 2)
    chosen = node("GatherND", "chosen", best, where)  # (K,)
    nothing = node("Mul", "nothing", best, constant("nil", 0.0, np.float32))
    marked = node("ScatterND", "marked", nothing, where, chosen)  # (B, A), 0 where nothing was kept
    anchors = node("Shape", "anchors", marked, start=1, end=2)
    count = node("Min", "count", constant("most", [options.max_det]), anchors)
    nodes.append(onnx.helper.make_node("TopK", [marked, count], ["nms.values", "nms.places"], "nms.top", axis=1))
    places = node("Unsqueeze", "places_last", "nms.places", last)  # (B, M, 1)
    rows = []
    for name, table, width in (("box", boxes, 4), ("extra", extras, None)):
        wide = node("Shape", f"{name}_width", table, start=2, end=3)
        ones = node("Concat", f"{name}_ones", constant(f"{name}_one", [1, 1]), wide, axis=0)
        spread = node("Expand", f"{name}_places", places, ones)
        rows.append((node("GatherElements", f"{name}_rows", table, spread, axis=1), width))
    label = node("Squeeze", "label", labels, first)  # (B, A)
    label = node("GatherElements", "label_rows", label, "nms.places", axis=1)
    label = node("Cast", "label_float", node("Unsqueeze", "label_last", label, last), to=onnx.TensorProto.FLOAT)
    value = node("Unsqueeze", "value_last", "nms.values", last)
    box = rows[0][0]
    half, two = constant("half", 0.5, np.float32), constant("two", [2])
    centre = node("Slice", "centre", box, constant("low", [0]), two, second)
    size = node("Mul", "reach", node("Slice", "size", box, two, constant("four", [4]), second), half)
    low, high = node("Sub", "low_corner", centre, size), node("Add", "high_corner", centre, size)
    nodes.append(onnx.helper.make_node("Concat", [low, high, value, label, rows[1][0]], [ROWS], "nms.rows", axis=2))

    proto.graph.node.extend(nodes)
    others = [output for output in proto.graph.output if output.name != DENSE]
    batch = proto.graph.input[0].type.tensor_type.shape.dim[0]
    shape = [batch.dim_param or batch.dim_value, None, None]
    del proto.graph.output[:]
    proto.graph.output.extend([onnx.helper.make_tensor_value_info(ROWS, onnx.TensorProto.FLOAT, shape), *others])
    return proto
