"""Looking into a model: the walk through its layers, forward and back, and where its attention looks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from yolov12.atomic import write_atomic
from yolov12.config.parse import resolve, round_up_to_stride
from yolov12.config.refit import fit_to_data
from yolov12.config.run import ImageSize, PredictConfig, TrainConfig
from yolov12.config.tasks import TASKS
from yolov12.data.dataset import load_index
from yolov12.data.image_io import read_image
from yolov12.data.loader import TrainLoader
from yolov12.engine.run import with_anchors
from yolov12.engine.trace import Trace, trace_backward, trace_forward
from yolov12.errors import ConfigError, UserError, printable
from yolov12.evaluation.labels import suited
from yolov12.inference.attention_maps import Explained, explain, overlay
from yolov12.inference.predictor import view_of
from yolov12.loading import is_single_class, saved_options, size_to_use
from yolov12.models.detector import Detector, build_model
from yolov12.postprocess import NmsOptions, select
from yolov12.samples import sample_images


class Subject(NamedTuple):
    """What is looked into: a network, its class names, what its file says of its training, and where it is.

    fresh  no file: an architecture, whose classes are those of whatever data it is shown
    """

    model: Detector
    names: Mapping[int, str]
    metadata: Mapping[str, Any]
    device: torch.device
    fresh: bool

    @property
    def task(self) -> str:
        """What the model does."""
        return self.model.config.task

    def size(self, said: int | None) -> ImageSize:
        """The side of the canvas: as said, that of the training, or the usual one; a multiple of 32."""
        if said is not None and said <= 0:
            raise ConfigError(f"--imgsz {said}: must be positive")
        return round_up_to_stride(said or size_to_use(self.model.config, self.metadata, verbose=False))

    def canvas(self, image: str | Path | None, imgsz: int | None) -> Tensor:
        """A picture, or a sample, as the network sees it: (1, 3, H, W), RGB in 0..1, on the model's device."""
        path = Path(image) if image is not None else sorted(sample_images(self.task).iterdir())[0]
        pixels = read_image(path)
        config = resolve(PredictConfig, {"imgsz": self.size(imgsz)}).config
        canvas = view_of(pixels, self.task, config).apply(pixels)
        rgb = torch.from_numpy(canvas[..., ::-1].copy()).permute(2, 0, 1)[None]  # (H, W, 3) BGR -> (1, 3, H, W) RGB
        return rgb.to(self.device).float() / 255


def walk(subject: Subject, image: str | Path | None, imgsz: int | None, *, single: bool) -> Trace:
    """The walk forward of a picture; `single`: convolution by convolution."""
    return trace_forward(subject.model, subject.canvas(image, imgsz), single=single)


def walk_back(subject: Subject, data: str | Path | None, imgsz: int | None, batch: int, *, single: bool) -> Trace:
    """Both walks of a batch of the training split of `data`, else of the data set that the model was trained on.

    Loss and optimizer are those of the default options.
    """
    source = str(data or saved_options(subject.metadata).get("data", ""))
    if not source:
        raise ConfigError("--data is missing: gradients need labels; name the data set's YAML file")
    options = {"imgsz": subject.size(imgsz), "batch": batch, "workers": 0, "mosaic": 0.0, "data": source}
    config = resolve(TrainConfig, options).config
    single_cls, model = is_single_class(subject.metadata), subject.model
    index = load_index(source, "train", task=subject.task, single_cls=single_cls)
    if subject.fresh:  # fitted to the data, as training does
        fitted = fit_to_data(model.config, len(index.names), index.keypoint_shape)
        fitted = with_anchors(fitted, None, index, config.imgsz)
        model = model if fitted == model.config else build_model(fitted, seed=0).to(subject.device)
    else:
        blame = f"{printable(source)} does not suit the model"
        index = suited(index, subject.names, model.config.keypoint_shape, blame=blame, single_cls=single_cls)
    with TrainLoader(index, config, task=subject.task) as loader:
        return trace_backward(model, next(iter(loader.epoch(config.epochs - 1))), config, single=single)


def look(subject: Subject, image: str | Path | None, imgsz: int | None, conf: float = 0.25) -> list[Explained]:
    """Attention maps of what is found in a picture."""
    return list(_explained(subject, subject.canvas(image, imgsz), conf))


def _explained(subject: Subject, canvas: Tensor, conf: float = 0.25) -> Iterator[Explained]:
    if not TASKS[subject.task].boxes or TASKS[subject.task].rotated:
        raise ConfigError(f"attention maps are for upright boxes, not for {subject.task}")
    with torch.inference_mode():
        dense = subject.model.head.decode(subject.model(canvas)[subject.task]).dense[0].cpu().numpy()
    rows = torch.from_numpy(select(dense, len(subject.names), NmsOptions(conf=conf)))  # (n, 6 + E)
    return explain(subject.model, canvas, rows[:, :4], rows[:, 5].long())


def draw_looks(subject: Subject, image: str | Path | None, folder: Path, imgsz: int | None) -> Iterator[dict[str, Any]]:
    """A picture for each detection, its map over the canvas, written when it is asked for, and what is said of it."""
    canvas = subject.canvas(image, imgsz)
    found = _explained(subject, canvas)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{printable(folder)}: cannot be made into a folder: {error.strerror}") from error
    pixels = (canvas[0] * 255).byte().permute(1, 2, 0)  # (H, W, 3) RGB
    return _drawn(subject, found, pixels.cpu().numpy()[..., ::-1].copy(), folder)


def _drawn(
    subject: Subject, found: Iterator[Explained], picture: NDArray[np.uint8], folder: Path
) -> Iterator[dict[str, Any]]:
    for number, one in enumerate(found):
        shown = overlay(picture, one.weights)
        x1, y1, x2, y2 = (round(side) for side in one.box_input)
        cv2.rectangle(shown, (x1, y1), (x2, y2), (255, 255, 255), 2)
        path = folder / f"attention_{number}.png"
        write_atomic(path, cv2.imencode(".png", shown)[1].tobytes())
        yield {"name": subject.names[one.label], **one.to_dict(), "picture": str(path)}
