"""The command line. `yolov12 --help` needs no torch; each verb imports what it uses when it runs.

Exit codes: 0 all done, 1 finished but inputs were skipped or a check failed, 2 the input was refused, 3 the machine
lacks something, 4 disk or memory, 70 a bug, 130/143 stopped by a signal. Errors are one line on stderr; `--debug` adds
the traceback.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from types import FrameType

from yolov12.cli.grammar import parse
from yolov12.cli.verbs import VERBS
from yolov12.errors import Interrupted, ResourceError, SetupError, UserError, YoloError, printable

BUG = 70
REFUSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
"""What the system says of files that may not be read or written."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that the terminal's encoding lacks is no reason to stop
            stream.reconfigure(errors="backslashreplace")
    with listening() as signals:
        try:
            code = run([word for word in words if word != "--debug"])
            return 128 + signals[0] if signals else code  # something on the way has swallowed the interruption
        except (Exception, KeyboardInterrupt) as error:
            if debug:
                traceback.print_exc()
            if signals and not isinstance(error, Interrupted):  # libraries make errors of their own of a Ctrl-C
                error = KeyboardInterrupt()
            return told(error, signals[0] if signals else signal.SIGINT)


@contextlib.contextmanager
def listening() -> Iterator[list[int]]:
    """Ctrl-C and SIGTERM end a command by KeyboardInterrupt, so that nothing half-written is left; lists what came.

    Training has an answer of its own.
    """
    came: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        came.append(number)
        if len(came) != 2:  # the second one may not disturb the tidying up; the third one may
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # only that one can listen
        yield came
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    before = {number: handler for number, handler in before.items() if handler not in (None, signal.SIG_IGN)}
    for number in before:  # not those that nohup and the like want to be ignored
        signal.signal(number, stop)
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def told(error: BaseException, stop: int) -> int:
    """Say what ended a command, in one line; the exit code. `stop`: the number of the signal behind an interruption."""
    code, text = BUG, f"internal error, please report it: {type(error).__name__}: {error} (--debug shows where)"
    if isinstance(error, BrokenPipeError):  # who read our output has gone: nothing can be said, not even at the exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    if isinstance(error, YoloError):
        code, text = error.exit_code, str(error)
    elif isinstance(error, KeyboardInterrupt):
        code, text = 128 + stop, "interrupted"
    elif isinstance(error, OSError) and error.errno in REFUSED and error.filename is not None:
        code, text = UserError.exit_code, f"{printable(error.filename)}: {error.strerror}"
    elif isinstance(error, MemoryError):
        code, text = ResourceError.exit_code, "out of memory: lower --batch or --imgsz"
    elif isinstance(error, ModuleNotFoundError) and error.name == "torch":
        code, text = SetupError.exit_code, "this needs torch: pip install 'yolov12[cpu]'"
    print(f"error: {text}", file=sys.stderr)
    return code


def run(words: list[str]) -> int:
    """Parse and dispatch."""
    known = parse(words, VERBS)
    if known.verb is None:
        known.parser.print_help()
        return 0
    return VERBS[known.verb].run(known)
