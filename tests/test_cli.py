"""The command line: what it prints where, its exit codes, and that nothing refused leaves a trace."""

from __future__ import annotations

import builtins
import json
import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import pytest
import torch

import yolov12
from model_factory import official_state, save_network, tiny_file
from polite_stop import ask_to_stop
from scene_factory import eager_file, write_data, write_model, write_pictures
from yolov12 import __version__
from yolov12.checkpoint import read_model_file
from yolov12.cli.grammar import build_parser
from yolov12.cli.main import main
from yolov12.cli.running import gather_sources
from yolov12.cli.verbs import VERBS
from yolov12.errors import ConfigError
from yolov12.folders import cache_folder

TRAIN = (
    "--epochs", "1", "--imgsz", "64", "--batch", "3", "--workers", "0", "--optimizer", "AdamW", "--no-plots",
    "--device", "cpu",
)  # fmt: skip
VAL = ("--imgsz", "64", "--no-plots")
EXACT = ("--imgsz", "64", "--precision", "fp32", "--device", "cpu")


@dataclass(frozen=True)
class Done:
    """What one command did."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """Its error, which must be the one last line of stderr, without a traceback."""
        assert "Traceback" not in self.err
        errors = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert errors == self.err.splitlines()[-1:], self.err
        return errors[0]


Run = Callable[..., Done]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """`run("predict", path)` in an empty folder, without a network."""

    def refuse(*_: object) -> None:
        raise AssertionError("a test reached for the network")

    def call(*words: object) -> Done:
        capsys.readouterr()
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        return Done(code, captured.out, captured.err)

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return call


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with the classes of the data set."""
    return write_model(tmp_path_factory.mktemp("scorer") / "scorer.safetensors", ("even", "odd"))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture
def bad_image(tmp_path: Path) -> Path:
    path = tmp_path / "bad.jpg"
    path.write_bytes(b"\xff\xd8\xff\xe0 cut off")
    return path


def left_behind() -> list[str]:
    return sorted(str(path) for path in Path().rglob("*"))


# ---- predict ---------------------------------------------------------------------------------------------------------


def test_predict_prints_a_line_per_image(run: Run, model: Path, pictures: list[Path]) -> None:
    done = run("predict", pictures[0].parent, "--model", model, "--imgsz", 64)
    assert done.code == 0
    assert [line.split(": ")[0] for line in done.out.splitlines()] == [str(path) for path in pictures]
    assert "48x64" in done.out.splitlines()[1]
    assert "5 images, 0 skipped" in done.err
    assert left_behind() == []


def test_json_lines_in_input_order_and_nothing_else(
    run: Run, model: Path, pictures: list[Path], bad_image: Path
) -> None:
    sources = [pictures[3], bad_image, pictures[0], "gone.png", pictures[4]]
    done = run("predict", *sources, "--model", model, "--json", *EXACT)
    assert done.code == 1
    found = [json.loads(line) for line in done.out.splitlines()]
    assert [one["path"] for one in found] == [str(source) for source in sources]
    assert [one["error"] is None for one in found] == [True, False, True, False, True]
    assert [bool(one["detections"]) for one in found] == [True, False, True, False, True]
    assert set(found[0]["detections"][0]) == {"class", "name", "confidence", "box"}
    assert (found[0]["height"], found[0]["width"]) == (48, 64)
    assert done.err.splitlines() == ["5 inputs, 2 skipped"]
    folder = run("predict", pictures[0].parent, "--model", model, "--json", *EXACT)
    assert (folder.code, folder.err) == (0, "")
    together = [json.loads(line) for line in folder.out.splitlines()]
    assert [one["detections"] for one in (together[3], together[0], together[4])] == [
        found[place]["detections"] for place in (0, 2, 4)
    ]


def test_a_bad_image_alone_and_in_a_folder(run: Run, model: Path, pictures: list[Path], bad_image: Path) -> None:
    for extra in ([], ["--json"], ["--save"]):
        alone = run("predict", bad_image, "--model", model, *extra)
        assert (alone.code, alone.out) == (1, "")
        assert alone.error.startswith(f"error: {bad_image}: ")
    assert left_behind() == []
    for path in pictures[:2]:
        shutil.copy(path, bad_image.parent / "here")
    shutil.copy(bad_image, "a.jpg")
    inside = run("predict", Path.cwd(), "--model", model, "--imgsz", 64, "--save", "--project", "out")
    assert inside.code == 1
    assert len(inside.out.splitlines()) == 2
    assert "skipped: " in inside.err
    assert "a.jpg" in inside.err
    assert "3 images, 1 skipped" in inside.err
    report = json.loads(Path("out/predict/report.json").read_text())
    assert (report["read"], report["skipped"]) == (2, 1)
    assert "a.jpg" in report["reasons"][0]
    only = run("predict", f"{Path.cwd()}/*.jpg", "--model", model)
    assert (only.code, only.out) == (1, "")


