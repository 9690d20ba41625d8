"""pycocotools on the labels of an index: the second opinion on every number of COCO's."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from yolov12.data.index import ImageIndex

Fields = Sequence[dict[str, Any]]


def oracle(
    index: ImageIndex,
    found: Sequence[np.ndarray],
    kind: str = "bbox",
    *,
    objects: Fields | None = None,
    results: Sequence[Fields] | None = None,
    sigmas: Sequence[float] | None = None,
) -> Any:
    """pycocotools' COCOeval after `summarize`.

    `objects` has more fields for each object of the index, `results` for each of the rows `found` in each image.
    """
    coco = pytest.importorskip("pycocotools.coco")
    cocoeval = pytest.importorskip("pycocotools.cocoeval")
    annotations = []
    for i in range(len(index)):
        for j in range(index.offsets[i], index.offsets[i + 1]):
            x1, y1, x2, y2 = index.boxes[j].tolist()
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": int(index.image_ids[i]),
                    "category_id": int(index.labels[j]),
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": float(index.areas[j]),
                    "iscrowd": int(index.crowd[j]),
                    **({} if objects is None else objects[j]),
                }
            )
    detections = []
    for i, rows in enumerate(found):
        for k, (x1, y1, x2, y2, score, label) in enumerate(rows.tolist()):
            what = {"bbox": [x1, y1, x2 - x1, y2 - y1]} if results is None else results[i][k]
            common = {"image_id": int(index.image_ids[i]), "category_id": int(label), "score": score}
            detections.append(common | what)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco.COCO()
        truth.dataset = {
            "images": [
                {"id": int(i), "height": int(h), "width": int(w)}
                for i, (h, w) in zip(index.image_ids, index.sizes, strict=True)
            ],
            "annotations": annotations,
            "categories": [{"id": k, "name": name} for k, name in enumerate(index.names)],
        }
        truth.createIndex()
        evaluation = cocoeval.COCOeval(truth, truth.loadRes(detections), kind)
        if sigmas is not None:
            evaluation.params.kpt_oks_sigmas = np.array(sigmas)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation
