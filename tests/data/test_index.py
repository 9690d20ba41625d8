"""What an index and its report say; and that masks are shared as arrays, not as a million Python objects."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from index_factory import make_index
from yolov12.data.index import DataReport, RunLengths
from yolov12.data.objects import Objects, PackedObjects, pack_objects


@given(st.dictionaries(st.integers(0, 1000), st.binary(max_size=20)))
def test_run_lengths_are_a_mapping(entries: dict[int, bytes]) -> None:
    runs = RunLengths.pack(entries)
    assert dict(runs) == entries
    assert len(runs) == len(entries)
    assert 1001 not in runs
    assert runs.get(-1) is None
    again = pickle.loads(pickle.dumps(runs))
    assert dict(again) == entries
    assert {type(value) for value in vars(runs).values()} == {np.ndarray}


def test_rings_of_an_object() -> None:
    triangle, square = [[0, 0], [4, 0], [4, 4]], [[5, 5], [9, 5], [9, 9], [5, 9]]
    index = make_index(
        [[(0, 0, 9, 9, 0)], [(0, 0, 1, 1, 0), (0, 0, 4, 4, 1)]], rings=[[triangle, square], [], [square]]
    )
    assert [[ring.tolist() for ring in index.rings(row)] for row in range(3)] == [[triangle, square], [], [square]]


def objects(count: int) -> Objects:
    found = Objects()
    for number in range(count):
        found.add(
            number,
            (1.0, 2.0, 5.0, 4.0),
            area=None if number else 3.5,
            crowd=bool(number),
            polygon=[np.full((3 + number, 2), number, np.float32)] * number,
            keypoints=None if number else np.ones((2, 3), np.float32),
            run_length=b"xyz" if number == 1 else None,
        )
    return found


def test_packing() -> None:
    packed = pack_objects([objects(2), Objects(), objects(3)], keypoints=2)
    assert packed.offsets.tolist() == [0, 2, 2, 5]
    assert packed.labels.tolist() == [0, 1, 0, 1, 2]
    assert packed.areas.tolist() == [3.5, 8, 3.5, 8, 8]
    assert packed.polygon_offsets.tolist() == [0, 0, 1, 1, 2, 4]
    assert packed.ring_offsets.tolist() == [0, 4, 8, 13, 18]
    assert packed.polygon_points.shape == (18, 2)
    assert packed.keypoints is not None
    assert packed.keypoints[:, 0, 2].tolist() == [1, 0, 1, 0, 0]
    assert dict(packed.run_lengths) == {1: b"xyz", 3: b"xyz"}
    again = PackedObjects.from_arrays(packed.to_arrays())
    for name, value in vars(packed).items():
        other = getattr(again, name)
        assert dict(other) == dict(value) if name == "run_lengths" else np.array_equal(other, value), name
    assert pack_objects([objects(1)]).keypoints is None


def test_nothing_at_all() -> None:
    packed = pack_objects([], keypoints=3)
    assert packed.keypoints is not None
    assert packed.keypoints.shape == (0, 3, 3)
    assert packed.boxes.shape == (0, 4)
    assert len(packed.run_lengths) == 0


@pytest.mark.parametrize(
    ("field", "text"), [("masks", "masks 3"), ("keypoints", "labelled keypoints 3"), ("crowd", "crowds 3")]
)
def test_counts_of_the_report(field: str, text: str) -> None:
    report = DataReport("val", read=1, rows=2)
    setattr(report, field, 3)
    assert report.summary() == f"val: 1 images, 2 objects ({text})"
    assert report.to_dict()[field] == 3
    assert copy.deepcopy(report) == report
