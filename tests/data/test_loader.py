"""Training batches: the same whatever makes them, and tough against files and workers that go away."""

from __future__ import annotations

import dataclasses
import gc
import multiprocessing
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from index_factory import make_index
from yolov12.config.run import TrainConfig
from yolov12.data import loader as loader_module
from yolov12.data.image_io import read_image
from yolov12.data.index import ImageIndex
from yolov12.data.loader import TrainLoader, TrainSet, mirrors
from yolov12.data.sample import Batch
from yolov12.errors import DataError, TrainingError

CONFIG = TrainConfig(imgsz=64, batch=4, workers=0, close_mosaic=0, mixup=0.3, degrees=10, flipud=0.5, epochs=10)
PLAIN = TrainConfig(
    imgsz=64, batch=4, workers=0, hsv_h=0, hsv_s=0, hsv_v=0, translate=0, scale=0, fliplr=0, mosaic=0, epochs=10
)
WORKERS = [0, 1, 2]


@pytest.fixture(autouse=True)
def _two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Worker processes also where there is one core only."""
    monkeypatch.setattr(loader_module, "_cpu_count", lambda: 2)


def write_images(folder: Path, count: int) -> ImageIndex:
    """Pictures of different shapes and colours with 0, 1, 2, 0, 1, 2 ... objects."""
    rng = np.random.default_rng(0)
    sizes = [(40 + 7 * (i % 5), 90 - 11 * (i % 4)) for i in range(count)]
    paths = [folder / f"{i}.png" for i in range(count)]
    for path, (height, width) in zip(paths, sizes, strict=True):
        rough = rng.integers(0, 256, (6, 6, 3), np.uint8)
        cv2.imwrite(str(path), cv2.resize(rough, (width, height)))
    objects = [[(5.0 + j, 6.0, 30.0, 35.0 - j, i % 2) for j in range(i % 3)] for i in range(count)]
    return make_index(objects, sizes=sizes, paths=paths, split="train")


@pytest.fixture
def index(tmp_path: Path) -> ImageIndex:
    return write_images(tmp_path, 11)


def labelled(index: ImageIndex, flip_idx: tuple[int, ...] | None = (1, 0)) -> ImageIndex:
    """The same pictures, each object with a diamond for an outline and two keypoints, at its left and right corner."""
    x1, y1, x2, y2 = index.boxes.T
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    diamonds = np.stack([x, y1, x2, y, x, y2, x1, y], axis=1).reshape(-1, 2).astype(np.float32)
    two = np.full(len(x), 2.0)
    keypoints = np.stack([x1, y, two, x2, y, two], axis=1).reshape(-1, 2, 3).astype(np.float32)
    objects = np.arange(len(x) + 1)
    return dataclasses.replace(
        index,
        polygon_offsets=objects,
        ring_offsets=4 * objects,
        polygon_points=diamonds,
        keypoints=keypoints,
        keypoint_shape=(2, 3),
        flip_idx=flip_idx,
    )


def batches(
    index: ImageIndex, config: TrainConfig, epoch: int = 0, start_step: int = 0, task: str = "detect"
) -> list[Batch]:
    with TrainLoader(index, config, task=task) as loader:
        return list(loader.epoch(epoch, start_step))


def assert_equal(first: list[Batch], second: list[Batch]) -> None:
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        tensors = (one.images, *one.targets, one.indices), (other.images, *other.targets, other.indices)
        for a, b in zip(*tensors, strict=True):
            assert (a is None) == (b is None)
            assert a is None or torch.equal(a, b)


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("cache", [True, False])
def test_batches_do_not_depend_on_workers_or_cache(index: ImageIndex, workers: int, cache: bool) -> None:
    expected = batches(index, CONFIG, epoch=3)
    assert_equal(batches(index, dataclasses.replace(CONFIG, workers=workers, cache=cache), epoch=3), expected)


@pytest.mark.parametrize("task", ["segment", "pose", "obb", "classify"])
def test_batches_of_every_task_do_not_depend_on_workers(index: ImageIndex, task: str) -> None:
    index = labelled(index)
    if task == "classify":
        index = dataclasses.replace(index, offsets=np.arange(12), labels=np.arange(11) % 3, crowd=np.zeros(11, bool))
        index = dataclasses.replace(index, boxes=np.zeros((11, 4)), polygon_offsets=np.zeros(12, np.int64))
    config = dataclasses.replace(CONFIG, copy_paste=1.0)
    expected = batches(index, config, 3, task=task)
    assert_equal(batches(index, dataclasses.replace(config, workers=2), 3, task=task), expected)
    assert_equal(batches(index, dataclasses.replace(config, workers=1, cache=False), 3, task=task), expected)
    assert_equal(batches(index, dataclasses.replace(config, workers=2), 3, 1, task=task), expected[1:])
    for batch in expected:
        targets, count = batch.targets, len(batch.images)
        rows = len(targets.labels)
        shapes = {name: tuple(value.shape) for name, value in targets._asdict().items() if value is not None}
        common = {"image_index": (rows,), "labels": (rows,), "boxes_input": (rows, 4)}
        special: dict[str, dict[str, tuple[int, ...]]] = {
            "segment": {"masks": (count, 16, 16)},
            "pose": {"keypoints_input": (rows, 2, 3)},
            "obb": {"rotated_input": (rows, 5)},
            "classify": {},
        }
        assert shapes == {**common, **special[task]}
        assert batch.to("cpu").targets.labels is not None
        if task == "classify":
            assert targets.image_index.tolist() == list(range(count))
            assert targets.labels.tolist() == (batch.indices % 3).tolist()
    if task == "segment":
        assert any(batch.targets.masks.any() for batch in expected if batch.targets.masks is not None)


def test_masks_number_the_objects_of_their_image(index: ImageIndex) -> None:
    for batch in batches(labelled(index), PLAIN, task="segment"):
        masks, targets = batch.targets.masks, batch.targets
        assert masks is not None
        assert masks.dtype == torch.int16
        for image, mask in enumerate(masks):
            mine = targets.boxes_input[targets.image_index == image]
            assert mask.max() <= len(mine)
            for number, (x1, y1, x2, y2) in enumerate(mine.tolist(), 1):
                rows, columns = torch.nonzero(mask == number, as_tuple=True)
                if len(rows):  # else a later object of the same picture hides it
                    assert x1 / 4 - 1 <= columns.min() <= columns.max() <= x2 / 4 + 1
                    assert y1 / 4 - 1 <= rows.min() <= rows.max() <= y2 / 4 + 1


def test_keypoints_of_plain_samples(index: ImageIndex) -> None:
    for batch in batches(labelled(index), PLAIN, task="pose"):
        targets = batch.targets
        assert targets.keypoints_input is not None
        x1, y1, x2, y2 = targets.boxes_input.unbind(1)
        expected = torch.stack([x1, (y1 + y2) / 2, x2, (y1 + y2) / 2], dim=1).reshape(-1, 2, 2)
        torch.testing.assert_close(targets.keypoints_input[..., :2], expected, atol=0.01, rtol=0)
        assert (targets.keypoints_input[..., 2] == 2).all()


def test_rotated_boxes_of_plain_samples(tmp_path: Path) -> None:
    path, corners = tmp_path / "square.png", cv2.boxPoints(((20, 30), (16, 8), 30))
    cv2.imwrite(str(path), np.zeros((128, 128, 3), np.uint8))
    index = labelled(make_index([[(0, 0, 30, 40, 1)]], sizes=[(128, 128)], paths=[path]))
    (batch,) = batches(dataclasses.replace(index, polygon_points=corners), PLAIN, task="obb")
    expected = torch.tensor([[10, 15, 8, 4, np.pi / 6]], dtype=torch.float32)
    assert batch.targets.rotated_input is not None
    torch.testing.assert_close(batch.targets.rotated_input, expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize("task", ["detect", "segment", "obb"])
def test_keypoints_stay_behind_where_nobody_learns_them(index: ImageIndex, task: str) -> None:
    config = dataclasses.replace(PLAIN, fliplr=1.0)
    assert TrainSet(labelled(index), config, task).plain(2).keypoints is None
    assert mirrors(labelled(index, None), task)
    mirrored = TrainSet(labelled(index, None), config, task).sample(0, 2).image
    np.testing.assert_array_equal(mirrored, TrainSet(index, PLAIN).sample(0, 2).image[:, ::-1])


def test_pose_is_mirrored_only_where_pairs_are_known(index: ImageIndex) -> None:
    config = dataclasses.replace(PLAIN, fliplr=1.0, copy_paste=1.0, flipud=1.0)
    paired, unpaired = (TrainSet(labelled(index, pairs), config, "pose") for pairs in ((1, 0), None))
    assert mirrors(paired.index, "pose")
    assert not mirrors(unpaired.index, "pose")
    upright = TrainSet(labelled(index), PLAIN, "pose").sample(0, 2)
    np.testing.assert_array_equal(unpaired.sample(0, 2).image, upright.image[::-1])
    mirrored = paired.sample(0, 2)
    assert mirrored.keypoints is not None
    assert upright.keypoints is not None
    assert (mirrored.keypoints[:, 0, 0] < mirrored.keypoints[:, 1, 0]).all()  # the left one is still on the left
    expected = (64 - upright.keypoints[:, ::-1, 0], 64 - upright.keypoints[:, ::-1, 1])
    np.testing.assert_allclose(mirrored.keypoints[..., 0], expected[0], atol=1e-3)
    np.testing.assert_allclose(mirrored.keypoints[..., 1], expected[1], atol=1e-3)


def test_pose_needs_keypoints(index: ImageIndex) -> None:
    with pytest.raises(DataError, match="keypoints"):
        TrainLoader(index, CONFIG, task="pose")


def test_labels_beyond_the_picture_are_cut_there(tmp_path: Path) -> None:
    index = labelled(write_images(tmp_path, 2))
    outside = np.array([[-20, 15], [120, 15], [120, 30], [-20, 30]], np.float32)
    keypoints = np.array([[[-3, 20, 2], [20, 20, 2]]], np.float32)
    index = dataclasses.replace(index, polygon_points=outside, keypoints=keypoints)
    dataset = TrainSet(index, PLAIN, "pose")
    sample, gain = dataset.plain(1), dataset.gains[1]
    assert sample.polygons is not None
    assert sample.keypoints is not None
    np.testing.assert_allclose(sample.polygons[0].min(axis=0), (0, 15 * gain[1]), rtol=1e-5)
    np.testing.assert_allclose(sample.polygons[0].max(axis=0), (sample.image.shape[1], 30 * gain[1]), rtol=1e-5)
    assert sample.keypoints[0, :, 2].tolist() == [0, 2]
    assert index.keypoints is not None
    np.testing.assert_array_equal(index.keypoints, keypoints)


def test_crops_for_classification_come_from_larger_images(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    cv2.imwrite(str(path), np.zeros((300, 400, 3), np.uint8))
    index = make_index([[(0, 0, 400, 300, 1)]], sizes=[(300, 400)], paths=[path])
    assert TrainSet(index, PLAIN, "classify").plain(0).image.shape == (96, 128, 3)
    assert TrainSet(index, PLAIN).plain(0).image.shape == (48, 64, 3)


@pytest.mark.parametrize("workers", WORKERS)
def test_start_in_the_middle_gives_the_rest_of_the_epoch(index: ImageIndex, workers: int) -> None:
    config = dataclasses.replace(CONFIG, workers=workers)
    assert_equal(batches(index, config, 2, start_step=1), batches(index, CONFIG, 2)[1:])
    assert batches(index, config, 2, start_step=3) == []


def test_workers_stay_over_epochs_and_survive_a_break(index: ImageIndex) -> None:
    config = dataclasses.replace(CONFIG, workers=2)
    with TrainLoader(index, config) as loader:
        first = list(loader.epoch(0))
        processes = {process.pid for process in multiprocessing.active_children()}
        for _ in loader.epoch(1):
            break
        second = list(loader.epoch(2))
        assert {process.pid for process in multiprocessing.active_children()} == processes
    assert_equal(first, batches(index, CONFIG, 0))
    assert_equal(second, batches(index, CONFIG, 2))


def test_a_batch(index: ImageIndex) -> None:
    made = batches(index, CONFIG)
    assert [len(batch.images) for batch in made] == [4, 4, 3]
    assert sorted(torch.cat([batch.indices for batch in made]).tolist()) == list(range(11))
    for batch in made:
        assert batch.images.dtype == torch.uint8
        assert batch.images.shape[1:] == (3, 64, 64)
        assert batch.targets.boxes_input.dtype == torch.float32
        assert batch.targets.labels.dtype == batch.targets.image_index.dtype == torch.int64
        assert len(batch.targets.boxes_input) == len(batch.targets.labels) == len(batch.targets.image_index)
        assert batch.targets.boxes_input.min() >= 0
        assert batch.targets.boxes_input.max() <= 64
    moved = made[0].to("cpu")
    assert torch.equal(moved.targets.labels, made[0].targets.labels)


@pytest.mark.parametrize("change", [{"seed": 1}, {"epoch": 1}])
def test_seed_and_epoch_change_order_and_samples(index: ImageIndex, change: dict[str, int]) -> None:
    config = dataclasses.replace(CONFIG, seed=change.get("seed", 0))
    loader, other = TrainLoader(index, CONFIG), TrainLoader(index, config)
    epoch = change.get("epoch", 0)
    assert loader.order(0).tolist() != other.order(epoch).tolist()
    ours, theirs = loader.dataset.sample(0, 5), other.dataset.sample(epoch, 5)
    assert not np.array_equal(ours.image, theirs.image)


@pytest.mark.parametrize("workers", WORKERS)
def test_global_random_generators_are_left_alone(index: ImageIndex, workers: int) -> None:
    def state() -> tuple[Any, ...]:
        numpy_state = np.random.get_state()
        assert isinstance(numpy_state, tuple)
        return random.getstate(), numpy_state[1].tolist(), numpy_state[2], torch.get_rng_state().tolist()

    before = state()
    batches(index, dataclasses.replace(CONFIG, workers=workers))
    assert state() == before


def test_colours_are_rgb_and_boxes_fit(tmp_path: Path) -> None:
    path = tmp_path / "blue.png"
    image = np.zeros((32, 64, 3), np.uint8)
    image[8:16, 16:48] = (255, 0, 0)  # BGR
    cv2.imwrite(str(path), image)
    index = make_index([[(16, 8, 48, 16, 1)]], sizes=[(32, 64)], paths=[path])
    (batch,) = batches(index, PLAIN)
    assert batch.targets.boxes_input.tolist() == [[16, 24, 48, 32]]
    assert batch.images[0, :, 28, 32].tolist() == [0, 0, 255]


@pytest.mark.parametrize(("count", "sizes"), [(1, [1]), (3, [3]), (4, [4]), (5, [4, 1])])
def test_small_sets(tmp_path: Path, count: int, sizes: list[int]) -> None:
    index = write_images(tmp_path, count)
    for workers in WORKERS:
        made = batches(index, dataclasses.replace(CONFIG, workers=workers))
        assert [len(batch.images) for batch in made] == sizes


def test_no_images() -> None:
    with pytest.raises(DataError, match="no images"):
        TrainLoader(make_index([]), CONFIG)


def test_size_is_rounded_up(index: ImageIndex) -> None:
    assert batches(index, dataclasses.replace(CONFIG, imgsz=50))[0].images.shape == (4, 3, 64, 64)


def test_crowds_are_left_out(index: ImageIndex) -> None:
    crowded = dataclasses.replace(index, crowd=np.ones(len(index.labels), bool))
    assert sum(len(batch.targets.labels) for batch in batches(crowded, PLAIN)) == 0
    assert sum(len(batch.targets.labels) for batch in batches(index, PLAIN)) == len(index.labels)


def test_polygons_of_the_index_reach_the_sample(tmp_path: Path) -> None:
    index = write_images(tmp_path, 3)  # image 1 has one object, image 2 two
    triangle = np.array([[5, 6], [30, 6], [30, 35]], np.float32)
    index = dataclasses.replace(
        index, polygon_offsets=np.array([0, 0, 0, 1]), ring_offsets=np.array([0, 3]), polygon_points=triangle
    )
    dataset = TrainSet(index, PLAIN)
    assert [dataset.plain(i).polygons is None for i in range(3)] == [True, True, False]
    polygons = dataset.plain(2).polygons
    assert polygons is not None
    assert len(polygons[0]) == 0
    np.testing.assert_allclose(polygons[1], triangle * dataset.gains[2], rtol=1e-6)


def test_last_epochs_are_free_of_mosaic_mixup_and_copy_paste(
    index: ImageIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = dataclasses.replace(CONFIG, mixup=1.0, epochs=5, close_mosaic=2)
    dataset, loads = TrainSet(index, config), []
    plain = dataset.plain

    def counted(position: int) -> Any:
        loads.append(position)
        return plain(position)

    monkeypatch.setattr(dataset, "plain", counted)
    per_epoch = []
    for epoch in range(5):
        loads.clear()
        dataset.sample(epoch, 6)
        per_epoch.append(len(loads))
    assert per_epoch == [8, 8, 8, 1, 1]


@pytest.mark.parametrize("workers", WORKERS)
def test_a_file_that_disappears_is_replaced_by_the_next(index: ImageIndex, workers: int) -> None:
    index.paths[4].unlink()
    with TrainLoader(index, dataclasses.replace(PLAIN, workers=workers)) as loader:
        made = list(loader.epoch(0))
        assert list(loader.unreadable) == [4]
        assert str(index.paths[4]) in loader.unreadable[4]
    pictures = dict(
        zip(torch.cat([b.indices for b in made]).tolist(), torch.cat([b.images for b in made]), strict=True)
    )
    assert torch.equal(pictures[4], pictures[5])


@pytest.mark.parametrize("damage", ["cut", "other size", "text"])
def test_a_file_that_changes_is_replaced_by_the_next(index: ImageIndex, damage: str) -> None:
    path = index.paths[10]
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:60])
    elif damage == "text":
        path.write_text("not an image", encoding="utf8")
    else:
        cv2.imwrite(str(path), np.zeros((9, 9, 3), np.uint8))
    dataset = TrainSet(index, PLAIN)
    np.testing.assert_array_equal(dataset.sample(0, 10).image, dataset.sample(0, 0).image)
    assert list(dataset.unreadable) == [10]


def test_a_file_that_disappears_after_it_was_cached_is_not_missed(index: ImageIndex) -> None:
    with TrainLoader(index, dataclasses.replace(CONFIG, workers=1)) as loader:
        list(loader.epoch(0))
        expected = list(loader.epoch(1))
        index.paths[4].unlink()
        assert_equal(list(loader.epoch(1)), expected)
        assert not loader.unreadable


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("missing", [2, 11])
def test_too_many_missing_files_end_the_run(index: ImageIndex, workers: int, missing: int) -> None:
    for path in index.paths[:missing]:
        path.unlink()
    with pytest.raises(
        TrainingError, match=r"2 of 11 training images have become unreadable .*\(limit 1%\): .*\d\.png"
    ):
        batches(index, dataclasses.replace(PLAIN, workers=workers))


def in_epoch(loader: TrainLoader, step: int, event: Callable[[], None]) -> list[Batch]:
    """All batches of epoch 0, with something that happens after one of them."""
    made = []
    for number, batch in enumerate(loader.epoch(0)):
        made.append(batch)
        if number == step:
            event()
    return made


@pytest.mark.parametrize("number", [0, 1])
def test_a_killed_worker_is_replaced(tmp_path: Path, number: int) -> None:
    index = write_images(tmp_path, 40)
    with TrainLoader(index, dataclasses.replace(CONFIG, workers=2)) as loader:

        def kill() -> None:
            pids = sorted(process.pid or 0 for process in multiprocessing.active_children())
            os.kill(pids[number], signal.SIGKILL)

        made = in_epoch(loader, 1, kill)
    assert_equal(made, batches(index, CONFIG))


def test_workers_leave_ctrl_c_to_the_training_process(tmp_path: Path) -> None:
    index = write_images(tmp_path, 40)
    with TrainLoader(index, dataclasses.replace(CONFIG, workers=2)) as loader:

        def interrupt() -> None:
            for process in multiprocessing.active_children():
                os.kill(process.pid or 0, signal.SIGINT)

        before = {process.pid for process in multiprocessing.active_children()}
        assert len(in_epoch(loader, 1, interrupt)) == 10
        assert before <= {process.pid for process in multiprocessing.active_children()}


@pytest.mark.parametrize("explicit", [True, False])
def test_workers_end_with_the_loader(index: ImageIndex, explicit: bool) -> None:
    loader: TrainLoader | None = TrainLoader(index, dataclasses.replace(CONFIG, workers=2))
    assert loader is not None
    list(loader.epoch(0))
    processes = multiprocessing.active_children()
    assert len(processes) == 2
    gc.disable()  # dropping the loader is enough: it is not part of a reference cycle
    try:
        if explicit:
            loader.close()
            loader.close()
        loader = None
        for process in processes:
            process.join(10)
            assert process.exitcode is not None
    finally:
        gc.enable()


def test_closed_loader_can_be_used_again(index: ImageIndex) -> None:
    loader = TrainLoader(index, dataclasses.replace(CONFIG, workers=2))
    first = list(loader.epoch(0))
    loader.close()
    assert_equal(list(loader.epoch(0)), first)
    loader.close()


def test_opencv_threads_are_as_before(index: ImageIndex) -> None:
    before = cv2.getNumThreads()
    batches(index, dataclasses.replace(CONFIG, workers=2))
    assert cv2.getNumThreads() == before
    assert read_image(index.paths[0]).shape == (40, 90, 3)
