"""What the benchmarks share: the machine's description, and child processes that take turns on it.

A side of a comparison is one long-lived child process that reads JSON commands, one a line, and answers each with a
line. Because both sides live through the whole run, pairs can alternate without anyone starting cold. Nothing but the
standard library is needed to import this file, so that a peer's Python can.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

Predict = Callable[..., list[Any]]
"""`predict(source, **options)`: results with `.path` and `.boxes.data`, rows of x1, y1, x2, y2, score, class."""
LOG_LINES = 20


def machine() -> str:
    """One line: processor, cores, Python, torch."""
    import torch

    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    capability = torch.backends.cpu.get_cpu_capability()
    return (
        f"{model} ({capability}), {os.cpu_count()} cores, Python {platform.python_version()}, torch {torch.__version__}"
    )


def peer_environment(folder: Path) -> dict[str, str]:
    """Environment in which the peer neither installs nor downloads anything and keeps its settings in `folder`."""
    return {**os.environ, "YOLO_AUTOINSTALL": "False", "YOLO_OFFLINE": "True", "YOLO_CONFIG_DIR": str(folder)}


class Side:
    """The parent's end of one child process; what the child prints goes to `log`."""

    def __init__(self, command: list[str], start: Mapping[str, Any], log: Path, environment: Mapping[str, str]) -> None:
        self._log = log
        with log.open("wb") as stderr:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True, encoding="utf8",
                env={**environment, "OMP_NUM_THREADS": str(start["threads"])},
            )  # fmt: skip
        try:
            self.versions: dict[str, str] = self.ask(start)
        except BaseException:
            self._process.kill()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def ask(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """Send one command and wait for its answer. Raises RuntimeError with the child's error, or if it died."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the child process has no pipes")
        try:
            self._process.stdin.write(json.dumps(command) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise RuntimeError(self._last_words()) from None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(self._last_words())
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def _last_words(self) -> str:
        self._process.wait()
        lines = self._log.read_text(encoding="utf8", errors="replace").splitlines()[-LOG_LINES:]
        return "\n".join([f"a child process ended with status {self._process.returncode}:", *lines])


def serve(load: Callable[[Mapping[str, Any]], Predict], package: str, precision: Callable[[Any], str]) -> None:
    """Be a child: answer commands on stdin until it closes. `precision` says what one result was computed in.

    First command {"threads", ...what `load` needs}, answered with versions; then {"source", "options", "rows"},
    answered with seconds, images, precision, threads and, where `rows` is true, the detections by file name. Each set
    of options has a model of its own, so that no setting of the library survives from one to the next.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf8")
    os.dup2(2, 1)  # whatever a library prints must not mix with the answers
    start = json.loads(sys.stdin.readline())
    pin(start["threads"])
    modules = (package, "torch", "numpy", "cv2")
    versions = {name: str(importlib.import_module(name).__version__) for name in modules}
    print(json.dumps(versions), file=answers, flush=True)
    models: dict[str, Predict] = {}
    for line in sys.stdin:
        command = json.loads(line)
        key = json.dumps(command["options"], sort_keys=True)
        try:
            models[key] = models.get(key) or load(start)
            answer = timed(models[key], command, start["threads"], precision)
        except Exception as error:  # the parent decides: an option that a version refuses is only a candidate less
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


def timed(
    predict: Predict, command: Mapping[str, Any], threads: int, precision: Callable[[Any], str]
) -> dict[str, Any]:
    """Carry out one command."""
    import torch

    torch.set_num_threads(threads)  # a library may have changed it
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    started = time.perf_counter()
    results = predict(command["source"], **command["options"])
    detections = sum(len(result.boxes) for result in results)
    seconds = time.perf_counter() - started
    answer = {
        "seconds": seconds, "images": len(results), "detections": detections,
        "precision": precision(results[0]), "threads": torch.get_num_threads(),
        "memory": torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0,
    }  # fmt: skip
    if command["rows"]:
        answer["rows"] = {Path(result.path).name: result.boxes.data.tolist() for result in results}
    return answer


def pin(threads: int) -> None:
    """Keep this process, decoding threads included, on as many cores as it has threads (Linux only)."""
    if sys.platform == "linux":
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
