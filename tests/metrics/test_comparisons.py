"""Masks, keypoints and rotated boxes against pycocotools, and the rules of what is compared with what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from coco_oracle import oracle
from index_factory import make_index
from scored_case import random_case
from yolov12.data.index import ImageIndex
from yolov12.detections import Detections
from yolov12.keypoints import keypoint_sigmas
from yolov12.metrics import DetectionMetrics, evaluate_detections, result_columns
from yolov12.metrics.comparisons import compare_keypoints, compare_masks
from yolov12.results import Masks, rotated_corners

Quads = Sequence[np.ndarray]


def with_outlines(index: ImageIndex, outlines: Quads) -> ImageIndex:
    """The index with one ring (P, 2) for each object; P = 0: none."""
    present = [int(len(ring) > 0) for ring in outlines]
    rings = [ring.astype(np.float32) for ring in outlines if len(ring)]
    return replace(
        index,
        polygon_offsets=np.cumsum([0, *present], dtype=np.int64),
        ring_offsets=np.cumsum([0, *map(len, rings)], dtype=np.int64),
        polygon_points=np.concatenate([np.zeros((0, 2), np.float32), *rings]),
    )


def diamonds(boxes: np.ndarray) -> list[np.ndarray]:
    """An outline (4, 2) inside each of the boxes (n, 4)."""
    x1, y1, x2, y2 = boxes.T
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    return list(np.stack([np.stack([x, y1], 1), np.stack([x2, y], 1), np.stack([x, y2], 1), np.stack([x1, y], 1)], 1))


def assert_same(metrics: DetectionMetrics, part: str, expected: Any) -> None:
    """All of COCO's numbers, and the AP of each class; our own matching finds what COCO's does."""
    scores = metrics.parts[part]
    np.testing.assert_allclose(scores.stats, expected.stats, rtol=0, atol=1e-12)
    precision = expected.eval["precision"][..., 0, -1]
    precision = np.where(precision < 0, np.nan, precision)
    np.testing.assert_allclose(scores.maps, precision.mean(axis=(0, 1)), rtol=0, atol=1e-12)
    np.testing.assert_allclose(scores.maps50, precision[0].mean(axis=0), rtol=0, atol=1e-12)
    recall = expected.eval["recall"][0, :, 0, -1]
    np.testing.assert_allclose(scores.curves.recall[:, 0], recall[scores.curves.class_ids], rtol=0, atol=1e-12)


def mask_case(seed: int) -> tuple[ImageIndex, list[np.ndarray], list[Detections], list[list[dict[str, Any]]]]:
    """Diamonds in the boxes of a random case: labels, rows, detections, and their masks for the oracle."""
    index, found = random_case(seed, images=6)
    index = with_outlines(index, diamonds(index.boxes))
    detections = [
        Detections(rows, masks=Masks.from_outlines(diamonds(rows[:, :4]), (600, 700))) for rows in found
    ]  # fmt: skip
    fields = [[{"segmentation": run_length} for run_length in each.masks.to_rle()] for each in detections]
    return index, found, detections, fields


@pytest.mark.parametrize("seed", range(3))
def test_masks_score_as_in_pycocotools(seed: int) -> None:
    mask = pytest.importorskip("pycocotools.mask")
    index, found, detections, fields = mask_case(seed)
    truth = [
        {"segmentation": mask.merge(mask.frPyObjects([index.rings(row)[0].ravel().tolist()], 600, 700))}
        for row in range(len(index.labels))
    ]
    metrics = evaluate_detections(index, detections, "segment")
    assert_same(metrics, "mask", oracle(index, found, "segm", objects=truth, results=fields))
    assert_same(metrics, "box", oracle(index, found))


def test_a_mask_label_may_be_run_lengths_or_missing() -> None:
    index = make_index([[(10, 10, 30, 20, 0), (50, 50, 60, 60, 0)]], sizes=[(80, 90)])
    blank = np.zeros((2, 80, 90), bool)
    blank[0, 10:15, 10:30] = True  # half of the first box
    blank[1, 50:60, 50:60] = True  # the second object is its box
    index = replace(index, run_lengths={0: Masks.from_data(blank).to_rle()[0]["counts"]})
    rows = np.array([[0, 0, 9, 9, 0.9, 0], [0, 0, 9, 9, 0.8, 0]], float)
    metrics = evaluate_detections(index, [Detections(rows, masks=Masks.from_data(blank))], "segment")
    assert metrics.seg is not None
    assert (metrics.seg.map, metrics.box.map) == (1.0, 0.0)


def test_only_masks_that_can_match_are_written_down() -> None:
    objects = [(0, 0, 10, 10, 0), (20, 0, 40, 10, 1, True)]
    index = with_outlines(make_index([objects], sizes=[(50, 60)]), [np.zeros((0, 2))] * 2)
    cases = [
        ((0, 0, 10, 10), 0, True),  # the object itself
        ((0, 0, 10, 10), 1, False),  # of the other class
        ((0, 0, 5, 10), 0, True),  # exactly half of it
        ((0, 0, 5, 9), 0, False),  # less
        ((0, 0, 15, 15), 0, False),  # most of it lies outside
        ((30, 5, 40, 15), 1, True),  # half of it lies on the crowd region
        ((30, 6, 40, 16), 1, False),
    ]
    masks = np.zeros((len(cases), 50, 60), bool)
    for mask, ((x1, y1, x2, y2), _, _) in zip(masks, cases, strict=True):
        mask[y1:y2, x1:x2] = True
    rows = np.array([(*box, 0.9 - k / 100, label) for k, (box, label, _) in enumerate(cases)], float)
    found = Detections(rows, masks=Masks.from_data(masks))
    compared = compare_masks(index, 0, found)
    written = [field["segmentation"] for field in compared.row_fields]
    whole = found.masks.to_rle()
    assert [mask == full for mask, full in zip(written, whole, strict=True)] == [needed for _, _, needed in cases]
    assert compared.row_areas.tolist() == masks.sum(axis=(1, 2)).tolist()


def test_only_as_many_masks_as_count_are_compared() -> None:
    detections = Detections(
        np.tile([0.0, 0, 9, 9, 0.5, 0], (150, 1)), masks=Masks.from_data(np.ones((150, 20, 20), bool))
    )
    compared = compare_masks(make_index([[]], sizes=[(20, 20)]), 0, detections)
    assert len(compared.row_fields) == len(compared.scene.rows) == 100
    assert compared.row_areas.tolist() == [400.0] * 100


def keypoint_case(
    seed: int, count: int
) -> tuple[ImageIndex, list[np.ndarray], list[Detections], list[dict[str, Any]], list[list[dict[str, Any]]]]:
    """A random case with keypoints: some not labelled, some objects without any."""
    index, found = random_case(seed, images=10, classes=3)
    rng = np.random.default_rng(seed)
    objects = len(index.labels)
    low, high = index.boxes[:, None, :2], index.boxes[:, None, 2:]
    points = np.zeros((objects, count, 3), np.float32)
    points[..., :2] = low + rng.random((objects, count, 2)) * (high - low)
    points[..., 2] = rng.choice([0, 1, 2], (objects, count), p=[0.3, 0.3, 0.4])
    points[rng.random(objects) < 0.2, :, 2] = 0
    points[points[..., 2] == 0] = 0
    index = replace(index, keypoints=points, keypoint_shape=(count, 3))
    detections = []
    for i, rows in enumerate(found):
        where = index.objects(i)
        near = points[where][rng.integers(0, max(where.stop - where.start, 1), len(rows))] if len(index.labels[where]) \
            else np.zeros((len(rows), count, 3))  # fmt: skip
        guesses = near + rng.normal(0, 8, near.shape)
        detections.append(Detections(rows, keypoints=guesses.astype(np.float32)))
    truth = [
        {"keypoints": flat.ravel().tolist(), "num_keypoints": int((flat[:, 2] > 0).sum())}
        for flat in points.astype(float)
    ]
    fields = [[{"keypoints": flat.ravel().tolist()} for flat in each.keypoints.astype(float)] for each in detections]
    return index, found, detections, truth, fields


@pytest.mark.parametrize(("seed", "count"), [(0, 17), (1, 17), (2, 4), (3, 1)])
def test_keypoints_score_as_in_pycocotools(seed: int, count: int) -> None:
    index, found, detections, truth, fields = keypoint_case(seed, count)
    metrics = evaluate_detections(index, detections, "pose")
    expected = oracle(
        index, found, "keypoints", objects=truth, results=fields, sigmas=keypoint_sigmas(count)
    )  # fmt: skip
    assert_same(metrics, "pose", expected)
    assert 0 < metrics.pose.map < 1
    assert_same(metrics, "box", oracle(index, found))


def test_where_only_boxes_are_labelled_keypoints_are_measured_by_half_of_the_box() -> None:
    points = np.array([[[5, 5, 2]]], np.float32)
    index = replace(make_index([[(0, 0, 10, 20, 0)]]), keypoints=points, keypoint_shape=(1, 3))
    found = Detections(np.array([[0, 0, 10, 20, 0.9, 0.0]]), keypoints=points)
    assert compare_keypoints(index, 0, found).object_areas.tolist() == [200.0], "a label file that says 200"
    boxes_alone = replace(index, area_of_box=np.array([True]))
    assert compare_keypoints(boxes_alone, 0, found).object_areas.tolist() == [pytest.approx(106.0)]


def test_labelled_areas_count_as_they_are_even_if_they_are_those_of_the_boxes() -> None:
    index, found, detections, truth, fields = keypoint_case(3, 17)
    index = replace(index, areas=(index.boxes[:, 2:] - index.boxes[:, :2]).prod(axis=1))
    metrics = evaluate_detections(index, detections, "pose")
    expected = oracle(index, found, "keypoints", objects=truth, results=fields, sigmas=keypoint_sigmas(17))
    assert_same(metrics, "pose", expected)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_keypoint_that_is_no_number_matches_nothing(bad: float) -> None:
    points = np.array([[[5, 5, 2], [8, 8, 1]]], np.float32)
    index = replace(make_index([[(0, 0, 100, 100, 0)]]), keypoints=points, keypoint_shape=(2, 3))
    guess = points.copy()
    guess[0, :, 0] = bad
    metrics = evaluate_detections(index, [Detections(np.array([[0, 0, 100, 100, 0.9, 0.0]]), keypoints=guess)], "pose")
    assert (metrics.pose.map, metrics.box.map) == (0.0, 1.0)


def test_keypoints_without_visibility_score_as_with_it() -> None:
    index, _, detections, _, _ = keypoint_case(4, 5)
    plain = [each._replace(keypoints=each.keypoints[..., :2]) for each in detections]
    assert (
        evaluate_detections(index, plain, "pose").pose.stats
        == evaluate_detections(index, detections, "pose").pose.stats
    )


def upright(boxes: np.ndarray) -> np.ndarray:
    """Rotated boxes (n, 5) that are not turned, from corners (n, 4)."""
    return np.column_stack([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2], np.zeros(len(boxes))])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("quarters", [0, 1])
def test_rotated_boxes_that_are_not_turned_score_as_in_pycocotools(seed: int, quarters: int) -> None:
    index, found = random_case(seed)
    sides = index.boxes[:, 2:] - index.boxes[:, :2]
    index = replace(index, areas=sides.prod(axis=1))
    rotated = [upright(rows[:, :4]) for rows in found]
    if quarters:  # the same boxes, written down the other way round
        rotated = [boxes[:, [0, 1, 3, 2, 4]] + (0, 0, 0, 0, np.pi / 2) for boxes in rotated]
    index = with_outlines(index, list(rotated_corners(upright(index.boxes))))
    detections = [Detections(rows, rotated=boxes) for rows, boxes in zip(found, rotated, strict=True)]
    metrics = evaluate_detections(index, detections, "obb")
    expected = oracle(index, found)
    np.testing.assert_allclose(metrics.box.stats, expected.stats, rtol=0, atol=1e-9)
    plain = evaluate_detections(index, [Detections(rows) for rows in found])
    np.testing.assert_array_equal(metrics.confusion_matrix, plain.confusion_matrix)
    np.testing.assert_allclose(metrics.box.p, plain.box.p, atol=1e-12)


def test_turning_everything_changes_no_score() -> None:
    """Labels and detections turned together by any angle overlap as before."""
    index, found = random_case(5)
    index = replace(index, areas=(index.boxes[:, 2:] - index.boxes[:, :2]).prod(axis=1))
    angle = 0.7
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    corners = rotated_corners(upright(index.boxes)) @ turn
    detections = []
    for rows in found:
        boxes = upright(rows[:, :4])
        boxes[:, :2], boxes[:, 4] = boxes[:, :2] @ turn, angle
        detections.append(Detections(rows, rotated=boxes))
    metrics = evaluate_detections(with_outlines(index, list(corners)), detections, "obb")
    # The labels are float32, so an overlap may cross a threshold.
    np.testing.assert_allclose(metrics.box.stats, oracle(index, found).stats, rtol=0, atol=2e-3)


@pytest.mark.parametrize("task", ["segment", "pose", "obb"])
def test_detections_must_hold_what_the_task_compares(task: str) -> None:
    with pytest.raises(ValueError, match=r"0\.png"):
        evaluate_detections(make_index([[]]), [Detections(np.zeros((0, 6)))], task)


@pytest.mark.parametrize(("task", "part"), [("segment", "mask"), ("pose", "pose")])
def test_table_dictionary_and_fitness_have_both_parts(task: str, part: str) -> None:
    if task == "segment":
        index, _, detections, _ = mask_case(0)
    else:
        index, _, detections, _, _ = keypoint_case(0, 17)
    metrics = evaluate_detections(index, detections, task)
    other = metrics.parts[part]
    assert metrics.fitness == pytest.approx(metrics.box.fitness + other.fitness)
    assert other.fitness > 0
    assert tuple(metrics.results_dict) == result_columns(task)
    assert metrics.results_dict[f"metrics/{part}_mAP50-95"] == other.map
    assert metrics.results_dict["metrics/mAP50-95"] == metrics.box.map
    values = metrics.to_dict()
    assert values[part]["map"] == other.map
    assert values["classes"][0][part]["ap"] == pytest.approx(other.maps[0])
    head, everything, *_ = metrics.table().splitlines()
    assert f"{part} AP50-95" in head
    assert everything.split()[-1] == f"{other.map:.3f}"


@pytest.mark.parametrize("task", ["segment", "pose", "obb"])
def test_nothing_to_measure(task: str) -> None:
    index = make_index([[], [(0, 0, 9, 9, 0)]])
    index = replace(index, keypoints=np.zeros((1, 3, 3), np.float32), keypoint_shape=(3, 3))
    nothing = Detections(
        np.zeros((0, 6)),
        masks=Masks.from_data(np.zeros((0, 500, 700), bool)),
        keypoints=np.zeros((0, 3, 3), np.float32),
        rotated=np.zeros((0, 5)),
    )
    metrics = evaluate_detections(index, [nothing, nothing], task)
    assert metrics.box.map == 0.0
    assert [part.map for part in metrics.parts.values()][1:] == ([] if task == "obb" else [pytest.approx(
        0.0 if task == "segment" else float("nan"), nan_ok=True)])  # fmt: skip
    assert metrics.fitness == 0.0
    assert evaluate_detections(make_index([]), [], task).images == 0
