"""What runs the network: a runtime maps 8-bit canvases to decoded output, whatever it is built on.

The torch runtime holds a private copy of the model with its batch norms folded, in channels-last layout. Runtimes keep
no state between calls, except that `AutoPrecision` remembers its one decision; all may be called from many threads.
"""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from yolov12.errors import ConfigError, SetupError
from yolov12.inference import cpu_convolution
from yolov12.inference.lazy_boxes import LazyBoxes
from yolov12.inference.memory import keep_freed_memory
from yolov12.models.detector import Detector, fuse
from yolov12.models.heads.detect import DetectHead, decode

DTYPES: Final[dict[str, torch.dtype]] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
HEAD: Final = "detect"
MAX_LANES: Final = 8

# How far half precision may be from fp32 to be used by itself, and on how many of the best anchors boxes are compared
# (elsewhere no box is ever shown, and the distribution over distances is too flat to say anything).
SCORE_TOLERANCE, BOX_TOLERANCE, COMPARED_ANCHORS = 0.01, 1.0, 20


class Runtime(Protocol):
    """Runs a detector.

    Called with uint8 BGR canvases (B, H, W, 3), sides multiples of 32, it returns float32 (B, 4 + C, A): cx, cy, w, h
    in canvas pixels, then scores in 0..1. Who needs no box of an anchor whose scores are all at most `min_score` says
    so: the runtime may leave those boxes at zero.
    """

    @property
    def name(self) -> str:
        """What runs the network, e.g. 'torch'."""

    @property
    def precision(self) -> str:
        """The arithmetic in use: 'fp32', 'bf16' or 'fp16'."""

    def __call__(self, images: NDArray[np.uint8], min_score: float = 0.0) -> NDArray[np.float32]:
        """Decoded output of a batch."""


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
        head = self._model.heads[HEAD]
        if not isinstance(head, DetectHead):
            raise TypeError(f"expected a detection head, got {type(head).__name__}")
        self._head = head
        self._lazy: LazyBoxes | None = None
        for weight in self._model.parameters():
            if weight.ndim == 4:
                weight.data = weight.data.contiguous(memory_format=torch.channels_last)
        if self.device.type == "cpu":
            keep_freed_memory()
            self._lazy = LazyBoxes(self._head)
            native = precision == "fp32" or native_half(self.device) is self._dtype
            if native and cpu_convolution.available():
                cpu_convolution.fuse_activations(self._model)
        # Opened here and not when first needed: while lanes are being opened, a thread that uses torch for the first
        # time would take over their number of threads, and with it other last bits.
        threads = torch.get_num_threads()
        self._lanes = _open_lanes(threads) if self.device.type == "cpu" and threads > 1 else None

    def __call__(self, images: NDArray[np.uint8], min_score: float = 0.0) -> NDArray[np.float32]:
        """Decoded output (B, 4 + C, A) of canvases (B, H, W, 3)."""
        if len(images) < 2 or self._lazy is None:
            return self._run(images, min_score)
        singles = np.split(images, len(images))
        if self._lanes is None or torch.get_num_threads() < 2:
            return np.concatenate([self._run(image, min_score) for image in singles])
        return np.concatenate(list(self._lanes.map(self._run, singles, itertools.repeat(min_score))))

    def _run(self, images: NDArray[np.uint8], min_score: float) -> NDArray[np.float32]:
        flat = np.ascontiguousarray(images).reshape(-1, images.shape[2], 3)  # (B * H, W, 3)
        rgb = cv2.cvtColor(flat, cv2.COLOR_BGR2RGB).reshape(images.shape)
        with torch.inference_mode():
            # (B, H, W, 3) -> (B, 3, H, W): the permuted view already is channels_last.
            features = torch.from_numpy(rgb).to(self.device).permute(0, 3, 1, 2).to(self._dtype).div_(255)
            levels = self._model.neck(self._model.backbone(features))
            if self._lazy is not None and min_score > 0:
                decoded = self._lazy.decode(levels, min_score)
            else:
                decoded = decode(self._head(levels), self._head.strides)
            output: NDArray[np.float32] = decoded.cpu().numpy()
        return output


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

    `precision` is 'fp32' until that decision.
    """

    def __init__(self, reference: Runtime, candidate: Runtime) -> None:
        self._reference, self._candidate = reference, candidate
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

    def __call__(self, images: NDArray[np.uint8], min_score: float = 0.0) -> NDArray[np.float32]:
        """Decoded output; the first call also decides, and others wait for it."""
        with self._lock:
            if self._chosen is None:
                expected, found = self._reference(images), self._candidate(images)
                agrees = within_tolerance(expected, found)
                self._chosen = self._candidate if agrees else self._reference
                return found if agrees else expected
        return self._chosen(images, min_score)


def within_tolerance(expected: NDArray[np.float32], found: NDArray[np.float32]) -> bool:
    """Whether two decoded outputs (B, 4 + C, A) differ by at most 0.01 in all scores and 1 px in the best boxes."""
    if not bool((np.abs(expected[:, 4:] - found[:, 4:]) <= SCORE_TOLERANCE).all()):  # written so that NaN fails
        return False
    best = np.argsort(-expected[:, 4:].max(axis=1), axis=1)[:, :COMPARED_ANCHORS]  # (B, n)
    boxes = (np.take_along_axis(decoded[:, :4], best[:, None], axis=2) for decoded in (expected, found))
    (center_a, size_a), (center_b, size_b) = ((box[:, :2], box[:, 2:]) for box in boxes)
    corners = (center_a + side * size_a / 2 - center_b - side * size_b / 2 for side in (-1, 1))
    return all(bool((np.abs(difference) <= BOX_TOLERANCE).all()) for difference in corners)


def torch_runtime(model: Detector, device: str | torch.device = "cpu", precision: str = "auto") -> Runtime:
    """A torch runtime; 'auto' is half precision where the device has it and it agrees with fp32, else fp32."""
    if precision != "auto":
        return TorchRuntime(model, device, precision)
    faster = faster_precision(torch.device(device))
    reference = TorchRuntime(model, device, "fp32")
    return AutoPrecision(reference, TorchRuntime(model, device, faster)) if faster else reference


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
