"""DOTA text: corners in pixels, categories by name, difficult objects, objects that reach out of the image."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from label_factory import GOOD_DOTA, write_text_set
from yolov12.data.dataset import load_index
from yolov12.data.dota_format import FAR, DotaRow, class_spellings, label_folders, parse_dota
from yolov12.errors import DataError

CLASSES = class_spellings(("plane", "small vehicle"))
CORNERS = (30.0, 4, 54, 20, 30, 36, 6, 20)
HEADING = b"imagesource:GoogleEarth\ngsd:0.146343590398\n"


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        (b"", []),
        (HEADING, []),
        (b"imagesource:null\r\ngsd:null\r\n", []),
        (HEADING + b"30.0 4.0 54.0 20.0 30.0 36.0 6.0 20.0 plane 0\n", [DotaRow(0, CORNERS, False)]),
        (b"30 4 54 20 30 36 6 20 plane 1", [DotaRow(0, CORNERS, True)]),
        (b"30 4 54 20 30 36 6 20 plane 2", [DotaRow(0, CORNERS, True)]),
        (b"30 4 54 20 30 36 6 20 plane", [DotaRow(0, CORNERS, False)]),
        (b"\xef\xbb\xbf30 4 54 20 30 36 6 20 small-vehicle 0", [DotaRow(1, CORNERS, False)]),
        (b"30 4 54 20 30 36 6 20 small_vehicle 0\r", [DotaRow(1, CORNERS, False)]),
        (b"-5 4 54 20 30 36.5 6 1e2 plane 0", [DotaRow(0, (-5, 4, 54, 20, 30, 36.5, 6, 100), False)]),
    ],
)
def test_good_rows(text: bytes, rows: list[DotaRow]) -> None:
    assert parse_dota(text, CLASSES) == (rows, [])


number = st.floats(-FAR, FAR)


@given(st.lists(st.tuples(st.lists(number, min_size=8, max_size=8), st.sampled_from(["plane", "small-vehicle"]),
                          st.booleans())))  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_written_rows_are_read_back_exactly(rows: list[tuple[list[float], str, bool]]) -> None:
    text = HEADING.decode() + "\n".join(f"{' '.join(map(repr, c))} {name} {int(hard)}" for c, name, hard in rows)
    good, problems = parse_dota(text.encode(), CLASSES)
    assert not problems
    assert good == [DotaRow(CLASSES[name], tuple(corners), hard) for corners, name, hard in rows]


field = st.sampled_from([b"0", b"1", b"12.5", b"-3", b"nan", b"1e9", b"1e400", b"plane", b"small-vehicle", b"ship"])


@given(st.one_of(st.binary(max_size=200), st.lists(field, min_size=8, max_size=11).map(b" ".join)))
@example(b"9" * 5000 + b" 0 0 0 0 0 0 0 plane 0")
@example(b"0 0 0 0 0 0 0 0 \xff\xfe 0")
@settings(max_examples=300, deadline=None)
def test_any_bytes_give_valid_rows_or_named_problems(text: bytes) -> None:
    rows, problems = parse_dota(text, CLASSES)
    for row in rows:
        assert row.label in (0, 1)
        assert len(row.corners) == 8
        assert all(math.isfinite(value) and abs(value) <= FAR for value in row.corners)
    for problem in problems:
        line, name, reason = problem.split(": ", 2)
        assert int(line) >= 1
        assert name
        assert reason
        assert problem.isprintable()
        assert len(problem) < 400


def test_spellings_of_a_class() -> None:
    assert class_spellings(("a b", "a-b")) == {"a b": 0, "a-b": 1, "a_b": 0}


@pytest.mark.parametrize("task", ["obb", "detect"])
def test_arrays(tmp_path: Path, task: str) -> None:
    rows = HEADING + GOOD_DOTA + b"-10 10 10 -10 30 10 10 30 b 1\n10 10 20 10 20 20 10 20 b 0\n"
    data = write_text_set(tmp_path, {"a": rows, "b": HEADING}, "format: dota\n", "labelTxt")
    index = load_index(data, "val", task=task)
    assert index.labels.tolist() == [0, 1, 1]
    assert index.boxes.tolist() == [[6, 4, 54, 36], [0, 0, 30, 30], [10, 10, 20, 20]]
    assert index.crowd.tolist() == [False, True, False]
    report = index.report
    assert (report.clipped, report.crowd, report.background, report.rows) == (1, 1, 1, 3)
    if task == "obb":  # the corners stay where they are, a cut rotated box would be none
        assert index.rings(1)[0].tolist() == [[-10, 10], [10, -10], [30, 10], [10, 30]]
        np.testing.assert_allclose(index.areas, [768, 800, 100])
    else:
        assert index.rings(1) == []
        np.testing.assert_allclose(index.areas, [48 * 32, 900, 100])


def test_degenerate_and_repeated_rows(tmp_path: Path) -> None:
    rows = GOOD_DOTA * 2 + b"1 1 5 5 9 9 3 3 a 0\n"
    data = write_text_set(tmp_path, {"a": rows}, "format: dota\n", "labelTxt")
    report = load_index(data, "val", task="obb").report
    assert (report.rows, report.deduplicated, report.degenerate) == (1, 1, 1)


@pytest.mark.parametrize("folder", ["labelTxt", "labels", "images"])
def test_places_of_labels(tmp_path: Path, folder: str) -> None:
    data = write_text_set(tmp_path, {"a": GOOD_DOTA}, "format: dota\n", folder.replace("images", "unused"))
    if folder == "images":
        (tmp_path / "unused/a.txt").rename(tmp_path / "images/a.txt")
    assert load_index(data, "val", task="obb").report.rows == 1


def test_tried_places_are_listed(tmp_path: Path) -> None:
    data = write_text_set(tmp_path, {"a": GOOD_DOTA}, "format: dota\n", "elsewhere")
    with pytest.raises(DataError, match=r"tried .*labelTxt/a\.txt, .*labels/a\.txt, .*images/a\.txt"):
        load_index(data, "val", task="obb")
    assert [str(path) for path in label_folders(Path("/d/train/images"))] == [
        "/d/train/labelTxt", "/d/train/labels", "/d/train/images",
    ]  # fmt: skip
