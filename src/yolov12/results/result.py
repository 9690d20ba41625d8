"""What a prediction is: one `Result` per image or frame. Everything downstream meets here; needs no torch."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from yolov12.atomic import write_atomic
from yolov12.drawing import add_boxes, add_keypoints, add_list, add_masks, add_rotated, add_tags
from yolov12.errors import SetupError, UserError, printable
from yolov12.results.adapters import as_pandas, as_supervision
from yolov12.results.array import Index
from yolov12.results.boxes import BOX_COLUMNS, OBB, Boxes
from yolov12.results.codec import (
    Found,
    detections_from_dicts,
    detections_to_dicts,
    probs_from_dicts,
    probs_to_dicts,
)
from yolov12.results.labels import label_rows
from yolov12.results.masks import Masks
from yolov12.results.points import Keypoints, Probs

Pixels = npt.NDArray[np.uint8]


@dataclass(eq=False)
class Result:
    """What was found in one image or video frame.

    path        where it came from: a file, a URL, or 'image0', 'image1' ... for pixels
    names       class names by number
    orig_shape  (height, width) of the original image in pixels; (0, 0) with an error
    boxes       the detections, best first; empty with an error, and for a classified picture. For rotated boxes the
                upright ones around them, so that whoever needs boxes always has some
    pixels      the original image (H, W, 3) uint8 BGR, None when it is not kept; `reload` reads it again from its file
    frame       number of the video frame, from 0; None for images
    speed       milliseconds for 'preprocess', 'inference', 'postprocess'
    runtime     what ran the network; precision: its arithmetic
    error       why there is no prediction, naming the source; None if all went well
    masks, keypoints, obb
                one for each of `boxes`, in the same order, where the task has them, else None
    probs       scores of the whole picture, where it is classified, else None
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
    masks: Masks | None = None
    keypoints: Keypoints | None = None
    obb: OBB | None = None
    probs: Probs | None = None

    def __post_init__(self) -> None:
        for name in ("masks", "keypoints", "obb"):
            part = getattr(self, name)
            if part is not None and len(part) != len(self.boxes):
                raise ValueError(f"{len(self.boxes)} boxes need as many {name}, got {len(part)}")

    @classmethod
    def failed(cls, path: str, names: Mapping[int, str], error: str, frame: int | None = None) -> Result:
        """The place-holder of a source that could not be used."""
        return cls(path, names, (0, 0), Boxes(np.empty((0, BOX_COLUMNS), np.float32), (0, 0)), frame=frame, error=error)

    def __len__(self) -> int:
        """Number of detections; of classes where the whole picture is classified."""
        return len(self.boxes) if self.probs is None else len(self.probs)

    def __getitem__(self, which: Index) -> Result:
        """The same with fewer detections, by a number, a slice, a mask or a list; UserError for a classified picture.

        `result[result.boxes.conf > 0.5].save()` draws the sure ones.
        """
        if self.probs is not None:
            raise UserError(f"{printable(self.path)}: is classified as a whole: take from `probs` instead")
        parts = {name: getattr(self, name) for name in ("boxes", "masks", "keypoints", "obb")}
        return dataclasses.replace(self, **{name: part[which] for name, part in parts.items() if part is not None})

    def __iter__(self) -> Iterator[Result]:
        return (self[i] for i in range(len(self)))

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
        """One line: source, size, how many of each class or the likeliest classes, milliseconds."""
        place = printable(self.path) + ("" if self.frame is None else f" frame {self.frame}")
        if self.error is not None:
            return f"{place}: skipped ({printable(self.error)})"
        height, width = self.orig_shape
        return f"{place}: {width}x{height}, {self._found()}, {sum(self.speed.values()):.1f} ms"

    def plot(self, *, labels: bool = True, conf: bool = True, boxes: bool = True, masks: bool = True) -> Pixels:
        """The original image with what was found in it, (H, W, 3) uint8 BGR, a copy.

        `labels`: class names, with their scores if `conf`; `boxes`: frames; `masks`: masks, where there are any.
        """
        canvas = np.ascontiguousarray(self.orig_img).copy()
        numbers = self.boxes.cls.tolist()
        if self.masks is not None and masks:
            crops = [self.masks.crop(i) for i in range(len(numbers))]
            add_masks(canvas, crops, self.masks.corners, numbers)
        corners = self.boxes.xyxy.numpy()[:, :2]
        if self.obb is not None:
            around = self.obb.xyxyxyxy.numpy()
            corners = around[np.arange(len(around)), around[:, :, 1].argmin(axis=1)]  # the highest corner
            if boxes:
                add_rotated(canvas, around, numbers)
        elif boxes:
            add_boxes(canvas, self.boxes.xyxy.numpy(), numbers)
        if self.keypoints is not None:
            add_keypoints(canvas, self.keypoints.data.numpy())
        if labels and self.probs is not None:
            add_list(canvas, self.probs.top5, self._likeliest(conf=conf))
        if labels:
            add_tags(canvas, corners, numbers, [self._text(box, conf=conf) for box in self.boxes])
        return canvas

    def save(self, filename: str | Path | None = None) -> str:
        """Write the annotated image; the suffix decides the format.

        Default: '<name>_detected.jpg' in this folder, with the number of the frame behind the name of a video. Returns
        where it was written; raises UserError for a suffix that no encoder knows or a folder that is not there.
        """
        frame = "" if self.frame is None else f"_{self.frame:06d}"
        target = Path(f"{Path(self.path).stem or 'image'}{frame}_detected.jpg" if filename is None else filename)
        if not cv2.haveImageWriter(target.name):
            raise UserError(f"{printable(target)}: no image format; use .jpg, .png, .webp, .bmp or .tiff")
        done, encoded = cv2.imencode(target.suffix, self.plot())
        if not done:
            raise UserError(f"{printable(target)}: this format cannot hold {self.orig_shape} (height, width)")
        write_atomic(target, encoded.tobytes())
        return str(target)

    def save_txt(self, filename: str | Path, *, save_conf: bool = False) -> str:
        """Write label rows, coordinates as fractions of the image, with the score last if `save_conf`.

        'class cx cy w h'; with keypoints these follow; masks are 'class' and an outline, rotated boxes 'class' and four
        corners; a classified picture has 'score name' of its five likeliest classes (see `results/labels.py`). They are
        predictions: to train on them, turn a keypoint's probability into a flag and keep corners inside the picture.
        """
        rows = label_rows(self._parts(), self.names, scores=save_conf)
        write_atomic(Path(filename), "".join(f"{row}\n" for row in rows).encode("utf8"))
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
        """Plain values, ready for JSON. Numbers are the shortest that give the same float32 again.

        Each of `detections` has class, name, confidence, box, and where it is known: `segments` (the mask's outline),
        `keypoints`, `corners` and `rotated` (the rotated box), id. A classified picture has `probs`.
        """
        height, width = self.orig_shape
        return {
            "path": self.path,
            **({} if self.frame is None else {"frame": self.frame}),
            "height": height,
            "width": width,
            "detections": detections_to_dicts(self._parts(), self.names),
            **({} if self.probs is None else {"probs": probs_to_dicts(self.probs, self.names)}),
            "speed": {step: round(value, 3) for step, value in self.speed.items()},
            "runtime": self.runtime,
            "precision": self.precision,
            "error": self.error,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], names: Mapping[int, str]) -> Result:
        """The result that `to_dict` described, without pixels; its masks are what their outlines enclose."""
        shape = (int(values["height"]), int(values["width"]))
        found = detections_from_dicts(values["detections"], shape)
        if "probs" in values:
            found = found._replace(probs=probs_from_dicts(values["probs"], len(names)))
        return cls(
            path=values["path"],
            names=names,
            orig_shape=shape,
            frame=values.get("frame"),
            speed=dict(values["speed"]),
            runtime=values["runtime"],
            precision=values["precision"],
            error=values["error"],
            **found._asdict(),
        )

    def to_json(self) -> str:
        """`to_dict` as one line of JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False)

    def to_pandas(self) -> Any:
        """A DataFrame with a row per detection, or per class of a classified picture. Needs pandas."""
        return as_pandas(self._parts(), self.names)

    def to_supervision(self) -> Any:
        """`supervision.Detections`; `KeyPoints` or `Classifications` where the task is that. Needs supervision."""
        return as_supervision(self._parts(), self.names)

    def _parts(self) -> Found:
        return Found(self.boxes, self.masks, self.keypoints, self.obb, self.probs)

    def _name(self, label: int) -> str:
        return self.names.get(label, str(label))

    def _text(self, box: Boxes, *, conf: bool) -> str:
        track = "" if box.id is None else f"#{int(box.id)} "
        return f"{track}{self._name(int(box.cls))}" + (f" {float(box.conf):.2f}" if conf else "")

    def _likeliest(self, *, conf: bool) -> list[str]:
        if self.probs is None:
            return []
        scores = self.probs.top5conf.tolist()
        pairs = zip(self.probs.top5, scores, strict=True)
        return [self._name(label) + (f" {score:.2f}" if conf else "") for label, score in pairs]

    def _found(self) -> str:
        if self.probs is not None:
            return ", ".join(map(printable, self._likeliest(conf=True)))
        counts = Counter(self.boxes.cls.tolist())
        return ", ".join(f"{counts[label]} {printable(self._name(label))}" for label in sorted(counts)) or "nothing"
