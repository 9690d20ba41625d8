"""What each verb can be told: train, val, predict. Frozen dataclasses whose fields are the public options.

The names are those that users of this ecosystem already type (`imgsz, conf, iou, lr0 ...`). Every field carries its
help text, range and choices; the command line, the Python facade and the checks all read them from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from yolov12.config.tasks import TASKS

ImageSize = int | tuple[int, int]  # one side, or (height, width)


def option(
    default: Any,
    text: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] | None = None,
    instead: Mapping[str, str] | None = None,
) -> Any:
    """A dataclass field with its help text and its limits (both inclusive).

    `instead` has what to say of values that people try although they are no choice.
    """
    limits = {"low": low, "high": high, "choices": choices, "instead": instead or {}}
    return field(default=default, metadata={"help": text, **limits})


PRECISIONS = ("auto", "fp32", "bf16", "fp16", "int8")
RUNTIME_HELP = "what runs the network"
FREE_FORMATS = ("onnx", "openvino", "torchscript")
"""Those whose graphs take any size, so that they may stand in for torch."""
EXPORT_FORMATS = (*FREE_FORMATS, "ncnn", "litert", "executorch", "coreml")
RUNTIMES = ("auto", "torch", *EXPORT_FORMATS)
TENSORRT = (
    "engines are built on the GPU that runs them: export with --format onnx --no-dynamic, then run there "
    "trtexec --onnx=FILE.onnx --saveEngine=FILE.engine (and --fp16 for half precision)"
)
MACHINE_CODE = "such files hold code that would run when they are opened; onnx and openvino files do not"
OTHER_FORMATS = {
    "tensorrt": TENSORRT,
    "engine": TENSORRT,
    "tflite": "it is called litert now",
    "mlmodel": "coreml writes the newer .mlpackage",
    "torch.export": MACHINE_CODE,
    "aotinductor": MACHINE_CODE,
}
DEVICE_HELP = "'auto', 'cpu', 'cuda', 'cuda:1' or a GPU number"
MAX_PIXELS = 50_000_000
MAX_PIXELS_HELP = "largest image in pixels that is decoded"
BAD_LABEL_HELP = "what to do with a label row or image that cannot be used: stop ('error') or drop and count ('skip')"


@dataclass(frozen=True)
class AugmentConfig:
    """Training-time augmentation. Each sample is a pure function of (seed, epoch, index) and these numbers."""

    hsv_h: float = option(0.015, "hue gain range", low=0, high=1)
    hsv_s: float = option(0.7, "saturation gain range", low=0, high=1)
    hsv_v: float = option(0.4, "value gain range", low=0, high=1)
    degrees: float = option(0.0, "rotation range in degrees", low=0, high=180)
    translate: float = option(0.1, "shift range as a fraction of the image", low=0, high=1)
    scale: float = option(0.5, "zoom range: 1 +- scale", low=0, high=1)
    shear: float = option(0.0, "shear range in degrees", low=0, high=90)
    perspective: float = option(0.0, "perspective range", low=0, high=0.01)
    flipud: float = option(0.0, "probability of an upside-down flip", low=0, high=1)
    fliplr: float = option(0.5, "probability of a left-right flip", low=0, high=1)
    mosaic: float = option(1.0, "probability of a 4-image mosaic", low=0, high=1)
    mixup: float = option(0.0, "probability of blending two samples", low=0, high=1)
    erasing: float = option(0.4, "classify: probability of erasing a rectangle", low=0, high=1)
    auto_augment: str = option("randaugment", "classify: policy of random changes", choices=("randaugment", "none"))
    copy_paste: float = option(0.0, "fraction of eligible mirrored objects pasted (needs polygons)", low=0, high=1)


@dataclass(frozen=True)
class TrainConfig(AugmentConfig):
    """Options of `train`; the defaults are the published recipe of the paper's repository where it has one."""

    data: str = option("", "data set: YAML file, or a folder that holds one")
    epochs: int = option(100, "passes over the training set", low=1, high=100_000)
    batch: int = option(16, "images per forward pass", low=1, high=65_536)
    imgsz: int = option(640, "square training size in pixels, a multiple of 32; classifiers 224", low=32, high=8192)
    device: str = option("auto", DEVICE_HELP)
    workers: int = option(8, "loader processes, at most one per core; 0 loads in the training process", low=0, high=256)
    project: str = option("", "folder for runs; empty: runs/<task>")
    name: str = option("train", "name of this run's folder")
    exist_ok: bool = option(False, "write into an existing run folder instead of numbering a new one")
    resume: bool = option(False, "continue the run that the model file <run folder>/weights/last.safetensors is of")
    pretrained: bool = option(True, "start from the model's weights; False: fresh weights")
    weights: str = option("", "start from what fits of this model (path or name), also of another task; empty: its own")
    freeze: int = option(0, "number of leading layers (official numbering) that do not train", low=0, high=21)
    seed: int = option(0, "seed of weights, order and augmentation", low=0, high=2**31 - 1)
    patience: int = option(100, "epochs without a better fitness before stopping; 0: never", low=0, high=100_000)
    val: bool = option(True, "evaluate after every epoch (always after the last)")
    save_steps: int = option(0, "also save the training state every so many steps; 0: every epoch", low=0, high=10**9)
    plots: bool = option(True, "draw curves and sample batches into the run folder")
    cache: bool = option(True, "keep resized images in memory when they fit into a quarter of it")
    amp: bool = option(True, "half-precision autocast where the hardware has it")
    single_cls: bool = option(False, "treat all classes as one")
    fraction: float = option(1.0, "part of the training set to use", low=0.0001, high=1)
    on_bad_label: str = option("error", BAD_LABEL_HELP, choices=("error", "skip"))
    max_pixels: int = option(MAX_PIXELS, MAX_PIXELS_HELP, low=1, high=10**10)
    optimizer: str = option(
        "auto", "optimizer", choices=("auto", "SGD", "Adam", "AdamW", "NAdam", "RAdam", "Adamax", "RMSProp")
    )
    lr0: float = option(0.01, "initial learning rate (ignored by optimizer 'auto')", low=0, high=10)
    lrf: float = option(0.01, "final learning rate as a fraction of the initial one", low=0, high=1)
    cos_lr: bool = option(False, "cosine instead of linear learning-rate schedule")
    momentum: float = option(0.937, "SGD momentum or Adam beta1", low=0, high=0.9999)
    weight_decay: float = option(0.0005, "weight decay at a nominal batch of `nbs`", low=0, high=1)
    warmup_epochs: float = option(3.0, "warm-up length in epochs", low=0, high=1000)
    warmup_momentum: float = option(0.8, "momentum at the start of warm-up", low=0, high=0.9999)
    warmup_bias_lr: float = option(0.0, "bias learning rate at the start of warm-up", low=0, high=10)
    nbs: int = option(64, "nominal batch: gradients accumulate until it is reached", low=1, high=65_536)
    clip: float = option(10.0, "largest L2 norm of the gradient", low=0, high=1e9)
    ema_decay: float = option(0.9999, "limit of the weight average's decay", low=0, high=1)
    ema_tau: float = option(2000.0, "updates over which the average's decay rises", low=1, high=1e9)
    close_mosaic: int = option(10, "last epochs without mosaic, mixup and copy-paste", low=0, high=100_000)
    box: float = option(7.5, "gain of the box loss", low=0, high=1000)
    cls: float = option(0.5, "gain of the class loss", low=0, high=1000)
    dfl: float = option(1.5, "gain of the distribution focal loss", low=0, high=1000)
    pose: float = option(12.0, "gain of the keypoint loss", low=0, high=1000)
    kobj: float = option(1.0, "gain of the keypoint visibility loss", low=0, high=1000)
    cls_loss: str = option("bce", "formula of the class loss", choices=("bce", "focal", "qfl", "varifocal", "ghm"))
    iou_loss: str = option("ciou", "formula of the box loss", choices=("ciou", "diou", "giou", "ghm"))
    mask_loss: str = option("bce", "formula of the mask loss", choices=("bce", "dice_bce"))
    iou_aware: bool = option(True, "class scores also learn how well the box fits")
    negatives: float = option(
        0.0, "class loss: only the hardest so many negatives for each positive; 0: all", low=0, high=1e6
    )
    label_smoothing: float = option(0.0, "share of a class target that is spread over all classes", low=0, high=0.5)
    rules: str = option(
        "r8363", "assigner and loss rules: the paper's repository or the later ones", choices=("r8363", "r84190")
    )


