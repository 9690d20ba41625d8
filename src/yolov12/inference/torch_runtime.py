"""The torch runtime: a private copy of the model with its batch norms folded, in channels-last layout.

Runtimes keep no state between calls, except that `AutoPrecision` remembers its one decision; all may be called from
many threads.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from yolov12.detections import Decoded
from yolov12.errors import ConfigError, SetupError
from yolov12.inference import cpu_convolution
from yolov12.inference.backends.base import as_rgb
from yolov12.inference.lazy_boxes import LazyBoxes, suits
from yolov12.inference.memory import keep_freed_memory
from yolov12.inference.runtime import Runtime
from yolov12.inference.tolerance import within_tolerance
from yolov12.models.detector import Detector, fuse
from yolov12.models.heads.classify import ClassifyHead

DTYPES: Final[dict[str, torch.dtype]] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
MAX_LANES: Final = 8


class TorchRuntime:
    """A model in plain torch. `model` is copied, so that training it further does not show here.

    On the CPU each image of a batch runs by itself, so that its result does not depend on its neighbours, and several
    run side by side, each on its share of the threads, so that nothing waits between layers. Where the caller sets a
    `min_score`, boxes are computed only where they are wanted (see `lazy_boxes`).
    """

    def __init__(self, model: Detector, device: str | torch.device = "cpu", precision: str = "fp32") -> None:
        if precision not in DTYPES:
            raise ConfigError(f"--precision {precision!r}: choose one of {', '.join(DTYPES)}")
        self.device = torch.device(device)
        if precision == "fp16" and self.device.type == "cpu":
            raise SetupError("--precision fp16 needs a GPU: use --precision fp32, or bf16 on processors that have it")
        self.name, self.precision = "torch", precision
        self._dtype = DTYPES[precision]
        self._model = fuse(model).to(self.device, self._dtype)
        self._head = self._model.head
        self._keypoint_shape = model.config.keypoint_shape
        self._lazy: LazyBoxes | None = None
        for weight in self._model.parameters():
            if weight.ndim == 4:
                weight.data = weight.data.contiguous(memory_format=torch.channels_last)
        if self.device.type == "cpu":
            keep_freed_memory()
            if suits(self._head):
                self._lazy = LazyBoxes(self._head)
            native = precision == "fp32" or native_half(self.device) is self._dtype
            if native and cpu_convolution.available():
                cpu_convolution.fuse_activations(self._model)
        # Opened here and not when first needed: while lanes are being opened, a thread that uses torch for the first
        # time would take over their number of threads, and with it other last bits.
        threads = torch.get_num_threads()
        self._lanes = _open_lanes(threads) if self.device.type == "cpu" and threads > 1 else None

    def __call__(self, images: NDArray[np.uint8], min_score: float = 0.0) -> Decoded:
        """Decoded output of canvases (B, H, W, 3)."""
        if len(images) < 2 or self.device.type != "cpu":
            return self._run(images, min_score)
        singles = np.split(images, len(images))
        if self._lanes is None or torch.get_num_threads() < 2:
            return _joined([self._run(image, min_score) for image in singles])
        return _joined(list(self._lanes.map(self._run, singles, itertools.repeat(min_score))))

    def _run(self, images: NDArray[np.uint8], min_score: float) -> Decoded:
        rgb = as_rgb(images)
        with torch.inference_mode():
            # (B, H, W, 3) -> (B, 3, H, W): the permuted view already is channels_last.
            features = torch.from_numpy(rgb).to(self.device).permute(0, 3, 1, 2).to(self._dtype).div_(255)
            levels = self._model.backbone(features)
            if not isinstance(self._head, ClassifyHead):
                levels = self._model.neck(levels)
            if self._lazy is not None and min_score > 0:
                dense, prototypes = self._lazy.decode(levels, min_score)
            else:
                dense, prototypes = self._head.decode(self._head(levels))
            masks = None if prototypes is None else prototypes.cpu().numpy()
            return Decoded(dense.cpu().numpy(), masks, self._keypoint_shape)


def _joined(singles: Sequence[Decoded]) -> Decoded:
    """One batch of several."""
    prototypes = [single.prototypes for single in singles if single.prototypes is not None]
    return Decoded(
        np.concatenate([single.dense for single in singles]),
        np.concatenate(prototypes) if prototypes else None,
        singles[0].keypoint_shape,
    )


def _open_lanes(threads: int) -> ThreadPoolExecutor:
    """Up to eight workers that share `threads` of torch's threads evenly; the rest of the process keeps its number."""
    count = min(threads, MAX_LANES)
    lanes = ThreadPoolExecutor(count, "lane", initializer=torch.set_num_threads, initargs=(threads // count,))
    started = threading.Barrier(count)
    list(lanes.map(lambda _: started.wait(), range(count)))  # all of them exist, and have set their own number
    torch.set_num_threads(threads)  # setting it there also changed what threads to come would start with
    return lanes


class AutoPrecision:
    """Half precision if it agrees with fp32 on the first images, else fp32: one decision for the object's life.

    `agrees` compares fp32's output with that of half precision. `precision` is 'fp32' until that decision.
    """

    def __init__(self, reference: Runtime, candidate: Runtime, agrees: Callable[[Decoded, Decoded], bool]) -> None:
        self._reference, self._candidate, self._agrees = reference, candidate, agrees
        self._chosen: Runtime | None = None
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """What runs the network."""
        return self._reference.name

    @property
    def precision(self) -> str:
        """The arithmetic in use."""
        return (self._chosen or self._reference).precision

    def __call__(self, images: NDArray[np.uint8], min_score: float = 0.0) -> Decoded:
        """Decoded output; the first call also decides, and others wait for it."""
        with self._lock:
            if self._chosen is None:
                expected, found = self._reference(images), self._candidate(images)
                agrees = self._agrees(expected, found)
                self._chosen = self._candidate if agrees else self._reference
                return found if agrees else expected
        return self._chosen(images, min_score)


def torch_runtime(model: Detector, device: str | torch.device = "cpu", precision: str = "auto") -> Runtime:
    """A torch runtime; 'auto' is half precision where the device has it and it agrees with fp32, else fp32."""
    if precision != "auto":
        return TorchRuntime(model, device, precision)
    faster = faster_precision(torch.device(device))
    reference = TorchRuntime(model, device, "fp32")
    if not faster:
        return reference
    task = model.config.task
    agrees = partial(within_tolerance, task=task, num_classes=model.config.num_classes)
    return AutoPrecision(reference, TorchRuntime(model, device, faster), agrees)


def faster_precision(device: torch.device) -> str | None:
    """The half precision worth trying for inference on `device`, None if the hardware has none.

    fp16 on GPUs: as fast as bf16 there and eight times finer, which box coordinates need.
    """
    if native_half(device) is None:
        return None
    return "fp16" if device.type == "cuda" else "bf16"


def native_half(device: torch.device) -> torch.dtype | None:
    """The half-precision type that `device` computes natively with float32's range where it can, None if it has none.

    bfloat16 on GPUs since compute capability 8 and on processors with AMX or AVX512-BF16; float16 on older GPUs.
    """
    if device.type == "cuda":
        major, _ = torch.cuda.get_device_capability(device)
        return torch.bfloat16 if major >= 8 else torch.float16
    if device.type == "cpu" and (torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()):
        return torch.bfloat16
    return None
