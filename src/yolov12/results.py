"""What a prediction is: one `Result` per image or frame. Everything downstream meets here; needs no torch.

Shapes: N detections; boxes are in pixels of the original image, best score first. Arrays are NumPy arrays that also
answer `.cpu()` and `.numpy()`, so that programs written for tensors run unchanged.
"""

from __future__ import annotations

import importlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, SupportsIndex

import cv2
import numpy as np
import numpy.typing as npt

from yolov12.atomic import write_atomic
from yolov12.drawing import draw_boxes
from yolov12.errors import SetupError, UserError, printable

Pixels = npt.NDArray[np.uint8]
COLUMNS = 6
"""x1, y1, x2, y2, score, class."""


class Array(np.ndarray[Any, np.dtype[Any]]):
    """A NumPy array that can be treated like a tensor on the CPU."""

    def cpu(self) -> Array:
        """Itself: it is there already."""
        return self

    def numpy(self) -> npt.NDArray[Any]:
        """The same memory as a plain NumPy array."""
        return self.view(np.ndarray)

    def __float__(self) -> float:
        return float(self.item())  # one element in any shape, as tensors allow

    def __int__(self) -> int:
        return int(self.item())


class Boxes:
    """N detections of one image; iterating or indexing (number, slice, mask, list of numbers) gives `Boxes` again.

    data         (N, 6) float32: x1, y1, x2, y2 in pixels of the original image, score, class
    orig_shape   (height, width) of that image
    id           (N,) int64 track numbers, None before tracking
    """

    def __init__(
        self, data: npt.NDArray[Any], orig_shape: tuple[int, int], ids: npt.NDArray[np.int64] | None = None
    ) -> None:
        if data.ndim != 2 or data.shape[1] != COLUMNS:
            raise ValueError(f"boxes need rows of x1, y1, x2, y2, score, class: (N, {COLUMNS}), got {data.shape}")
        if ids is not None and ids.shape != (len(data),):
            raise ValueError(f"{len(data)} boxes need {len(data)} ids, got {ids.shape}")
        self.data = data.astype(np.float32, copy=False).view(Array)
        self.orig_shape = orig_shape
        self.id = None if ids is None else ids.view(Array)

    @property
    def xyxy(self) -> Array:
        """(N, 4) left, top, right, bottom in pixels."""
        return self.data[:, :4]  # type: ignore[return-value]  # a view of an Array is one

    @property
    def conf(self) -> Array:
        """(N,) scores in 0..1."""
        return self.data[:, 4]  # type: ignore[return-value]

    @property
    def cls(self) -> Array:
        """(N,) class numbers, int64."""
        return self.data[:, 5].astype(np.int64)  # type: ignore[return-value]

    @property
    def xywh(self) -> Array:
        """(N, 4) centre x, centre y, width, height in pixels."""
        low, high = self.data[:, :2], self.data[:, 2:4]
        return np.concatenate(((low + high) / 2, high - low), axis=1).view(Array)

    @property
    def xyxyn(self) -> Array:
        """`xyxy` as fractions of the image."""
        return self.xyxy / self._scale()  # type: ignore[return-value]

    @property
    def xywhn(self) -> Array:
        """`xywh` as fractions of the image."""
        return self.xywh / self._scale()  # type: ignore[return-value]

    @property
    def shape(self) -> tuple[int, int]:
        """(N, 6)."""
        return len(self.data), COLUMNS

    def cpu(self) -> Boxes:
        """Itself."""
        return self

    def numpy(self) -> Boxes:
        """Itself: its arrays are NumPy arrays."""
        return self

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, which: SupportsIndex | slice | npt.ArrayLike) -> Boxes:
        # A lone number keeps its dimension: one box is still (1, 6).
        rows: Any = [which] if isinstance(which, SupportsIndex) and not isinstance(which, np.ndarray) else which
        rows = rows if isinstance(rows, slice) else np.asarray(rows)
        if isinstance(rows, np.ndarray):
            rows = rows.reshape(-1) if rows.size else rows.reshape(-1).astype(np.int64)
        return Boxes(self.data[rows], self.orig_shape, None if self.id is None else self.id[rows])

    def __iter__(self) -> Iterator[Boxes]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"Boxes({len(self)} in {self.orig_shape[1]}x{self.orig_shape[0]}, data={self.data.tolist()})"

    def _scale(self) -> npt.NDArray[np.float32]:
        height, width = self.orig_shape
        return np.array([width, height, width, height], dtype=np.float32)


