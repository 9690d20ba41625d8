"""Every block against numbers that live in this repository (how they were made: tests/golden/blocks.py)."""

from __future__ import annotations

import json

import pytest

from golden import filler
from golden.blocks import BLOCKS, MODELS, PATH, block_numbers, model_numbers

NUMBERS = json.loads(PATH.read_text(encoding="utf8"))


def test_the_random_stream_is_the_one_of_the_fixtures() -> None:
    filler.self_check()


def test_every_recorded_block_is_checked() -> None:
    assert set(NUMBERS) == {*BLOCKS, *MODELS}


@pytest.mark.parametrize("name", BLOCKS)
def test_block(name: str) -> None:
    assert block_numbers(name) == pytest.approx(NUMBERS[name], abs=1e-4, rel=1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_whole_network(name: str) -> None:
    assert model_numbers(name) == pytest.approx(NUMBERS[name], abs=2e-2)
