"""Every error that this package raises on purpose, and the exit code that each one means on the command line.

    YoloError                      70  a bug: please report it
    |-- UserError                   2  the input was refused, nothing was written
    |   |-- ConfigError                an option, flag or configuration file
    |   |-- DataError                  a data set: YAML, labels, splits
    |   |-- CheckpointError            a model file
    |   `-- SourceError                something to predict on
    |       `-- ImageError             one image that cannot be decoded within the limits
    |-- SetupError                  3  the machine lacks something: a device, an optional package
    |-- ResourceError               4  disk or memory ran out
    |-- TrainingError               1  training ran but could not go on (non-finite loss)
    |-- ExportError                 1  an exported file is not equal to its model; no file is left
    `-- Interrupted           130/143  a signal, after a clean stop

A message is one line (a data set may list many) that names the file, line, field, value and the way out. The command
line prints it as ``error: <message>``; exit code 1 without an error means that some inputs were skipped.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class YoloError(Exception):
    """Base of every deliberate error; `exit_code` is what the command line returns."""

    exit_code = 70


class UserError(YoloError):
    """The user's input was refused before anything was written."""

    exit_code = 2


class ConfigError(UserError):
    """An option, a flag or a configuration file is wrong."""


class DataError(UserError):
    """A data set cannot be used as it is; the message lists every finding."""


class CheckpointError(UserError):
    """A model file is damaged, unsafe or not what it should be."""


class SourceError(UserError):
    """A source to predict on does not exist or cannot be opened."""


class ImageError(SourceError):
    """One image cannot be decoded, or is over the limits."""


class SetupError(YoloError):
    """The machine lacks something that the call needs: a device or an optional package."""

    exit_code = 3


class ResourceError(YoloError):
    """Disk space or memory ran out."""

    exit_code = 4


class TrainingError(YoloError):
    """Training started but could not go on."""

    exit_code = 1


class ExportError(YoloError):
    """A written file did not pass its check, or a file no longer is what its certificate says."""

    exit_code = 1


class Interrupted(YoloError):
    """A signal stopped the run after its state was saved; `exit_code` is 128 + the signal's number."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number


def did_you_mean(value: object, choices: Iterable[str]) -> str:
    """`" Did you mean 'x'?"` for the closest of `choices`, or one that has it as a word; empty when none is close."""
    by_lower_case, wanted = {choice.lower(): choice for choice in choices}, str(value).lower()
    worded = [
        choice
        for choice in by_lower_case
        if len(wanted) > 3 and f"_{wanted.replace('-', '_')}_" in f"_{choice.replace('-', '_')}_"
    ]
    near = difflib.get_close_matches(wanted, by_lower_case, n=1, cutoff=0.8)
    close = near or worded or difflib.get_close_matches(wanted, by_lower_case, n=1)
    return f" Did you mean {by_lower_case[close[0]]!r}?" if close else ""


def printable(text: object) -> str:
    """`text` with everything that could break a log line (newlines, control characters) escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "replace").decode("ascii") for c in str(text))
