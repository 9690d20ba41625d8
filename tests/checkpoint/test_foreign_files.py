"""Files of other projects: pickled networks and plain state dicts, read exactly and refused clearly."""

from __future__ import annotations

import io
import math
import os
import pickle
import subprocess
import sys
import textwrap
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from model_factory import official_state, pickled_network, save_foreign, save_network, tiny_file
from yolov12.checkpoint import convert, foreign, read_model_file
from yolov12.checkpoint.inert import UnsafeGlobalError
from yolov12.data.contract import contract
from yolov12.errors import CheckpointError

LAYOUTS = ["turbo", "v1.0"]


def assert_same_weights(found: dict[str, Tensor], expected: dict[str, Tensor], *, half: bool) -> None:
    assert list(found) == list(expected)
    for name, value in expected.items():
        stored = value.half().float() if half and value.is_floating_point() else value
        assert found[name].dtype == value.dtype
        assert torch.equal(found[name], stored), name


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_pickled_network_is_read_without_its_classes(tmp_path: Path, layout: str) -> None:
    file = tiny_file(layout)
    entries = {
        "license": "AGPL-3.0", "date": "2025-03-08", "train_args": {"epochs": 3, "nested": {}, "lr0": 0.01},
        "train_metrics": {"fitness": 0.5, "broken": math.nan}, "scalar": np.float64(1.0),
    }  # fmt: skip
    found = read_model_file(save_network(tmp_path / "net.pt", file, **entries))
    assert "ultralytics" not in sys.modules
    assert (found.config, found.names) == (file.config, file.names)
    assert_same_weights(found.state, file.state, half=True)
    assert found.metadata["task"] == "detect"
    assert found.metadata["layout"] == layout
    assert found.metadata["producer"] == "ultralytics 8.3.63"
    assert found.metadata["licence"] == "AGPL-3.0"
    assert found.metadata["training"] == {"epochs": 3, "lr0": 0.01}
    assert found.metadata["metrics"] == {"fitness": 0.5}
    assert found.metadata["source"] == "net.pt"


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("task", ["segment", "classify", "pose", "obb"])
def test_pickled_networks_of_every_task_are_read(tmp_path: Path, task: str, layout: str) -> None:
    """Six keypoints of two numbers: what only the file's own `kpt_shape` tells from four of three."""
    file = tiny_file(layout, task=task, keypoints=(6, 2))
    found = read_model_file(save_network(tmp_path / "net.pt", file))
    assert not {"ultralytics", "torchvision"} & set(sys.modules)
    assert (found.config, found.names) == (file.config, file.names)
    assert_same_weights(found.state, file.state, half=True)
    assert found.metadata["task"] == task
    assert found.metadata["preprocess"] == contract(task)


@pytest.mark.parametrize("shape", [(6, 2), [6, 2]])
def test_keypoints_may_be_said_by_the_network_or_its_head(tmp_path: Path, shape: Any) -> None:
    file = tiny_file(task="pose", keypoints=(6, 2))
    network = pickled_network(official_state(file), kpt_shape=shape)
    found = read_model_file(save_foreign(tmp_path / "net.pt", {"model": network}))
    assert found.config == file.config
    plain = pickled_network(official_state(file))
    assert read_model_file(save_foreign(tmp_path / "net.pt", {"model": plain})).config != file.config


def test_the_weight_average_is_preferred(tmp_path: Path) -> None:
    model, average = tiny_file(), tiny_file()
    name = next(iter(average.state))
    average.state[name] += 1
    networks = {
        entry: pickled_network(official_state(file), names=["a", "b", "c"])
        for entry, file in (("model", model), ("ema", average))
    }
    found = read_model_file(save_foreign(tmp_path / "net.pt", networks))
    assert_same_weights(found.state, average.state, half=False)
    found = read_model_file(save_foreign(tmp_path / "net.pt", {**networks, "ema": None}))
    assert_same_weights(found.state, model.state, half=False)


def test_a_network_saved_alone_is_read(tmp_path: Path) -> None:
    file = tiny_file()
    found = read_model_file(save_foreign(tmp_path / "net.pt", pickled_network(official_state(file))))
    assert found.names == {0: "0", 1: "1", 2: "2"}
    assert_same_weights(found.state, file.state, half=False)


