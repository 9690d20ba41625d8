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


class _Nodes:
    """Nodes and constants that are added to a graph; each method gives the name of its output."""

    def __init__(self, graph: Any) -> None:
        self.onnx, self._graph = require("onnx", "onnx"), graph

    def constant(self, name: str, value: Any, kind: type = np.int64) -> str:
        tensor = self.onnx.numpy_helper.from_array(np.asarray(value, kind), f"nms.{name}")
        self._graph.initializer.append(tensor)
        return str(tensor.name)

    def add(self, kind: str, name: str, *inputs: str, **attributes: Any) -> str:
        return self.add_as(f"nms.{name}", kind, name, *inputs, **attributes)

    def add_as(self, output: str, kind: str, name: str, *inputs: str, **attributes: Any) -> str:
        """A node whose output has that very name."""
        self._graph.node.append(self.onnx.helper.make_node(kind, list(inputs), [output], f"nms.{name}", **attributes))
        return output

    def top(self, values: str, count: str) -> tuple[str, str]:
        """The `count` largest of a table (B, A), best first, and their places, both (B, count)."""
        names = ["nms.values", "nms.places"]
        self._graph.node.append(self.onnx.helper.make_node("TopK", [values, count], names, "nms.top", axis=1))
        return names[0], names[1]


def add_suppression(proto: Any, options: Suppression, num_classes: int, *, extras: bool) -> Any:
    """`proto` with rows (B, M, 6 + E) in place of its dense output: x1, y1, x2, y2, score, class, extras if any.

    M is at most `max_det`. Rows are best first; those that fill up the smaller pictures of a batch have the score 0.
    """
    nodes = _Nodes(proto.graph)
    onnx, constant, add = nodes.onnx, nodes.constant, nodes.add
    first, last = constant("first", [1]), constant("last", [-1])
    start, classes_end = constant("start", [4]), constant("end", [4 + num_classes])
    boxes = add("Slice", "boxes", DENSE, constant("zero", [0]), start, first)  # (B, 4, A)
    boxes = add("Transpose", "boxes_last", boxes, perm=[0, 2, 1])  # (B, A, 4)
    scores = add("Slice", "scores", DENSE, start, classes_end, first)  # (B, C, A)
    labels = add("ArgMax", "labels", scores, axis=1, keepdims=1)  # (B, 1, A), the first of equal ones

    marked = _kept_scores(nodes, boxes, scores, labels, options, num_classes)  # (B, A)
    anchors = add("Shape", "anchors", marked, start=1, end=2)
    values, places = nodes.top(marked, add("Min", "count", constant("most", [options.max_det]), anchors))  # (B, M)
    label = add("GatherElements", "label_rows", add("Squeeze", "label", labels, first), places, axis=1)  # (B, M)
    label = add("Cast", "label_float", add("Unsqueeze", "label_last", label, last), to=onnx.TensorProto.FLOAT)
    value = add("Unsqueeze", "value_last", values, last)  # (B, M, 1)
    places = add("Unsqueeze", "places_last", places, last)  # (B, M, 1)
    low, high = _corners(nodes, _rows(nodes, "box", boxes, places))
    columns = [low, high, value, label]
    if extras:  # a table of no columns would be one that ONNX Runtime (1.31) cannot gather from
        rest = add("Slice", "extras", DENSE, classes_end, constant("max", [2**31]), first)  # (B, E, A)
        rest = add("Transpose", "extras_last", rest, perm=[0, 2, 1])  # (B, A, E)
        columns.append(_rows(nodes, "extra", rest, places))
    nodes.add_as(ROWS, "Concat", "rows", *columns, axis=2)  # (B, M, 6 + E)

    others = [output for output in proto.graph.output if output.name != DENSE]
    batch = proto.graph.input[0].type.tensor_type.shape.dim[0]
    shape = [batch.dim_param or batch.dim_value, None, None]
    del proto.graph.output[:]
    proto.graph.output.extend([onnx.helper.make_tensor_value_info(ROWS, onnx.TensorProto.FLOAT, shape), *others])
    return proto


def _kept_scores(nodes: _Nodes, boxes: str, scores: str, labels: str, options: Suppression, num_classes: int) -> str:
    """The best score of each anchor (B, A), 0 where it was suppressed."""
    constant, add = nodes.constant, nodes.add
    best = add("ReduceMax", "best", scores, constant("classes_axis", [1]), keepdims=0)  # (B, A)
    numbers = constant("numbers", np.arange(num_classes)[None, :, None])  # (1, C, 1)
    wanted = add("Equal", "wanted", labels, numbers)  # (B, C, A)
    sole = add("Where", "sole", wanted, scores, constant("none", 0.0, np.float32))  # (B, C, A)
    conf, iou = (constant(name, getattr(options, name), np.float32) for name in ("conf", "iou"))
    most = constant("max_det", options.max_det)
    kept = add("NonMaxSuppression", "kept", boxes, sole, most, iou, conf, center_point_box=1)  # (K, 3)
    where = add("Gather", "where", kept, constant("pair", [0, 2]), axis=1)  # (K, 2): picture, anchor
    nothing = add("Mul", "nothing", best, constant("nil", 0.0, np.float32))
    return add("ScatterND", "marked", nothing, where, add("GatherND", "chosen", best, where))


def _rows(nodes: _Nodes, name: str, table: str, places: str) -> str:
    """The rows of a table (B, A, W) at `places` (B, M, 1): (B, M, W)."""
    width = nodes.add("Shape", f"{name}_width", table, start=2, end=3)
    ones = nodes.add("Concat", f"{name}_ones", nodes.constant(f"{name}_one", [1, 1]), width, axis=0)
    spread = nodes.add("Expand", f"{name}_places", places, ones)
    return nodes.add("GatherElements", f"{name}_rows", table, spread, axis=1)


def _corners(nodes: _Nodes, boxes: str) -> tuple[str, str]:
    """Top left and bottom right, both (B, M, 2), of boxes (B, M, 4) by centre and size."""
    low, middle, high = (nodes.constant(name, [value]) for name, value in (("low", 0), ("two", 2), ("four", 4)))
    axis = nodes.constant("box_axis", [2])
    centre = nodes.add("Slice", "centre", boxes, low, middle, axis)
    size = nodes.add("Slice", "size", boxes, middle, high, axis)
    reach = nodes.add("Mul", "reach", size, nodes.constant("half", 0.5, np.float32))
    return nodes.add("Sub", "low_corner", centre, reach), nodes.add("Add", "high_corner", centre, reach)
