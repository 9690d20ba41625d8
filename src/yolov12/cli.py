"""The command line: one function per verb. `yolov12 --help` needs no torch; each verb imports the facade when it runs.

Exit codes: 0 all done, 1 finished but inputs were skipped, 2 the input was refused, 3 the machine lacks something,
4 disk or memory, 70 a bug, 130/143 stopped by a signal. Errors are one line on stderr; `--debug` adds the traceback.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yolov12.config.run import (
    BenchmarkConfig,
    CheckConfig,
    CompareConfig,
    ExportConfig,
    PredictConfig,
    TrainConfig,
    ValConfig,
)
from yolov12.config.synthetic import SyntheticConfig
from yolov12.errors import ImageError, ResourceError, SetupError, YoloError
from yolov12.grammar import chosen_parts, explicit_options, milliseconds, parse, unknown_words

if TYPE_CHECKING:
    from yolov12.api.predicting import Predicting

BUG = 70
UNSAID = {"runtime": ("auto",), "precision": ("auto", "fp32"), "device": ("auto", "cpu"), "half": ("auto", False)}
"""Options of a command that leave it open what runs the model."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that the terminal's encoding lacks is no reason to stop
            stream.reconfigure(errors="backslashreplace")
    try:
        return run([word for word in words if word != "--debug"])
    except YoloError as error:
        if debug:
            traceback.print_exc()
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # who read our output has gone: nothing more can be said, not even at the exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except MemoryError:
        print("error: out of memory: lower --batch or --imgsz", file=sys.stderr)
        return ResourceError.exit_code
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        print("error: this needs torch: pip install 'yolov12[cpu]'", file=sys.stderr)
        return SetupError.exit_code
    except Exception as error:  # the edge of the program: a bug is reported in one line, with a way to see more
        if debug:
            traceback.print_exc()
        print(
            f"error: internal error, please report it: {type(error).__name__}: {error} (--debug shows where)",
            file=sys.stderr,
        )
        return BUG


def run(words: list[str]) -> int:
    """Parse and dispatch."""
    known = parse(words)
    if known.verb is None:
        known.parser.print_help()
        return 0
    return VERBS[known.verb](known)


# ---- verbs: each imports the facade only when it runs ----------------------------------------------------------------


def predict(words: argparse.Namespace) -> int:
    """Print what is found, or JSON lines; exit code 1 when an input was skipped."""
    from yolov12.api.opening import sample_images

    options = explicit_options(words, PredictConfig)
    if not words.source:
        options.setdefault("save", True)
    for word in words.source:
        if "=" in word and word.split("=", 1)[0].isidentifier() and not Path(word).exists():
            raise unknown_words([word], words.parser)
    source: Any = words.source if len(words.source) > 1 else (words.source or [""])[0]
    options["verbose"] = options.get("verbose", not words.json)
    model = open_model(words, options)
    source = source or str(sample_images(model.task))
    if "imgsz" not in options:
        options["imgsz"] = model.size_to_use(verbose=options["verbose"])
    failed = count = 0
    try:
        for result in model.predict(source, **{**options, "stream": True}):
            count += 1
            failed += result.error is not None
            if words.json:
                print_json(result.to_dict())
            elif result.error is None:
                print(result.summary())
    except ImageError as error:  # the only input: not refused, but it cannot be used
        print(f"error: {error}", file=sys.stderr)
        return 1
    if failed and not options["verbose"]:
        print(f"{count} inputs, {failed} skipped", file=sys.stderr)
    if not count:
        print("error: nothing to predict on was found", file=sys.stderr)
    return 1 if failed or not count else 0


def train(words: argparse.Namespace) -> int:
    """Train and print the final table; exit code 1 when images or label rows were left out."""
    from yolov12.api.model import YOLO
    from yolov12.loading import is_model_name

    options = explicit_options(words, TrainConfig)
    own = options.get("pretrained", True) and not options.get("weights")
    fresh = not own and is_model_name(words.model)  # then nothing has to be downloaded
    parts = chosen_parts(words)
    model = YOLO(words.model, parts=parts, layout=words.layout, offline=words.offline, pretrained=not fresh)
    metrics = model.train(**options)
    print(metrics.table())
    print(f"results: {metrics.save_dir}")
    return left_out(metrics.save_dir)


