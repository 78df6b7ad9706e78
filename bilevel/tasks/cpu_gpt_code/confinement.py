"""The evaluator's end of a confined run: starts it behind a wall, exchanges arrays, ends it."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import subprocess
import sysconfig
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bilevel.closing import Closing
from bilevel.errors import TaskError
from bilevel.sandbox.failures import WorkerDied
from bilevel.sandbox.hosted import (
    ENVIRONMENT,
    GRACE_S,
    INSIDE,
    PYTHON,
    WORDS,
    chosen,
    readable,
)
from bilevel.tasks.cpu_gpt_code.arrays import ArrayChannel
from bilevel.workers.job import scrubbed_environment

PACKAGES = ("", ".sandbox", ".tasks", ".tasks.cpu_gpt", ".tasks.cpu_gpt_code")
MODULES = (
    *WORDS,
    *(f"sandbox.{name}" for name in INSIDE),
    *(f"tasks.cpu_gpt.{name}" for name in ("coefficients", "cost", "meter", "job")),
    *(f"tasks.cpu_gpt_code.{name}" for name in ("arrays", "counting", "seeding", "seat")),
)
DEVICES = ("/dev/urandom",)  # torch reads it when it starts
PROCESSOR = ("/proc/cpuinfo", "/sys/devices/system/cpu")  # what torch chooses its kernels by
MEMORY_KEPT = {"MALLOC_MMAP_THRESHOLD_": str(2**30), "MALLOC_TRIM_THRESHOLD_": str(2**32)}
ERROR_CHUNKS = 16  # of what is written to the error pipe, the last ones are kept


@dataclass(frozen=True)
class Bounds:
    """What one run may use: `cpu_s` is what the kernel allows on top of the start, `until` a
    deadline on the monotonic clock."""

    layer: str
    memory_mib: int
    cpu_s: float
    until: float


class ConfinedRun(Closing):
    """One process that runs one script; `order` is what it is told at first."""

    def __init__(self, bounds: Bounds, order: Mapping[str, Any]) -> None:
        """Raises SandboxUnavailable, SandboxError, TaskError where torch cannot even be loaded."""
        self._until = bounds.until
        control, self._control = os.pipe()
        try:
            self._keeper = subprocess.Popen(
                [*PYTHON, str(_source("sandbox.keeper")), json.dumps(_told(bounds.layer, control))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=scrubbed_environment(),
                pass_fds=[control],
                cwd="/",
                start_new_session=True,
            )
        finally:
            os.close(control)
        assert self._keeper.stdin is not None
        assert self._keeper.stdout is not None
        self._said: deque[bytes] = deque(maxlen=ERROR_CHUNKS)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self._channel = ArrayChannel(
            self._keeper.stdout.fileno(), self._keeper.stdin.fileno(), patient=False
        )
        self._open = True
        modules = {f"bilevel{name}": "" for name in PACKAGES}
        modules |= {f"bilevel.{name}": _source(name).read_text() for name in MODULES}
        start = {"start": "bilevel.tasks.cpu_gpt_code.seat", "libraries": _libraries()}
        try:
            self._channel.send({**start, "modules": modules}, self._until)
            limits = {"memory_mib": bounds.memory_mib, "cpu_s": bounds.cpu_s}
            self.give({**order, **limits})
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
            raise Ended(code, self.said) from None

    def ask(
        self, message: Mapping[str, Any], raw: bytes, most: int = 0
    ) -> tuple[dict[str, Any], bytes]:
        self.give(message, raw)
        return self.take(most)

    @property
    def said(self) -> str:
        """The end of what was written to the error pipe."""
        return b"".join(self._said).decode("utf-8", errors="replace").strip()

    def close(self) -> int:  # type: ignore[override]
        """Ends the process; its exit code (128 + signal for a killed one)."""
        if self._open:
            self._open = False
            os.close(self._control)
            try:
                self._keeper.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                self._keeper.kill()
                self._keeper.wait()
            self._listener.join(GRACE_S)
            for pipe in (self._keeper.stdin, self._keeper.stdout, self._keeper.stderr):
                with contextlib.suppress(OSError):
                    if pipe is not None:
                        pipe.close()
        return self._keeper.returncode

    def _listen(self) -> None:
        """A full pipe would hold the process up."""
        assert self._keeper.stderr is not None
        while chunk := os.read(self._keeper.stderr.fileno(), 1 << 12):
            self._said.append(chunk)


class Ended(WorkerDied):
    """The process is gone without an answer."""

    def __init__(self, code: int, said: str) -> None:
        super().__init__(f"the run's process ended with code {code}: {said[-300:]!r}")
        self.code = code


def deadline(limit_s: float) -> float:
    return time.monotonic() + limit_s


def _told(layer: str, control: int) -> dict[str, Any]:
    return {
        "layer": chosen(layer),
        "control": control,
        "readable": [*readable(), *(p for p in PROCESSOR if Path(p).exists()), *DEVICES],
        "devices": DEVICES,
        "environment": {**ENVIRONMENT, **MEMORY_KEPT},
        "libraries": _libraries(),
        "command": [*PYTHON, "-B", "-c", _source("tasks.cpu_gpt_code.boot").read_text()],
    }


def _libraries() -> list[str]:
    return list(dict.fromkeys(sysconfig.get_paths()[name] for name in ("purelib", "platlib")))


def _source(module: str) -> Path:
    spec = importlib.util.find_spec(f"bilevel.{module}")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin)
