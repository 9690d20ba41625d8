"""The command line. `yolov12 --help` needs no torch; each verb imports what it uses when it runs.

Exit codes: 0 all done, 1 finished but inputs were skipped, 2 the input was refused, 3 the machine lacks something,
4 disk or memory, 70 a bug, 130/143 stopped by a signal. Errors are one line on stderr; `--debug` adds the traceback.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import NoReturn

from yolov12.cli.grammar import parse
from yolov12.cli.verbs import VERBS
from yolov12.errors import ResourceError, SetupError, YoloError

BUG = 70


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that the terminal's encoding lacks is no reason to stop
            stream.reconfigure(errors="backslashreplace")
    try:
        with stopping_cleanly():
            return run([word for word in words if word != "--debug"])
    except YoloError as error:
        if debug:
            traceback.print_exc()
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt as stop:
        print("error: interrupted", file=sys.stderr)
        return 128 + (signal.SIGTERM if isinstance(stop, _Terminated) else signal.SIGINT)
    except BrokenPipeError:  # who read our output has gone: nothing more can be said, not even at the exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except MemoryError:
        print("error: out of memory: lower --batch or --imgsz", file=sys.stderr)
        return ResourceError.exit_code
    except Exception as error:  # the edge of the program: a bug is reported in one line, with a way to see more
        if isinstance(error, ModuleNotFoundError) and error.name == "torch":
            print("error: this needs torch: pip install 'yolov12[cpu]'", file=sys.stderr)
            return SetupError.exit_code
        if debug:
            traceback.print_exc()
        print(
            f"error: internal error, please report it: {type(error).__name__}: {error} (--debug shows where)",
            file=sys.stderr,
        )
        return BUG


class _Terminated(KeyboardInterrupt):  # which nobody takes for an error of the input
    """SIGTERM."""


@contextlib.contextmanager
def stopping_cleanly() -> Iterator[None]:
    """Answer SIGTERM as Ctrl-C is answered: what was half written is removed. Training has an answer of its own."""

    def stop(_number: int, _frame: FrameType | None) -> NoReturn:
        raise _Terminated

    if threading.current_thread() is not threading.main_thread():  # only that one can listen
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def run(words: list[str]) -> int:
    """Parse and dispatch."""
    known = parse(words, VERBS)
    if known.verb is None:
        known.parser.print_help()
        return 0
    return VERBS[known.verb].run(known)