@dataclass(eq=False)
class Result:
    """What was found in one image or video frame.

    path        where it came from: a file, a URL, or 'image0', 'image1' ... for pixels
    names       class names by number
    orig_shape  (height, width) of the original image in pixels; (0, 0) with an error
    boxes       the detections; empty with an error
    pixels      the original image (H, W, 3) uint8 BGR, None when it is not kept; `reload` reads it again from its file
    frame       number of the video frame, from 0; None for images
    speed       milliseconds for 'preprocess', 'inference', 'postprocess'
    runtime     what ran the network; precision: its arithmetic
    error       why there is no prediction, naming the source; None if all went well

    `masks`, `keypoints`, `obb` and `probs` belong to other tasks and are None for detection.
    """

    path: str
    names: Mapping[int, str]
    orig_shape: tuple[int, int]
    boxes: Boxes
    pixels: Pixels | None = field(default=None, repr=False)
    reload: Callable[[], Pixels] | None = field(default=None, repr=False)
    frame: int | None = None
    speed: dict[str, float] = field(default_factory=dict)
    runtime: str = ""
    precision: str = ""
    error: str | None = None
    masks: None = None
    keypoints: None = None
    obb: None = None
    probs: None = None

    @classmethod
    def failed(cls, path: str, names: Mapping[int, str], error: str, frame: int | None = None) -> Result:
        """The place-holder of a source that could not be used."""
        return cls(path, names, (0, 0), Boxes(np.empty((0, COLUMNS), np.float32), (0, 0)), frame=frame, error=error)

    def __len__(self) -> int:
        return len(self.boxes)

    def cpu(self) -> Result:
        """Itself."""
        return self

    def numpy(self) -> Result:
        """Itself."""
        return self

    @property
    def orig_img(self) -> Pixels:
        """The original image (H, W, 3) uint8 BGR; large image files are read again. UserError when it is not kept."""
        if self.error is not None:
            raise UserError(f"{printable(self.path)}: has no image: {self.error}")
        if self.pixels is not None:
            return self.pixels
        if self.reload is None:
            raise UserError(f"{printable(self.path)}: the pixels were not kept, to bound memory; use stream=True")
        return self.reload()

    def summary(self) -> str:
        """One line: source, size, how many of each class, milliseconds."""
        place = printable(self.path) + ("" if self.frame is None else f" frame {self.frame}")
        if self.error is not None:
            return f"{place}: skipped ({printable(self.error)})"
        counts = Counter(self.boxes.cls.tolist())
        found = ", ".join(f"{counts[label]} {printable(self._name(label))}" for label in sorted(counts)) or "nothing"
        height, width = self.orig_shape
        return f"{place}: {width}x{height}, {found}, {sum(self.speed.values()):.1f} ms"

    def plot(self, *, labels: bool = True, conf: bool = True) -> Pixels:
        """The original image with its boxes, (H, W, 3) uint8 BGR, a copy."""
        texts = [self._text(box, conf=conf) if labels else "" for box in self.boxes]
        return draw_boxes(self.orig_img, self.boxes.xyxy.numpy(), self.boxes.cls.tolist(), texts)

    def save(self, filename: str | Path | None = None) -> str:
        """Write the annotated image; the suffix decides the format. Default: '<name>_detected.jpg' in this folder.

        Returns where it was written; raises UserError for a suffix that no encoder knows or a folder that is not there.
        """
        target = Path(f"{Path(self.path).stem or 'image'}_detected.jpg" if filename is None else filename)
        if not cv2.haveImageWriter(target.name):
            raise UserError(f"{printable(target)}: no image format; use .jpg, .png, .webp, .bmp or .tiff")
        done, encoded = cv2.imencode(target.suffix, self.plot())
        if not done:
            raise UserError(f"{printable(target)}: this format cannot hold {self.orig_shape} (height, width)")
        write_atomic(target, encoded.tobytes())
        return str(target)

    def save_txt(self, filename: str | Path, *, save_conf: bool = False) -> str:
        """Write label rows 'class cx cy w h' (fractions of the image), with the score last if `save_conf`."""
        scores = self.boxes.conf.tolist()
        rows = [
            " ".join([str(label), *(f"{value:.6f}" for value in box), *([f"{score:.6f}"] if save_conf else [])])
            for label, box, score in zip(self.boxes.cls.tolist(), self.boxes.xywhn.tolist(), scores, strict=True)
        ]
        write_atomic(Path(filename), "".join(f"{row}\n" for row in rows).encode("ascii"))
        return str(filename)

    def show(self, *, wait_ms: int = 0) -> int:
        """Show the annotated image until a key is pressed or `wait_ms` passed (0: no limit); the key's code or -1."""
        try:
            cv2.imshow("yolov12", self.plot())
            return int(cv2.waitKey(wait_ms))
        except cv2.error as error:
            raise SetupError(
                "showing images needs an OpenCV with windows and a screen: "
                "pip uninstall opencv-python-headless && pip install opencv-python"
            ) from error

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON. Numbers are the shortest that give the same float32 again."""
        detections = [
            {
                "class": label,
                "name": self._name(label),
                "confidence": _short(row[4]),
                "box": {key: _short(value) for key, value in zip(("x1", "y1", "x2", "y2"), row[:4], strict=True)},
                **({} if self.boxes.id is None else {"id": int(self.boxes.id[i])}),
            }
            for i, (row, label) in enumerate(zip(self.boxes.data.numpy(), self.boxes.cls.tolist(), strict=True))
        ]
        height, width = self.orig_shape
        return {
            "path": self.path,
            **({} if self.frame is None else {"frame": self.frame}),
            "height": height,
            "width": width,
            "detections": detections,
            "speed": {step: round(value, 3) for step, value in self.speed.items()},
            "runtime": self.runtime,
            "precision": self.precision,
            "error": self.error,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], names: Mapping[int, str]) -> Result:
        """The result that `to_dict` described, without pixels."""
        found = values["detections"]
        rows = [[*(item["box"][key] for key in ("x1", "y1", "x2", "y2")), item["confidence"], item["class"]]
                for item in found]  # fmt: skip
        data = np.array(rows, dtype=np.float32).reshape(-1, COLUMNS)
        tracked = bool(found) and "id" in found[0]
        ids = np.array([item["id"] for item in found], dtype=np.int64) if tracked else None
        shape = (int(values["height"]), int(values["width"]))
        return cls(
            path=values["path"],
            names=names,
            orig_shape=shape,
            boxes=Boxes(data, shape, ids),
            frame=values.get("frame"),
            speed=dict(values["speed"]),
            runtime=values["runtime"],
            precision=values["precision"],
            error=values["error"],
        )

    def to_json(self) -> str:
        """`to_dict` as one line of JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False)

    def to_pandas(self) -> Any:
        """A DataFrame with a row per detection: class, name, confidence, x1, y1, x2, y2. Needs pandas."""
        pandas = _optional("pandas")
        data = self.boxes.data.numpy()
        labels = self.boxes.cls.tolist()
        columns = {"class": labels, "name": [self._name(label) for label in labels], "confidence": data[:, 4]}
        return pandas.DataFrame(columns | {key: data[:, i] for i, key in enumerate(("x1", "y1", "x2", "y2"))})

    def to_supervision(self) -> Any:
        """`supervision.Detections` of the same boxes. Needs supervision."""
        supervision = _optional("supervision")
        labels = self.boxes.cls.numpy()
        return supervision.Detections(
            xyxy=self.boxes.xyxy.numpy().copy(),
            confidence=self.boxes.conf.numpy().copy(),
            class_id=labels,
            tracker_id=None if self.boxes.id is None else self.boxes.id.numpy().copy(),
            data={"class_name": np.array([self._name(label) for label in labels.tolist()], dtype=str)},
        )

    def _name(self, label: int) -> str:
        return self.names.get(label, str(label))

    def _text(self, box: Boxes, *, conf: bool) -> str:
        track = "" if box.id is None else f"#{int(box.id)} "
        return f"{track}{self._name(int(box.cls))}" + (f" {float(box.conf):.2f}" if conf else "")


def _short(value: np.float32) -> float:
    """The double with the fewest digits that rounds to the same float32."""
    return float(str(value))


def _optional(package: str) -> Any:
    """Import an optional package; SetupError with the command that installs it."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise SetupError(f"this needs the package {package}: pip install 'yolov12[{package}]'") from error
