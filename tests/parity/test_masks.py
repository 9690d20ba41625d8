"""Masks against those of the published models, pixel by pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import dense_masks
from yolov12.data.letterbox import Letterbox
from yolov12.postprocess.masks import decode_masks

SHAPE = (90, 125)
CANVAS = (96, 128)
RULES = ("r8363", "r84190")


def arrays(golden: Path, rules: str) -> dict[str, npt.NDArray[np.float32]]:
    with np.load(golden / "ops" / f"masks__{rules}.npz") as file:
        return dict(file)


@pytest.mark.parametrize("rules", RULES)
def test_the_dense_reference_follows_both_rule_sets(golden: Path, rules: str) -> None:
    given = arrays(golden, rules)
    inputs = given["coeff"], given["proto"], given["boxes"]
    np.testing.assert_array_equal(dense_masks.lowres(*inputs), given["mask_lowres"])
    np.testing.assert_array_equal(dense_masks.upsampled(*inputs, rules), given["mask_upsampled"])
    np.testing.assert_array_equal(dense_masks.native(*inputs, SHAPE, rules), given["mask_native_90x125"])


def test_ours_are_the_later_full_size_ones(golden: Path) -> None:
    given = arrays(golden, "r84190")
    letterbox = Letterbox.fit(SHAPE, CANVAS, rect=False)
    masks = decode_masks(given["coeff"], given["proto"], given["boxes"], letterbox)
    np.testing.assert_array_equal(masks.data, given["mask_native_90x125"])


def test_boxes_and_points_return_as_later_code_does(golden: Path) -> None:
    given = arrays(golden, "r84190")
    letterbox = Letterbox.fit((300, 333), CANVAS, rect=False)
    boxes, wanted = given["scale_boxes_in"], given["scale_boxes_96x128_to_300x333"]
    np.testing.assert_allclose(letterbox.to_original(boxes), wanted, rtol=0, atol=1e-4)
    points = letterbox.points_to_original(boxes.reshape(-1, 2, 2))
    np.testing.assert_allclose(points, given["scale_coords_96x128_to_300x333"], rtol=0, atol=1e-4)
