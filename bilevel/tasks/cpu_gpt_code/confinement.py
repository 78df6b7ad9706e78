"""The evaluator's end of a confined run: starts it behind a wall, exchanges arrays, ends it."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bilevel.closable import Closable
from bilevel.errors import TaskError
from bilevel.sandbox.confined_process import (
    ENVIRONMENT,
    GRACE_S,
    INSIDE,
    WORDS,
    ConfinedProcess,
    Confinement,
    first_frame,
)
from bilevel.sandbox.failures import WorkerDied
from bilevel.sandbox.places import elsewhere, libraries
from bilevel.sandbox.worker_handle import CONFINING, chosen
from bilevel.tasks.cpu_gpt_code.arrays import ArrayChannel

_INSIDE_HERE = (
    *(
        "arrays",
        "books",
        "counting",
        "guarding",
        "operations",
        "prices",
        "script_runner",
        "seeding",
        "served",
    ),
    "start",
)
_MODULES = (
    *("", "sandbox", "tasks", "tasks.cpu_gpt", "tasks.cpu_gpt_code"),
    *WORDS,
    *(f"sandbox.{name}" for name in INSIDE),
    *(f"tasks.cpu_gpt.{name}" for name in ("coefficients", "cost", "meter", "job")),
    *(f"tasks.cpu_gpt_code.{name}" for name in _INSIDE_HERE),
)
_START = "tasks.cpu_gpt_code.start"
_DEVICES = ("/dev/urandom",)  # torch reads it when it starts
_PROCESSOR = ("/proc/cpuinfo", "/sys/devices/system/cpu")  # what torch chooses its kernels by
_VARIABLES = {
    **ENVIRONMENT,
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**32),
    "TORCHINDUCTOR_CACHE_DIR": "/",  # torch.optim makes sure that it exists when first used
}
TOLD_BY = ("botocore", "awscli")  # packages that hold the text of the default corpus
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_ERROR_CHUNKS = 16  # of what is written to the error pipe, the last ones are kept


@dataclass(frozen=True)
class Bounds:
    """What one run may use: `cpu_s` is what the kernel allows on top of the start, `until` a
    deadline on the monotonic clock."""

    layer: str
    memory_mib: int
    cpu_s: float
    until: float


class ConfinedRun(Closable):
    """One process that runs one script; `order` is what it is told at first."""

    def __init__(self, bounds: Bounds, order: Mapping[str, Any]) -> None:
        """Raises SandboxUnavailable, SandboxError, TaskError where torch cannot even be loaded."""
        self._until = bounds.until
        layer = chosen(bounds.layer)
        confinement = Confinement(layer, _VARIABLES, _present(_PROCESSOR), _DEVICES, hidden())
        self._kept = ConfinedProcess(confinement)
        given, told, self._errors = self._kept.streams
        self._said: deque[bytes] = deque(maxlen=_ERROR_CHUNKS)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self._channel = ArrayChannel(told.fileno(), given.fileno(), patient=False)
        self._open = True
        try:
            self._channel.send(first_frame(_MODULES, _START), self._until)
            limits = {"memory_mib": bounds.memory_mib, "cpu_s": bounds.cpu_s}
            self.give({**order, **limits, "walled": layer in CONFINING})
            self.take()
        except Ended as error:
            raise TaskError(
                f"a confined run cannot start ({error}); is task.memory_mib={bounds.memory_mib} "
                "enough?"
            ) from None
        except BaseException:
            self.close()
            raise

    def give(self, message: Mapping[str, Any], raw: bytes = b"") -> None:
        self._channel.give(message, raw, self._until)

    def take(self, most: int = 0) -> tuple[dict[str, Any], bytes]:
        """Raises SandboxError: of a process that ended, with its exit code and last words."""
        try:
            return self._channel.take(most, self._until)
        except WorkerDied:
            code = self.close()
            raise Ended(code, self.stderr_text) from None

    def ask(
        self, message: Mapping[str, Any], raw: bytes, most: int = 0
    ) -> tuple[dict[str, Any], bytes]:
        self.give(message, raw)
        return self.take(most)

    @property
    def cpu_s(self) -> float:
        """What the kernel has counted of it until now."""
        return spent_s(self._kept.confined())

    @property
    def stderr_text(self) -> str:
        """The end of what was written to the error pipe."""
        return b"".join(self._said).decode("utf-8", errors="replace").strip()

    def close(self) -> int:  # type: ignore[override]
        """Ends the process; its exit code (128 + signal for a killed one)."""
        if self._open:
            self._open = False
            self._kept.end()
            self._listener.join(GRACE_S)
            self._kept.release()
        return self._kept.end()

    def _listen(self) -> None:
        """A full pipe would hold the process up."""
        while chunk := os.read(self._errors.fileno(), 1 << 12):
            self._said.append(chunk)


class Ended(WorkerDied):
    """The process is gone without an answer."""

    def __init__(self, code: int, said: str) -> None:
        super().__init__(f"the run's process ended with code {code}: {said[-300:]!r}")
        self.code = code


def spent_s(processes: Sequence[int]) -> float:
    """Their processor seconds, in all threads and of all children, those that have ended too."""
    ticks = 0
    for pid in processes:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended meanwhile, and its parent has its time
        ticks += sum(map(int, stat[11:15]))
    return ticks * _TICK_S


def deadline(limit_s: float) -> float:
    return time.monotonic() + limit_s


def _present(paths: Sequence[str]) -> tuple[str, ...]:
    return tuple(path for path in paths if Path(path).exists())


def hidden() -> tuple[str, ...]:
    """Where the validation text may lie among the libraries: in its package, or in other
    environments, of which a run needs nothing."""
    own = [f"{library}/{name}" for library in libraries() for name in TOLD_BY]
    return (*elsewhere(), *_present(own))
