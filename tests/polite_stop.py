"""The signal that asks a training in this very process to stop."""

from __future__ import annotations

import os
import signal
import threading


def ask_to_stop() -> None:
    """SIGTERM to itself; an assertion, instead of the end of the test run, where nobody listens."""
    assert threading.current_thread() is threading.main_thread(), "only the main thread can listen to signals"
    assert callable(signal.getsignal(signal.SIGTERM)), "nobody listens to SIGTERM"
    os.kill(os.getpid(), signal.SIGTERM)