def test_special_files_neither_block_nor_crash(run: Run, model: Path, pictures: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "special"
    folder.mkdir()
    shutil.copy(pictures[0], folder / "fine.png")
    os.mkfifo(folder / "fifo.jpg")
    (folder / "loop.jpg").symlink_to(folder / "loop.jpg")
    (folder / "isdir.jpg").mkdir()
    done = run("predict", folder, "--model", model, "--imgsz", 64, "--json")
    assert done.code == 1
    errors = {Path(one["path"]).name: one["error"] for one in map(json.loads, done.out.splitlines())}
    assert list(errors) == ["fifo.jpg", "fine.png", "isdir.jpg", "loop.jpg"]
    assert [name for name, error in errors.items() if error is None] == ["fine.png"]
    assert "not a regular file" in errors["fifo.jpg"]
    alone = run("predict", folder / "fifo.jpg", "--model", model)
    assert alone.code == 1
    assert "fifo.jpg: not a regular file" in alone.error


def test_the_kits_images(run: Run, model: Path, hostile: Callable[[str], Path]) -> None:
    """The whole folder in one go: one object per file, every refused file named, every file as it was."""
    folder = hostile("gen_images.py")

    def stamps() -> dict[str, tuple[int, int]]:
        files = (path for path in folder.iterdir() if path.is_file())
        return {path.name: (path.stat().st_mtime_ns, path.stat().st_size) for path in files}

    before = stamps()
    done = run("predict", folder, "--model", model, "--imgsz", 32, "--json")
    assert done.code == 1
    assert "Traceback" not in done.err
    found = {Path(one["path"]).name: one for one in map(json.loads, done.out.splitlines())}
    assert len(found) == len(done.out.splitlines()) > 80
    assert stamps() == before
    refused = {name: one["error"] for name, one in found.items() if one["error"] is not None}
    assert {"bomb_20k.png", "trunc_50.jpg", "text.jpg", "float32.tiff", "fifo.jpg"} <= refused.keys()
    assert not {"ok.jpg", "exif_6.jpg", "gray16.png", "cmyk.jpg", "1x100000.png", "jpeg_trailing.jpg"} & refused.keys()
    assert "limit" in refused["bomb_20k.png"]
    assert [name for name, error in refused.items() if name.isprintable() and name not in error] == []
    bomb = run("predict", folder / "bomb_20k.png", "--model", model, "--max-pixels", 1000)
    assert bomb.code == 1
    assert "400000000" in bomb.error


def test_sources_may_stand_anywhere(run: Run, model: Path, pictures: list[Path]) -> None:
    first, second, third = pictures[:3]
    common = ("--model", model, "--json")
    expected = [str(first), str(second), str(third)]
    for words in (
        (first, second, third, *common, "--imgsz", 64),
        (*common, "--imgsz", 64, first, second, third),
        (first, "--imgsz", 64, 96, second, *common, third),
        ("--imgsz", 64, *common, first, second, third),
        (*common, "--imgsz", 64, "--classes", 0, 1, first, second, third),
        (*common, "--imgsz", 64, "--classes", "b", first, second, third),
        (first, "--classes", "a", 2, second, "--imgsz", 64, third, *common),
    ):
        done = run("predict", *words)
        assert done.code == 0, done.err
        assert sorted(json.loads(line)["path"] for line in done.out.splitlines()) == expected


@pytest.mark.parametrize(
    ("after", "classes", "sources"),
    [
        ("0 1 img.jpg", ["0", "1"], ["img.jpg"]),
        ("cat gone/img dog 1", ["cat"], ["gone/img", "dog", "1"]),
        ("cat https://example.com/x", ["cat"], ["https://example.com/x"]),
        ("cat *.png", ["cat"], ["*.png"]),
        ("cat No.5 St.Bernard dog", ["cat", "No.5", "St.Bernard", "dog"], []),
        ("cat here", ["cat"], ["here"]),  # a folder that exists
        ("here 0", ["here", "0"], []),  # the first is a class, and a number is
    ],
)
def test_where_classes_end(run: Run, after: str, classes: list[str], sources: list[str]) -> None:
    for folder in ("here", "0"):
        Path(folder).mkdir()
    known, unknown = build_parser(VERBS).parse_known_args(["predict", "--classes", *after.split()])
    gather_sources(known, unknown)
    assert (known.classes, known.source) == (classes, sources)


def test_options_reach_the_prediction(run: Run, model: Path, pictures: list[Path]) -> None:
    def found(*words: object) -> list[dict[str, Any]]:
        done = run("predict", pictures[0], "--model", model, "--json", *words)
        assert done.code == 0, done.err
        return list(json.loads(done.out)["detections"])

    everything = found("--imgsz", 64)
    assert {one["name"] for one in found("--imgsz", 64, "--classes", "b")} == {"b"}
    assert {one["class"] for one in found("--imgsz", 64, "--classes", 0, "c")} == {0, 2}
    assert len(found("--imgsz", 64, "--max-det", 2)) == len(found("--imgsz", 64, "--max_det", 2)) == 2
    assert found("--imgsz", 64, 96) != everything
    assert found("--imgsz", 128, "--no-rect") != found("--imgsz", 128)
    assert found("--imgsz", 64, "--conf", 1) == []


def test_without_a_size_that_of_the_training_is_used(run: Run, data: Path, pictures: list[Path]) -> None:
    """Also of a foreign file; a header that names nonsense names none."""
    theirs = save_network(Path("theirs.pt"), eager_file(("even", "odd")), train_args={"imgsz": 96})
    odd = save_network(Path("odd.pt"), eager_file(("even", "odd")), train_args={"imgsz": -1})

    def found(model: Path, *words: object) -> tuple[Any, str]:
        done = run("predict", pictures[0], "--model", model, "--precision", "fp32", "--json", *words)
        return json.loads(done.out)["detections"], done.err

    assert found(theirs) == found(theirs, "--imgsz", 96) == (found(theirs)[0], "")
    assert found(theirs)[0] != found(odd)[0]
    assert found(odd) == found(odd, "--imgsz", 640)
    said = "imgsz 96: the size this model was trained at"
    for words in (("predict", pictures[0]), ("val", "--data", data, "--no-plots")):
        assert run(*words, "--model", theirs).err.splitlines().count(said) == 1
        assert "imgsz" not in run(*words, "--model", theirs, "--imgsz", 96).err
        assert "imgsz" not in run(*words, "--model", theirs, "--no-verbose").err
        assert "imgsz" not in run(*words, "--model", odd).err


def test_an_embedded_model_sees_its_own_size(run: Run) -> None:
    """The file of the package was trained at 320; its samples are found the same with and without saying so."""
    samples = Path(yolov12.__file__).parent / "assets" / "samples" / "detect"
    lines = [run("predict", samples, *words).out.splitlines() for words in ((), ("--imgsz", 320), ("--imgsz", 640))]
    default, trained, other = ([line.rsplit(", ", 1)[0] for line in one] for one in lines)
    assert default == trained != other


@pytest.mark.parametrize("encoding", ["ascii", "ascii:strict"])
def test_what_a_terminal_cannot_say_is_escaped(
    model: Path, pictures: list[Path], tmp_path: Path, encoding: str
) -> None:
    folder = tmp_path / "피é😀"
    folder.mkdir()
    shutil.copy(pictures[0], folder / "a.png")
    (folder / "b.png").write_text("no image")
    source = str(Path(yolov12.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": source, "PYTHONIOENCODING": encoding, "OMP_NUM_THREADS": "1"}
    for words in ((), ("--json",)):
        command = [sys.executable, "-m", "yolov12", "predict", folder, "--model", model, "--imgsz", "64", *words]
        done = subprocess.run(command, capture_output=True, env=environment, cwd=tmp_path, check=False)
        assert done.returncode == 1, done.stderr
        out = done.stdout.decode("ascii").splitlines()
        if words:
            assert [json.loads(line)["path"] for line in out] == [str(folder / name) for name in ("a.png", "b.png")]
        else:
            assert out[0].startswith(f"{tmp_path}/\\ud53c\\xe9\\U0001f600/a.png: 64x48")


def test_saving(run: Run, model: Path, pictures: list[Path]) -> None:
    done = run("predict", *pictures[:2], "--model", model, "--imgsz", 64, "--save", "--save-txt", "--name", "x")
    assert done.code == 0
    folder = Path("runs/detect/x")
    assert "results: runs/detect/x" in done.err
    assert sorted(path.name for path in folder.iterdir()) == ["0.jpg", "1.jpg", "labels", "report.json"]
    assert json.loads((folder / "report.json").read_text()) == {"read": 2, "skipped": 0, "reasons": []}


def test_the_first_command(run: Run) -> None:
    """`yolov12 predict`, nothing else, in an empty folder. Needs the model file of the package."""
    done = run("predict")
    assert done.code == 0, done.err
    assert len(done.out.splitlines()) == 3
    assert "RBC" in done.out
    assert len(list(Path("runs/detect/predict").glob("*.jpg"))) == 3


# ---- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("predict gone.jpg --model MODEL", "gone.jpg: no such file or folder"),
        ("predict gone/*.jpg --model MODEL", "gone/*.jpg: no images or videos there"),
        ("predict EMPTY --model MODEL", "no images or videos there"),
        ("predict PICTURE --model gone.pt", "gone.pt: neither a file nor a model name"),
        ("predict PICTURE --model PICTURE", "a PNG image, not a model file"),
        ("predict PICTURE --model EMPTY", "is a folder, not a model file"),
        ("predict PICTURE --model .", ".: is a folder, not a model file"),
        ("predict PICTURE --model yolov12n-bcd", "Did you mean 'yolov12n-bccd'?"),
        ("predict PICTURE --model yolov12n-mask", "neither a file nor a model name. Did you mean"),
        ("predict PICTURE --model yolov12x --layout v2", "layout 'v2': choose from turbo, v1.0"),
        ("predict PICTURE --model MODEL --layout v1.0", "holds a turbo model"),
        # how an option is written
        ("predict imgsz=320", "'imgsz=320' is not understood. Write: --imgsz 320"),
        ("predict PICTURE conf=0.5", "Write: --conf 0.5"),
        ("predict source=a.jpg", "Write: yolov12 predict a.jpg"),
        ("predict sorce=a.jpg", "Did you mean 'source'?"),
        ("predict model=best.pt source=a.jpg", "Write: --model best.pt"),
        ("predict imgs=320", "Did you mean '--imgsz'?"),
        ("predict --source x.jpg", "'--source' is not understood. Write: yolov12 predict x.jpg"),
        ("predict --model MODEL --source=x.jpg", "Write: yolov12 predict x.jpg"),
        ("predict --source", "Write: yolov12 predict SOURCE"),
        ("convert --input a.pt --output b.pt", "Write: yolov12 convert INPUT OUTPUT"),
        # a switch takes no value
        ("train --data x.yaml --amp false", "--amp false: takes no value. Write: --no-amp"),
        ("train --data x.yaml --plots=False", "--plots False: takes no value. Write: --no-plots"),
        ("train --data x.yaml --cos-lr True", "Write: --cos-lr"),
        ("train --data x.yaml --no-amp no", "--no-amp no: takes no value. Write: --amp"),
        ("train --data x.yaml amp=False", "Write: --no-amp"),
        ("predict PICTURE --save false", "--save false: takes no value. Write: --no-save"),
        ("predict PICTURE --save_txt=yes", "Write: --save_txt"),
        ("predict PICTURE save=True", "Write: --save"),
        ("train data=coco.yaml", "Write: --data coco.yaml"),
        ("val dat=coco.yaml --model MODEL", "Did you mean '--data'?"),
        ("predict PICTURE --imgz 64", "'--imgz' is not understood. Did you mean '--imgsz'?"),
        ("predict --imgz=64", "'--imgz=64' is not understood. Did you mean '--imgsz'?"),
        ("train --epoch 3", "Did you mean '--epochs'?"),
        ("train --data x.yaml --lr 0.1", "Did you mean '--lr"),
        ("predic a.jpg", "'predic' is not a command. Did you mean 'predict'? Commands: predict, train, val, info"),
        ("--imgsz 320", "'320'"),
        ("--help-me", "Did you mean '--help'?"),
        ("val", "required: --model"),
        ("convert a.pt", "required: output"),
        ("train --data", "--data: expected one argument"),
        # types and ranges, before the model is looked for or downloaded
        ("predict a.jpg --model yolov12x --imgsz 0", "--imgsz 0: must be between 32 and 8192"),
        ("predict a.jpg --model yolov12x --imgsz -32", "--imgsz -32: must be between"),
        ("predict a.jpg --model yolov12x --imgsz 100000", "--imgsz 100000: must be between"),
        ("predict a.jpg --model yolov12x --imgsz big", "--imgsz 'big': expected a whole number"),
        ("predict a.jpg --model yolov12x --imgsz 64 64 64", "--imgsz"),
        ("predict a.jpg --model yolov12x --conf nan", "--conf nan: must be between 0 and 1"),
        ("predict a.jpg --model yolov12x --batch 0", "--batch 0: must be between"),
        ("predict a.jpg --model yolov12x --precision fp61", "Did you mean 'fp16'?"),
        ("train --data x.yaml --model yolov12x --epochs -1", "--epochs -1: must be between"),
        ("train --data x.yaml --model yolov12x --epochs 1.5", "--epochs '1.5': expected a whole number"),
        ("train --data x.yaml --model yolov12x --lr0 1e8", "--lr0 1e+08: must be between"),
        ("train --data x.yaml --model yolov12x --optimizer adamw", "Did you mean 'AdamW'?"),
        ("val --data x.yaml --model yolov12x --split vall", "Did you mean 'val'?"),
        ("predict PICTURE --model MODEL --classes cat", "--classes 'cat': the model has no such class"),
        ("predict PICTURE --model MODEL --device gpu", "--device 'gpu': expected"),
        ("predict PICTURE --model MODEL --half --precision bf16", "contradict each other"),
        ("train --model MODEL", "--data is missing"),
        ("train --model MODEL --data gone.yaml", "gone.yaml: No such file"),
        ("train --model MODEL --resume", "--resume needs the run's own file"),
        ("val --model MODEL", "--data is missing"),
        ("info gone.pt", "gone.pt: neither a file nor a model name"),
        ("info yolov12n --imgsz 100", "multiples of 32; the nearest is 96x96"),
        ("info yolov12n --imgsz big", "invalid int value: 'big'"),
        ("convert gone.pt out.safetensors", "gone.pt: neither a file nor a model name"),
        ("convert MODEL out.onnx", "must end in .safetensors or .pt"),
        ("convert yolov12x out.onnx", "must end in .safetensors or .pt"),
    ],
)
def test_refused_in_one_line_with_exit_code_2(
    run: Run, model: Path, pictures: list[Path], tmp_path: Path, words: str, message: str
) -> None:
    places = {"MODEL": str(model), "PICTURE": str(pictures[0]), "EMPTY": str(tmp_path / "empty")}
    (tmp_path / "empty").mkdir()
    done = run(*(places.get(word, word) for word in words.split()))
    assert done.code == 2
    assert message in done.error
    assert done.out == ""
    assert left_behind() == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--device cuda:99", "CUDA devices visible to torch; use --device cpu"),
        ("--device 99", "use --device cpu"),
        ("--model yolov12x --offline", "yolov12x: not downloaded yet"),
        ("--offline https://example.com/a.jpg", "https://example.com/a.jpg: is not fetched in an offline run"),
    ],
)
def test_what_the_machine_lacks_is_exit_code_3(
    run: Run, model: Path, pictures: list[Path], words: str, message: str
) -> None:
    done = run("predict", pictures[0], "--model", model, *words.split())
    assert done.code == 3
    assert message in done.error


