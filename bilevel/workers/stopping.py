"""Being asked to end: a cancelled or preempted job stops between two answers, and records none.

Whoever cancels a job sends a signal to all of its processes, in no order. A search may therefore
see the end of a worker before its own signal arrives, and must not take that for a result.
"""

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

ENDING = frozenset({signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2})
GRACE_S = 1.0  # between the first and the last process of a job that is sent a signal
EXIT_CODE = 128 + signal.SIGTERM


class Stopped(KeyboardInterrupt):
    """Raised in the main thread when the process is asked to end; a KeyboardInterrupt, so that
    no `except Exception` takes it for a failure."""


def told_to_end(code: int, by_signal: int = 0) -> bool:
    """Return whether an exit code or signal is that of a process asked to end, or of a shell
    whose child was."""
    return (by_signal or code - 128) in ENDING


def await_own_signal() -> None:
    """Waits for this process's signal where another process of the same job has already received
    it."""
    time.sleep(GRACE_S)


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Makes SIGTERM raise Stopped inside the block, once.

    So does a signal that the launcher of this process handles (submitit: save and requeue the job);
    it is passed on to that handler when everything inside is closed. Signals reach only the main
    thread: in other threads nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR2)}
    mine = [n for n, handler in before.items() if n == signal.SIGTERM or callable(handler)]
    came: list[tuple[int, FrameType | None]] = []

    def stop(number: int, frame: FrameType | None) -> None:
        for one in mine:
            signal.signal(one, signal.SIG_IGN)
        came.append((number, frame))
        raise Stopped

    for number in mine:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in mine:
            signal.signal(number, before[number] or signal.SIG_DFL)
        for came_first, frame in came:
            handler = before[signal.Signals(came_first)]
            if came_first != signal.SIGTERM and callable(handler):
                handler(came_first, frame)
