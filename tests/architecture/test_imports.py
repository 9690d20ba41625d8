"""The house: imports run one way, importing is silent, public names are what they are said to be."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src"
LAZY = {"", "cli"}  # the parts where imports inside functions are welcome

# part -> parts that it may import, besides itself
BASE = {"errors", "config", "ops", "atomic", "folders", "version", "keypoints"}
DATA = BASE | {"data", "results", "detections", "models"}
SCORES = DATA | {"postprocess", "checkpoint", "losses", "matching"}
ALLOWED = {
    "errors": set(),
    "version": set(),
    "keypoints": set(),
    "detections": {"results"},
    "atomic": {"errors"},
    "extras": {"errors"},
    "samples": {"config", "errors"},
    "artefact": {"errors", "config"},
    "config": {"errors"},
    "ops": {"errors"},
    "folders": {"errors", "atomic"},
    "download": {"errors", "atomic", "version"},
    "hub": {"errors", "config", "atomic", "download", "folders"},
    "models": {"errors", "config", "ops"},
    "results": {"errors", "drawing", "atomic", "extras"},
    "drawing": {"errors"},
    "data": BASE,
    "matching": {"errors", "ops", "data"},
    "losses": DATA,
    "postprocess": {"errors", "config", "data", "results", "detections"},
    "checkpoint": {"errors", "config", "ops", "models", "data", "atomic"},
    "metrics": DATA | {"matching", "postprocess"},
    "visualize": {"errors", "results", "drawing", "atomic"},
    "inference": SCORES | {"artefact", "extras"},
    "evaluation": SCORES | {"inference", "metrics", "drawing"},
    "export": SCORES | {"folders", "artefact", "extras", "inference", "metrics", "evaluation", "loading"},
    "tuning": SCORES | {"extras", "inference", "export", "folders", "loading", "samples"},
    "engine": SCORES | {"inference", "metrics", "evaluation", "folders", "drawing"},
    "api": None,
    "inspection": SCORES | {"inference", "evaluation", "engine", "loading", "samples"},
    "composition": {"errors", "config", "api"},
    "loading": SCORES | {"hub"},
    "cli": {"errors", "config", "version", "api", "hub", "loading"},
    "__main__": {"cli"},
    "": None,
}


def modules() -> dict[str, Path]:
    files = sorted((SOURCE / "yolov12").rglob("*.py"))
    names = [".".join(file.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__") for file in files]
    return dict(zip(names, files, strict=True))


MODULES = modules()


def imported(tree: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name in MODULES}


def part(module: str) -> str:
    words = module.split(".")
    return words[1] if len(words) > 1 else ""


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_one_way(module: str) -> None:
    allowed = ALLOWED[part(module)]
    used = {part(name) for name in imported(ast.parse(MODULES[module].read_text(encoding="utf8")))} - {part(module), ""}
    assert allowed is None or used <= allowed, f"{module} must not import {sorted(used - (allowed or set()))}"


def test_no_cycles() -> None:
    graph = {name: imported(ast.parse(file.read_text(encoding="utf8"))) - {name} for name, file in MODULES.items()}
    graph["yolov12"] = set()  # its imports are lazy: they run after everything is loaded
    state: dict[str, int] = {}

    def visit(name: str, path: tuple[str, ...]) -> None:
        state[name] = 1
        for other in graph[name]:
            assert state.get(other) != 1, f"import cycle: {' -> '.join([*path, other])}"
            if other not in state:
                visit(other, (*path, other))
        state[name] = 2

    for name in graph:
        if name not in state:
            visit(name, (name,))


@pytest.mark.parametrize("module", sorted(name for name in MODULES if part(name) not in LAZY))
def test_no_import_inside_a_function(module: str) -> None:
    tree = ast.parse(MODULES[module].read_text(encoding="utf8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    hidden = {name for function in functions for name in imported(function)}
    assert not hidden, f"{module} imports {sorted(hidden)} inside a function"


PROBE = """
import os, sys, threading
WATCHED = ("socket.connect", "os.mkdir", "os.putenv", "subprocess.Popen")
seen = []
def watch(event, args):
    writes = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
    if writes or event in WATCHED:
        seen.append((event, args))
sys.addaudithook(watch)
environment, threads = dict(os.environ), threading.active_count()
import yolov12
assert not {"torch", "cv2", "numpy"} & set(sys.modules)
assert dict(os.environ) == environment and threading.active_count() == threads
assert not seen, seen
"""
HELP = """
import sys
from yolov12.cli.main import main
try:
    main(["--help"])
except SystemExit as stop:
    assert stop.code == 0
assert not {"torch", "cv2", "numpy"} & set(sys.modules)
"""


def test_import_touches_nothing() -> None:
    subprocess.run([sys.executable, "-B", "-c", PROBE], check=True)


def test_help_needs_no_torch() -> None:
    done = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=True)
    assert "predict" in done.stdout


def test_public_names() -> None:
    import yolov12

    assert set(yolov12.__all__) == {
        *("EMBEDDED_MODELS", "YOLO", "Result", "__version__"),
        *("DetectionHead", "ExportedModel", "FPNPANNeck", "TransformerBackbone", "YoloV12"),
    }
    assert all(getattr(yolov12, name) is not None for name in yolov12.__all__)
    with pytest.raises(AttributeError, match="public names"):
        yolov12.Yolo  # noqa: B018
