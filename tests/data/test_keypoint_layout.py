"""`kpt_shape`, `flip_idx` and `kpt_names` of a data YAML: what is accepted, and the line and field of what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from yolov12.data.data_config import read_data_config
from yolov12.data.keypoint_layout import flip_by_names
from yolov12.errors import DataError

BASE = "train: t\nval: v\nnames: [a]\n"
PAIRS = ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
PERSON = ["nose", *(f"{side}_{part}" for part in PAIRS for side in ("left", "right"))]
PERSON_FLIP = (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)


@pytest.mark.parametrize(
    ("names", "flip"),
    [
        (PERSON, PERSON_FLIP),
        (["Left Eye", "Right Eye", "mouth"], (1, 0, 2)),
        (["eye-left", "eye-right"], (1, 0)),
        (["front_left_paw", "front_right_paw", "tail"], (1, 0, 2)),
        (["left_eye", "nose"], None),  # no right eye: nobody knows
        (["nose", "tail"], None),  # nothing says that these are in the middle
        (["1", "2", "3", "4"], None),
        (["left_eye", "right_eye", "left_eye"], None),
        (["lefteye", "righteye"], None),
        ([], None),
    ],
)
def test_flip_by_names(names: list[str], flip: tuple[int, ...] | None) -> None:
    assert flip_by_names(names) == flip


@pytest.mark.parametrize(
    ("text", "shape", "flip"),
    [
        ("", None, None),
        ("kpt_shape: [17, 3]", (17, 3), None),
        ("kpt_shape: [4, 2]\nflip_idx: [1, 0, 3, 2]", (4, 2), (1, 0, 3, 2)),
        ("kpt_shape:\n- 1\n- 3\nflip_idx: [0]", (1, 3), (0,)),
        ("kpt_shape: [17, 3]\nflip_idx:", (17, 3), None),
        ("flip_idx: [1, 0]", None, (1, 0)),  # the COCO file says the shape
        ("kpt_shape: [2, 3]\nkpt_names: [left_eye, right_eye]", (2, 3), (1, 0)),
        ("kpt_shape: [2, 3]\nkpt_names: [left_eye, right_eye]\nflip_idx: [0, 1]", (2, 3), (0, 1)),
        ("kpt_shape: [2, 3]\nkpt_names: {0: [left_eye, right_eye]}", (2, 3), (1, 0)),
        ("kpt_shape: [2, 3]\nkpt_names: {0: [left_eye, right_eye], 1: [nose, tail]}", (2, 3), None),
        ("kpt_shape: [2, 3]\nkpt_names: {0: [left_eye, right_eye], 1: [left, right]}", (2, 3), (1, 0)),
    ],
)
def test_accepted(tmp_path: Path, text: str, shape: tuple[int, int] | None, flip: tuple[int, ...] | None) -> None:
    (tmp_path / "data.yaml").write_text(BASE + text + "\n")
    config = read_data_config(tmp_path)
    assert (config.kpt_shape, config.flip_idx) == (shape, flip)


EXPECTED = "expected [number of keypoints, 2 or 3], for example kpt_shape: [17, 3]"


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("kpt_shape: 17", f"4: kpt_shape: of type int; {EXPECTED}"),
        ("kpt_shape: {17: 3}", f"4: kpt_shape: of type mapping; {EXPECTED}"),
        ("kpt_shape: [17]", f"4: kpt_shape: 1 values; {EXPECTED}"),
        ("kpt_shape: []", f"4: kpt_shape: 0 values; {EXPECTED}"),
        ("kpt_shape:\n- 0\n- 3", f"5: kpt_shape[0]: '0' is not 1 to 1000; {EXPECTED}"),
        ("kpt_shape: [x, 3]", f"4: kpt_shape[0]: 'x' is not 1 to 1000; {EXPECTED}"),
        ("kpt_shape: [[1], 3]", f"4: kpt_shape[0]: a list is not 1 to 1000; {EXPECTED}"),
        ("kpt_shape: [17.0, 3]", f"4: kpt_shape[0]: '17.0' is not 1 to 1000; {EXPECTED}"),
        ("kpt_shape: [999999, 3]", f"4: kpt_shape[0]: '999999' is not 1 to 1000; {EXPECTED}"),
        ("kpt_shape: [17, 4]", f"4: kpt_shape[1]: '4' is not 2 (x, y) or 3 (x, y and a flag); {EXPECTED}"),
        ("flip_idx: 3", "4: flip_idx: of type int; a list of keypoint numbers is expected"),
        ("flip_idx: [0, 2]", "4: flip_idx[1]: '2' is not a keypoint number (0 to 1)"),
        ("flip_idx: [0, -1]", "4: flip_idx[1]: '-1' is not a keypoint number (0 to 1)"),
        ("flip_idx: [0, 0]", "4: flip_idx[1]: 0 is there twice; each keypoint must be there once"),
        (
            "flip_idx: [1, 2, 0]",
            "4: flip_idx[0]: 0 becomes 1, but 1 becomes 2: mirrored twice is not the original",
        ),
        ("kpt_shape: [3, 2]\nflip_idx: [1, 0]", "5: flip_idx: 2 numbers, but kpt_shape has 3 keypoints"),
        ("kpt_names: nose", "4: kpt_names: a list of keypoint names is expected"),
        ("kpt_names: [[a]]", "4: kpt_names: a list of keypoint names is expected"),
        ("kpt_names: [a, 5]", "4: kpt_names: a list of keypoint names is expected"),
        ("kpt_names: {x: [a]}", "4: kpt_names: 'x' is not a class number"),
        ("kpt_names: {0: a}", "4: kpt_names[0]: a list of keypoint names is expected"),
        ("kpt_shape: [3, 2]\nkpt_names: [a]", "5: kpt_names: 1 names, but kpt_shape has 3 keypoints"),
        ("kpt_shapes: [3, 2]", "4: kpt_shapes: unknown key. Did you mean 'kpt_shape'? Known: path, train, val, test, "
                               "names, nc, format, kpt_shape, flip_idx, kpt_names"),
    ],
)  # fmt: skip
def test_errors_name_line_and_field(tmp_path: Path, text: str, finding: str) -> None:
    (tmp_path / "data.yaml").write_text(BASE + text + "\n")
    with pytest.raises(DataError) as caught:
        read_data_config(tmp_path)
    assert str(caught.value) == f"{tmp_path / 'data.yaml'}:{finding}"
