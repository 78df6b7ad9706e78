"""Shifts the clocks of a process, so that whatever goes by one can be noticed."""

import functools
import time
from collections.abc import Callable
from typing import Any

_READ = ("time", "monotonic", "perf_counter", "process_time", "thread_time")
_CONVERT_NOW = ("gmtime", "localtime", "ctime")  # of now, where no moment is given


def shift(seconds: float) -> None:
    """Moves the clocks of `time` ahead by so many seconds. Clocks that ask the kernel themselves
    (datetime, numpy's datetime64) stay: their types belong to compiled libraries, which crash
    with replacements."""
    for name in _READ:
        setattr(time, name, _ahead(getattr(time, name), seconds))
        setattr(time, f"{name}_ns", _ahead(getattr(time, f"{name}_ns"), int(seconds * 1e9)))
    for name in _CONVERT_NOW:
        setattr(time, name, _of_now(getattr(time, name)))


def _ahead(clock: Callable[[], Any], by: float) -> Callable[[], Any]:
    return lambda: clock() + by


def _of_now(convert: Callable[[float], Any]) -> Callable[..., Any]:
    @functools.wraps(convert)
    def of(moment: float | None = None) -> Any:
        return convert(time.time() if moment is None else moment)

    return of