@dataclass(frozen=True)
class RunConfig:
    """Options that `predict` and `val` share: how pictures are looked at, and what runs the network."""

    imgsz: ImageSize = option(640, "canvas: one side, or height and width; rounded up to 32", low=32, high=8192)
    batch: int = option(8, "images per forward pass for folders and lists", low=1, high=65_536)
    rect: bool = option(True, "smallest rectangle per image instead of a square")
    iou: float = option(0.7, "overlap above which the lower-scored box is dropped", low=0, high=1)
    max_det: int = option(300, "most detections per image", low=1, high=100_000)
    tile: int = option(
        0, "look at tiles of this side in pixels, too; 0: no; -1: as the objects' size asks", low=-1, high=65_536
    )
    overlap: float = option(0.2, "of neighbouring tiles, a share of their side", low=0, high=0.9)
    augment: bool = option(False, "test-time augmentation: three scales, one of them mirrored")
    device: str = option("auto", DEVICE_HELP)
    precision: str = option("auto", "arithmetic", choices=PRECISIONS)
    runtime: str = option("auto", RUNTIME_HELP, choices=RUNTIMES)
    max_pixels: int = option(MAX_PIXELS, MAX_PIXELS_HELP, low=1, high=10**10)
    project: str = option("", "folder for runs; empty: runs/<task>")
    exist_ok: bool = option(False, "write into an existing run folder instead of numbering a new one")


