"""Every hostile or damaged model file of the kit is refused by name and kind, runs nothing, and takes little memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from yolov12.checkpoint import read_model_file
from yolov12.errors import CheckpointError

Hostile = Callable[[str], Path]

UNSAFE = r"unsafe global builtins\.open"
CUT = r"truncated or corrupted"
REFUSED = {
    "evil_zip.pt": UNSAFE,
    "evil_legacy.pt": UNSAFE,
    "evil_raw_pickle.pt": UNSAFE,
    "evil_first_then_garbage.pt": UNSAFE,
    "evil_pathlib_touch.pt": r"unsafe global (builtins\.getattr|pathlib\.)",
    "needs_missing_module.pt": r"unsafe global hostile_probe_pkg_not_on_pypi\.Ghost",
    "dup_data_pkl.pt": r"duplicate member archive/data\.pkl",
    "lying_storage_size.pt": r"the tensor record archive/data/0 has 64 bytes, the pickle says 8589934588",
    "missing_storage.pt": r"the tensor record archive/data/0 is missing",
    "deflate_bomb.pt": r"compressed member",
    "nan_weights.pt": r"non-finite values in conv\.weight",
    "wrong_shapes.pt": r"YOLO11 or YOLOv8 model: 1 tensors, first conv\.weight of shape \(8, 4, 3, 3\); expected",
    **{f"trunc_{percent}.pt": CUT for percent in ("00", "01", "10", "50", "90", "99")},
    "bitflip_0.pt": r"checksum mismatch",
    "bitflip_1.pt": r"checksum mismatch",
    "bitflip_2.pt": CUT,
    "png_renamed.pt": r"a PNG image",
    "html_404.pt": r"an HTML or XML page",
    "lfs_pointer.pt": r"a git-lfs pointer.*git lfs pull",
    "torchscript_renamed.pt": r"a TorchScript archive",
    "st_len_2e63.safetensors": CUT,
    "st_len_4g.safetensors": CUT,
    "st_overlap.safetensors": r"overlaps",
    "st_hole.safetensors": r"gap",
    "st_trailing.safetensors": r"trailing bytes",
    "st_dupkey.safetensors": r"duplicate key",
    "st_shape_overflow.safetensors": r"size of its shape",
    "st_neg.safetensors": r"negative",
    "st_deep.safetensors": r"recursion",
    "st_not_utf8.safetensors": r"utf-8",
    "st_baddtype.safetensors": r"unknown type 'PICKLE'",
    "st_trunc.safetensors": r"truncated",
    "st_nan_json.safetensors": r"NaN is not JSON",
}


@pytest.fixture(scope="module")
def samples(hostile: Hostile) -> Path:
    return hostile("gen_checkpoints.py")


def markers(samples: Path) -> list[Path]:
    """Files that a payload would have made."""
    return sorted(samples.parent.rglob("PWNED_*"))


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_one_line_that_names_file_and_kind(samples: Path, name: str) -> None:
    path = samples / name
    before = path.read_bytes()
    with pytest.raises(CheckpointError, match=REFUSED[name]) as caught:
        read_model_file(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2
    assert markers(samples) == []
    assert path.read_bytes() == before


def test_no_sample_of_the_kit_is_left_out(samples: Path) -> None:
    manifest = json.loads((samples / "MANIFEST_checkpoints.json").read_text())
    assert {row["file"] for row in manifest if not row["file"].endswith(".onnx")} == set(REFUSED)


def test_three_flips_in_a_genuine_checkpoint_are_found(shared: Path, tmp_path: Path) -> None:
    data = (shared / "data" / "checkpoints" / "ultralytics_v1_n_bccd.pt").read_bytes()
    for offset in (len(data) // 3, len(data) // 2, len(data) * 4 // 5):
        damaged = bytearray(data)
        damaged[offset] ^= 0x40
        path = tmp_path / "flipped.pt"
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"flipped\.pt: checksum mismatch"):
            read_model_file(path)


def test_the_whole_kit_takes_little_memory_and_starts_nothing(samples: Path, tmp_path: Path) -> None:
    """In a fresh process, with installers on the path that would tell on us, and no way to open a socket unseen."""
    (tmp_path / "bin").mkdir()
    for tool in ("pip", "pip3", "uv", "curl", "wget", "git"):
        script = tmp_path / "bin" / tool
        script.write_text(f"#!/bin/sh\ntouch {tmp_path}/PWNED_{tool}\n")
        script.chmod(0o755)
    program = f"""
        import resource, socket, sys
        from pathlib import Path
        from yolov12.checkpoint import read_model_file
        from yolov12.errors import CheckpointError

        forbidden = []
        watched = ("socket.connect", "subprocess.Popen", "os.exec", "os.system", "os.posix_spawn", "os.fork")
        sys.addaudithook(lambda event, _: forbidden.append(event) if event in watched else None)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for name in {sorted(REFUSED)!r}:
            try:
                read_model_file(Path({str(samples)!r}) / name)
                sys.exit(f"{{name}} was loaded")
            except CheckpointError:
                pass
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        assert grown < 50, grown
        assert not forbidden, forbidden
    """
    environment = {**os.environ, "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, env=environment)
    assert markers(samples) == []
    assert list(tmp_path.glob("PWNED_*")) == []
