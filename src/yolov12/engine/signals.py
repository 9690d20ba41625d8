"""A polite stop: the first SIGTERM, SIGINT or SIGHUP asks the run to save its state at the next step boundary."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from yolov12.errors import Interrupted

STOP_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if name in signal.Signals.__members__
)


class StopRequest:
    """Holds the number of the signal that asked for a stop, if one did."""

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self._answer: Callable[[int], Interrupted] | None = None

    def receive(self, signal_number: int, frame: FrameType | None) -> None:
        """Signal handler: remember the first one; the second one stops at once."""
        if self.signal_number is not None:
            raise Interrupted("stopped at once by a second signal; the last saved state is kept", signal_number)
        self.signal_number = signal_number
        if self._answer is not None:
            raise self._answer(signal_number)

    @contextmanager
    def at_once(self, answer: Callable[[int], Interrupted]) -> Iterator[None]:
        """Inside the block a signal (also one that came before) raises `answer(number)` without waiting."""
        if self.signal_number is not None:
            raise answer(self.signal_number)
        self._answer = answer
        try:
            yield
        finally:
            self._answer = None


@contextmanager
def stop_request() -> Iterator[StopRequest]:
    """Listen for stop signals inside the block (only the main thread can); earlier handlers come back after it."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    before = {number: handler for number, handler in before.items() if handler not in (None, signal.SIG_IGN)}
    for number in before:  # not those that nohup and the like want to be ignored
        signal.signal(number, request.receive)
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
