"""Synthetic data sets for every task, offline: shapes in bold coats on calm grounds, with exact labels.

    from yolov12.data.synthetic import write_synthetic
    yaml = write_synthetic("shapes", task="segment", train=2000, val=200)

The scenes are what `synthetic_scene.make_scene` says, so the same options write the same files again.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2

from yolov12.atomic import cannot_write
from yolov12.config.parse import check
from yolov12.config.synthetic import SyntheticConfig
from yolov12.config.tasks import TASKS
from yolov12.data.synthetic_labels import Record, coco_annotations, coco_categories, yaml_text, yolo_text
from yolov12.data.synthetic_layout import RECIPES
from yolov12.data.synthetic_scene import SPLITS, SYNTHETIC_VERSION, make_scene
from yolov12.data.synthetic_shapes import FLIP_IDX, KEYPOINT_NAMES
from yolov12.data.workers import WorkerPool, forks_safely
from yolov12.errors import ConfigError, printable

NOT_COCO = {"classify": "one class for a whole picture", "obb": "rotated boxes"}
CHUNK = 16
"""Scenes that a process draws before it answers."""
AHEAD = 2
"""Chunks that wait for each process."""


class Chunk(NamedTuple):
    """A piece of work: scenes `first` to `last` (left out) of a split."""

    split: str
    first: int
    last: int


def write_synthetic(folder: str | Path, **options: Any) -> Path:
    """Write a data set into `folder`, which must be new or empty; returns the path of its data YAML.

    `options` are the fields of `SyntheticConfig`: task, train, val, test, size, seed, format, workers. All or nothing:
    the files are written beside `folder` and moved there at the end. Raises UserError for options or a folder that
    cannot be used, ResourceError when the disk is full.
    """
    config = SyntheticConfig(**{name: check(SyntheticConfig, name, value) for name, value in options.items()})  # type: ignore[arg-type]
    if config.format == "yolo" and TASKS[config.task].several:
        raise ConfigError("--format 'yolo': a text row holds an outline or keypoints, not both; use --format coco")
    if config.format == "coco" and config.task in NOT_COCO:
        raise ConfigError(f"--format 'coco': COCO JSON does not hold {NOT_COCO[config.task]}; use --format yolo")
    target = Path(folder)
    _check_target(target)
    temporary = target.absolute().with_name(f".{target.absolute().name}.{secrets.token_hex(4)}.tmp")
    try:
        temporary.mkdir(parents=True)
        _write_all(temporary, config)
        if target.is_dir():
            target.rmdir()  # it is empty; not every system renames over a folder
        os.replace(temporary, target)
    except OSError as error:
        raise cannot_write(target, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target / "data.yaml"


def _check_target(target: Path) -> None:
    if target.is_dir() and not any(target.iterdir()):
        return
    if target.is_dir():
        raise ConfigError(f"{printable(target)}: this folder is not empty; name a new one, or empty it first")
    if os.path.lexists(target):
        raise ConfigError(f"{printable(target)}: is not a folder; name a new one")


def _write_all(root: Path, config: SyntheticConfig) -> None:
    names, task = RECIPES[config.task].names, config.task
    splits = {split: count for split in SPLITS if (count := getattr(config, split))}
    for split in splits:
        for folder in _folders(root, config, split):
            folder.mkdir(parents=True)
    found: dict[str, list[list[Record]]] = {split: [] for split in splits}
    chunks = [
        Chunk(split, first, min(first + CHUNK, count))
        for split, count in splits.items()
        for first in range(0, count, CHUNK)
    ]
    for chunk, records in zip(chunks, _drawn(root, config, chunks), strict=True):
        found[chunk.split] += records
    where = {split: f"images/{split}" for split in splits}
    if config.format == "coco":
        where = {split: f"annotations/{split}.json" for split in splits}
        (root / "annotations").mkdir()
        for split, scenes in found.items():
            content = _coco_file(scenes, coco_categories(names, task), config.size)
            (root / where[split]).write_text(json.dumps(content), encoding="utf8")
    elif not TASKS[task].boxes:
        where = {split: split for split in splits}
    note = f"Synthetic scenes, version {SYNTHETIC_VERSION}, task {task}, seed {config.seed}: see synthetic.json"
    (root / "data.yaml").write_text(yaml_text(task, names, where, config.format, note), encoding="utf8")
    described = {"version": SYNTHETIC_VERSION, **dataclasses.asdict(config), "names": names}
    del described["workers"]  # the files do not depend on it
    if TASKS[task].keypoints:
        described |= {"keypoints": KEYPOINT_NAMES, "flip_idx": FLIP_IDX}
    (root / "synthetic.json").write_text(json.dumps(described, indent=2) + "\n", encoding="utf8")


def _folders(root: Path, config: SyntheticConfig, split: str) -> list[Path]:
    """The folders of a split's files."""
    if not TASKS[config.task].boxes:
        return [root / split / name for name in RECIPES["classify"].names]
    images = [root / "images" / split]
    return images if config.format == "coco" else [*images, root / "labels" / split]


def _drawn(root: Path, config: SyntheticConfig, chunks: list[Chunk]) -> Iterator[list[list[Record]]]:
    """Write the files of all chunks; what COCO says of the scenes of each, in order."""

    def work(chunk: Chunk, at: Callable[[int], None]) -> list[list[Record]]:
        scenes = []
        for number in range(chunk.first, chunk.last):
            at(number)
            scenes.append(_write_scene(root, config, chunk.split, number))
        return scenes

    processes = min(config.workers, os.cpu_count() or 1, len(chunks)) if forks_safely() else 0
    if processes < 2:
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)
        try:
            yield from (work(chunk, lambda number: None) for chunk in chunks)
        finally:
            cv2.setNumThreads(threads)
        return
    pool = WorkerPool(work, processes, lambda number: f"scene {number}")
    try:
        waiting = iter(chunks)
        for chunk in itertools.islice(waiting, AHEAD * processes):
            pool.submit(chunk)
        for _ in chunks:
            result = pool.receive()
            for chunk in itertools.islice(waiting, 1):
                pool.submit(chunk)
            yield result
    finally:
        pool.close()


def _write_scene(root: Path, config: SyntheticConfig, split: str, number: int) -> list[Record]:
    scene = make_scene(config.task, split, number, seed=config.seed, size=config.size)
    stem = f"{number:06d}"
    if not TASKS[config.task].boxes:
        name = RECIPES["classify"].names[scene.objects[0].label]
        (root / split / name / f"{stem}.jpg").write_bytes(scene.jpeg())
        return []
    (root / "images" / split / f"{stem}.jpg").write_bytes(scene.jpeg())
    if config.format == "coco":
        return coco_annotations(scene)
    (root / "labels" / split / f"{stem}.txt").write_text(yolo_text(scene, config.task), encoding="ascii")
    return []


def _coco_file(scenes: list[list[Record]], categories: list[Record], size: int) -> Record:
    images = [
        {"id": number, "file_name": f"{number:06d}.jpg", "height": size, "width": size} for number in range(len(scenes))
    ]
    annotations = [{"image_id": number, **annotation} for number, found in enumerate(scenes) for annotation in found]
    numbered = [{"id": key, **annotation} for key, annotation in enumerate(annotations, 1)]
    return {"images": images, "annotations": numbered, "categories": categories}
