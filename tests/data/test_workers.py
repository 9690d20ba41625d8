"""The pool of loader processes: order, and what it says when a worker is lost for good."""

from __future__ import annotations

import gc
import os
import signal
import time
from collections.abc import Callable

import pytest

from yolov12.data import workers
from yolov12.data.workers import WorkerPool
from yolov12.errors import DataError, ResourceError

pytestmark = pytest.mark.skipif(not workers.forks_safely(), reason="needs processes that share memory by forking")


def square(task: int, at: Callable[[int], None]) -> int:
    at(task)
    time.sleep(0.02 * (task % 3))
    return task * task


def die(task: int, at: Callable[[int], None]) -> int:
    at(task)
    if task == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return task


def hang(task: int, at: Callable[[int], None]) -> int:
    at(task)
    if task == 3:
        time.sleep(1000)
    return task


def work_long(task: int, at: Callable[[int], None]) -> int:
    for image in range(8):
        at(image)
        time.sleep(0.1)
    return task


def leave(task: int, at: Callable[[int], None]) -> int:
    raise SystemExit(7)


def refuse(task: int, at: Callable[[int], None]) -> int:
    if task == 3:
        raise DataError("no")
    return task


class Stuck:
    """As objects of some libraries: its destructor waits for a thread that a child does not have."""

    def __init__(self) -> None:
        self.own, self.cycle = os.getpid(), self

    def __del__(self) -> None:
        if os.getpid() != self.own:
            time.sleep(1000)


def collect(task: int, at: Callable[[int], None]) -> int:
    at(task)
    assert gc.isenabled()
    gc.collect()
    return task


def results(work: Callable[[int, Callable[[int], None]], int], count: int = 2) -> list[int]:
    pool = WorkerPool(work, count, lambda image: f"picture{image}.jpg")
    try:
        for task in range(6):
            pool.submit(task)
        return [pool.receive() for _ in range(6)]
    finally:
        pool.close()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_results_come_in_the_order_of_the_tasks(count: int) -> None:
    assert results(square, count) == [0, 1, 4, 9, 16, 25]


@pytest.mark.parametrize(
    ("work", "error", "message"),
    [
        (die, ResourceError, r"loader worker 1 .*killed by SIGKILL .*at image picture3\.jpg, twice .*--workers 0"),
        (hang, ResourceError, r"loader worker 1 .*stuck for 0\.3 s at image picture3\.jpg"),
        (leave, ResourceError, r"loader worker 0 .*exit code 7"),
        (refuse, DataError, "^no$"),
    ],
)
def test_a_lost_batch(
    work: Callable[[int, Callable[[int], None]], int],
    error: type[Exception],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workers, "HANG_SECONDS", 0.3)
    with pytest.raises(error, match=message):
        results(work)


def test_slow_is_not_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "HANG_SECONDS", 0.3)
    assert results(work_long, 3) == list(range(6))


def test_discarded_tasks_leave_nothing_behind() -> None:
    pool = WorkerPool(square, 2, str)
    for task in range(4):
        pool.submit(task)
    pool.discard_pending()
    pool.submit(5)
    assert pool.receive() == 25
    pool.close()


def test_workers_do_not_collect_what_they_inherit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "HANG_SECONDS", 2.0)
    gc.disable()
    try:
        Stuck()
        pool = WorkerPool(collect, 1, str)
        assert not gc.isenabled()
        pool.submit(1)
        assert pool.receive() == 1
        pool.close()
    finally:
        gc.enable()
        gc.collect()
