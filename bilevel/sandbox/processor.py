"""Limits on the processor time of a hook call, which no load on the machine moves."""

import ctypes
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bilevel.sandbox.failures import TimeLimit

PATIENCE = 30  # times its processor time, by the clock on the wall: for whoever only waits
REST_S = 0.02  # between calls; what a worker needs to go to sleep and wake is less than 0.001
LOOK_S = 0.01  # at least, from one look at the clock to the next
_libc = ctypes.CDLL(None)


def below(pid: int) -> tuple[int, ...]:
    """Return the ids of a process's descendants."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended meanwhile
        parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found = [pid]
    for one in found:
        found += parents.get(one, [])
    return tuple(found[1:])


def clocks(pids: Sequence[int]) -> tuple[int, ...]:
    """Return the kernel's CPU-time clocks of these processes, for `spent_s`."""
    found, clock = [], ctypes.c_int()
    for pid in pids:
        if _libc.clock_getcpuclockid(pid, ctypes.byref(clock)) == 0:
            found.append(clock.value)
    return tuple(found)


def spent_s(clocks: Sequence[int]) -> float:
    """Return processor seconds over all threads; a process that has ended no longer counts."""
    spent = 0.0
    for clock in clocks:
        try:
            spent += time.clock_gettime(clock)
        except OSError:
            continue
    return spent


class Allowance:
    """The time limit of one call: `seconds` of processor time for these processes, which had
    used `before`, and PATIENCE times that of wall time for a process that only waits."""

    def __init__(
        self, seconds: float, processes: Callable[[], Sequence[int]], before: float
    ) -> None:
        self._seconds = seconds
        self._processes = processes
        self._before = before
        self._wall_s = PATIENCE * seconds
        self._since = time.monotonic()
        self._looks_at = seconds  # nothing to see before: one thread uses at most what passes

    def resume(self) -> None:
        """Starts to count wall time again as the worker's."""
        self._since = time.monotonic()

    def pause(self) -> None:
        passed = time.monotonic() - self._since
        self._wall_s -= passed
        self._looks_at -= passed

    def spend(self, seconds: float) -> None:
        """Charges processor seconds that the host computed on the worker's request."""
        self._before -= seconds
        self._looks_at -= seconds

    def left(self) -> float:
        """Return the seconds to wait before the next check. Raises TimeLimit where the limit is
        used up."""
        passed = time.monotonic() - self._since
        if passed >= self._wall_s:
            raise TimeLimit("no answer within the limit")
        if passed >= self._looks_at:
            used = spent_s(clocks(self._processes())) - self._before
            if used >= self._seconds:
                raise TimeLimit("no answer within the limit")
            self._looks_at = passed + max(self._seconds - used, LOOK_S)
        return max(min(self._looks_at, self._wall_s) - passed, 0.0)