@dataclass(frozen=True)
class ValConfig(RunConfig):
    """Options of `val`."""

    data: str = option("", "data set: YAML file, or a folder that holds one")
    split: str = option("val", "which split to score", choices=("train", "val", "test"))
    batch: int = option(16, "images per forward pass", low=1, high=65_536)
    conf: float = option(0.001, "lowest score that counts", low=0, high=1)
    protocol: str = option(
        "predict", "canvas rule: as predict does, or the reference's validation", choices=("predict", "reference")
    )
    single_cls: bool = option(False, "treat all classes as one")
    on_bad_label: str = option("error", BAD_LABEL_HELP, choices=("error", "skip"))
    plots: bool = option(True, "draw curves and the confusion matrix")
    name: str = option("val", "name of this run's folder")
    verbose: bool = option(True, "print the per-class table")


@dataclass(frozen=True)
class ExportConfig:
    """Options of `export`."""

    format: str = option("onnx", "file format", choices=EXPORT_FORMATS, instead=OTHER_FORMATS)
    output: str = option("", "file or folder to write; empty: beside the model, named after it")
    imgsz: ImageSize = option(640, "canvas: one side, or height and width; rounded up to 32", low=32, high=8192)
    batch: int = option(1, "pictures in one call of a graph of fixed shape", low=1, high=65_536)
    dynamic: bool = option(True, "any batch, height and width (multiples of 32), where the format can")
    half: bool = option(False, "16-bit weights, where the format can")
    int8: bool = option(False, "8-bit whole numbers, calibrated on the training pictures of --data")
    calibration: int = option(128, "with --int8: pictures to calibrate on", low=1, high=100_000)
    finetune: int = option(
        0, "with --int8: passes over those pictures in which the network may get used to 8 bits", low=0, high=1000
    )
    simplify: bool = option(False, "ONNX: also run onnxslim over the graph")
    nms: bool = option(False, "suppression inside the graph: rows of box, score, class instead of dense output")
    lazy: bool = option(False, "ONNX, OpenVINO: boxes only at anchors whose score passes a second input; faster")
    conf: float = option(0.25, "with --nms: lowest score", low=0, high=1)
    iou: float = option(0.7, "with --nms: overlap above which the lower-scored box is dropped", low=0, high=1)
    max_det: int = option(300, "with --nms: most detections per image", low=1, high=100_000)
    data: str = option("", "data set whose pictures the check runs on; empty: that of the training, else synthetic")
    split: str = option("val", "which split of it", choices=("train", "val", "test"))
    images: int = option(64, "pictures of the check", low=1, high=100_000)
    verbose: bool = option(True, "say what is done and what the check found")


