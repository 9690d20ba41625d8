"""Our model files: round trips, determinism, the checksum, and every way in which a file can be wrong."""

from __future__ import annotations

import dataclasses
import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import safetensors.torch
import torch

from model_factory import tiny_file
from yolov12.checkpoint import ModelFile, read_model_file, read_tensors, write_model_file, write_tensors
from yolov12.config.tasks import PUBLISHED
from yolov12.errors import CheckpointError
from yolov12.models.detector import build_model

TENSORS = {
    "float": torch.arange(6.0).view(2, 3),
    "half": torch.ones(3, dtype=torch.float16),
    "brain": torch.ones(2, dtype=torch.bfloat16),
    "count": torch.tensor(7),
    "flags": torch.tensor([True, False]),
    "empty": torch.zeros(0, 4),
}


@pytest.mark.parametrize("task", PUBLISHED)
@pytest.mark.parametrize("layout", ["turbo", "v1.0"])
def test_a_model_comes_back_bit_for_bit(tmp_path: Path, layout: str, task: str) -> None:
    file = tiny_file(layout, task=task)
    write_model_file(tmp_path / "m.safetensors", file)
    found = read_model_file(tmp_path / "m.safetensors")
    assert (found.config, found.names, found.metadata) == (file.config, file.names, file.metadata)
    assert found.state.keys() == file.state.keys()
    assert all(torch.equal(found.state[name], value) for name, value in file.state.items())
    build_model(found.config).load_state_dict(found.state)


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_model_file(tmp_path / name, tiny_file())
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["one", "two"]


def test_other_programs_can_read_the_tensors(tmp_path: Path) -> None:
    file = tiny_file()
    write_model_file(tmp_path / "m.safetensors", file)
    found = safetensors.torch.load_file(tmp_path / "m.safetensors")
    assert all(torch.equal(found[name], value) for name, value in file.state.items())


def test_half_precision_halves_the_file_and_is_read_as_float32(tmp_path: Path) -> None:
    file = tiny_file()
    write_model_file(tmp_path / "full", file)
    write_model_file(tmp_path / "half", file, half=True)
    assert (tmp_path / "half").stat().st_size < 0.7 * (tmp_path / "full").stat().st_size
    found = read_model_file(tmp_path / "half")
    for name, value in file.state.items():
        assert found.state[name].dtype == value.dtype
        assert torch.equal(found.state[name], value.half().to(value.dtype))


def test_training_tensors_keep_their_types_and_json_its_values(tmp_path: Path) -> None:
    header = {"epoch": 3, "text": "größe", "nested": {"a": [1, None, 0.5]}, "view": MappingProxyType({"x": Path("y")})}
    write_tensors(tmp_path / "s", TENSORS, header)
    tensors, found = read_tensors(tmp_path / "s")
    assert found == {**header, "view": {"x": "y"}}
    assert tensors.keys() == TENSORS.keys()
    for name, value in TENSORS.items():
        assert tensors[name].dtype == value.dtype
        assert torch.equal(tensors[name], value)


def test_views_are_written_alone(tmp_path: Path) -> None:
    large = torch.arange(100_000.0)
    write_tensors(tmp_path / "s", {"a": large[:3], "b": large[1:4], "c": large.view(100, 1000).T[:2]}, {})
    tensors, _ = read_tensors(tmp_path / "s")
    assert tensors["b"].tolist() == [1, 2, 3]
    assert tensors["c"].shape == (2, 100)
    assert (tmp_path / "s").stat().st_size < 4096


def test_every_single_flipped_bit_is_found(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    write_model_file(path, tiny_file())
    data = path.read_bytes()
    for offset in range(3, len(data), len(data) // 60):
        damaged = bytearray(data)
        damaged[offset] ^= 1 << (offset % 8)
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"m\.safetensors"):
            read_model_file(path)


@pytest.mark.parametrize("percent", [0, 1, 10, 50, 90, 99])
def test_a_cut_file_is_refused(tmp_path: Path, percent: int) -> None:
    path = tmp_path / "m.safetensors"
    write_model_file(path, tiny_file())
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * percent // 100])
    with pytest.raises(CheckpointError, match=r"m\.safetensors: .*truncated"):
        read_model_file(path)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_not_finite_are_neither_written_nor_read(tmp_path: Path, bad: float) -> None:
    file = tiny_file()
    name = next(name for name in file.state if name.endswith("conv.weight"))
    file.state[name][0, 0, 0, 0] = bad
    path = tmp_path / "m.safetensors"
    with pytest.raises(CheckpointError, match=f"non-finite values in {name}"):
        write_model_file(path, file)
    assert not path.exists()
    write_tensors(path, file.state, _header(file))
    with pytest.raises(CheckpointError, match=f"non-finite values in {name}"):
        read_model_file(path)


def test_weights_too_large_for_half_precision_are_refused(tmp_path: Path) -> None:
    file = tiny_file()
    name = next(name for name in file.state if name.endswith("conv.weight"))
    file.state[name][0] = 1e6
    with pytest.raises(CheckpointError, match=f"does not fit float16.*{name}"):
        write_model_file(tmp_path / "m.safetensors", file, half=True)
    assert os.listdir(tmp_path) == []


def _header(file: ModelFile) -> dict[str, Any]:
    names = list(file.names.values())
    return {"kind": "model", "config": file.config.to_dict(), "names": names, "metadata": file.metadata}


def _wide(header: dict[str, Any]) -> None:
    header["config"]["backbone"]["channels"] = [65536] * 9


def _deep(header: dict[str, Any]) -> None:
    header["config"]["backbone"]["repeats"] = 60_000


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda header: header["names"].pop(), "2 class names, expected 3"),
        (lambda header: header["names"].append("d"), "4 class names, expected 3"),
        (lambda header: header.update(kind="training"), "not a model but a training state"),
        (lambda header: header.pop("names"), "damaged header"),
        (lambda header: header["config"].update(layout="v9"), "layout 'v9'"),
        (lambda header: header["config"].update(task="segment"), "segment"),
        (lambda header: header["config"]["backbone"].update(kind="os.system"), "choose from"),
        (lambda header: header["config"]["backbone"].update(channels="many"), "whole numbers"),
        (lambda header: header["config"]["heads"]["detect"].update(num_classes=10**9), "between 1 and"),
        (_wide, "expected shape"),
        (_deep, "60002 repeated units"),
    ],
)
def test_a_header_that_does_not_fit_is_refused_before_memory_is_taken(
    tmp_path: Path, edit: Callable[[dict[str, Any]], None], message: str
) -> None:
    file = tiny_file()
    header = _header(file)
    edit(header)
    path = tmp_path / "m.safetensors"
    write_tensors(path, file.state, header)
    with pytest.raises(CheckpointError, match=message) as caught:
        read_model_file(path)
    assert "m.safetensors" in str(caught.value)