PLACES: dict[str, Callable[[Any], Any]] = {
    "alone": lambda state: state,
    "model": lambda state: {"model": state, "epoch": 3},
    "state_dict": lambda state: {"state_dict": state, "names": ["x", "y", "z"]},
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_plain_state_dicts_are_read(tmp_path: Path, place: str, dtype: torch.dtype) -> None:
    file = tiny_file()
    state = {
        name: value.to(dtype) if value.is_floating_point() else value for name, value in official_state(file).items()
    }
    torch.save(PLACES[place](state), tmp_path / "net.pt")
    found = read_model_file(tmp_path / "net.pt")
    expected = {
        name: value.to(dtype).float() if value.is_floating_point() else value for name, value in file.state.items()
    }
    assert_same_weights(found.state, expected, half=False)
    assert list(found.names.values()) == (["x", "y", "z"] if place == "state_dict" else ["0", "1", "2"])


@pytest.mark.parametrize("position_bias", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_convert_to_the_published_form_and_back_is_bit_exact(tmp_path: Path, layout: str, position_bias: bool) -> None:
    file = tiny_file(layout, position_bias=position_bias)
    state = official_state(file)
    assert any(name.endswith("pe.conv.bias") for name in state) == position_bias
    torch.save(state, tmp_path / "one.pt")
    convert(tmp_path / "one.pt", tmp_path / "two.safetensors")
    convert(tmp_path / "two.safetensors", tmp_path / "three.pt")
    found = torch.load(tmp_path / "three.pt", weights_only=True)
    assert list(found) == list(state)
    assert all(torch.equal(found[name], value) and found[name].dtype == value.dtype for name, value in state.items())
    assert (tmp_path / "three.pt").stat().st_size < 1.3 * (tmp_path / "one.pt").stat().st_size


def test_safetensors_with_published_keys_are_read(tmp_path: Path) -> None:
    file = tiny_file("v1.0")
    safetensors.torch.save_file(official_state(file), tmp_path / "net.safetensors")
    assert_same_weights(read_model_file(tmp_path / "net.safetensors").state, file.state, half=False)


def test_counters_and_the_constant_may_be_missing(tmp_path: Path) -> None:
    file = tiny_file()
    optional = ("num_batches_tracked", "dfl.conv.weight")
    torch.save(
        {name: value for name, value in official_state(file).items() if not name.endswith(optional)}, tmp_path / "n"
    )
    assert_same_weights(read_model_file(tmp_path / "n").state, file.state, half=False)


@pytest.mark.parametrize(("name", "half"), [("out.onnx", False), ("out", False), ("out.pt", True)])
def test_convert_refuses_what_it_cannot_write(tmp_path: Path, name: str, half: bool) -> None:
    source = tmp_path / "in.pt"
    torch.save(official_state(tiny_file()), source)
    with pytest.raises(CheckpointError, match=r"must end in|float32"):
        convert(source, tmp_path / name, half=half)
    assert os.listdir(tmp_path) == ["in.pt"]


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.", "module.model.", "net.detector."])
def test_what_wrappers_put_in_front_of_the_keys_is_taken_off(tmp_path: Path, prefix: str) -> None:
    file = tiny_file()
    torch.save({f"{prefix}{name}": value for name, value in official_state(file).items()}, tmp_path / "net.pt")
    assert_same_weights(read_model_file(tmp_path / "net.pt").state, file.state, half=False)


def test_tensors_may_share_one_storage_and_names_may_have_text_keys(tmp_path: Path) -> None:
    file = tiny_file()
    official = official_state(file)
    floating = {name: value for name, value in official.items() if value.is_floating_point()}
    flat = torch.cat([value.flatten() for value in floating.values()])
    parts = flat.split([value.numel() for value in floating.values()])
    views = {name: part.view(value.shape) for (name, value), part in zip(floating.items(), parts, strict=True)}
    torch.save({"model": official | views, "names": {"0": "x", "1": "y", "2": "z"}}, tmp_path / "net.pt")
    found = read_model_file(tmp_path / "net.pt")
    assert_same_weights(found.state, file.state, half=False)
    assert found.names == {0: "x", 1: "y", 2: "z"}


# ---- refused ----------------------------------------------------------------------------------------------------


def edited(**changes: Any) -> dict[str, Tensor]:
    state = official_state(tiny_file())
    for name, value in changes.items():
        state[name] = value
    return state


def without(name: str) -> dict[str, Tensor]:
    state = official_state(tiny_file())
    del state[name]
    return state


BAD_STATES: dict[str, tuple[Callable[[], object], str]] = {
    "not finite": (lambda: edited(**{"model.7.bn.bias": torch.full((16,), torch.nan)}), "non-finite.*model.7.bn.bias"),
    "missing": (lambda: without("model.18.bn.weight"), "model.18.bn.weight"),
    "unexpected": (lambda: edited(**{"model.99.weight": torch.zeros(1)}), "model.99.weight"),
    "misshapen": (lambda: edited(**{"model.7.bn.bias": torch.zeros(5)}), r"model.7.bn.bias.*5.*16"),
    "wrong channels": (lambda: edited(**{"model.0.conv.weight": torch.zeros(8, 4, 3, 3)}), r"model.0.conv.weight.*4"),
    "no tensors": (lambda: {"epoch": 1, "note": "x"}, "no tensors among its entries.*'epoch'"),
    "empty": (dict, "holds no weights"),
    "a list": (lambda: [1, 2], "holds no weights"),
    "another network": (lambda: {"layer.weight": torch.zeros(3)}, "not a YOLOv12, YOLO11 or YOLOv8 model"),
}


@pytest.mark.parametrize("name", BAD_STATES)
def test_wrong_tensors_are_listed(tmp_path: Path, name: str) -> None:
    make, message = BAD_STATES[name]
    path = tmp_path / "net.pt"
    torch.save(make(), path)
    with pytest.raises(CheckpointError, match=message) as caught:
        read_model_file(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


BAD_ATTRIBUTES: dict[str, tuple[dict[str, Any], str]] = {
    "too few names": ({"names": {0: "a", 1: "b"}}, "2 class names, expected 3"),
    "too many names": ({"names": ["a", "b", "c", "d"]}, "4 class names, expected 3"),
    "names with a hole": ({"names": {0: "a", 1: "b", 5: "c"}}, "numbered 0 to 2"),
    "names that are no texts": ({"names": {0: 1, 1: 2, 2: 3}}, "names: expected class numbers and texts"),
    "names that are no list": ({"names": "abc"}, "names: expected class numbers and texts"),
    "another class count": ({"nc": 80}, "nc: the file says 80, its network has 3 class outputs"),
    "other keypoints": ({"kpt_shape": [17, 3]}, r"kpt_shape: the file says \[17, 3\], its network has 12 keypoint"),
    "another stride": ({"stride": torch.tensor([4.0, 8.0, 16.0])}, "stride: expected"),
}


@pytest.mark.parametrize("name", BAD_ATTRIBUTES)
def test_attributes_that_contradict_the_tensors_are_refused(tmp_path: Path, name: str) -> None:
    attributes, message = BAD_ATTRIBUTES[name]
    file = tiny_file(task="pose" if "kpt_shape" in attributes else "detect")
    network = pickled_network(official_state(file), **attributes)
    path = save_foreign(tmp_path / "net.pt", {"model": network})
    with pytest.raises(CheckpointError, match=message):
        read_model_file(path)


def test_bad_training_arguments_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="train_args: expected named values, found list"):
        read_model_file(save_network(tmp_path / "net.pt", tiny_file(), train_args=[1, 2]))


class Payload:
    """Unpickling creates a marker file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return open, (str(self.marker), "a")


@pytest.mark.parametrize("form", ["zip", "legacy", "raw", "first then garbage", "inside the network"])
def test_code_in_a_file_never_runs(tmp_path: Path, form: str) -> None:
    path, marker = tmp_path / "evil.pt", tmp_path / "ran"
    payload = {"model": Payload(marker), "epoch": 0}
    match form:
        case "zip":
            torch.save(payload, path)
        case "legacy":
            torch.save(payload, path, _use_new_zipfile_serialization=False)
        case "raw":
            path.write_bytes(pickle.dumps(payload, 2))
        case "first then garbage":
            path.write_bytes(pickle.dumps(payload, 2)[:-1] + b"X" * 64)
        case "inside the network":
            network = pickled_network(official_state(tiny_file()), callbacks=[Payload(marker)])
            save_foreign(path, {"model": network})
    with pytest.raises(UnsafeGlobalError, match=r"evil\.pt: unsafe global builtins\.open"):
        read_model_file(path)
    assert not marker.exists()


def test_a_legacy_file_without_code_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "old.pt"
    torch.save(official_state(tiny_file()), path, _use_new_zipfile_serialization=False)
    with pytest.raises(CheckpointError, match=r"before 1\.6.*save its state_dict again"):
        read_model_file(path)


def rewritten(path: Path, edit: Callable[[str, bytes], bytes | None], compression: int = zipfile.ZIP_STORED) -> Path:
    """The archive with each member passed through `edit`; None drops it."""
    with zipfile.ZipFile(path) as source:
        members = [(name, edit(name, source.read(name))) for name in source.namelist()]
    with zipfile.ZipFile(path, "w", compression) as target:
        for name, data in members:
            if data is not None:
                target.writestr(name, data)
    return path


def saved(tmp_path: Path) -> Path:
    torch.save(official_state(tiny_file()), tmp_path / "net.pt")
    return tmp_path / "net.pt"


def test_a_compressed_member_is_refused_before_it_is_inflated(tmp_path: Path) -> None:
    path = rewritten(saved(tmp_path), lambda name, data: data, zipfile.ZIP_DEFLATED)
    with pytest.raises(CheckpointError, match="compressed member"):
        read_model_file(path)


def test_a_missing_record_is_named(tmp_path: Path) -> None:
    path = rewritten(saved(tmp_path), lambda name, data: None if name.endswith("data/0") else data)
    with pytest.raises(CheckpointError, match=r"tensor record net/data/0 is missing"):
        read_model_file(path)


@pytest.mark.parametrize("size", [0, 1, 10**6])
def test_a_record_of_another_size_is_named(tmp_path: Path, size: int) -> None:
    path = rewritten(saved(tmp_path), lambda name, data: b"\0" * size if name.endswith("data/0") else data)
    with pytest.raises(CheckpointError, match=rf"tensor record net/data/0 has {size} bytes, the pickle says"):
        read_model_file(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("member", ["net/data.pkl", "net/data/0"])
def test_a_duplicate_member_is_refused(tmp_path: Path, member: str) -> None:
    path = saved(tmp_path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(member, b"another")
    with pytest.raises(CheckpointError, match=f"duplicate member {member}"):
        read_model_file(path)


def test_a_tensor_that_reaches_past_its_record_is_refused(tmp_path: Path) -> None:
    shape = b"(K\x08K\x03K\x03K\x03t"  # model.0.conv.weight: (8, 3, 3, 3)

    def enlarge(name: str, data: bytes) -> bytes:
        assert not name.endswith("data.pkl") or shape in data
        return data.replace(shape, shape.replace(b"\x08", b"\x09"), 1)

    with pytest.raises(CheckpointError, match="reaches past its record"):
        read_model_file(rewritten(saved(tmp_path), enlarge))


def test_the_size_budget_holds_before_memory_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path)
    monkeypatch.setattr(foreign, "MAX_PARAMETERS", 1000)
    with pytest.raises(CheckpointError, match="more than the limit of 1000"):
        read_model_file(path)
    monkeypatch.setattr(foreign, "MAX_TENSORS", 10)
    with pytest.raises(CheckpointError, match="tensors, more than the limit of 10"):
        read_model_file(path)


def test_a_tensor_that_repeats_one_number_counts_in_full(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    torch.save({"model.0.conv.weight": torch.zeros(1).expand(1 << 30)}, path)
    with pytest.raises(CheckpointError, match="1073741824 parameters, more than the limit"):
        read_model_file(path)


def test_a_network_that_contains_itself_is_refused(tmp_path: Path) -> None:
    network = pickled_network(official_state(tiny_file()))
    network._modules["again"] = network
    with pytest.raises(CheckpointError, match="contains itself"):
        read_model_file(save_foreign(tmp_path / "net.pt", {"model": network}))


def test_shared_parts_of_shared_parts_do_not_add_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of 20 levels holds the one below twice: a million parts in a file of a few kilobytes."""
    monkeypatch.setattr(foreign, "MAX_TENSORS", 2000)
    network = pickled_network({})
    for _ in range(20):
        above = pickled_network({})
        above.add_module("left", network)
        above.add_module("right", network)
        network = above
    with pytest.raises(CheckpointError, match="a network of more than 2000 parts"):
        read_model_file(save_foreign(tmp_path / "net.pt", {"model": network}))


def test_every_flipped_bit_in_weights_or_pickle_is_found(tmp_path: Path) -> None:
    path = save_network(tmp_path / "net.pt", tiny_file())
    data = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        members = [
            member for member in archive.infolist() if member.filename.endswith(("data.pkl", "/0", "/40", "/99"))
        ]
    for member in members:
        start = data.index(member.filename.encode()) + len(member.filename)
        padding = int.from_bytes(data[start - len(member.filename) - 2 : start - len(member.filename)], "little")
        for offset in (0, member.file_size // 2, member.file_size - 1):
            damaged = bytearray(data)
            damaged[start + padding + offset] ^= 0x40
            path.write_bytes(damaged)
            with pytest.raises(CheckpointError, match=r"net\.pt: checksum mismatch"):
                read_model_file(path)


@pytest.mark.parametrize("percent", [1, 10, 50, 90, 99])
def test_a_cut_archive_is_refused(tmp_path: Path, percent: int) -> None:
    path = saved(tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * percent // 100])
    with pytest.raises(CheckpointError, match=r"net\.pt: truncated or corrupted"):
        read_model_file(path)


WRONG_FILES = {
    b"": "empty file",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n": "git lfs pull",
    b"<!DOCTYPE html><html>404</html>": "HTML or XML page",
    b"\n <html>": "HTML or XML page",
    b"\x89PNG\r\n\x1a\n" + b"\0" * 100: "a PNG image",
    b"\xff\xd8\xff\xe0" + b"\0" * 100: "a JPEG image",
    b"\x08\x08\x12\x07pytorch": "ONNX",
    b"nc: 80\nbackbone:\n  - [-1, 1, Conv, [64, 3, 2]]\n": "layer-list YAML: name a preset",
    b"plain text": "not a model file",
    b"\0" * 4096: "not a model file",
    b"PK\x05\x06" + b"\0" * 18: "not a model file",
    b"PK\x03\x04" + b"\0" * 100: "truncated or corrupted zip",
}


@pytest.mark.parametrize("data", WRONG_FILES)
def test_other_files_are_refused_by_kind(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "net.pt"
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=WRONG_FILES[data]) as caught:
        read_model_file(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_an_archive_of_something_else_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "net.pt", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(CheckpointError, match=r"not one that torch\.save makes"):
        read_model_file(tmp_path / "net.pt")


@pytest.mark.parametrize("member", ["net/constants.pkl", "net/code/__torch__.py"])
def test_a_torchscript_archive_is_named(tmp_path: Path, member: str) -> None:
    path = saved(tmp_path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(member, b"")
    with pytest.raises(CheckpointError, match="a TorchScript archive"):
        read_model_file(path)


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such file"):
        read_model_file(tmp_path / "missing.pt")
    with pytest.raises(CheckpointError, match="is a folder"):
        read_model_file(tmp_path)


def test_two_threads_read_at_the_same_time(tmp_path: Path) -> None:
    files = {layout: tiny_file(layout) for layout in LAYOUTS}
    paths = {layout: save_network(tmp_path / f"{layout}.pt", file) for layout, file in files.items()}
    before = torch.serialization.get_safe_globals()
    failures: list[BaseException] = []

    def work(layout: str) -> None:
        try:
            for _ in range(3):
                assert_same_weights(read_model_file(paths[layout]).state, files[layout].state, half=True)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(layout,)) for layout in LAYOUTS * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert torch.serialization.get_safe_globals() == before


def test_importing_and_reading_registers_nothing_and_imports_nothing_of_the_file(tmp_path: Path) -> None:
    path = save_network(tmp_path / "net.pt", tiny_file())
    program = f"""
        import sys, torch
        from pathlib import Path
        before = torch.serialization.get_safe_globals()
        from yolov12.checkpoint import read_model_file
        read_model_file(Path({str(path)!r}))
        # torch itself registers some of its own when its lazily imported parts arrive.
        added = [item for item in torch.serialization.get_safe_globals() if item not in before]
        assert not [item for item in added if not str(item).startswith("<class 'torch.")], added
        assert not [name for name in sys.modules if name.startswith("ultralytics")]
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True)


def test_a_module_class_in_the_stream_is_never_imported(tmp_path: Path) -> None:
    """`torch.nn.` names are stand-ins too: one that does not exist is as good as one that does."""
    stream = io.BytesIO()
    torch.save({"model": nn.SiLU()}, stream)
    path = tmp_path / "net.pt"
    path.write_bytes(stream.getvalue())
    rewritten(path, lambda name, data: data.replace(b"activation\nSiLU", b"activation\nXiLU"))
    with pytest.raises(CheckpointError, match="not a YOLOv12, YOLO11 or YOLOv8 model: 0 tensors"):
        read_model_file(path)