@pytest.mark.parametrize("verb", [("predict", "a.jpg", "--model"), ("train", "--model"), ("info",), ("convert",)])
def test_an_empty_model_name(run: Run, verb: tuple[str, ...]) -> None:
    done = run(*verb, "", *(["out.pt"] if verb == ("convert",) else []))
    assert done.code == 2
    assert "the model's name is empty" in done.error


def test_the_environment_says_offline(run: Run, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YOLOV12_OFFLINE", "1")
    done = run("predict", "a.jpg", "https://example.com/a.jpg", "--model", model, "--json")
    assert (done.code, done.out) == (3, "")
    assert "is not fetched in an offline run" in done.error


def test_a_file_may_be_called_like_a_truth_value(run: Run, model: Path, pictures: list[Path]) -> None:
    shutil.copy(pictures[0], "on")
    assert run("predict", "--model", model, "--no-save", "on", "--imgsz", 64).code == 0


def test_a_window_that_cannot_open_says_what_to_install(
    run: Run, model: Path, pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def headless(*_: object) -> None:
        raise cv2.error("no window")

    monkeypatch.setattr("cv2.imshow", headless)
    done = run("predict", pictures[0], "--model", model, "--imgsz", 64, "--show")
    assert done.code == 3
    assert "pip install opencv-python" in done.error


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/nothing"])
def test_a_project_folder_that_cannot_be(
    run: Run, model: Path, scorer: Path, data: Path, pictures: list[Path], place: str
) -> None:
    Path("file").write_text("")
    for words in (
        ("predict", pictures[0], "--model", model, "--imgsz", 64, "--save"),
        ("val", "--data", data, "--model", scorer, *VAL),
        ("train", "--data", data, "--model", model, *TRAIN),
    ):
        done = run(*words, "--project", place)
        assert done.code == 2, words
        assert f"--project {place}: cannot create the run folder" in done.error
    assert left_behind() == ["file"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_project_folder_that_is_read_only(run: Run, model: Path, pictures: list[Path]) -> None:
    Path("locked").mkdir(mode=0o500)
    done = run("predict", pictures[0], "--model", model, "--imgsz", 64, "--save", "--project", "locked")
    assert done.code == 2
    assert "Permission denied" in done.error


# ---- errors in general -----------------------------------------------------------------------------------------------


def test_debug_shows_where(run: Run) -> None:
    for words in (("predict", "--debug", "a.jpg", "--model", "gone.pt"), ("--debug", "predict", "--wrong")):
        done = run(*words)
        assert done.code == 2
        assert "Traceback (most recent call last)" in done.err
        assert done.err.splitlines()[-1].startswith("error: ")


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "error: interrupted"),
        (MemoryError(), 4, "error: out of memory"),
        (PermissionError(13, "Permission denied", "a/b"), 2, "error: a/b: Permission denied"),
        (OSError(30, "Read-only file system", "a/b"), 2, "error: a/b: Read-only file system"),
        (ModuleNotFoundError("none", name="torch"), 3, "error: this needs torch: pip install 'yolov12[cpu]'"),
        (ModuleNotFoundError("no such", name="other"), 70, "error: internal error, please report it: ModuleNotFound"),
        (RuntimeError("odd"), 70, "error: internal error, please report it: RuntimeError: odd (--debug shows where)"),
    ],
)
def test_other_ends(run: Run, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, message: str) -> None:
    def fail(words: list[str]) -> int:
        raise error

    monkeypatch.setattr("yolov12.cli.main.run", fail)
    done = run("models")
    assert done.code == code
    assert done.error.startswith(message)