def test_missing_unexpected_and_misshapen_tensors_are_listed(tmp_path: Path) -> None:
    file = tiny_file()
    state = dict(file.state)
    names = list(state)
    del state[names[0]]
    state[names[1]] = torch.zeros(2, 2)
    state["extra.weight"] = torch.zeros(1)
    path = tmp_path / "m.safetensors"
    write_tensors(path, state, _header(file))
    with pytest.raises(CheckpointError) as caught:
        read_model_file(path)
    message = str(caught.value)
    assert f"missing {names[0]}" in message
    assert f"{names[1]}: expected shape" in message
    assert "unexpected extra.weight" in message


def test_a_training_state_is_not_mistaken_for_a_model(tmp_path: Path) -> None:
    write_tensors(tmp_path / "last.state.safetensors", TENSORS, {"progress": {}})
    with pytest.raises(CheckpointError, match="training state"):
        read_model_file(tmp_path / "last.state.safetensors")


def test_a_file_of_a_later_format_says_so(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    entry = json.dumps({"format": 2, "sha256": "", "header": "{}"})
    path.write_bytes(safetensors.torch.save({"a": torch.zeros(1)}, {"yolov12": entry}))
    with pytest.raises(CheckpointError, match="format 2, this version reads 1"):
        read_model_file(path)


def _safetensors(header: bytes, data: bytes = b"", length: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def _row(shape: list[Any], start: int, stop: int, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (_safetensors(b"{}", length=2**63), "truncated"),
        (_safetensors(b"{}", length=2**32), "truncated"),
        (_safetensors(json.dumps({"a": _row([2], 0, 8), "b": _row([2], 4, 12)}).encode(), b"\0" * 12), "overlaps"),
        (_safetensors(json.dumps({"a": _row([1], 4, 8)}).encode(), b"\0" * 8), "gap"),
        (_safetensors(json.dumps({"a": _row([1], 0, 4)}).encode(), b"\0" * 9), "trailing bytes"),
        (_safetensors(json.dumps({"a": _row([4], 0, 16)}).encode(), b"\0" * 7), "truncated"),
        (_safetensors(json.dumps({"a": _row([2**40, 2**40], 0, 4)}).encode(), b"\0" * 4), "size of its shape"),
        (_safetensors(json.dumps({"a": _row([-1], -4, 0)}).encode()), "negative"),
        (_safetensors(json.dumps({"a": _row([1.0], 0, 4)}).encode(), b"\0" * 4), "fractional"),
        (_safetensors(json.dumps({"a": _row([1], 0, 4, "PICKLE")}).encode(), b"\0" * 4), "unknown type 'PICKLE'"),
        (_safetensors(b'{"a":{},"a":{}}'), "duplicate key"),
        (_safetensors(b'{"__metadata__":' + b"[" * 100_000 + b"]" * 100_000 + b"}"), "recursion"),
        (_safetensors(b'{"__metadata__":{"a":1}}'), "not text"),
        (_safetensors(b'{"\xff\xfe":{}}'), "utf-8"),
        (_safetensors(b'{"a":{"dtype":"F32","shape":[NaN],"data_offsets":[0,4]}}', b"\0" * 4), "NaN is not JSON"),
        (_safetensors(b'{"a":7}'), "invalid safetensors header"),
    ],
)
def test_a_bad_container_is_refused_from_its_header(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=message) as caught:
        read_model_file(path)
    assert str(caught.value).startswith(str(path))


def test_a_failed_write_keeps_the_previous_model(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    write_model_file(path, tiny_file())
    before = path.read_bytes()
    unwritable = dataclasses.replace(tiny_file(), metadata={"bad": object()})
    with pytest.raises(TypeError, match="cannot hold object"):
        write_model_file(path, unwritable)
    assert path.read_bytes() == before
