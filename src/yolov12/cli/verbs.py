"""The commands: one row each, in the order of `yolov12 --help`."""

from __future__ import annotations

from yolov12.cli import building, data, deploying, measuring, running
from yolov12.cli.grammar import Verb

VERBS = {
    "predict": Verb(
        "find objects in images, videos, folders", running.predict_flags, running.predict, running.gather_sources
    ),
    "train": Verb("train a model on a data set", building.train_flags, building.train),
    "val": Verb("score a model on a data set, COCO-exact", running.val_flags, running.val),
    "info": Verb("layers, shapes, parameters, GFLOPs of a model", building.info_flags, building.info),
    "trace": Verb(
        "walk through the layers: shapes, time; with --backward gradients and weight updates",
        building.trace_flags,
        building.trace,
    ),
    "export": Verb("write a model for other runtimes, proven equal to it", deploying.export_flags, deploying.export),
    "tune": Verb(
        "measure the installed runtimes on this machine and remember the fastest", deploying.tune_flags, deploying.tune
    ),
    "verify": Verb(
        "check an exported file on this machine against its certificate", deploying.verify_flags, deploying.verify
    ),
    "convert": Verb(
        "turn a foreign checkpoint into ours, or ours into a plain state dict (.pt)",
        deploying.convert_flags,
        deploying.convert,
    ),
    "compare": Verb(
        "score and time several models on the same data, with confidence intervals",
        measuring.compare_flags,
        measuring.compare,
    ),
    "benchmark": Verb(
        "time models by runtime, precision, size and batch, and score them",
        measuring.benchmark_flags,
        measuring.benchmark,
    ),
    "select": Verb("propose the most accurate setting within a time budget", measuring.select_flags, measuring.select),
    "data synth": Verb("write a data set of synthetic scenes", data.synth_flags, data.synth),
    "data check": Verb("read a data set as training would, and list what cannot be used", data.check_flags, data.check),
    "models": Verb("list the models that come with the package and the published ones", data.models_flags, data.models),
}