@dataclass(frozen=True)
class CheckConfig:
    """Options of `data check`."""

    task: str = option("detect", "what the labels are for", choices=tuple(TASKS))
    max_pixels: int = option(MAX_PIXELS, MAX_PIXELS_HELP, low=1, high=10**10)


@dataclass(frozen=True)
class CompareConfig:
    """Options of `compare`."""

    data: str = option("", "data set: YAML file, or a folder that holds one")
    split: str = option("val", "which split to score", choices=("train", "val", "test"))
    imgsz: ImageSize = option(640, "canvas of all models: one side, or height and width", low=32, high=8192)
    batch: int = option(16, "images per forward pass while scoring", low=1, high=65_536)
    device: str = option("auto", DEVICE_HELP)
    precision: str = option("fp32", "arithmetic", choices=("auto", "fp32", "bf16", "fp16"))
    resamples: int = option(1000, "bootstrap resamples of the images", low=100, high=100_000)
    confidence: float = option(0.95, "of the intervals", low=0.5, high=0.999)
    timed: int = option(50, "images whose latency is measured, models taking turns", low=5, high=100_000)
    seed: int = option(0, "seed of the resamples", low=0, high=2**31 - 1)
    on_bad_label: str = option("error", BAD_LABEL_HELP, choices=("error", "skip"))
    max_pixels: int = option(MAX_PIXELS, MAX_PIXELS_HELP, low=1, high=10**10)
    plots: bool = option(True, "draw accuracy over latency")
    project: str = option("", "folder for runs; empty: runs/<task>")
    name: str = option("compare", "name of this run's folder")
    exist_ok: bool = option(False, "write into an existing run folder instead of numbering a new one")
    verbose: bool = option(True, "print progress")


@dataclass(frozen=True)
class BenchmarkConfig:
    """Options of `benchmark` and `select`; lists have commas."""

    data: str = option("", "data set to score on; empty: times only, of the sample pictures")
    split: str = option("val", "which split of it", choices=("train", "val", "test"))
    fraction: float = option(1.0, "part of the split to use", low=0.0001, high=1)
    runtimes: str = option(
        "", f"of {', '.join(RUNTIMES[1:])}; empty: torch, openvino, onnx, exported files as they are"
    )
    precisions: str = option("auto", f"of {', '.join(PRECISIONS)}")
    sizes: str = option("", "sides of the canvas; empty: that of the training, or of the export")
    batches: str = option("1", "pictures per call")
    rounds: int = option(30, "times that each setting has its turn", low=5, high=100_000)
    device: str = option("auto", DEVICE_HELP)
    plots: bool = option(True, "draw accuracy over time")
    project: str = option("", "folder for runs; empty: runs/<task>")
    name: str = option("benchmark", "name of this run's folder")
    exist_ok: bool = option(False, "write into an existing run folder instead of numbering a new one")
    verbose: bool = option(True, "print progress")


@dataclass(frozen=True)
class PredictConfig(RunConfig):
    """Options of `predict`."""

    conf: float = option(0.25, "lowest score that is shown", low=0, high=1)
    classes: tuple[int | str, ...] | None = option(None, "only these classes: ids or names")
    agnostic_nms: bool = option(False, "suppress across classes")
    half: bool = option(False, "same as precision='fp16'")
    stream: bool = option(False, "return a generator instead of a list")
    vid_stride: int = option(1, "take every n-th video frame", low=1, high=1_000_000)
    save: bool = option(False, "save annotated images into the run folder")
    save_txt: bool = option(False, "save detections as text labels into the run folder")
    save_conf: bool = option(False, "end each text label with its score")
    show: bool = option(False, "show annotated images in a window")
    name: str = option("predict", "name of this run's folder")
    verbose: bool = option(True, "print progress and a summary")
