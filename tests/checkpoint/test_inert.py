"""The pickle reader gives the same plain values as pickle does, and runs nothing."""

from __future__ import annotations

import argparse
import collections
import datetime
import io
import pathlib
import pickle
import pickletools
import subprocess
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from yolov12.checkpoint import inert
from yolov12.checkpoint.inert import InertObject, UnsafeGlobalError, read_pickle
from yolov12.errors import CheckpointError

PLAIN = {
    "none": None, "yes": True, "no": False, "small": 3, "negative": -70_000, "large": 2**80, "real": 1.5,
    "text": "größe", "bytes": b"\0\xff", "list": [1, [2, "x"]], "tuple": (1, (2, 3), ()), "nested": {1: {"a": [None]}},
}  # fmt: skip


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_values_come_back_in_every_protocol(protocol: int) -> None:
    assert read_pickle(pickle.dumps(PLAIN, protocol)) == PLAIN


def test_a_shared_object_stays_shared() -> None:
    shared: list[Any] = []
    first, second = read_pickle(pickle.dumps([shared, shared]))
    assert first is second


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float64(0.25), 0.25),
        (np.int64(-7), -7),
        (np.bool_(True), True),
        (pathlib.PurePosixPath("runs/detect/best.pt"), "runs/detect/best.pt"),
        (collections.OrderedDict(a=1, b=2), {"a": 1, "b": 2}),
        ({"x"}, ["x"]),
        (frozenset({"x"}), ["x"]),
        (torch.Size([2, 3]), (2, 3)),
        (torch.device("cuda:1"), "cuda:1"),
    ],
)
def test_plain_data_of_libraries_becomes_plain_values(value: object, expected: object, protocol: int) -> None:
    assert read_pickle(pickle.dumps(value, protocol)) == expected


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (datetime.datetime(2025, 3, 8), "datetime.datetime"),
        (np.arange(3), "numpy.ndarray"),
        (np.dtype("f4"), "numpy.dtype"),
        (argparse.Namespace(imgsz=320), "argparse.Namespace"),
        (torch.nn.SiLU(), "torch.nn.modules.activation.SiLU"),
    ],
)
def test_objects_become_inert_ones_that_know_their_class(value: object, name: str) -> None:
    found = read_pickle(pickle.dumps(value, 2))
    assert isinstance(found, InertObject)
    assert found.type_name == name
    if isinstance(value, argparse.Namespace):
        assert found.state == {"imgsz": 320}