def val(words: argparse.Namespace) -> int:
    """Score and print the table or JSON; exit code 1 when images or label rows were left out."""
    options = explicit_options(words, ValConfig)
    table = options.get("verbose", True) and not words.json
    model = open_model(words, {"runtime": "torch", **options})
    if "imgsz" not in options:
        options["imgsz"] = model.size_to_use(verbose=table)
    metrics = model.val(**{**options, "verbose": False})
    if words.json:
        print_json(metrics.to_dict())
    if table:
        print(metrics.table())
        print(f"results: {metrics.save_dir}")
    return left_out(metrics.save_dir)


def open_model(words: argparse.Namespace, options: Mapping[str, Any]) -> Predicting:
    """The model of a command that only runs it, or several that answer together."""
    from yolov12.api.ensemble import Ensemble
    from yolov12.api.opening import open_fastest, open_predicting

    source = {"layout": words.layout, "offline": words.offline}
    if not words.fuse and all(options.get(name, "auto") in allowed for name, allowed in UNSAID.items()):
        device = options.get("device", "auto")
        return open_fastest(words.model, device, verbose=options.get("verbose", True), **source)
    models = [open_predicting(name, **source) for name in [words.model, *words.fuse]]
    return models[0] if len(models) == 1 else Ensemble(models)


def print_json(values: Mapping[str, Any]) -> None:
    """One line of JSON, with its own escapes for what stdout cannot encode."""
    unicode = (sys.stdout.encoding or "utf8").lower().startswith("utf")  # None: a stream of text in memory
    print(json.dumps(values, ensure_ascii=not unicode, allow_nan=False), flush=True)


def left_out(folder: Path | None) -> int:
    """Exit code 1 when the report in a run's folder counts inputs that were left out, else 0."""
    if folder is None:
        return 0
    splits = json.loads((folder / "report.json").read_text(encoding="utf8")).values()
    return int(any(split["skipped"] or split["rows_skipped"] for split in splits))


def info(words: argparse.Namespace) -> int:
    """Print the model's layers and totals."""
    from yolov12.api.model import YOLO
    from yolov12.loading import is_model_name

    fresh = is_model_name(words.model)  # a published name is described without downloading it
    parts = chosen_parts(words)
    model = YOLO(words.model, parts=parts, layout=words.layout, offline=words.offline, pretrained=not fresh)
    profile = model.info(imgsz=words.imgsz, verbose=not words.json)
    if words.json:
        described = dataclasses.asdict(profile)
        totals = {name: getattr(profile, name) for name in ("parameters", "gflops") if hasattr(profile, name)}
        print_json({**described, **totals})
    return 0


def trace(words: argparse.Namespace) -> int:
    """Print the walk through a model's layers; exit code 1 when one of them is dead or exploding."""
    from yolov12.api.model import YOLO, draw_trace
    from yolov12.loading import is_model_name

    fresh = is_model_name(words.model)  # a published name is described without downloading it
    parts = chosen_parts(words)
    model = YOLO(words.model, parts=parts, layout=words.layout, offline=words.offline, pretrained=not fresh)
    walk = model.trace(words.image, data=words.data, backward=words.backward, imgsz=words.imgsz, batch=words.batch)
    if words.plot:
        draw_trace(walk, Path(words.plot))
    if words.json:
        print_json(walk.to_dict())
    else:
        print(walk.table())
    if words.attention:
        image = words.image if not words.backward else None
        lines = model.draw_attention(image, Path(words.attention), imgsz=words.imgsz)
        print("\n".join(lines), file=sys.stderr if words.json else sys.stdout)
    return int(any(row.mark for row in walk.rows))


def export(words: argparse.Namespace) -> int:
    """Write a model for another runtime, checked; print its path."""
    from yolov12.api.model import YOLO

    options = explicit_options(words, ExportConfig)
    print(YOLO(words.model, layout=words.layout, offline=words.offline).export(**options))
    return 0


