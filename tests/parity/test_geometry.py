"""Rotated boxes, keypoints and the cropping of masks against golden numbers of the published models' code.

Upright boxes are in `test_losses`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from filled import load_arrays
from golden_losses import RULES, assert_near
from yolov12.keypoints import keypoint_sigmas
from yolov12.losses.pose import keypoint_term
from yolov12.ops.keypoints import keypoint_errors
from yolov12.ops.masks import pixel_windows
from yolov12.ops.rotated import distances_to_rotated, probiou, rotated_corners, rotated_to_distances


@pytest.mark.parametrize("rules", RULES)
def test_rotated_boxes(golden: Path, rules: str) -> None:
    want = load_arrays(golden / "ops" / f"geometry__{rules}.npz")
    a, b = want["probiou_a"], want["probiou_b"]
    assert_near(probiou(a, b), want["probiou"])
    assert_near(probiou(a[:8, None], b[:8]), want["probiou_matrix"])
    assert_near(rotated_corners(a), want["corners"])
    boxes = distances_to_rotated(want["dist_ltrb"], want["dist_anchor"], want["dist_angle"][:, 0])
    assert_near(boxes[:, :4], want["dist2rbox_xywh"])
    assert torch.equal(boxes[:, 4:], want["dist_angle"])
    if rules == "r84190":
        assert_near(probiou(a, b, floor=0.01), want["probiou_floor0.01"])
        # The boxes whose distances these are have a quarter of the size.
        small = torch.cat((a[:, :4] / 4, a[:, 4:]), 1)
        distances = rotated_to_distances(small, want["dist_anchor"])
        assert_near(distances.clamp(0, 14.99), want["rbox2dist_regmax15"])


@pytest.mark.parametrize("rules", RULES)
def test_keypoints(golden: Path, rules: str) -> None:
    want = load_arrays(golden / "ops" / f"geometry__{rules}.npz")
    sigmas = torch.tensor(keypoint_sigmas(17))
    assert_near(sigmas, want["oks_sigma"].float())
    predicted, points, area = want["kpt_pred"][..., :2], want["kpt_gt"][..., :2], want["kpt_area"][:, 0]
    labelled = want["kpt_mask"]
    assert_near(keypoint_term(predicted, points, labelled, area, sigmas).double(), want["kpt_loss"])
    similarity = (-keypoint_errors(predicted, points[:, None], area[:, None].expand(7, 7), sigmas, 1e-7)).exp()
    counted = labelled[:, None]
    assert_near((similarity * counted).sum(2) / (counted.sum(2) + 1e-7), want["oks_matrix_gt_x_pred"])


@pytest.mark.parametrize("rules", RULES)
def test_cropping_of_masks(golden: Path, rules: str) -> None:
    want = load_arrays(golden / "ops" / f"masks__{rules}.npz")
    masks = want["crop_in"]
    start, stop = pixel_windows(want["crop_boxes"], *masks.shape[1:])
    cropped = torch.zeros_like(masks)
    for mask, source, (left, top), (right, bottom) in zip(cropped, masks, start.tolist(), stop.tolist(), strict=True):
        mask[top:bottom, left:right] = source[top:bottom, left:right]
    assert torch.equal(cropped, want["crop_out"])
