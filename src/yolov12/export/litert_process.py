"""A process of its own that turns torch's exported program into a LiteRT file: `python -m ... PROGRAM FILE`.

The converter brings a second machine learning framework along, whose threads forbid every later fork of the process
that it runs in, such as those of a data loader.
"""

from __future__ import annotations

import sys

import torch

from yolov12.extras import require


def convert(program: str, file: str) -> None:
    """Read an exported program that `litert_writer` has just written, write the LiteRT file."""
    exported = torch.export.load(program)
    arguments, _ = exported.example_inputs
    require("litert_torch", "litert").convert(exported.module(), arguments).export(file)


if __name__ == "__main__":
    convert(*sys.argv[1:])