def test_a_request_to_end_leaves_nothing_half_written(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    tidied = []

    def work(words: list[str]) -> int:
        try:
            ask_to_stop()
        finally:
            tidied.append(words)
        return 0

    monkeypatch.setattr("yolov12.cli.main.run", work)
    before = signal.getsignal(signal.SIGTERM)
    done = run("models")
    assert (done.code, done.error) == (143, "error: interrupted")
    assert tidied == [["models"]]

    def wrap(words: list[str]) -> int:
        try:
            return work(words)
        except KeyboardInterrupt:
            raise ConfigError("what a library made of it") from None

    monkeypatch.setattr("yolov12.cli.main.run", wrap)
    assert run("models").code == 143
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_reader_that_has_gone_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "yolov12", "models"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


def test_help_and_version(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run().out.startswith("usage: yolov12")
    for words, text in (
        (["--version"], f"yolov12 {__version__}"),
        (["--help"], "find objects in images"),
        (["predict", "--help"], "--imgsz IMGSZ"),
        (["train", "--help"], "--epochs EPOCHS"),
        (["train", "--help"], "--plots, --no-plots"),
        (["train", "--help"], "--cos-lr, --no-cos-lr, --cos_lr, --no-cos_lr"),
        (["predict", "--help"], "--rect, --no-rect"),
        (["predict", "--help"], "--classes takes the word that"),
    ):
        with pytest.raises(SystemExit) as stopped:
            main(words)
        assert stopped.value.code == 0
        assert text in capsys.readouterr().out


class Payload:
    """Pickles as a call that leaves a marker."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return builtins.open, (str(self.marker), "w")


@pytest.mark.parametrize("form", ["zip", "pickle"])
def test_an_unsafe_checkpoint_runs_nothing(
    run: Run, data: Path, pictures: list[Path], tmp_path: Path, form: str
) -> None:
    evil, marker = tmp_path / "evil.pt", tmp_path / "PWNED"
    if form == "zip":
        torch.save({"model": Payload(marker)}, evil)
    else:
        evil.write_bytes(pickle.dumps(Payload(marker)))
    for words in (
        ("predict", pictures[0], "--model", evil),
        ("val", "--data", data, "--model", evil),
        ("train", "--data", data, "--model", evil),
        ("train", "--resume", "--model", evil),
        ("info", evil),
        ("convert", evil, "out.safetensors"),
    ):
        done = run(*words)
        assert done.code == 2, words
        assert f"{evil}: unsafe global" in done.error
        assert "open" in done.error
        assert not marker.exists()
    assert left_behind() == []


def test_the_kits_checkpoints(run: Run, hostile: Callable[[str], Path], pictures: list[Path]) -> None:
    samples = hostile("gen_checkpoints.py")
    for evil in sorted(samples.glob("evil_*.pt")):
        done = run("predict", pictures[0], "--model", evil)
        assert done.code == 2
        assert f"{evil}: " in done.error
        assert "unsafe global" in done.error
    assert list(samples.parent.rglob("PWNED_*")) == []


# ---- info, models, convert -------------------------------------------------------------------------------------------


def test_info(run: Run, model: Path) -> None:
    described = run("info", model, "--imgsz", 64)
    assert described.code == 0
    assert "backbone.stem" in described.out
    assert "attention kernel" in described.out
    values = json.loads(run("info", model, "--imgsz", 64, "--json").out)
    assert values["imgsz"] == [64, 64]
    assert values["parameters"] == sum(layer["parameters"] for layer in values["layers"])
    assert f"{values['parameters']:,}" in described.out


@pytest.mark.parametrize(
    ("words", "parameters", "gflops"),
    [(("yolov12n",), 2_553_904, 6.0), (("yolo12n.pt", "--layout", "v1.0"), 2_602_288, 6.7)],
)
def test_info_of_a_published_name_downloads_nothing(
    run: Run, words: tuple[str, ...], parameters: int, gflops: float
) -> None:
    done = run("info", *words, "--json")
    assert done.code == 0
    values = json.loads(done.out)
    assert values["parameters"] == parameters
    assert values["gflops"] == pytest.approx(gflops, rel=0.05)


def test_models(run: Run) -> None:
    done = run("models")
    assert done.code == 0
    assert {"yolov12n-bccd", "yolov12x"} <= set(done.out.split())
    assert "AGPL-3.0" in done.out


@pytest.mark.parametrize("layout", ["turbo", "v1.0"])
def test_convert_there_and_back(run: Run, layout: str) -> None:
    file = tiny_file(layout, ("cat", "dog"))
    save_network(Path("theirs.pt"), file)
    done = run("convert", "theirs.pt", "ours.safetensors")
    assert (done.code, done.out) == (0, f"ours.safetensors: yolov12n {layout}, detect, 2 classes\n")
    ours = read_model_file(Path("ours.safetensors"))
    assert ours.names == {0: "cat", 1: "dog"}
    assert run("convert", "ours.safetensors", "plain.pt").code == 0
    plain = torch.load("plain.pt", weights_only=True)
    expected = official_state(ours)
    assert list(plain) == list(expected)
    assert all(torch.equal(plain[name], expected[name]) for name in expected)
    assert run("convert", "plain.pt", "again.safetensors").code == 0
    again = read_model_file(Path("again.safetensors"))
    assert all(torch.equal(again.state[name], ours.state[name]) for name in ours.state)


def test_convert_by_name(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """An embedded model, a cached one of the layout that is named, and a missing `.pt` beside our file."""
    assert run("convert", "yolov12n-bccd", "bccd.safetensors").code == 0
    assert read_model_file(Path("bccd.safetensors")).names == {0: "RBC", 1: "WBC", 2: "Platelets"}
    cached = cache_folder() / "models" / "v1.0" / "yolov12l.pt"
    cached.parent.mkdir(parents=True, exist_ok=True)
    torch.save(official_state(tiny_file("v1.0")), cached)
    done = run("convert", "yolov12l", "l.safetensors", "--layout", "v1.0", "--offline")
    assert done.code == 0, done.err
    assert read_model_file(Path("l.safetensors")).metadata["licence"] == "AGPL-3.0"
    assert run("convert", "yolov12l", "l2.safetensors", "--offline").code == 3
    assert "using l.safetensors" in run("convert", "l.pt", "plain.pt").err
    assert left_behind() == ["bccd.safetensors", "l.safetensors", "plain.pt"]


def test_a_conversion_keeps_its_input(run: Run) -> None:
    save_network(Path("theirs.pt"), tiny_file(names=("cat", "dog")))
    Path("link.pt").symlink_to("theirs.pt")
    before = Path("theirs.pt").read_bytes()
    for words in (("theirs.pt", "theirs.pt"), ("theirs.pt", "./link.pt"), ("link.pt", Path.cwd() / "theirs.pt")):
        done = run("convert", *words)
        assert done.code == 2
        assert "is the file to convert, which would be lost; name another file" in done.error
    assert Path("theirs.pt").read_bytes() == before
    assert Path("link.pt").is_symlink()


def test_a_failed_conversion_leaves_no_file(run: Run, model: Path) -> None:
    Path("cut.safetensors").write_bytes(model.read_bytes()[:-100])
    Path("old.pt").write_text("precious")
    for source, target, message in (
        ("cut.safetensors", "new.pt", "cut.safetensors: "),
        ("cut.safetensors", "old.pt", "cut.safetensors: "),
        (str(model), "absent/new.pt", "absent/new.pt: cannot be written"),
    ):
        done = run("convert", source, target)
        assert done.code == 2
        assert message in done.error
    assert left_behind() == ["cut.safetensors", "old.pt"]
    assert Path("old.pt").read_text() == "precious"


# ---- train and val ---------------------------------------------------------------------------------------------------


def test_train_then_val(run: Run, model: Path, data: Path) -> None:
    done = run("train", "--data", data, "--model", model, *TRAIN, "--project", "runs", "--name", "t")
    assert done.code == 0, done.err
    assert "results: runs/t" in done.out
    assert "even" in done.out
    assert "train: 6 images" in done.err
    assert "val: 6 images" in done.err
    for name in ("weights/best.safetensors", "weights/last.safetensors", "results.csv", "report.json", "config.json"):
        assert Path("runs/t", name).is_file(), name
    text = run("val", "--data", data, "--model", "runs/t/weights/best.pt", *VAL)
    assert text.code == 0
    assert "even" in text.out
    assert "results: runs/detect/val" in text.out
    as_json = run("val", "--model", "runs/t/weights/best.pt", *VAL, "--json")
    assert as_json.code == 0
    assert json.loads(as_json.out)["save_dir"] == "runs/detect/val2"
    again = run("train", "--resume", "--model", "runs/t/weights/last.safetensors")
    assert again.code == 0
    assert "already complete" in again.err


def test_training_needs_no_download(run: Run, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a model, or without its weights, nothing is fetched; naming published weights is asking for them."""
    asked: list[dict[str, Any]] = []

    class Stopped(Exception):
        pass

    def stop(resolved: Any, architecture: Any, start: Any, say: Any) -> None:
        asked.append({"variant": architecture.variant, "start": start})
        raise Stopped

    monkeypatch.setattr("yolov12.api.model.start_training", stop)
    for words in ((), ("--model", "yolov12n.yaml"), ("--model", "yolov12n", "--no-pretrained")):
        assert "Stopped" in run("train", "--data", data, *words).error
    assert asked == [{"variant": "yolov12n", "start": None}] * 3
    assert run("train", "--data", data, "--model", "yolov12l", "--offline").code == 3


@pytest.fixture
def bad_data(tmp_path: Path) -> Path:
    """Two bad label rows and a broken image in train, one bad row in val."""
    path = write_data(tmp_path / "bad")
    labels = path.parent / "labels"
    with (labels / "train" / "1.txt").open("a") as file:
        file.write("0 0.5 nan 0.1 0.1\n7 0.5 0.5 0.1 0.1\n")
    (labels / "val" / "2.txt").write_text("0 0.5 0.5 1.5 0.1\n")
    image = path.parent / "images" / "train" / "3.png"
    image.write_bytes(image.read_bytes()[:-40])
    return path


def test_bad_labels_are_listed_and_nothing_is_written(run: Run, model: Path, scorer: Path, bad_data: Path) -> None:
    done = run("train", "--data", bad_data, "--model", model, *TRAIN)
    assert (done.code, done.out) == (2, "")
    assert "Traceback" not in done.err
    assert [line for line in done.err.splitlines() if line.startswith("error: ")] == [
        line for line in done.err.splitlines() if str(bad_data) in line
    ]
    for finding in ("train/1.txt:2: ", "train/1.txt:3: ", "train/3.png: ", "--on-bad-label skip"):
        assert finding in done.err
    assert run("val", "--data", bad_data, "--model", scorer, *VAL).code == 2
    assert left_behind() == []


def test_skipping_bad_labels_is_counted_and_shows_in_the_exit_code(
    run: Run, model: Path, scorer: Path, bad_data: Path
) -> None:
    skip = ("--data", bad_data, "--on-bad-label", "skip")
    scored = run("val", *skip, "--model", scorer, *VAL)
    assert scored.code == 1
    assert "label rows skipped 1" in scored.err
    trained = run("train", *skip, "--model", model, *TRAIN, "--name", "t")
    assert trained.code == 1
    assert "train: 5 of 6 images" in trained.err
    report = json.loads(Path("runs/detect/t/report.json").read_text())
    assert (report["train"]["skipped"], report["train"]["rows_skipped"], report["val"]["rows_skipped"]) == (1, 2, 1)


def test_other_classes_than_the_models(run: Run, model: Path, data: Path) -> None:
    done = run("val", "--data", data, "--model", model, *VAL)
    assert done.code == 2
    assert "the data set has 2 classes, the model knows 3: a, b, c" in done.error
    assert left_behind() == []
