"""The keyword arguments of the facade's methods, for editors and type checkers.

Written from the dataclasses in `run.py` by `scripts/make_options.py`; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import TypedDict

from yolov12.config.run import ImageSize


class TrainOptions(TypedDict, total=False):
    """Options of `train`."""

    hsv_h: float
    hsv_s: float
    hsv_v: float
    degrees: float
    translate: float
    scale: float
    shear: float
    perspective: float
    flipud: float
    fliplr: float
    mosaic: float
    mixup: float
    erasing: float
    auto_augment: str
    copy_paste: float
    data: str | PathLike[str]
    epochs: int
    batch: int
    imgsz: int
    device: str | int
    workers: int
    project: str | PathLike[str]
    name: str
    exist_ok: bool
    resume: bool
    pretrained: bool
    weights: str | PathLike[str]
    freeze: int
    seed: int
    patience: int
    val: bool
    save_steps: int
    plots: bool
    cache: bool
    amp: bool
    single_cls: bool
    fraction: float
    on_bad_label: str
    max_pixels: int
    optimizer: str
    lr0: float
    lrf: float
    cos_lr: bool
    momentum: float
    weight_decay: float
    warmup_epochs: float
    warmup_momentum: float
    warmup_bias_lr: float
    nbs: int
    clip: float
    ema_decay: float
    ema_tau: float
    close_mosaic: int
    box: float
    cls: float
    dfl: float
    pose: float
    kobj: float
    cls_loss: str
    iou_loss: str
    mask_loss: str
    iou_aware: bool
    negatives: float
    label_smoothing: float
    rules: str


class ValOptions(TypedDict, total=False):
    """Options of `val`."""

    imgsz: ImageSize
    batch: int
    rect: bool
    iou: float
    max_det: int
    tile: int
    overlap: float
    augment: bool
    device: str | int
    precision: str
    runtime: str
    max_pixels: int
    project: str | PathLike[str]
    exist_ok: bool
    data: str | PathLike[str]
    split: str
    conf: float
    protocol: str
    single_cls: bool
    on_bad_label: str
    plots: bool
    name: str
    verbose: bool


class PredictOptions(TypedDict, total=False):
    """Options of `predict`."""

    imgsz: ImageSize
    batch: int
    rect: bool
    iou: float
    max_det: int
    tile: int
    overlap: float
    augment: bool
    device: str | int
    precision: str
    runtime: str
    max_pixels: int
    project: str | PathLike[str]
    exist_ok: bool
    conf: float
    classes: Sequence[int | str] | int | str | None
    agnostic_nms: bool
    half: bool
    stream: bool
    vid_stride: int
    save: bool
    save_txt: bool
    save_conf: bool
    show: bool
    name: str
    verbose: bool


class CompareOptions(TypedDict, total=False):
    """Options of `compare`."""

    data: str | PathLike[str]
    split: str
    imgsz: ImageSize
    batch: int
    device: str | int
    precision: str
    resamples: int
    confidence: float
    timed: int
    seed: int
    on_bad_label: str
    max_pixels: int
    plots: bool
    project: str | PathLike[str]
    name: str
    exist_ok: bool
    verbose: bool


class ExportOptions(TypedDict, total=False):
    """Options of `export`."""

    format: str
    output: str | PathLike[str]
    imgsz: ImageSize
    batch: int
    dynamic: bool
    half: bool
    int8: bool
    calibration: int
    finetune: int
    simplify: bool
    nms: bool
    lazy: bool
    conf: float
    iou: float
    max_det: int
    data: str | PathLike[str]
    split: str
    images: int
    verbose: bool


class BenchmarkOptions(TypedDict, total=False):
    """Options of `benchmark`."""

    data: str | PathLike[str]
    split: str
    fraction: float
    runtimes: str
    precisions: str
    sizes: str
    batches: str
    rounds: int
    device: str | int
    plots: bool
    project: str | PathLike[str]
    name: str
    exist_ok: bool
    verbose: bool