class Call:
    """Pickles as a call of `function`."""

    def __init__(self, function: Any, *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def test_a_member_of_a_network_s_enumeration_is_inert() -> None:
    """As Python 3.11 writes it (`getattr`), and as other versions do (a call of the class)."""
    call = b"\x80\x02cbuiltins\ngetattr\nctorchvision.transforms.functional\nInterpolationMode\nX\x04\0\0\0BEST\x86R."
    found = read_pickle(call)
    assert isinstance(found, InertObject)
    assert found.type_name == "torchvision.transforms.functional.InterpolationMode.BEST"
    other = b"\x80\x02ctorchvision.transforms.functional\nInterpolationMode\nX\x04\0\0\0best\x85R."
    assert read_pickle(other).arguments == ("best",)


@pytest.mark.parametrize("owner", [b"cbuiltins\nset\n", b"cpathlib\nPath\n", b"X\x01\0\0\0a", b"N"])
def test_getattr_of_anything_else_is_refused(owner: bytes) -> None:
    with pytest.raises(UnsafeGlobalError, match=r"unsafe global builtins\.getattr"):
        read_pickle(b"\x80\x02cbuiltins\ngetattr\n" + owner + b"X\x04\0\0\0open\x86R.")


@pytest.mark.parametrize("protocol", [0, 1, 2, 4])
@pytest.mark.parametrize(
    ("function", "arguments", "name"),
    [
        (open, ("{marker}", "a"), "builtins.open"),
        (eval, ("1",), "builtins.eval"),
        (getattr, (pathlib.Path, "touch"), "builtins.getattr"),
        (subprocess.Popen, (("touch", "{marker}"),), "subprocess.Popen"),
        (torch.load, ("{marker}",), "torch.serialization.load"),
        (pathlib.Path.touch, (pathlib.PurePosixPath("{marker}"),), "builtins.getattr"),
    ],
)
def test_a_call_of_anything_else_is_refused_by_name(
    function: Any, arguments: tuple[Any, ...], name: str, protocol: int, tmp_path: Path
) -> None:
    marker = tmp_path / "ran"
    filled = tuple(str(marker) if item == "{marker}" else item for item in arguments)
    data = pickle.dumps({"model": Call(function, *filled)}, protocol)
    with pytest.raises(UnsafeGlobalError, match=rf"unsafe global ({name}|commands\.Popen|pathlib\.Path\.touch):"):
        read_pickle(data)
    assert not marker.exists()


def test_what_comes_before_a_broken_end_does_not_run_either(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    with pytest.raises(UnsafeGlobalError, match=r"builtins\.open"):
        read_pickle(pickle.dumps(Call(open, str(marker), "a"), 2)[:-1] + b"X" * 64)
    assert not marker.exists()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"garbage",
        pickle.dumps(PLAIN)[:40],
        b"\x80\x02.",  # the end, with nothing on the stack
        b"\x80\x02h\x07.",  # a memo entry that was never made
        b"\x80\x02)R.",  # a call with one operand
        b"\x80\x02]K\x01R.",  # a call of a list
        b"\x80\x02K\x01K\x01a.",  # append to a number
        b"\x80\x02K\x01K\x01K\x02s.",  # set an item of a number
        b"\x80\x02}]K\x02s.",  # an unhashable key
        b"\x80\x02}(K\x01u.",  # a key without a value
        b"\x80\x02t.",  # a tuple without its mark
        b"\x80\x02K\x01Q.",  # a storage reference that is none
        b"\x80\x02\x82\x01.",  # the extension registry of the running process
        b"\x80\x02cpathlib\nPath\n(]]atR.",  # a path of lists
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(K\x01K\x00))tR.",  # a tensor of a number
    ],
)
def test_damage_is_one_kind_of_error(data: bytes) -> None:
    with pytest.raises(CheckpointError, match=r"damaged pickle|operation"):
        read_pickle(data)


def test_nested_tuples_as_keys_cannot_take_exponential_time() -> None:
    # (), ((),()), ... each level refers twice to the one below: 2 ** 60 visits when hashed.
    stream = b"\x80\x02}" + b")" + b"2\x86" * 60 + b"Ns."
    with pytest.raises(CheckpointError, match="nested tuple"):
        read_pickle(stream)


def test_the_number_of_operations_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inert, "MAX_OPERATIONS", 10)
    with pytest.raises(CheckpointError, match="more than 10 operations"):
        read_pickle(b"\x80\x02" + b"N" * 20 + b".")


def test_an_open_file_is_left_behind_the_pickle() -> None:
    stream = io.BytesIO(pickle.dumps(1, 2) + pickle.dumps("two", 2))
    assert [read_pickle(stream), read_pickle(stream)] == [1, "two"]


def test_every_operation_of_pickle_is_known_or_refused_on_purpose() -> None:
    known = inert._VALUES | inert._CONSTANTS.keys() | inert._IGNORED | inert._Machine().operations.keys()
    unused = {opcode.name for opcode in pickletools.opcodes} - known
    assert unused == {
        "EXT1", "EXT2", "EXT4", "OBJ", "PERSID", "BYTEARRAY8", "NEXT_BUFFER", "READONLY_BUFFER",
    }  # fmt: skip


def test_threads_do_not_meet_and_torch_is_left_alone() -> None:
    before = torch.serialization.get_safe_globals()
    data = pickle.dumps({"value": [torch.nn.SiLU(), np.float64(2.0)]}, 2)
    results: list[object] = []
    threads = [threading.Thread(target=lambda: results.append(read_pickle(data))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8
    assert torch.serialization.get_safe_globals() == before
