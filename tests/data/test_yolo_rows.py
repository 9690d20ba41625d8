"""Rows of YOLO label files: which are good, and how the others are named."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from yolov12.data.yolo_rows import Row, parse_rows

NAMES = ("a", "b")
BOX = Row(0, (0.5, 0.5, 0.4, 0.4))


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        (b"", []),
        (b"\n \t\r\n", []),
        (b"0 0.5 0.5 0.4 0.4", [BOX]),
        (b"0 0.5 0.5 0.4 0.4\n", [BOX]),
        (b"\xef\xbb\xbf0 0.5 0.5 0.4 0.4\n", [BOX]),
        (b"0 0.5 0.5 0.4 0.4\r\n0 0.5 0.5 0.4 0.4\r\n", [BOX, BOX]),
        (b"0 0.5 0.5 0.4 0.4\r0 0.5 0.5 0.4 0.4\r", [BOX, BOX]),
        (b"0\t0.5\t0.5\t0.4\t0.4   \n\n\n", [BOX]),
        (b"0 5e-1 .5 +0.4 0.4", [BOX]),
        (b"0.0 0.5 0.5 0.4 0.4", [BOX]),
        (b"1.000000 0.5 0.5 0.4 0.4", [Row(1, BOX.values)]),
        (b"00 0.5 0.5 0.4 0.4", [BOX]),
        (b"1 0 0 1 1", [Row(1, (0, 0, 1, 1))]),
        (b"1 1. 1.0 0. 0", [Row(1, (1, 1, 0, 0))]),
        (b"0 0.5 0.5 0 0", [Row(0, (0.5, 0.5, 0, 0))]),
        (b"0 1.000001 -0.000001 0.4 0.4", [Row(0, (1, 0, 0.4, 0.4))]),
        (b"0 0.1 0.1 0.9 0.1 0.9 0.9", [Row(0, (0.1, 0.1, 0.9, 0.1, 0.9, 0.9))]),
        (b"0 0 0 1 0 1 1 0 1", [Row(0, (0, 0, 1, 0, 1, 1, 0, 1))]),
    ],
)
def test_good_rows(text: bytes, rows: list[Row]) -> None:
    assert parse_rows(text, NAMES) == (rows, [])


@pytest.mark.parametrize(
    ("text", "line", "field", "reason"),
    [
        (b"0 nan 0.5 0.4 0.4", 1, "x_center", "not finite"),
        (b"0 0.5 inf 0.4 0.4", 1, "y_center", "not finite"),
        (b"0 0.5 0.5 -Infinity 0.4", 1, "width", "not finite"),
        (b"0 0.5 0.5 0.4 1e999", 1, "height", "not finite"),
        (b"0 -0.5 0.5 0.4 0.4", 1, "x_center", "outside of 0..1"),
        (b"0 0.5 0.5 -0.4 0.4", 1, "width", "outside of 0..1"),
        (b"0 0.5 0.5 0.4 1.1", 1, "height", "outside of 0..1"),
        (b"0 1.000002 0.5 0.4 0.4", 1, "x_center", "outside of 0..1"),
        (b"0 32 32 20 20", 1, "x_center", "pixel coordinates?"),
        (b"2 0.5 0.5 0.4 0.4", 1, "class", "classes: 0 a, 1 b"),
        (b"-1 0.5 0.5 0.4 0.4", 1, "class", "'-1' is not a class number"),
        (b"0.5 0.5 0.5 0.4 0.4", 1, "class", "'0.5' is not a class number"),
        (b"99999999999999999999 0.5 0.5 0.4 0.4", 1, "class", "is not a class number"),
        (b"1e999 0.5 0.5 0.4 0.4", 1, "class", "is not a class number"),
        (b"cat 0.5 0.5 0.4 0.4", 1, "class", "'cat' is not a class number"),
        (b"0 0.5 0.5 0.4", 1, "columns", "4; expected"),
        (b"0 0.5 0.5 0.4 0.4 0.9", 1, "columns", "a prediction file with confidence?"),
        (b"0 0.5 0.5 0.4 0.4 0.9 0.9 0.9", 1, "columns", "8; expected"),
        (b"0 0.5 0.5 0.4 0.4\n1 0.5 0.5", 2, "columns", "3; expected"),
        (b"0,0.5,0.5,0.4,0.4", 1, "columns", "commas?"),
        (b"0 0,5 0,5 0,4 0,4", 1, "x_center", "decimal comma?"),
        ("0 0.5 0.5 0.4 0.4\n".encode("utf-16"), 1, "encoding", "UTF-16"),
        (b"# cls x y w h\n0 0.5 0.5 0.4 0.4", 1, "columns", "comments"),
        (b"0 0.5 0.5 0.4 0.4\n\0\0\0\n", 2, "columns", "NUL"),
        (b"0 0.5 0.5 0_0.4 0.4", 1, "width", "not a number"),
        ("0 0.5 0.5 ٠.٤ 0.4".encode(), 1, "width", "not a number"),
        (b"0 0x1p-1 0.5 0.4 0.4", 1, "x_center", "not a number"),
        (b"\n\n0 0.1 0.1 0.9 0.1 0.9 1.9", 3, "y3", "outside of 0..1"),
    ],
)
def test_bad_rows_name_line_field_and_reason(text: bytes, line: int, field: str, reason: str) -> None:
    rows, problems = parse_rows(text, NAMES)
    assert len(problems) == 1
    assert problems[0].startswith(f"{line}: {field}: ")
    assert reason in problems[0]
    assert all(row == BOX for row in rows)


def test_every_problem_is_listed() -> None:
    rows, problems = parse_rows(b"9 0.5 0.5 0.4 0.4\n0 0.5 0.5 0.4 0.4\nx\n0 nan 0 0 0\n", NAMES)
    assert rows == [BOX]
    assert [problem.split(":")[0] for problem in problems] == ["1", "3", "4"]


@pytest.mark.parametrize(
    ("task", "shape", "text", "row"),
    [
        ("segment", None, b"1 0 0 1 0 1 1", Row(1, (0, 0, 1, 0, 1, 1))),
        ("segment", None, b"0 0 0 1 0 1 1 0 1", Row(0, (0, 0, 1, 0, 1, 1, 0, 1))),
        ("obb", None, b"0 0 0 1 0 1 1 0 1", Row(0, (0, 0, 1, 0, 1, 1, 0, 1))),
        ("pose", (1, 3), b"0 .5 .5 .2 .2 .3 .4 2", Row(0, (0.5, 0.5, 0.2, 0.2), (0.3, 0.4, 2))),
        ("pose", (1, 3), b"0 .5 .5 .2 .2 .3 .4 1.000000", Row(0, (0.5, 0.5, 0.2, 0.2), (0.3, 0.4, 1))),
        ("pose", (1, 3), b"0 .5 .5 .2 .2 0 0 2", Row(0, (0.5, 0.5, 0.2, 0.2), (0, 0, 2))),
        ("pose", (1, 3), b"0 .5 .5 .2 .2 .3 .4 0", Row(0, (0.5, 0.5, 0.2, 0.2), (0, 0, 0))),
        ("pose", (1, 3), b"0 .5 .5 .2 .2 7 -8 0.0", Row(0, (0.5, 0.5, 0.2, 0.2), (0, 0, 0))),
        ("pose", (1, 3), b"0 .5 .5 .2 .2 1.000001 -0.000001 1", Row(0, (0.5, 0.5, 0.2, 0.2), (1, 0, 1))),
        ("pose", (2, 2), b"0 .5 .5 .2 .2 .3 .4 0 0", Row(0, (0.5, 0.5, 0.2, 0.2), (0.3, 0.4, 2, 0, 0, 0))),
        ("pose", (2, 2), b"0 .5 .5 .2 .2 0 1 0.0 -0", Row(0, (0.5, 0.5, 0.2, 0.2), (0, 1, 2, 0, 0, 0))),
        # a pose data set that is used for detection: the box counts, not the extent of six "points"
        ("detect", (4, 2), b"0 .5 .5 .2 .2 .1 .1 .9 .1 .9 .9 .1 .9", Row(0, (0.5, 0.5, 0.2, 0.2))),
        ("detect", (4, 2), b"0 .5 .5 .2 .2", Row(0, (0.5, 0.5, 0.2, 0.2))),
    ],
)
def test_good_rows_of_a_task(task: str, shape: tuple[int, int] | None, text: bytes, row: Row) -> None:
    assert parse_rows(text, NAMES, task, shape) == ([row], [])


def test_rows_know_their_line_but_are_equal_anywhere() -> None:
    rows, _ = parse_rows(b"\n0 .5 .5 .4 .4\n\n0 0.5 0.5 0.4 0.4", NAMES)
    assert [row.line for row in rows] == [2, 4]
    assert len(set(rows)) == 1


def test_written_without_a_class_or_keypoints_there_is_no_row() -> None:
    """The fast way for plain rows must not be taken for rows of another kind."""
    for task, shape, columns in (("segment", None, 5), ("obb", None, 7), ("pose", (1, 3), 5), ("pose", (2, 2), 7)):
        rows, problems = parse_rows(b" ".join([b"0"] * columns), NAMES, task, shape)
        assert (rows, len(problems)) == ([], 1)


unit = st.floats(0, 1)


@given(st.lists(st.tuples(st.integers(0, 1), st.one_of(st.lists(unit, min_size=4, max_size=4), st.lists(
    st.tuples(unit, unit), min_size=3, max_size=9)))))  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_written_rows_are_read_back_exactly(rows: list[tuple[int, list]]) -> None:
    flat = [(label, [v for x in values for v in (x if isinstance(x, tuple) else (x,))]) for label, values in rows]
    text = "\n".join(" ".join([str(label), *map(repr, values)]) for label, values in flat)
    good, problems = parse_rows(text.encode(), NAMES)
    assert not problems
    assert good == [Row(label, tuple(values)) for label, values in flat]


TASKS = ("detect", "segment", "pose", "obb")
SHAPES = (None, (1, 2), (2, 3), (4, 2))
field = st.sampled_from([b"0", b"1", b"2", b"0.5", b"1.5", b"nan", b"-0.1", b"1e400", b"x", b"1_0", b"0.", b".5", b"#"])
text_of_fields = st.lists(st.lists(field, max_size=12).map(b" ".join), max_size=4).map(b"\n".join)


@given(st.one_of(st.binary(max_size=200), text_of_fields), st.sampled_from(TASKS), st.sampled_from(SHAPES))
@example(b"0 " + b"9" * 5000 + b" 0 0 0", "detect", None)
@example(b"0 0.5 0.5 0.5 0.5 1e999 0 0", "pose", (1, 3))
@settings(max_examples=400, deadline=None)
def test_any_bytes_give_valid_rows_or_named_problems(text: bytes, task: str, shape: tuple[int, int] | None) -> None:
    rows, problems = parse_rows(text, NAMES, task, shape)
    for row in rows:
        assert 0 <= row.label < len(NAMES)
        assert all(math.isfinite(value) and 0 <= value <= 1 for value in row.values)
        points = [row.keypoints[i : i + 3] for i in range(0, len(row.keypoints), 3)]
        assert all(0 <= x <= 1 and 0 <= y <= 1 and flag in (0, 1, 2) for x, y, flag in points)
        assert all((x, y) == (0, 0) for x, y, flag in points if flag == 0)
        assert len(points) == (shape[0] if task == "pose" and shape else 0)
        expected = {"pose": (4,), "obb": (8,), "segment": range(6, 99, 2), "detect": (4, *range(6, 99, 2))}
        assert len(row.values) in expected[task]
    lines = [line for line in text.removeprefix(b"\xef\xbb\xbf").splitlines() if line.split()]
    assert len(rows) + len(problems) == len(lines) or b"UTF-16" in problems[0].encode()
    for problem in problems:
        line, name, reason = problem.split(": ", 2)
        assert int(line) >= 1
        assert name
        assert reason
        assert problem.isprintable()
        assert len(problem) < 400


keypoint = st.tuples(unit, unit, st.sampled_from([0, 1, 2]))


@given(st.integers(0, 1), st.lists(unit, min_size=4, max_size=4), st.lists(keypoint, min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_written_keypoints_are_read_back_exactly(label: int, box: list[float], points: list[tuple]) -> None:
    text = " ".join(map(repr, [label, *box, *(value for point in points for value in point)]))
    expected = [value for x, y, flag in points for value in ((x, y, flag) if flag else (0, 0, 0))]
    good = ([Row(label, tuple(box), tuple(expected))], [])
    assert parse_rows(text.encode(), NAMES, "pose", (len(points), 3)) == good


@given(
    st.lists(st.sampled_from(["0", "1", "2", "-1", "0.5", "1.5", "nan", "inf", "1e400", "x", "1_0", "٣"]), max_size=9)
)
@settings(max_examples=200, deadline=None)
def test_a_row_is_good_exactly_if_the_rule_says_so(fields: list[str]) -> None:
    rows, problems = parse_rows(" ".join(fields).encode(), NAMES)
    count_ok = len(fields) == 5 or (len(fields) >= 7 and len(fields) % 2 == 1)
    good = count_ok and fields[0] in ("0", "1") and all(field in ("0", "1", "0.5") for field in fields[1:])
    assert (len(rows), len(problems)) == ((1, 0) if good else (0, int(bool(fields))))
