"""What a worker process is asked to do, and how it ended."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

_KEPT_VARIABLES = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "PYTHONPATH",
    "LD_LIBRARY_PATH",
    "VIRTUAL_ENV",
    "XDG_CACHE_HOME",
    "BILEVEL_CACHE",
    "CUDA_VISIBLE_DEVICES",
)
_ADDRESS = re.compile(r"\b0x[0-9a-f]{8,16}\b")
LOG_LIMIT_BYTES = 16 * 2**20  # a job that prints more is stopped


@dataclass(frozen=True)
class WorkerJob:
    """A call of `target` ('module:function', given argv, returns an exit code) in a folder.

    The default target runs argv as a command. A `temporary` folder is deleted with the job if the
    client process disappears; otherwise its creator deletes it. `environment` is added to that of
    the worker server.
    """

    argv: Sequence[str]
    folder: Path
    limit_s: float
    target: str = "bilevel.workers.server:execute"
    temporary: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Finished:
    """The end of a job; `signal` is 0 where it exited by itself. `output` is all it printed, or
    the last part where it `flooded` its log and was stopped for it."""

    exit_code: int
    signal: int
    timed_out: bool
    wall_s: float
    peak_mib: float
    output: str
    flooded: bool = False


class Runner(Protocol):
    def run(self, job: WorkerJob) -> Finished:
        """Runs the job to its end or to its limit. Raises TaskError if no job could be run at
        all."""

    def close(self) -> None: ...


def scrubbed_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the few environment variables that a worker needs; keys and tokens are not among
    them."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    return {**kept, "PYTHONHASHSEED": "0", **(extra or {})}


def flooded(log: int) -> bool:
    """Return whether a job has printed more than is allowed into the log with this descriptor."""
    return os.fstat(log).st_size > LOG_LIMIT_BYTES


def without_addresses(text: str) -> str:
    """Return the text with memory addresses replaced, so that it is the same in every process:
    `<Box object at 0x...>`."""
    return _ADDRESS.sub("0x...", text)


def printed(log: int) -> str:
    """Return a job's output without addresses; the last part of one that flooded its log."""
    with open(log, "rb", closefd=False) as file:
        file.seek(max(0, os.fstat(log).st_size - LOG_LIMIT_BYTES))
        return without_addresses(file.read().decode("utf-8", errors="replace"))