def tune(words: argparse.Namespace) -> int:
    """Measure the installed runtimes, remember the fastest, print it."""
    from yolov12.api.model import YOLO

    choice = YOLO(words.model, layout=words.layout, offline=words.offline).tune(imgsz=words.imgsz)
    print(choice.why)
    return 0


def verify(words: argparse.Namespace) -> int:
    """Check an exported file on this machine; exit code 1 when it is not what its certificate says."""
    from yolov12.api.verify import verify_file

    report = verify_file(words.file, device=words.device, precision=words.precision)
    if words.json:
        print_json(report)
    else:
        print("\n".join([*report["passed"], *(f"FAILED: {text}" for text in report["failures"])]))
    return int(bool(report["failures"]))


def convert(words: argparse.Namespace) -> int:
    """Convert a model file."""
    from yolov12.api.convert import convert_model

    print(convert_model(words.input, Path(words.output), layout=words.layout, offline=words.offline))
    return 0


def compare(words: argparse.Namespace) -> int:
    """Score and time several models, print the table or JSON; exit code 1 when images or label rows were left out."""
    from yolov12.api.compare import compare_models

    options = explicit_options(words, CompareConfig)
    table = options.get("verbose", True) and not words.json
    comparison = compare_models(
        words.models, layout=words.layout, offline=words.offline, **{**options, "verbose": table}
    )
    if words.json:
        print_json(comparison.to_dict())
    else:
        print(comparison.table())
        print(f"results: {comparison.save_dir}")
    return left_out(comparison.save_dir)


def benchmark(words: argparse.Namespace) -> int:
    """Measure models in many settings, print the table or JSON."""
    from yolov12.api.benchmark import benchmark_models

    options = explicit_options(words, BenchmarkConfig)
    found = benchmark_models(words.models, offline=words.offline, **options)
    if words.json:
        print_json(found.to_dict())
    else:
        print(found.markdown())
        print(f"results: {found.save_dir}")
    return 0


def select(words: argparse.Namespace) -> int:
    """Propose the most accurate setting within a time budget."""
    from yolov12.api.benchmark import command_for, select_setting

    options = explicit_options(words, BenchmarkConfig)
    line, found = select_setting(words.models, milliseconds(words.budget), offline=words.offline, **options)
    if words.json:
        print_json({**line.cells(), "command": command_for(line)})
        return 0
    print(f"{line.setting}: {(line.milliseconds or (0,))[0]:.1f} ms, accuracy {line.accuracy:.4f}")
    print(command_for(line))
    print(f"results: {found.save_dir}")
    return 0


def data_synth(words: argparse.Namespace) -> int:
    """Write synthetic scenes."""
    from yolov12.api.data import write_synthetic

    options = explicit_options(words, SyntheticConfig)
    print(f"data set: {write_synthetic(Path(words.folder), **options)}")
    return 0


def data_check(words: argparse.Namespace) -> int:
    """Read every split and print what was found; exit code 1 when something cannot be used."""
    from yolov12.api.data import check_data

    options = explicit_options(words, CheckConfig)
    findings = 0
    for report in check_data(words.data, **options):
        print(report.summary() if report.read else f"{report.split}: cannot be used")
        for text in [*(f"warning: {warning}" for warning in report.warnings), *report.findings]:
            print(f"  {text}")
        findings += report.total
    return int(findings > 0)


def models(words: argparse.Namespace) -> int:
    """List model names."""
    from yolov12.hub import describe_models

    print(describe_models())
    return 0


VERBS: dict[str, Callable[[argparse.Namespace], int]] = {
    "predict": predict,
    "train": train,
    "val": val,
    "info": info,
    "trace": trace,
    "export": export,
    "tune": tune,
    "verify": verify,
    "convert": convert,
    "compare": compare,
    "benchmark": benchmark,
    "select": select,
    "data synth": data_synth,
    "data check": data_check,
    "models": models,
}
