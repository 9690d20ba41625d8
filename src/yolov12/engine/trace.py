"""Seeing inside: the shapes, cost and time of every layer on the way forward, its gradient and update on the way back.

The walk forward is that of one batch through the network in eval mode. The walk back is one step of training on that
batch: gradients of the loss by layer, and how far one step of the optimizer moves its weights, relative to their size.
"""

from __future__ import annotations

import copy
import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from yolov12.config.run import TrainConfig
from yolov12.data.sample import Batch
from yolov12.engine.optim import build_optimizer
from yolov12.losses.criterion import Criterion
from yolov12.models.detector import Detector
from yolov12.models.profile import layers_of, profile, shapes_of

REPEATS = 5
"""Forward passes that are timed; the median counts."""
LARGEST_UPDATE = 0.1
"""A layer whose weights move by more of their own size in one step is called exploding,"""
LARGEST_GRADIENT = 1e3
"""and so is one whose gradient is longer than this for each picture: fresh networks have 120 at most."""
FEW_ITERATIONS = 1000
"""As long a run as the optimizer is chosen for."""
Shapes = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class TraceRow:
    """One layer. Shapes are without the batch; time is of the whole batch; the last three are of the walk back.

    gradient  L2 norm of the loss' gradient by the layer's parameters
    update    L2 norm of the change of its parameters in one step over that of the parameters
    mark      'dead' without a gradient, 'exploding' with one that is not finite or too long, or too large an update
    """

    name: str
    inputs: Shapes
    outputs: Shapes
    parameters: int
    gflops: float
    milliseconds: float
    gradient: float | None = None
    update: float | None = None
    mark: str = ""


@dataclass(frozen=True)
class Trace:
    """Both walks: layers in order of execution, and of the walk back the loss and the optimizer."""

    images: int
    imgsz: tuple[int, int]
    device: str
    rows: tuple[TraceRow, ...]
    losses: Mapping[str, float] = field(default_factory=dict)
    optimizer: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; numbers that are not finite are None."""
        rows = [{name: _plain(value) for name, value in asdict(row).items()} for row in self.rows]
        losses = {name: _plain(value) for name, value in self.losses.items()}
        return {**asdict(replace(self, rows=())), "rows": rows, "losses": losses}

    def table(self) -> str:
        """One line a layer: the walk forward, and the walk back from the last layer to the first."""
        wide = max(22, *(len(row.name) for row in self.rows)) + 2
        head = f"{'layer':<{wide}}{'input':<20}{'output':<20}{'parameters':>12}{'GFLOPs':>9}{'ms':>9}"
        lines = [f"forward: {self.images} x 3x{self.imgsz[0]}x{self.imgsz[1]} on {self.device}", head]
        for row in self.rows:
            lines.append(
                f"{row.name:<{wide}}{_shape(row.inputs):<20}{_shape(row.outputs):<20}{row.parameters:>12,}"
                f"{row.gflops:>9.3f}{row.milliseconds:>9.2f}"
            )
        totals = (sum(row.parameters for row in self.rows), sum(row.gflops for row in self.rows))
        time_ms = sum(row.milliseconds for row in self.rows)
        lines.append(f"{'total':<{wide + 40}}{totals[0]:>12,}{totals[1]:>9.3f}{time_ms:>9.2f}")
        if not self.optimizer:
            return "\n".join(lines)
        terms = ", ".join(f"{name} {value:.4g}" for name, value in self.losses.items())
        lines += ["", f"backward: {terms}; one step of {self.optimizer}"]
        lines.append(f"{'layer':<{wide}}{'gradient':>12}{'update/weight':>15}")
        for row in reversed(self.rows):
            if row.gradient is not None:
                update = f"{row.update:.2e}" if row.update is not None else "-"
                lines.append(f"{row.name:<{wide}}{row.gradient:>12.3e}{update:>15}  {row.mark}".rstrip())
        return "\n".join(lines)


def trace_forward(model: Detector, images: Tensor, *, single: bool = False) -> Trace:
    """The walk of `images` (B, 3, H, W), RGB in 0..1, on the model's device; `single` as of `layers_of`."""
    model = copy.deepcopy(model).eval()
    layers = layers_of(model, single=single)
    shapes: dict[str, tuple[Shapes, Shapes]] = {}
    times: dict[str, list[float]] = {name: [] for name in layers}
    for name, layer in layers.items():
        _time(layer, times[name], images.device)
        layer.register_forward_hook(_recorder(shapes, name))
    with torch.inference_mode():
        for _ in range(REPEATS + 1):
            model(images)
    height, width = images.shape[2:]
    counted = {row.name: row for row in profile(model, (height, width), single=single).layers}
    medians = {name: statistics.median(found[1:]) if found else 0.0 for name, found in times.items()}
    own = dict(medians)
    for name, inside in medians.items():  # of a layer with others inside, the time that is its own
        if around := max((other for other in medians if name.startswith(f"{other}.")), key=len, default=""):
            own[around] -= inside
    rows = tuple(
        TraceRow(
            name,
            *shapes.get(name, ((), ())),
            counted[name].parameters,
            counted[name].gflops + counted[name].attention_gflops,
            own[name],
        )
        for name in counted
    )
    return Trace(len(images), (height, width), str(images.device), rows)


