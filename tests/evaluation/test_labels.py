"""Labels in a model's own numbering."""

from __future__ import annotations

import pytest

from index_factory import make_index
from yolov12.errors import ConfigError
from yolov12.evaluation.labels import match_classes


def test_a_long_list_of_classes_is_cut_in_the_error() -> None:
    with pytest.raises(ConfigError, match=r"knows 1000: 0, 1, .*, 99, \.\.\.$"):
        match_classes(make_index([[]]), {k: str(k) for k in range(1000)})


def test_classes_are_matched_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    index = make_index([[(0, 0, 9, 9, 0), (0, 0, 5, 5, 2)], [(1, 1, 4, 4, 1)]], names=("x", "y", "z"))
    assert match_classes(index, {0: "x", 1: "y", 2: "z"}) is index
    found = match_classes(index, {0: "z", 1: "x", 2: "y"})
    assert found.names == ("z", "x", "y")
    assert [found.names[label] for label in found.labels] == [index.names[label] for label in index.labels]
    assert match_classes(index, {0: "0", 1: "1", 2: "2"}) is index  # a model without names of its own
    assert capsys.readouterr().err == ""
    assert match_classes(index, {0: "x", 1: "q", 2: "z"}) is index
    assert capsys.readouterr().err == "warning: class names differ (model / data set): q / y\n"
    with pytest.raises(ConfigError, match="3 classes, the model knows 2: x, y"):
        match_classes(index, {0: "x", 1: "y"})