def trace_backward(model: Detector, batch: Batch, config: TrainConfig, *, single: bool = False) -> Trace:
    """Both walks of a batch; the model itself is left as it was."""
    device = next(model.parameters()).device
    batch = batch.to(device)
    images = batch.images.float() / 255
    forward = trace_forward(model, images, single=single)
    model = copy.deepcopy(model).train().requires_grad_(True)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not name.endswith("bins.weight"))  # a constant
    criterion = Criterion(model.config, rules=config.rules)
    terms = criterion(model(images), batch.targets)
    torch.autograd.backward(criterion.total(terms, len(images)))
    weights = {
        name: [value for value in layer.parameters(recurse=not single) if value.requires_grad and value.numel()]
        for name, layer in layers_of(model, single=single).items()
    }
    before = {name: [value.detach().clone() for value in values] for name, values in weights.items()}
    gradients = {name: _norm([value.grad for value in values]) for name, values in weights.items()}
    optimizer = build_optimizer(model, config, model.config.num_classes, FEW_ITERATIONS)
    optimizer.step()
    rows = []
    for row in forward.rows:
        if not before[row.name]:
            rows.append(row)
            continue
        after = [value.detach() for value in weights[row.name]]
        change = _norm([new - old for new, old in zip(after, before[row.name], strict=True)])
        size = _norm(list(before[row.name]))
        update = change / size if size else None  # weights that begin at 0 have no size to compare with
        mark = _mark(gradients[row.name] / len(images), update or 0.0)
        rows.append(replace(row, gradient=gradients[row.name], update=update, mark=mark))
    described = f"{type(optimizer).__name__}, learning rate {optimizer.param_groups[0]['lr']:g}"
    losses = {name: float(value.detach()) for name, value in terms.items()}
    return replace(forward, rows=tuple(rows), losses=losses, optimizer=described)


def _mark(gradient: float, update: float) -> str:
    fine = gradient <= LARGEST_GRADIENT and update <= LARGEST_UPDATE  # False for what is no number
    return "exploding" if not fine else "" if gradient else "dead"


def _norm(tensors: list[Tensor] | list[Tensor | None]) -> float:
    """L2 norm of all tensors together; those that are None count as 0."""
    squares = [float(tensor.double().square().sum()) for tensor in tensors if tensor is not None]
    return math.sqrt(sum(squares)) if all(math.isfinite(value) for value in squares) else math.nan


def _time(layer: nn.Module, times: list[float], device: torch.device) -> None:
    """Add the milliseconds of every call of `layer` to `times`."""
    started = [0.0]

    def wait() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    def start(module: nn.Module, inputs: object) -> None:
        started[0] = wait()

    def stop(module: nn.Module, inputs: object, outputs: object) -> None:
        times.append((wait() - started[0]) * 1000)

    layer.register_forward_pre_hook(start)
    layer.register_forward_hook(stop)


def _recorder(
    store: dict[str, tuple[Shapes, Shapes]], name: str
) -> Callable[[nn.Module, tuple[Any, ...], object], None]:
    def record(module: nn.Module, inputs: tuple[Any, ...], outputs: object) -> None:
        store[name] = shapes_of(inputs), shapes_of(outputs)

    return record


def _shape(shapes: Shapes) -> str:
    """The first shape, and how many more there are."""
    first = "x".join(map(str, shapes[0])) if shapes else ""
    return f"{first} +{len(shapes) - 1}" if len(shapes) > 1 else first


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
